use super::*;

type T = Tree<&'static str>;

fn path(text: &str) -> TreePath {
    TreePath::parse(text).expect("a path")
}

/// One line for one thing: `d NAME [mode]`, `f NAME CONTENT [mode]`, `l NAME TARGET`, `h NAME OTHER`.
fn tree(lines: &[&'static str]) -> T {
    let mut tree = T::default();
    for line in lines {
        let words: Vec<&'static str> = line.split(' ').collect();
        let mode = |at: usize, default: u32| {
            words.get(at).map_or(default, |mode| u32::from_str_radix(mode, 8).expect("octal"))
        };
        let place = path(words[1]);
        match words[0] {
            "d" => tree.put_directory(&place, owned(mode(2, 0o755))),
            "f" => {
                let kind = LeafKind::File { size: words[2].len() as u64, content: words[2] };
                tree.put_leaf(&place, Leaf { metadata: owned(mode(3, 0o644)), kind });
            }
            "l" => {
                let kind = LeafKind::Symlink { target: words[2].as_bytes().to_vec() };
                tree.put_leaf(&place, Leaf { metadata: owned(0o777), kind });
            }
            "h" => {
                tree.link(&place, &path(words[2])).expect("a leaf");
            }
            other => panic!("{other}?"),
        }
    }
    tree
}

// Everything in the test trees belongs to 5:6, so that a changed owner shows.
fn owned(mode: u32) -> Metadata {
    Metadata { mode, uid: 5, gid: 6, ..Metadata::default() }
}

fn show(changes: &ChangeSet<&'static str>) -> Vec<String> {
    use strata_tree::{Change, Entry};
    let owner =
        |metadata: &Metadata| format!("{:o} {}:{}", metadata.mode, metadata.uid, metadata.gid);
    let one = |change: &Change<&'static str>| match change {
        Change::Put { path, entry: Entry::Directory(metadata) } => {
            format!("d {path} {}", owner(metadata))
        }
        Change::Put { path, entry: Entry::Leaf(leaf) } => match &leaf.kind {
            LeafKind::File { content, .. } => {
                format!("f {path} {content} {}", owner(&leaf.metadata))
            }
            LeafKind::Symlink { target } => {
                format!("l {path} {}", String::from_utf8_lossy(target))
            }
            _ => format!("? {path}"),
        },
        Change::Link { path, target } => format!("h {path} {target}"),
        Change::Remove { path } => format!("- {path}"),
        Change::Opaque { path } => format!("o {path}"),
    };
    changes.iter().map(one).collect()
}

const ROOT: Owner = Owner { uid: 0, gid: 0 };

fn copied(
    from: &T,
    onto: &T,
    source: &str,
    to: &str,
    options: &CopyOptions<'_>,
) -> Result<Vec<String>, CopyError> {
    let mut copier = Copier::new(onto);
    for path in find_sources(from, source.as_bytes())? {
        copier.copy(from, &path, Destination(to.as_bytes()), options)?;
    }
    Ok(show(&copier.finish()))
}

