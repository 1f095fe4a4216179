//! What commands do, and the change sets that all snapshotters must find.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink as make_symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::*;

struct Case {
    name: &'static str,
    base: Vec<Changes>,
    command: fn(&Path),
    expected: &'static [&'static str],
}

fn case(
    name: &'static str,
    base: Vec<Changes>,
    command: fn(&Path),
    expected: &'static [&'static str],
) -> Case {
    Case { name, base, command, expected }
}

fn write(root: &Path, name: &str, text: &str) {
    fs::write(root.join(name), text).expect("a file");
}

fn chmod(root: &Path, name: &str, mode: u32) {
    fs::set_permissions(root.join(name), PermissionsExt::from_mode(mode)).expect("chmod");
}

fn check_cases(test: &str, cases: impl Fn() -> Vec<Case>) {
    for place in places(test) {
        for Case { name, base, command, expected } in cases() {
            let mut workspace = place.create(base);
            check(&mut *workspace);
            let changes = run(&mut *workspace, &[], command);
            assert_eq!(lines(&changes), expected, "{name} with {}", place.snapshotter.name());
        }
    }
}

fn base() -> Vec<Changes> {
    vec![vec![
        dir("d", 0o755),
        file("d/a", "alpha"),
        file("d/b", "beta"),
        dir("d/sub", 0o700),
        file("d/sub/x", "ex"),
        file("f", "eff"),
        symlink("s", "d/a"),
    ]]
}

#[test]
fn contents_and_names() {
    check_cases("contents_and_names", || {
        vec![
            case("nothing", base(), |_| {}, &[]),
            case("a new file", base(), |root| write(root, "n", "new"), &["put n 644 `new`"]),
            case(
                "a file below a directory",
                base(),
                |root| write(root, "d/n", "new"),
                &["put d/ 755", "put d/n 644 `new`"],
            ),
            case(
                "other bytes, and the directory stays",
                base(),
                |root| write(root, "d/a", "other"),
                &["put d/ 755 old", "put d/a 644 `other`"],
            ),
            case(
                "other bytes of the same length at the same time",
                base(),
                |root| {
                    write(root, "f", "fff");
                    make_old(&root.join("f"));
                },
                &["put f 644 old `fff`"],
            ),
            case(
                "the same bytes again",
                base(),
                |root| {
                    write(root, "f", "eff");
                    make_old(&root.join("f"));
                },
                &[],
            ),
            case(
                "a copy in its own place",
                base(),
                |root| {
                    write(root, "t", "eff");
                    make_old(&root.join("t"));
                    fs::rename(root.join("t"), root.join("f")).expect("renamed");
                },
                &[],
            ),
            case(
                "a removed file",
                base(),
                |root| fs::remove_file(root.join("d/a")).expect("removed"),
                &["put d/ 755", "remove d/a"],
            ),
            case(
                "a removed directory",
                base(),
                |root| fs::remove_dir_all(root.join("d")).expect("removed"),
                &["remove d"],
            ),
            case(
                "made and removed",
                base(),
                |root| {
                    write(root, "n", "new");
                    fs::remove_file(root.join("n")).expect("removed");
                },
                &[],
            ),
            case(
                "a renamed file",
                base(),
                |root| fs::rename(root.join("f"), root.join("g")).expect("renamed"),
                &["remove f", "put g 644 old `eff`"],
            ),
            case(
                "two files swapped",
                base(),
                |root| {
                    fs::rename(root.join("d/a"), root.join("t")).expect("renamed");
                    fs::rename(root.join("d/b"), root.join("d/a")).expect("renamed");
                    fs::rename(root.join("t"), root.join("d/b")).expect("renamed");
                    make_old(&root.join("d"));
                },
                &["put d/ 755 old", "put d/a 644 old `beta`", "put d/b 644 old `alpha`"],
            ),
            case(
                "an emptied directory",
                base(),
                |root| {
                    fs::remove_dir_all(root.join("d")).expect("removed");
                    fs::create_dir(root.join("d")).expect("a directory");
                },
                &["put d/ 755", "opaque d"],
            ),
            case(
                "a directory made anew with one file as before",
                base(),
                |root| {
                    fs::remove_dir_all(root.join("d")).expect("removed");
                    fs::create_dir(root.join("d")).expect("a directory");
                    write(root, "d/a", "alpha");
                    make_old(&root.join("d/a"));
                },
                &["put d/ 755", "remove d/b", "remove d/sub"],
            ),
        ]
    });
}

