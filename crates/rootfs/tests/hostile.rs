//! Archives that nobody well-meaning made.

use std::fs;

use strata_rootfs::SnapshotError;
use tar::{EntryType, Header};

use crate::support::*;

/// An archive of entries as they come: name, type, link target or content.
fn raw(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, text) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(match kind {
            EntryType::Symlink => 0o777,
            EntryType::Directory => 0o755,
            _ => 0o644,
        });
        header.set_mtime(1_000_000);
        let bytes = if *kind == EntryType::Regular { text.as_bytes() } else { b"" };
        header.set_size(bytes.len() as u64);
        // Set as bytes: the library refuses what a hostile archive would hold.
        let raw = header.as_old_mut();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        if *kind != EntryType::Regular {
            raw.linkname[..text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_cksum();
        builder.append(&header, bytes).expect("an entry");
    }
    builder.into_inner().expect("an archive")
}

#[test]
fn nothing_leaves_the_directory() {
    use EntryType::{Directory, Link, Regular, Symlink};
    for place in places("nothing_leaves_the_directory") {
        let outside = tempfile::tempdir().expect("a temporary directory");
        fs::write(outside.path().join("canary"), "alive").expect("a file");
        let canary = outside.path().to_str().expect("a path of text").to_owned();
        for entries in [
            // Through a link of the same layer, in both orders.
            vec![("esc", Symlink, canary.as_str()), ("esc/canary", Regular, "dead")],
            vec![("esc/canary", Regular, "x"), ("esc", Symlink, &canary)],
            vec![
                ("esc", Symlink, canary.as_str()),
                ("esc", Directory, ""),
                ("esc/canary", Regular, "dead"),
            ],
            // A hard link through it, and a removal.
            vec![("esc", Symlink, canary.as_str()), ("esc/.wh.canary", Regular, "")],
            vec![("esc", Symlink, canary.as_str()), ("esc/.wh..wh..opq", Regular, "")],
            vec![("a", Regular, "a"), ("esc", Symlink, &canary), ("esc/new", Link, "a")],
            // A file put over a link must not be written through it.
            vec![("esc", Symlink, canary.as_str()), ("esc", Regular, "dead")],
        ] {
            let layers = vec![archive(raw(&entries))];
            let mut workspace = place.snapshotter.create(layers).expect("contained");
            check(&mut *workspace);
            let found: Vec<_> = fs::read_dir(outside.path()).expect("a directory").collect();
            assert_eq!(found.len(), 1, "{entries:?}");
            let text = fs::read_to_string(outside.path().join("canary")).expect("a file");
            assert_eq!(text, "alive", "{entries:?}");
        }
    }
}

#[test]
fn odd_orders_end_as_the_tree_has_them() {
    use EntryType::{Directory, Link, Regular};
    for place in places("odd_orders_end_as_the_tree_has_them") {
        for entries in [
            vec![("a", Regular, "1"), ("b", Link, "a"), ("a", Regular, "2")],
            vec![("a/b", Regular, "1"), ("a", Regular, "2"), ("a/c", Regular, "3")],
            vec![("a", Regular, "2"), ("a/c", Regular, "3"), ("a", Directory, "")],
            vec![(".wh.d", Regular, ""), ("d/n", Regular, "new")],
            vec![("d/n", Regular, "new"), (".wh.d", Regular, "")],
            vec![(".wh.d", Regular, ""), ("d", Directory, ""), ("d/n", Regular, "new")],
            vec![("d/.wh..wh..opq", Regular, ""), ("d/n", Regular, "new")],
            vec![("d/n", Regular, "new"), ("d/.wh..wh..opq", Regular, "")],
            vec![("d", Regular, "leaf"), ("d/n", Regular, "new")],
            vec![("late", Link, "zz"), ("zz", Regular, "z")],
            vec![("h", Link, "d/old")],
            vec![("new", Directory, ""), ("new/.wh.ghost", Regular, ""), ("new/n", Regular, "1")],
            vec![("d/.wh..wh..opq", Regular, ""), ("d/.wh.old", Regular, ""), ("d/n", Regular, "")],
            vec![(".wh.d", Regular, ""), ("d/e/.wh.x", Regular, ""), ("d/.wh.old", Regular, "")],
        ] {
            let base = layer(vec![dir("d", 0o700), file("d/old", "old"), dir("d/e", 0o711)]);
            let layers = vec![base, archive(raw(&entries))];
            let mut workspace = match place.snapshotter.create(layers) {
                Ok(workspace) => workspace,
                Err(error) => panic!("{entries:?} with {}: {error:?}", place.snapshotter.name()),
            };
            println!("{entries:?} with {}", place.snapshotter.name());
            check(&mut *workspace);
        }
    }
}

#[test]
fn a_wrong_diff_id_is_named() {
    for place in places("a_wrong_diff_id_is_named") {
        let bytes = raw(&[("a", EntryType::Regular, "a")]);
        let other = archive(raw(&[("b", EntryType::Regular, "b")])).diff_id;
        let mut wrong = archive(bytes);
        let right = std::mem::replace(&mut wrong.diff_id, other);
        let error = place.snapshotter.create(vec![wrong]).expect_err("it does not match");
        match error {
            SnapshotError::DiffIdMismatch { expected, actual } => {
                assert_eq!((expected, actual), (other, right));
            }
            error => panic!("{error:?}"),
        }
        // Nothing of it is kept.
        let again = archive(raw(&[("b", EntryType::Regular, "b")]));
        check(&mut *place.snapshotter.create(vec![again]).expect("the right bytes"));
    }
}

#[test]
fn trees_deeper_than_descriptors_are_unpacked() {
    for place in places("trees_deeper_than_descriptors_are_unpacked") {
        let deep = vec!["d"; 1050].join("/");
        let mut workspace = place.create(vec![vec![file(&deep, "bottom")]]);
        let root = workspace.root().expect("a root");
        assert!(root.join(&deep[..1001]).exists());
        assert_eq!(workspace.take_changes(&[], None).expect("changes").len(), 0);
    }
}
