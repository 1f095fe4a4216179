//! What a scan finds, and what can be opened, in a real directory.

#![allow(clippy::print_stdout, reason = "a skipped test says so")]

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat};
use strata_context::{Context, ContextError, Filter, KeepAll, Verdict};
use strata_tree::{LeafKind, Node, Tree, TreePath};
use tempfile::TempDir;

fn path(text: &str) -> TreePath {
    TreePath::parse(text).expect("a path")
}

/// Makes files (and, for names that end in a slash, directories) with their own name as content.
fn directory(names: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for name in names {
        let path = directory.path().join(name);
        let parent = if name.ends_with('/') { &path } else { path.parent().expect("a parent") };
        fs::create_dir_all(parent).expect("directories");
        if !name.ends_with('/') {
            fs::write(&path, name).expect("a file");
        }
    }
    directory
}

fn scan(directory: &Path, mut filter: impl Filter) -> Tree<TreePath> {
    let context = Context::open(directory).expect("the context opens");
    context.scan(&mut filter, TreePath::clone).expect("the scan works")
}

fn names(tree: &Tree<TreePath>) -> Vec<String> {
    tree.walk().into_iter().map(|(path, _)| path.to_string()).collect()
}

#[test]
fn parents_of_kept_entries_are_kept() {
    let disk = directory(&["a/b/keep", "a/b/drop", "a/c/drop", "empty/", "never/keep", "top"]);
    let none: &[&str] = &[];
    for (case, verdict, expected) in [
        (
            "everything",
            (|_: &TreePath, _| Verdict::Keep) as fn(&TreePath, bool) -> Verdict,
            &[
                "/a",
                "/a/b",
                "/a/b/drop",
                "/a/b/keep",
                "/a/c",
                "/a/c/drop",
                "/empty",
                "/never",
                "/never/keep",
                "/top",
            ][..],
        ),
        ("nothing", |_, _| Verdict::Skip, none),
        (
            "re-included",
            |path, _| match path.file_name() {
                Some(b"keep") => Verdict::Keep,
                Some(b"never") => Verdict::SkipSubtree,
                _ => Verdict::Skip,
            },
            &["/a", "/a/b", "/a/b/keep"],
        ),
        (
            "an empty directory that is kept",
            |_, directory| if directory { Verdict::Keep } else { Verdict::Skip },
            &["/a", "/a/b", "/a/c", "/empty", "/never"],
        ),
        ("a whole subtree at once", |_, _| Verdict::SkipSubtree, none),
    ] {
        assert_eq!(names(&scan(disk.path(), verdict)), expected, "{case}");
    }
}

#[test]
fn parents_that_come_back_have_their_own_metadata() {
    let disk = directory(&["a/b/keep"]);
    fs::set_permissions(disk.path().join("a"), PermissionsExt::from_mode(0o2700)).expect("chmod");
    let tree = scan(disk.path(), |path: &TreePath, _: bool| match path.file_name() {
        Some(b"keep") => Verdict::Keep,
        _ => Verdict::Skip,
    });
    assert_eq!(tree.get(&path("a")).expect("a").metadata().mode, 0o2700);
}