#[test]
fn kinds_replace_each_other() {
    check_cases("kinds_replace_each_other", || {
        vec![
            case(
                "a directory becomes a file",
                base(),
                |root| {
                    fs::remove_dir_all(root.join("d")).expect("removed");
                    write(root, "d", "file");
                },
                &["put d 644 `file`"],
            ),
            case(
                "a file becomes a directory",
                base(),
                |root| {
                    fs::remove_file(root.join("f")).expect("removed");
                    fs::create_dir(root.join("f")).expect("a directory");
                    write(root, "f/n", "new");
                },
                &["put f/ 755", "put f/n 644 `new`"],
            ),
            case(
                "a link gets another target",
                base(),
                |root| {
                    fs::remove_file(root.join("s")).expect("removed");
                    make_symlink("/etc", root.join("s")).expect("a link");
                    make_old(&root.join("s"));
                },
                &["put s 777 old -> /etc"],
            ),
            case(
                "a link becomes what it named",
                base(),
                |root| {
                    fs::remove_file(root.join("s")).expect("removed");
                    write(root, "s", "alpha");
                },
                &["put s 644 `alpha`"],
            ),
            case(
                "a directory becomes a link to its new place",
                base(),
                |root| {
                    fs::create_dir(root.join("e")).expect("a directory");
                    write(root, "e/a", "moved");
                    fs::remove_dir_all(root.join("d")).expect("removed");
                    make_symlink("e", root.join("d")).expect("a link");
                },
                &["put d 777 -> e", "put e/ 755", "put e/a 644 `moved`"],
            ),
            case(
                "a fifo, and a socket that no layer holds",
                base(),
                |root| {
                    let mode = Mode::from_raw_mode(0o640);
                    mknodat(CWD, root.join("p"), FileType::Fifo, mode, 0).expect("a fifo");
                    mknodat(CWD, root.join("d/sock"), FileType::Socket, mode, 0).expect("a socket");
                    make_old(&root.join("d"));
                },
                &["put p 640 fifo"],
            ),
        ]
    });
}

#[test]
fn metadata_alone_is_a_change() {
    check_cases("metadata_alone_is_a_change", || {
        vec![
            case("the same mode", base(), |root| chmod(root, "f", 0o644), &[]),
            case(
                "set-id and sticky bits",
                base(),
                |root| {
                    chmod(root, "f", 0o6755);
                    chmod(root, "d/sub", 0o1777);
                },
                &["put d/ 755 old", "put d/sub/ 1777 old", "put f 6755 old `eff`"],
            ),
            case(
                "owners, of a link too",
                base(),
                |root| {
                    chown(root.join("f"), Some(33), Some(34)).expect("chown");
                    lchown(root.join("s"), Some(35), Some(0)).expect("chown");
                },
                &["put f 644 33:34 old `eff`", "put s 777 35:0 old -> d/a"],
            ),
            case(
                "owners as they were, everywhere",
                base(),
                |root| {
                    for name in ["d", "d/a", "d/b", "d/sub", "d/sub/x", "f"] {
                        chown(root.join(name), Some(0), Some(0)).expect("chown");
                    }
                },
                &[],
            ),
            case(
                "the time alone",
                base(),
                |root| {
                    let file = fs::File::open(root.join("f")).expect("a file");
                    file.set_modified(std::time::SystemTime::now()).expect("a time");
                },
                &["put f 644 `eff`"],
            ),
            case(
                "attributes set, and an overlay's own left out",
                base(),
                |root| set_xattr(&root.join("f"), "user.note", b"hi"),
                &["put f 644 old user.note=hi `eff`"],
            ),
            case(
                "attributes changed and removed",
                vec![vec![
                    with(file("f", "eff"), |m| {
                        m.xattrs.insert(b"user.a".to_vec(), b"1".to_vec());
                        m.xattrs.insert(b"user.b".to_vec(), b"2".to_vec());
                    }),
                    with(dir("d", 0o755), |m| {
                        m.xattrs.insert(b"user.c".to_vec(), vec![0, 255]);
                    }),
                ]],
                |root| {
                    set_xattr(&root.join("f"), "user.a", b"3");
                    rustix::fs::removexattr(root.join("f"), "user.b").expect("removed");
                    rustix::fs::removexattr(root.join("d"), "user.c").expect("removed");
                },
                &["put d/ 755 old", "put f 644 old user.a=3 `eff`"],
            ),
            case(
                "file capabilities stay through a change of the directory and go with a new owner",
                vec![vec![
                    with(file("ping", "ping"), |m| {
                        m.xattrs.insert(b"security.capability".to_vec(), CAPABILITY.to_vec());
                    }),
                    with(file("pong", "pong"), |m| {
                        m.xattrs.insert(b"security.capability".to_vec(), CAPABILITY.to_vec());
                    }),
                ]],
                |root| {
                    chmod(root, "ping", 0o644);
                    chown(root.join("pong"), Some(7), Some(7)).expect("chown");
                },
                &["put pong 644 7:7 old `pong`"],
            ),
        ]
    });
}

