//! The law of snapshotters: whatever commands do, all find the same change sets.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, mknodat};
use strata_layer::Content;
use strata_rootfs::Workspace;
use strata_tree::Node;

use crate::support::{
    Changes, Place, check, dir, file, lines, make_old, places, run_unchecked, symlink as to,
};

/// Something a program may do; what is impossible where it is tried does nothing.
#[derive(Clone, Debug)]
enum Deed {
    Write(Name, u8),
    Append(Name),
    Mkdir(Name),
    Symlink(Name, Name),
    Link(Name, Name),
    Rename(Name, Name),
    Remove(Name),
    Chmod(Name, u32),
    Chown(Name, u32),
    Attribute(Name, u8),
    Fifo(Name),
    Age(Name),
    Touch(Name),
}

/// A path of one to three names out of few, so that deeds meet.
type Name = Vec<u8>;

fn name() -> impl Strategy<Value = Name> {
    prop::collection::vec(0_u8..3, 1..4)
}

fn host(root: &Path, name: &Name) -> PathBuf {
    name.iter().fold(root.to_owned(), |path, &part| path.join(["a", "b", "c"][usize::from(part)]))
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (name(), 0_u8..3).prop_map(|(name, byte)| Deed::Write(name, byte)),
        1 => name().prop_map(Deed::Append),
        3 => name().prop_map(Deed::Mkdir),
        1 => (name(), name()).prop_map(|(name, target)| Deed::Symlink(name, target)),
        2 => (name(), name()).prop_map(|(name, target)| Deed::Link(name, target)),
        2 => (name(), name()).prop_map(|(from, target)| Deed::Rename(from, target)),
        3 => name().prop_map(Deed::Remove),
        1 => (name(), prop_oneof![Just(0o644), Just(0o755), Just(0o4711)])
            .prop_map(|(name, mode)| Deed::Chmod(name, mode)),
        1 => (name(), 0_u32..2).prop_map(|(name, owner)| Deed::Chown(name, owner)),
        1 => (name(), 0_u8..2).prop_map(|(name, value)| Deed::Attribute(name, value)),
        1 => name().prop_map(Deed::Fifo),
        2 => name().prop_map(Deed::Age),
        1 => name().prop_map(Deed::Touch),
    ]
}

/// Does a deed. Where a file has several names, writing to it is left out: an overlay changes only the one
/// name of a file of a lower layer, as its documentation says, and a plain directory all.
fn perform(root: &Path, deed: &Deed) {
    let lone = |path: &Path| {
        fs::symlink_metadata(path).is_ok_and(|inode| inode.is_dir() || names_of(root, &inode) == 1)
    };
    // A link would lead into the other end of the tree or out of it: nothing is done through one.
    let straight = |path: &Path| {
        let parents = path.ancestors().skip(1).take_while(|parent| *parent != root);
        let mut parents = parents.map(fs::symlink_metadata);
        parents.all(|inode| inode.is_ok_and(|inode| inode.is_dir()))
    };
    let at = |name: &Name| Some(host(root, name)).filter(|path| straight(path));
    let existing = |name: &Name| at(name).filter(|path| lone(path));
    let is = |path: &Path, wanted: fn(&fs::FileType) -> bool| {
        fs::symlink_metadata(path).is_ok_and(|inode| wanted(&inode.file_type()))
    };
    // Whether a deed is possible is the same for all; failures are too.
    match deed {
        Deed::Write(name, byte) => {
            let free = |path: &PathBuf| {
                fs::symlink_metadata(path).is_err()
                    || (lone(path) && is(path, fs::FileType::is_file))
            };
            if let Some(path) = at(name).filter(free) {
                fs::write(path, [b'a' + byte; 3]).expect("a file");
            }
        }
        Deed::Append(name) => {
            if let Some(path) = existing(name).filter(|path| is(path, fs::FileType::is_file)) {
                let mut text = fs::read(&path).expect("a file");
                text.push(b'+');
                fs::write(path, text).expect("a file");
            }
        }
        Deed::Mkdir(name) => drop(at(name).map(fs::create_dir)),
        Deed::Symlink(name, target) => {
            drop(at(name).map(|path| symlink(host(Path::new("/"), target), path)));
        }
        Deed::Link(name, target) => {
            if let (Some(target), Some(path)) = (existing(target), at(name)) {
                drop(fs::hard_link(target, path));
            }
        }
        Deed::Rename(from, target) => {
            // A directory below is `EXDEV` on an overlay, and programs copy then.
            if let (Some(from), Some(target)) = (existing(from), at(target))
                && !is(&from, fs::FileType::is_dir)
            {
                drop(fs::rename(from, target));
            }
        }
        Deed::Remove(name) => {
            if let Some(path) = at(name) {
                if is(&path, fs::FileType::is_dir) {
                    fs::remove_dir_all(path).expect("removed");
                } else {
                    drop(fs::remove_file(path));
                }
            }
        }
        Deed::Chmod(name, mode) => {
            if let Some(path) = existing(name).filter(|path| !is(path, fs::FileType::is_symlink)) {
                fs::set_permissions(path, PermissionsExt::from_mode(*mode)).expect("chmod");
            }
        }
        Deed::Chown(name, owner) => {
            if let Some(path) = existing(name) {
                lchown(path, Some(*owner), None).expect("chown");
            }
        }
        Deed::Attribute(name, value) => {
            let allowed =
                |path: &PathBuf| is(path, fs::FileType::is_dir) || is(path, fs::FileType::is_file);
            if let Some(path) = existing(name).filter(allowed) {
                lsetxattr(path, "user.x", &[*value], XattrFlags::empty()).expect("an attribute");
            }
        }
        Deed::Fifo(name) => {
            if let Some(path) = at(name) {
                let _ = mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0);
            }
        }
        Deed::Age(name) => drop(existing(name).map(|path| make_old(&path))),
        Deed::Touch(name) => {
            if let Some(path) = existing(name).filter(|path| is(path, fs::FileType::is_file)) {
                let file = fs::File::open(path).expect("a file");
                file.set_modified(std::time::SystemTime::now()).expect("a time");
            }
        }
    }
}

