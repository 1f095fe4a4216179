use std::io::{Read, Write};
use std::os::unix::fs::symlink;

use super::*;

fn root() -> (tempfile::TempDir, Root) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("root")).unwrap();
    std::fs::write(directory.path().join("outside"), "host").unwrap();
    let root = Root::open(&directory.path().join("root")).unwrap();
    (directory, root)
}

fn write(root: &Root, path: &str, content: &str) {
    let mut file = root.create_file(path, 0o644).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}

#[test]
fn split_keeps_the_last_component() {
    let cases: [(&[u8], &[u8], &[u8]); 8] = [
        (b"", b"", b"."),
        (b"/", b"", b"."),
        (b"a", b"", b"a"),
        (b"/a", b"", b"a"),
        (b"a/b", b"a", b"b"),
        (b"/a/b//", b"/a", b"b"),
        (b"a/..", b"a", b".."),
        (b"a//b", b"a/", b"b"),
    ];
    for (path, parent, name) in cases {
        assert_eq!(split(path), (parent, name), "{}", path.escape_ascii());
    }
}

#[test]
fn links_are_followed_inside_the_root_only() {
    let (directory, root) = root();
    root.mkdir("dir", 0o755).unwrap();
    write(&root, "dir/file", "image");
    let outside = directory.path().join("outside");
    let links = [
        ("absolute", "/dir", Ok("image")),
        ("relative", "dir", Ok("image")),
        ("climbing", "../../../../dir", Ok("image")),
        ("escaping", "..", Err(Errno::NOENT)),
        ("magic", "/proc/self/cwd", Err(Errno::NOENT)),
        ("round", "round", Err(Errno::LOOP)),
        ("host", outside.parent().unwrap().to_str().unwrap(), Err(Errno::NOENT)),
    ];
    for (name, target, expected) in links {
        root.symlink(target, name).unwrap();
        let content = root.open_file(format!("{name}/file")).map(|mut file| {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        });
        let found = content.as_deref().map_err(|error| error.source);
        assert_eq!(found, expected, "{name}");
    }
    let cases = ["../outside", "/../outside", "climbing/../../outside", "dir/../../outside"];
    for path in cases {
        assert_eq!(root.open_file(path).unwrap_err().source, Errno::NOENT, "{path}");
    }
}

#[test]
fn the_last_component_is_the_entry_itself() {
    let (directory, root) = root();
    let outside = directory.path().join("outside");
    symlink(&outside, directory.path().join("root/link")).unwrap();
    let before = std::fs::metadata(&outside).unwrap();

    assert_eq!(root.metadata("link").unwrap().kind, Kind::Symlink);
    assert_eq!(root.create_file("link", 0o644).unwrap_err().source, Errno::EXIST);
    assert_eq!(root.set_mode("link", 0o777).unwrap_err().source, Errno::OPNOTSUPP);
    let time = Time { seconds: -5, nanoseconds: 7 };
    root.set_times("link", time, time).unwrap();
    assert_eq!(root.metadata("link").unwrap().modified, time);
    assert_eq!(root.readlink("link").unwrap(), outside.to_str().unwrap().as_bytes());
    root.unlink("link").unwrap();

    let after = std::fs::metadata(&outside).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    assert_eq!(before.permissions(), after.permissions());
}

#[test]
fn dir_takes_single_names_only() {
    let (_directory, root) = root();
    let names: [&[u8]; 5] = [b"", b"..", b"a/b", b"/", b"/etc"];
    for name in names {
        let error = root.as_dir().mkdir(name, 0o755).unwrap_err();
        let expected = PathError::new("create the directory", name, Errno::INVAL);
        assert_eq!(error, expected);
    }
    assert_eq!(root.mkdir("a/..", 0o755).unwrap_err().source, Errno::INVAL);
}