/// `cap_net_raw=ep` as a version 2 attribute.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn hard_links_are_kept() {
    fn linked() -> Vec<Changes> {
        vec![vec![file("a", "one"), link("b", "a"), file("z", "zed")]]
    }
    check_cases("hard_links_are_kept", || {
        vec![
            case(
                "two new names",
                linked(),
                |root| {
                    write(root, "n", "new");
                    fs::hard_link(root.join("n"), root.join("m")).expect("a link");
                },
                &["put m 644 `new`", "link n m"],
            ),
            case(
                "one more name for an old file",
                linked(),
                |root| fs::hard_link(root.join("z"), root.join("y")).expect("a link"),
                &["put y 644 old `zed`", "link z y"],
            ),
            case(
                "one more name for two",
                linked(),
                |root| fs::hard_link(root.join("a"), root.join("c")).expect("a link"),
                &["put a 644 old `one`", "link b a", "link c a"],
            ),
            case(
                "the first name removed",
                linked(),
                |root| fs::remove_file(root.join("a")).expect("removed"),
                &["remove a"],
            ),
            case(
                "one name replaced",
                linked(),
                |root| {
                    fs::remove_file(root.join("a")).expect("removed");
                    write(root, "a", "own");
                },
                &["put a 644 `own`"],
            ),
        ]
    });
}

#[test]
fn names_of_any_kind() {
    check_cases("names_of_any_kind", || {
        vec![
            case(
                "not UTF-8",
                base(),
                |root| fs::write(root.join(bytes_name(b"\xff\n\xfe")), "x").expect("a file"),
                &["put \\xff\\n\\xfe 644 `x`"],
            ),
            case(
                "as long as names and paths can be",
                base(),
                |root| {
                    let name = "n".repeat(255);
                    let mut at = std::env::current_dir().expect("a directory");
                    at.clone_from(&root.to_path_buf());
                    for _ in 0..3 {
                        at.push(&name);
                        fs::create_dir(&at).expect("a directory");
                    }
                },
                &["put nnnnnnnn…255/ 755", "put nnnnnnnn…511/ 755", "put nnnnnnnn…767/ 755"],
            ),
            case(
                "with the marks of an archive",
                base(),
                |root| write(root, ".wh", "x"),
                &["put .wh 644 `x`"],
            ),
        ]
    });
}

#[test]
fn holes_stay_holes() {
    use std::os::unix::fs::{FileExt, MetadataExt};
    let mut bytes = vec![0_u8; 1 << 20];
    bytes[300_000] = 1;
    bytes[(1 << 20) - 1] = 2;
    for place in places("holes_stay_holes") {
        let text = String::from_utf8(bytes.clone()).expect("zeros and ones are text");
        let mut workspace = place.create(vec![vec![file("sparse", &text), file("empty", "")]]);
        let root = workspace.root().expect("a root");
        let inode = fs::metadata(root.join("sparse")).expect("a file");
        assert_eq!(fs::read(root.join("sparse")).expect("a file"), bytes);
        assert!(inode.blocks() * 512 <= 16 * 4096, "{} blocks", inode.blocks());
        let changes = run(&mut *workspace, &[], |root| {
            let file = fs::File::create(root.join("new")).expect("a file");
            file.set_len(50_000).expect("a hole");
            file.write_all_at(b"x", 20_000).expect("a byte");
        });
        assert_eq!(changes.len(), 1);
        check(&mut *workspace.fork().expect("a fork"));
    }
}