#[track_caller]
fn assert_copy(
    from: &[&'static str],
    onto: &[&'static str],
    source: &str,
    to: &str,
    expected: &[&str],
) {
    let options = CopyOptions { owner: Some(ROOT), ..CopyOptions::default() };
    let found = copied(&tree(from), &tree(onto), source, to, &options).expect("copies");
    assert_eq!(found, expected);
}

#[track_caller]
fn assert_refused(
    from: &[&'static str],
    onto: &[&'static str],
    source: &str,
    to: &str,
    expected: &str,
) {
    let options = CopyOptions::default();
    let error = copied(&tree(from), &tree(onto), source, to, &options).expect_err("is refused");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn file_to_a_new_name() {
    assert_copy(&["f f one"], &[], "/f", "/g", &["f /g one 644 0:0"]);
}

#[test]
fn file_to_a_directory_by_trailing_slash() {
    assert_copy(&["f f one"], &[], "/f", "/d/", &["d /d 755 0:0", "f /d/f one 644 0:0"]);
}

#[test]
fn file_to_a_directory_that_exists_keeps_the_directory() {
    assert_copy(&["f f one"], &["d d 1777"], "/f", "/d", &["d /d 1777 5:6", "f /d/f one 644 0:0"]);
}

#[test]
fn copy_to_symlinked_directory_follows() {
    let onto = ["d real", "l link real"];
    assert_copy(&["f f one"], &onto, "/f", "/link", &["d /real 755 5:6", "f /real/f one 644 0:0"]);
}

#[test]
fn copy_through_a_link_that_escapes_stays_inside() {
    let onto = ["d real", "l escape ../../../real"];
    assert_copy(
        &["f f one"],
        &onto,
        "/f",
        "/escape/",
        &["d /real 755 5:6", "f /real/f one 644 0:0"],
    );
}

#[test]
fn copy_to_a_dangling_link_makes_its_target() {
    let onto = ["l dangling /new"];
    assert_copy(
        &["f f one"],
        &onto,
        "/f",
        "/dangling/",
        &["d /new 755 0:0", "f /new/f one 644 0:0"],
    );
}

#[test]
fn directory_gives_its_contents() {
    let from = ["d s 700", "f s/f one 600", "d s/sub 750", "l s/l f"];
    let expected = ["d /d 755 0:0", "f /d/f one 600 0:0", "l /d/l f", "d /d/sub 750 0:0"];
    assert_copy(&from, &[], "/s", "/d", &expected);
}

#[test]
fn directory_onto_directory_merges_and_takes_over_below_the_top() {
    let from = ["d s", "d s/sub 700", "f s/sub/n new"];
    let onto = ["d d 711", "d d/sub 755", "f d/sub/old old", "f d/keep keep"];
    let expected = ["d /d 711 5:6", "d /d/sub 700 0:0", "f /d/sub/n new 644 0:0"];
    assert_copy(&from, &onto, "/s", "/d", &expected);
}

#[test]
fn source_that_is_a_link_is_followed_and_keeps_the_name_of_the_link() {
    let from = ["f real one", "l link real"];
    assert_copy(&from, &[], "/l*", "/d/", &["d /d 755 0:0", "f /d/link one 644 0:0"]);
}

#[test]
fn absolute_link_of_a_source_is_taken_from_its_own_root() {
    let from = ["l l /etc/passwd", "f etc/passwd ours"];
    assert_copy(&from, &["f etc/passwd theirs"], "/l", "/x", &["f /x ours 644 0:0"]);
}

#[test]
fn hard_links_stay_hard_links() {
    let from = ["f s/a one", "h s/b s/a"];
    assert_copy(&from, &[], "/s", "/d", &["d /d 755 0:0", "f /d/a one 644 0:0", "h /d/b /d/a"]);
}

#[test]
fn names_of_one_file_that_are_copied_one_by_one_are_files_of_their_own() {
    let from = ["f a one", "h b a", "f s/a two", "h s/b s/a", "h t s/a"];
    // Each match of a pattern is a source.
    let expected = ["d /d 755 0:0", "f /d/a one 644 0:0", "f /d/b one 644 0:0"];
    assert_copy(&from, &[], "/[ab]", "/d/", &expected);
    // A directory is one source; what it shares with names outside of it counts for nothing.
    let expected = ["d /d 755 0:0", "f /d/a two 644 0:0", "h /d/b /d/a"];
    assert_copy(&from, &[], "/s", "/d", &expected);
    assert_copy(&from, &[], "/t", "/d/", &["d /d 755 0:0", "f /d/t two 644 0:0"]);
}

#[test]
fn wildcards_match_names_not_paths() {
    let from = ["f a.x 1", "f b.x 2", "f s/c.x 3", "f d.y 4"];
    let expected = ["d /o 755 0:0", "f /o/a.x 1 644 0:0", "f /o/b.x 2 644 0:0"];
    assert_copy(&from, &[], "/*.x", "/o/", &expected);
    assert_copy(&from, &[], "/*/c.x", "/o/", &["d /o 755 0:0", "f /o/c.x 3 644 0:0"]);
    assert_copy(&from, &[], "/nothing*", "/o/", &[]);
}

#[test]
fn what_cannot_be_copied_is_refused() {
    assert_refused(&["f f one"], &[], "/nothere", "/x", "`/nothere` is not there");
    assert_refused(&["l l nowhere"], &[], "/l", "/x", "`/l` is not there");
    let onto = ["f h file", "d d", "d d/f", "l link d"];
    let message = "cannot copy a directory onto `/h`, which is not a directory";
    assert_refused(&["d s", "f s/f one"], &onto, "/s", "/h", message);
    assert_refused(
        &["f f one"],
        &onto,
        "/f",
        "/d",
        "cannot replace the directory `/d/f` with a file",
    );
    let message = "cannot copy a directory onto `/link`, which is not a directory";
    assert_refused(&["d s", "d s/link", "f s/link/x one"], &onto, "/s", "/", message);
}

#[test]
fn owner_and_mode_reach_what_is_copied_and_what_is_made() {
    let mode = Chmod::Octal(0o700);
    let owner = Some(Owner { uid: 10, gid: 20 });
    let options =
        CopyOptions { owner, made_owner: owner, mode: Some(&mode), ..CopyOptions::default() };
    let found =
        copied(&tree(&["f f one"]), &T::default(), "/f", "/a/b/f", &options).expect("copies");
    assert_eq!(found, ["d /a 700 10:20", "d /a/b 700 10:20", "f /a/b/f one 700 10:20"]);
}

#[test]
fn without_an_owner_files_keep_theirs_and_made_directories_belong_to_root() {
    let from = tree(&["f s/f one"]);
    let found =
        copied(&from, &T::default(), "/s", "/a/b", &CopyOptions::default()).expect("copies");
    assert_eq!(found, ["d /a 755 0:0", "d /a/b 755 0:0", "f /a/b/f one 644 5:6"]);
}

#[test]
fn exclude_leaves_out_and_exceptions_bring_back() {
    let from = tree(&["f a.png 1", "f d/b.png 2", "f d/c.txt 3", "f e/keep.png 4"]);
    let filter = Filter::new(["**/*.png", "!**/keep.png"]).expect("patterns");
    let options =
        CopyOptions { owner: Some(ROOT), exclude: Some(&filter), ..CopyOptions::default() };
    let found = copied(&from, &T::default(), "/", "/o/", &options).expect("copies");
    let expected = [
        "d /o 755 0:0",
        "d /o/d 755 0:0",
        "f /o/d/c.txt 3 644 0:0",
        "d /o/e 755 0:0",
        "f /o/e/keep.png 4 644 0:0",
    ];
    assert_eq!(found, expected);
}

#[test]
fn include_makes_only_the_directories_that_are_needed() {
    let from = tree(&["f a/b/c 1", "f a/x 2", "d empty", "f q/c 3"]);
    let filter = Filter::new(["**/c"]).expect("patterns");
    let options =
        CopyOptions { owner: Some(ROOT), include: Some(&filter), ..CopyOptions::default() };
    let found = copied(&from, &T::default(), "/", "/o/", &options).expect("copies");
    let expected = [
        "d /o 755 0:0",
        "d /o/a 755 0:0",
        "d /o/a/b 755 0:0",
        "f /o/a/b/c 1 644 0:0",
        "d /o/q 755 0:0",
        "f /o/q/c 3 644 0:0",
    ];
    assert_eq!(found, expected);
}

#[test]
fn parents_are_kept_below_links_of_the_pivot_only() {
    let from = tree(&["d real", "d real/sub", "f real/sub/a x", "l link real", "l real/last sub"]);
    for (pivot, relative, expected) in [
        ("/", "real/sub/a", Ok(())),
        ("/", "real/last", Ok(())),
        ("/", "link", Ok(())),
        ("/", "/", Ok(())),
        ("/link", "sub/a", Ok(())),
        ("/link/last", "a", Ok(())),
        (
            "/",
            "link/sub/a",
            Err(
                "`/link/sub/a` lies behind the symbolic link `/link`, which `--parents` does not follow",
            ),
        ),
        (
            "/link",
            "last/a",
            Err(
                "`/link/last/a` lies behind the symbolic link `/real/last`, which `--parents` does not follow",
            ),
        ),
        ("/", "real/none", Err("`/real/none` is not there")),
        ("/none", "a", Err("`/none/a` is not there")),
        ("/", "real/sub/a/b", Err("`/real/sub/a/b` is not there")),
    ] {
        let found = require_below(&from, &path(pivot), &path(relative));
        let found = found.map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned), "{pivot} {relative}");
    }
}

#[test]
fn unpacking_stays_below_its_destination_and_replaces_what_is_in_the_way() {
    use strata_tree::{Change, Entry};
    let leaf = |content: &'static str| {
        let kind = LeafKind::File { size: 1, content };
        Entry::Leaf(Leaf { metadata: owned(0o640), kind })
    };
    let entries = ChangeSet::new(vec![
        Change::Put { path: path("esc/f"), entry: leaf("through") },
        Change::Put { path: path("dir"), entry: leaf("file") },
        Change::Link { path: path("hard"), target: path("dir") },
        Change::Put { path: path("sub"), entry: Entry::Directory(owned(0o700)) },
    ]);
    let onto = tree(&["l d/esc /outside", "d d/dir", "f d/dir/x x", "d d/sub 755", "d outside"]);
    let mut copier = Copier::new(&onto);
    let time = Timestamp::default();
    copier.unpack(&entries, Destination(b"/d"), time, &CopyOptions::default()).expect("unpacks");
    let expected = [
        "d /d 755 0:0",
        "f /d/dir file 640 5:6",
        "h /d/hard /d/dir",
        "d /d/outside 755 0:0",
        "f /d/outside/f through 640 5:6",
        "d /d/sub 700 5:6",
    ];
    assert_eq!(show(&copier.finish()), expected);
}

#[test]
fn parents_of_what_is_left_out_are_not_made() {
    let from = tree(&["d foo", "f foo/a x", "f foo/b x", "d empty", "f bar x"]);
    for (relative, excludes, is_left) in [
        ("bar", vec!["bar"], false),
        ("foo", vec!["foo"], false),
        ("foo/a", vec!["foo/a"], false),
        ("foo/a", vec!["foo"], false),
        ("foo/a", vec!["foo/b"], true),
        // The directory itself stays, as does what an exception brings back.
        ("foo", vec!["foo/*"], true),
        ("foo", vec!["foo", "!foo/b"], true),
        ("empty", vec!["foo"], true),
        ("", vec!["foo"], true),
    ] {
        let include = Filter::new([if relative.is_empty() { "**" } else { relative }]);
        let include = include.expect("a pattern");
        let exclude = Filter::new(excludes.iter().copied()).expect("patterns");
        let options = CopyOptions {
            include: Some(&include),
            exclude: Some(&exclude),
            ..CopyOptions::default()
        };
        let found = require_included(&from, &path("/"), &path(relative), &options);
        assert_eq!(found.is_ok(), is_left, "{relative} without {excludes:?}: {found:?}");
    }
}