/// How many names below `root` a file has. Its link count is not asked: an overlay's has the names, too, that a file
/// of a lower layer has lost since.
fn names_of(root: &Path, inode: &fs::Metadata) -> usize {
    use std::os::unix::fs::MetadataExt;
    let identity = |inode: &fs::Metadata| (inode.dev(), inode.ino());
    let entries = fs::read_dir(root).expect("a directory");
    let count = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        let found = fs::symlink_metadata(&path).expect("it stands there");
        let below = if found.is_dir() { names_of(&path, inode) } else { 0 };
        below + usize::from(identity(&found) == identity(inode))
    };
    entries.map(count).sum()
}

fn base() -> Vec<Changes> {
    vec![
        vec![
            dir("a", 0o755),
            dir("a/a", 0o700),
            file("a/a/a", "aaa"),
            file("a/b", "aaa"),
            to("a/c", "/b"),
            dir("b", 0o755),
            file("b/a", "bbb"),
            file("c", "ccc"),
        ],
        vec![dir("b", 0o711), file("b/b", "bbb"), file("b/c", "aaa")],
    ]
}

/// Names that share a file in the tree.
fn groups(workspace: &dyn Workspace) -> Vec<Vec<String>> {
    let nodes = workspace.tree().walk();
    let same = |one: &Node<Content>| {
        let names = nodes.iter().filter(|(_, other)| one.is_same_file(other));
        names.map(|(path, _)| path.to_string()).collect::<Vec<_>>()
    };
    let mut groups: Vec<_> =
        nodes.iter().map(|(_, node)| same(node)).filter(|group| group.len() > 1).collect();
    groups.dedup();
    groups
}

#[test]
fn all_snapshotters_find_the_same_changes() {
    same_changes("all_snapshotters_find_the_same_changes", 40, 1..4);
}

/// So many that an overlay merges what its commands left, and goes on with that.
#[test]
fn all_snapshotters_find_the_same_changes_of_many_commands() {
    same_changes("all_snapshotters_find_the_same_changes_of_many_commands", 3, 130..150);
}

fn same_changes(test: &str, cases: u32, count: Range<usize>) {
    let places = places(test);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let commands = prop::collection::vec(prop::collection::vec(deed(), 1..12), count);
    let result = TestRunner::new(config).run(&commands, |commands| {
        let mut workspaces: Vec<_> =
            places.iter().map(|place: &Place| place.create(base())).collect();
        for deeds in &commands {
            let found: Vec<(Vec<String>, Vec<Vec<String>>)> = workspaces
                .iter_mut()
                .map(|workspace| {
                    let changes = run_unchecked(&mut **workspace, &[], |root| {
                        for deed in deeds {
                            perform(root, deed);
                        }
                    });
                    let found = lines(&changes);
                    check(&mut **workspace);
                    (found, groups(&**workspace))
                })
                .collect();
            for other in &found[1..] {
                prop_assert_eq!(&found[0], other);
            }
        }
        for workspace in &mut workspaces {
            check(&mut **workspace);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