#[test]
fn layers_stack() {
    check_cases("layers_stack", || {
        let mut old = with(dir("d", 0o751), |m| m.uid = 7);
        old = with(old, |m| m.gid = 8);
        vec![
            case(
                "whiteouts and opaque directories of layers",
                vec![
                    vec![dir("d", 0o755), file("d/a", "1"), file("d/b", "2"), file("f", "3")],
                    vec![remove("f"), remove("d/a"), dir("d", 0o755), dir("e", 0o755)],
                    vec![dir("d", 0o700), opaque("d"), file("d/c", "4"), remove("e")],
                ],
                |root| fs::create_dir(root.join("f")).expect("a directory"),
                &["put f/ 755"],
            ),
            case(
                "a layer without an entry for a directory keeps that of the layer below",
                vec![vec![old, file("d/a", "1")], vec![file("d/b", "2"), remove("d/a")]],
                |root| write(root, "d/b", "3"),
                &["put d/ 751 7:8 old", "put d/b 644 `3`"],
            ),
            case(
                "whiteouts of what is not there",
                vec![vec![file("f", "1")], vec![remove("a/b/c"), remove("g"), remove("f/x")]],
                |root| write(root, "f", "2"),
                &["put f 644 `2`"],
            ),
            case(
                "a file in place of a directory, and back",
                vec![
                    vec![dir("d", 0o755), file("d/a", "1")],
                    vec![file("d", "file")],
                    vec![dir("d", 0o700), file("d/c", "3")],
                ],
                |root| write(root, "d/c", "4"),
                &["put d/ 700 old", "put d/c 644 `4`"],
            ),
            case(
                "an entry below a link of a lower layer",
                vec![
                    vec![dir("real", 0o755), file("real/a", "1"), symlink("s", "real")],
                    vec![file("s/b", "2")],
                ],
                |root| write(root, "s/b", "3"),
                &["put s/ 755", "put s/b 644 `3`"],
            ),
            case(
                "a link into the layer below",
                vec![vec![file("a", "1")], vec![file("b", "2"), link("c", "b")]],
                |root| fs::remove_file(root.join("c")).expect("removed"),
                &["remove c"],
            ),
        ]
    });
}

#[test]
fn what_the_disk_cannot_hold_passes_through() {
    for place in places("what_the_disk_cannot_hold_passes_through") {
        let odd = || {
            vec![vec![
                device("null", 1, 3),
                device("whiteout", 0, 0),
                fifo("pipe"),
                with(file("big", "x"), |m| (m.uid, m.gid) = (u32::MAX, u32::MAX)),
                with(file("labelled", "x"), |m| {
                    m.xattrs.insert(b"security.selinux".to_vec(), b"label".to_vec());
                    m.xattrs.insert(b"user.overlay.redirect".to_vec(), b"/etc".to_vec());
                }),
                with(symlink("link", "x"), |m| {
                    m.mode = 0o644;
                    m.xattrs.insert(b"user.no".to_vec(), b"1".to_vec());
                }),
                with(file("future", "x"), |m| m.mtime.seconds = 1 << 40),
                with(file("high", "x"), |m| (m.uid, m.gid) = (3_000_000, 4_000_000)),
            ]]
        };
        let mut workspace = place.create(odd());
        let root = workspace.root().expect("a root");
        // Everything is touched, so that an overlay copies it up and a walk sees it changed.
        for name in ["null", "whiteout", "big", "labelled", "future", "high", "pipe"] {
            let mode = fs::symlink_metadata(root.join(name)).expect(name).permissions();
            fs::set_permissions(root.join(name), mode).expect("chmod");
        }
        lchown(root.join("link"), Some(0), Some(0)).expect("chown");
        let nothing = workspace.take_changes(&[], None).expect("changes");
        assert_eq!(lines(&nothing), Vec::<String>::new(), "{}", place.snapshotter.name());

        let root = workspace.root().expect("a root");
        for name in ["big", "labelled", "future", "whiteout"] {
            chmod(&root, name, 0o600);
        }
        let changes = workspace.take_changes(&[], None).expect("changes");
        let expected = [
            "put big 600 4294967295:4294967295 old `x`",
            "put future 600 `x`",
            "put labelled 600 old security.selinux=label user.overlay.redirect=/etc `x`",
            "put whiteout 600 old c 0 0",
        ];
        assert_eq!(lines(&changes), expected, "{}", place.snapshotter.name());
    }
}

#[test]
fn what_the_sandbox_made_does_not_count() {
    let ignore = ["etc/resolv.conf", "proc", "var", "var/cache", "etc/gone", "d/mount"];
    for place in places("what_the_sandbox_made_does_not_count") {
        let base = vec![vec![dir("etc", 0o755), file("etc/hosts", "h"), dir("d", 0o755)]];
        let mut workspace = place.create(base);
        let changes = run(&mut *workspace, &ignore, |root| {
            fs::create_dir(root.join("proc")).expect("a directory");
            fs::create_dir_all(root.join("var/cache")).expect("directories");
            write(root, "var/own", "x");
            write(root, "etc/resolv.conf", "");
            fs::create_dir(root.join("d/mount")).expect("a directory");
            write(root, "d/other", "x");
        });
        let expected = ["put d/ 755", "put d/other 644 `x`", "put var/ 755", "put var/own 644 `x`"];
        assert_eq!(lines(&changes), expected, "{}", place.snapshotter.name());
    }
}