#[test]
fn special_entries_neither_block_nor_open() {
    let (_directory, root) = root();
    root.mknod("fifo", Node::Fifo, 0o600).unwrap();
    root.mknod("socket", Node::Socket, 0o600).unwrap();
    root.mkdir("dir", 0o700).unwrap();
    let cases = [
        ("fifo", Kind::Fifo, Errno::INVAL),
        ("socket", Kind::Socket, Errno::NXIO),
        ("dir", Kind::Dir, Errno::ISDIR),
    ];
    for (name, kind, errno) in cases {
        assert_eq!(root.metadata(name).unwrap().kind, kind);
        assert_eq!(root.open_file(name).unwrap_err().source, errno, "{name}");
        assert_eq!(root.as_dir().open_file(name).unwrap_err().source, errno, "{name}");
    }
    let whiteout = root.mknod("whiteout", Node::CharDevice(0, 0), 0o600);
    if whiteout.is_ok() {
        let metadata = root.metadata("whiteout").unwrap();
        assert_eq!((metadata.kind, metadata.node), (Kind::CharDevice, (0, 0)));
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
#[test]
fn extended_attributes_belong_to_the_entry() {
    let (_directory, root) = root();
    write(&root, "file", "");
    match root.set_xattr("file", "user.small", b"1") {
        Err(error) if error.source == Errno::OPNOTSUPP => {
            eprintln!("skipped: extended_attributes_belong_to_the_entry: needs user xattrs");
            return;
        }
        other => other.unwrap(),
    }
    let large = vec![7; 3000];
    root.set_xattr("file", "user.large", &large).unwrap();
    root.symlink("file", "link").unwrap();
    let mut names = root.xattr_names("file").unwrap();
    names.sort();
    assert_eq!(names, [b"user.large".to_vec(), b"user.small".to_vec()]);
    assert_eq!(root.xattr("file", "user.small").unwrap(), Some(b"1".to_vec()));
    assert_eq!(root.xattr("file", "user.large").unwrap(), Some(large));
    assert_eq!(root.xattr("file", "user.absent").unwrap(), None);
    assert_eq!(root.xattr_names("link").unwrap(), Vec::<Vec<u8>>::new());
    root.remove_xattr("file", "user.large").unwrap();
    assert_eq!(root.xattr_names("file").unwrap(), [b"user.small".to_vec()]);
}

#[test]
fn remove_all_survives_depth_and_links() {
    let (directory, root) = root();
    // Deeper than there are descriptors, and than a path can be long.
    let mut dir = root.open_dir("/").unwrap();
    for _ in 0..1200 {
        dir.mkdir("deep", 0o755).unwrap();
        drop(dir.create_file("file", 0o644).unwrap());
        dir.symlink("../../../outside", "link").unwrap();
        dir = dir.dir("deep").unwrap();
    }
    root.symlink(directory.path().to_str().unwrap(), "deep/host").unwrap();
    root.remove_all("deep").unwrap();
    root.remove_all("file").unwrap();
    root.remove_all("link").unwrap();
    assert_eq!(root.read_dir("/").unwrap(), []);
    assert!(directory.path().join("outside").exists());
    assert!(root.remove_all("deep").unwrap_err().is_not_found());
}

#[test]
fn entries_list_every_name_once() {
    let (_directory, root) = root();
    let mut expected: Vec<Vec<u8>> =
        (0..2000).map(|number| format!("{number:0>40}").into_bytes()).collect();
    expected.push(b"not \xff utf-8".to_vec());
    for name in &expected {
        drop(root.as_dir().create_file(name, 0o644).unwrap());
    }
    for _ in 0..2 {
        let entries = root.as_dir().entries().unwrap();
        let mut names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
        names.sort();
        assert_eq!(names, expected);
    }
}

#[test]
fn links_and_renames_cross_directories() {
    let (_directory, root) = root();
    root.mkdir("a", 0o755).unwrap();
    root.mkdir("b", 0o755).unwrap();
    write(&root, "a/file", "x");
    root.link("a/file", "b/hard").unwrap();
    assert_eq!(root.metadata("b/hard").unwrap().links, 2);
    root.rename("a/file", "b/moved").unwrap();
    let (a, b) = (root.open_dir("a").unwrap(), root.open_dir("b").unwrap());
    assert_eq!(a.entries().unwrap(), []);
    assert_eq!(b.rename_new("moved", &b, "hard").unwrap_err().source, Errno::EXIST);
}
