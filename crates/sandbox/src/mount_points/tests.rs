use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

fn root() -> (tempfile::TempDir, Root) {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::open(directory.path()).unwrap();
    (directory, root)
}

/// Every path below a directory, with its modification time.
fn snapshot(path: &Path) -> Vec<(String, std::time::SystemTime)> {
    let mut found =
        vec![(path.display().to_string(), path.symlink_metadata().unwrap().modified().unwrap())];
    if path.symlink_metadata().unwrap().is_dir() {
        let mut names: Vec<_> =
            path.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        found.extend(names.iter().flat_map(|path| snapshot(path)));
    }
    found
}

#[test]
fn missing_mount_points_are_created_and_leave_no_trace() {
    let (directory, root) = root();
    std::fs::create_dir(directory.path().join("etc")).unwrap();
    let before = snapshot(directory.path());
    let mut points = MountPoints::new(&root);
    points.ensure(b"/proc", Want::PlainDirectory).unwrap();
    points.ensure(b"/etc/hosts", Want::File).unwrap();
    points.ensure(b"/etc/hostname", Want::File).unwrap();
    points.ensure(b"/run/secrets/token", Want::File).unwrap();
    assert_eq!(
        points.paths(),
        [&b"proc"[..], b"etc/hosts", b"etc/hostname", b"run", b"run/secrets", b"run/secrets/token"]
    );
    drop(points);
    assert_eq!(snapshot(directory.path()), before);
}

#[test]
fn a_directory_that_was_used_stays() {
    let (directory, root) = root();
    let mut points = MountPoints::new(&root);
    points.ensure(b"/run/secrets/token", Want::File).unwrap();
    std::fs::write(directory.path().join("run/lock"), "").unwrap();
    drop(points);
    assert!(directory.path().join("run/lock").exists());
    assert!(!directory.path().join("run/secrets").exists());
}

#[test]
fn links_lead_inside_the_root() {
    let cases: [(&str, &[u8]); 4] = [
        ("/strata-absent/file", b"strata-absent/file"),
        ("../../strata-absent/file", b"strata-absent/file"),
        ("other", b"etc/other"),
        ("/etc/../etc/./other", b"etc/other"),
    ];
    for (target, created) in cases {
        let (directory, root) = root();
        std::fs::create_dir(directory.path().join("etc")).unwrap();
        symlink(target, directory.path().join("etc/resolv.conf")).unwrap();
        let mut points = MountPoints::new(&root);
        points.ensure(b"/etc/resolv.conf", Want::File).unwrap();
        assert_eq!(points.paths().last().map(Vec::as_slice), Some(created), "{target}");
        assert!(!Path::new("/strata-absent").exists());
    }
}

#[test]
fn what_cannot_be_mounted_on_is_refused() {
    let cases: [(&[u8], Want, Errno); 7] = [
        (b"/link", Want::PlainDirectory, Errno::NOTDIR),
        (b"/loop", Want::File, Errno::LOOP),
        (b"/file", Want::Directory, Errno::NOTDIR),
        (b"/file/below", Want::File, Errno::NOTDIR),
        (b"/dir", Want::File, Errno::ISDIR),
        (b"/", Want::Directory, Errno::BUSY),
        (b"/up", Want::Directory, Errno::BUSY),
    ];
    let (directory, root) = root();
    std::fs::create_dir(directory.path().join("dir")).unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    symlink("dir", directory.path().join("link")).unwrap();
    symlink("loop", directory.path().join("loop")).unwrap();
    symlink("..", directory.path().join("up")).unwrap();
    for (path, want, errno) in cases {
        let result = MountPoints::new(&root).ensure(path, want);
        let expected =
            RunError::MountPoint { target: path.escape_ascii().to_string(), source: errno };
        assert_eq!(result, Err(expected), "{}", path.escape_ascii());
    }
}