#[test]
fn commands_build_on_each_other_and_on_copies() {
    for place in places("commands_build_on_each_other_and_on_copies") {
        let mut workspace = place.create(base());
        run(&mut *workspace, &[], |root| write(root, "one", "1"));
        let copied = strata_tree::ChangeSet::new(vec![
            with(file("d/new/deep", "copied"), |m| m.uid = 5),
            link("d/new/again", "d/new/deep"),
            file("one", "2"),
            remove("f"),
            remove("not/there"),
            symlink("d/sub", "/elsewhere"),
        ]);
        workspace.apply(&copied, &strata_rootfs::DiskContents).expect("applied");
        check(&mut *workspace);
        let fork = workspace.fork();
        let changes = run(&mut *workspace, &[], |root| {
            assert!(!root.join("f").exists() && !root.join("not").exists());
            fs::remove_file(root.join("one")).expect("removed");
            write(root, "d/new/deep", "changed");
            fs::remove_file(root.join("d/new/again")).expect("removed");
        });
        let expected = [
            "put d/ 755 old",
            "put d/new/ 755",
            "remove d/new/again",
            "put d/new/deep 644 5:0 `changed`",
            "remove one",
        ];
        assert_eq!(lines(&changes), expected, "{}", place.snapshotter.name());
        let mut fork = fork.expect("a fork");
        check(&mut *fork);
        let changes = run(&mut *fork, &[], |root| write(root, "one", "fork"));
        assert_eq!(lines(&changes), ["put one 644 `fork`"], "{}", place.snapshotter.name());
    }
}

#[test]
fn an_empty_base_works() {
    for place in places("an_empty_base_works") {
        let mut workspace = place.create(Vec::new());
        check(&mut *workspace);
        let changes = run(&mut *workspace, &[], |root| write(root, "first", "1"));
        assert_eq!(lines(&changes), ["put first 644 `1`"]);
        let changes = run(&mut *workspace, &[], |root| chmod(root, ".", 0o700));
        assert_eq!(lines(&changes), ["put / 700"], "{}", place.snapshotter.name());
    }
}

/// Where a command saw other owners than there are on disk, what it saw is what the layer gets.
#[test]
fn faked_owners_decide_over_the_disk() {
    for place in places("faked_owners_decide_over_the_disk") {
        let mut workspace = place.create(vec![vec![
            with(file("kept", "x"), |m| (m.uid, m.gid) = (33, 34)),
            with(file("back", "x"), |m| (m.uid, m.gid) = (33, 34)),
            device("null", 1, 3),
        ]]);
        let root = workspace.root().expect("a root");
        for name in ["given", "disk"] {
            write(&root, name, "");
        }
        for name in ["kept", "back"] {
            chmod(&root, name, 0o600);
        }
        let mut owners = workspace.owners();
        let owner = |uid, gid, device| strata_rootfs::Owner {
            uid,
            gid,
            device,
            mode: None,
            capability: None,
        };
        owners.remove(&path("back"));
        owners.insert(path("given"), owner(5, 6, None));
        let disk = strata_tree::LeafKind::BlockDevice { major: 8, minor: 1 };
        owners.insert(path("disk"), owner(0, 6, Some(disk)));
        let changes = workspace.take_changes(&[], Some(&owners)).expect("changes");
        let seen: Vec<_> = changes
            .iter()
            .filter_map(|change| match change {
                strata_tree::Change::Put { path, entry: strata_tree::Entry::Leaf(leaf) } => {
                    let device = matches!(
                        leaf.kind,
                        strata_tree::LeafKind::BlockDevice { major: 8, minor: 1 }
                    );
                    Some((path.clone(), leaf.metadata.uid, leaf.metadata.gid, device))
                }
                _ => None,
            })
            .collect();
        let expected = [
            (path("back"), 0, 0, false),
            (path("disk"), 0, 6, true),
            (path("given"), 5, 6, false),
            (path("kept"), 33, 34, false),
        ];
        assert_eq!(seen, expected, "{}", place.snapshotter.name());
    }
}