#[test]
fn every_kind_is_taken_as_it_is() {
    let disk = directory(&["file", "dir/"]);
    let at = |name: &str| disk.path().join(name);
    symlink("/etc/passwd", at("link")).expect("a link");
    fs::hard_link(at("file"), at("again")).expect("a hard link");
    let mode = Mode::from_raw_mode(0o640);
    mknodat(CWD, at("pipe"), FileType::Fifo, mode, 0).expect("a fifo");
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("a socket");
    fs::write(disk.path().join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "").expect("a file");

    let tree = scan(disk.path(), KeepAll);
    let shown: Vec<_> = tree
        .walk()
        .into_iter()
        .map(|(path, node)| {
            let kind = match node {
                Node::Directory(_) => "directory".to_owned(),
                Node::Leaf(leaf) => match &leaf.kind {
                    LeafKind::File { size, content } => format!("{size} bytes of {content}"),
                    LeafKind::Symlink { target } => String::from_utf8_lossy(target).into_owned(),
                    LeafKind::Fifo => "fifo".to_owned(),
                    other => format!("{other:?}"),
                },
            };
            (String::from_utf8_lossy(path.as_bytes()).into_owned(), kind)
        })
        .collect();
    let expected = [
        ("again", "4 bytes of /again"),
        ("dir", "directory"),
        ("file", "4 bytes of /again"),
        ("link", "/etc/passwd"),
        ("pipe", "fifo"),
        ("\u{fffd}\u{fffd}", "0 bytes of /\u{fffd}\u{fffd}"),
    ];
    assert_eq!(shown, expected.map(|(path, kind)| (path.to_owned(), kind.to_owned())));
    let node = |name| tree.get(&path(name)).expect("it is there");
    assert!(node("again").is_same_file(node("file")));
}

#[test]
fn attributes_of_users_are_read_and_those_of_the_host_are_not() {
    let disk = directory(&["file", "plain"]);
    let file = disk.path().join("file");
    let set = |name: &str| rustix::fs::setxattr(&file, name, b"value", XattrFlags::empty());
    if set("user.note").is_err() {
        println!(
            "skipped: attributes_of_users_are_read: needs user attributes on this file system"
        );
        return;
    }
    set("user.overlay.opaque").expect("an attribute");
    let tree = scan(disk.path(), KeepAll);
    let xattrs = |name| tree.get(&path(name)).expect("it is there").metadata().xattrs.clone();
    let expected = [(b"user.note".to_vec(), b"value".to_vec())];
    assert_eq!(xattrs("file"), expected.into_iter().collect());
    assert_eq!(xattrs("plain"), strata_tree::Xattrs::new());
}

#[test]
fn nothing_but_regular_files_below_the_directory_is_opened() {
    let disk = directory(&["dir/file"]);
    let at = |name: &str| disk.path().join(name);
    symlink("/etc/passwd", at("out")).expect("a link");
    symlink("dir", at("inner")).expect("a link");
    mknodat(CWD, at("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a fifo");
    let context = Context::open(disk.path()).expect("the context opens");
    for (name, expected) in [
        ("dir/file", "opened"),
        ("dir", "`/dir` of the build context is not a regular file"),
        ("out", "`/out` of the build context is not a regular file"),
        ("inner/file", "`/inner/file` of the build context is not a regular file"),
        ("pipe", "`/pipe` of the build context is not a regular file"),
        ("missing", "cannot read `/missing` of the build context"),
    ] {
        let found = match context.open_file(&path(name)) {
            Ok(_) => "opened".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }
}

#[test]
fn digest_is_sha256_of_the_bytes() {
    let disk = directory(&["abc"]);
    let context = Context::open(disk.path()).expect("the context opens");
    let digest = context.digest(&path("abc")).expect("a digest");
    let hex = digest.sha256.map(|byte| format!("{byte:02x}")).concat();
    assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(digest.size, 3);
}

#[test]
fn a_missing_directory_is_named() {
    let error = Context::open(Path::new("/nowhere/at/all")).expect_err("it is missing");
    assert!(matches!(error, ContextError::Open { .. }));
    assert_eq!(error.to_string(), "cannot open the build context `/nowhere/at/all`");
}

#[test]
fn depth_exhausts_no_descriptors() {
    let disk = directory(&[]);
    let deep = vec!["d"; 1500].join("/");
    let mut at = disk.path().to_owned();
    for _ in 0..1500 {
        at.push("d");
        fs::create_dir(&at).expect("a directory");
    }
    let tree = scan(disk.path(), KeepAll);
    assert!(tree.get(&path(&deep)).is_some());
    fs::remove_dir_all(disk.path()).expect("removed");
}
