//! State directories: what is shared, what is left over, what goes away.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use strata_rootfs::{BaseLayer, DiskContents, OverlaySnapshotter, Snapshotter, Workspace};
use strata_tree::{Change, ChangeSet, Entry, LeafKind, Node};

use crate::support::*;

fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect()
}

#[test]
fn layers_are_unpacked_once_and_shared() {
    let Some(place) = overlay("layers_are_unpacked_once_and_shared") else { return };
    let changes = || vec![dir("d", 0o755), file("d/a", "1"), link("d/b", "d/a")];
    let mut first = place.create(vec![changes()]);
    let BaseLayer { diff_id, .. } = layer(changes());
    let unfetched = BaseLayer {
        diff_id,
        // More than any disk has: what stands already needs no room.
        size: u64::MAX,
        open: Box::new(|| panic!("it stands already")),
    };
    let mut second = place.snapshotter.create(vec![unfetched]).expect("shared");
    run(&mut *first, &[], |root| fs::write(root.join("d/a"), "changed").expect("a file"));
    check(&mut *second);
    let b = second.tree().get(&path("d/b")).expect("a link");
    assert!(b.is_same_file(second.tree().get(&path("d/a")).expect("a file")));
}

#[test]
fn concurrent_stages_unpack_the_same_layers() {
    let Some(place) = overlay("concurrent_stages_unpack_the_same_layers") else { return };
    let base = |count: usize| -> Vec<Changes> {
        (0..count).map(|n| vec![dir("d", 0o755), file(&format!("d/{n}"), &"x".repeat(n))]).collect()
    };
    // Another process would have a snapshotter of its own.
    let other = OverlaySnapshotter::open(place.state.path()).expect("a second one");
    thread::scope(|scope| {
        for snapshotter in [&*place.snapshotter, &other, &*place.snapshotter] {
            scope.spawn(move || {
                let layers = base(20).into_iter().map(layer).collect();
                check(&mut *snapshotter.create(layers).expect("unpacked"));
            });
        }
    });
}

#[test]
fn stages_on_the_same_layers_share_one_tree() {
    let Some(place) = overlay("stages_on_the_same_layers_share_one_tree") else { return };
    // The second layer has no entry for the directory, which costs a layer of the snapshotter's own.
    let lower = || vec![dir("d", 0o700), file("d/a", "1")];
    let base = || vec![lower(), vec![file("d/b", "2")]];
    let all_asked = Barrier::new(4);
    let ask = || {
        all_asked.wait();
        place.create(base())
    };
    let mut stages: Vec<_> = thread::scope(|scope| {
        let asked: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|stage| stage.join().expect("a stage")).collect()
    });
    for stage in &stages {
        assert!(std::ptr::eq(stage.tree().root(), stages[0].tree().root()));
    }
    let work = place.state.path().join("work");
    assert_eq!(entries(&work).len(), 1, "what all share");
    // What one does is seen by no other.
    run(&mut *stages[0], &[], |root| fs::write(root.join("d/a"), "changed").expect("a file"));
    for stage in &mut stages {
        check(&mut **stage);
    }
    let mut other = place.create(vec![lower()]);
    assert!(other.tree().get(&path("d/b")).is_none());
    check(&mut *other);
    drop(stages);
    assert_eq!(entries(&work), Vec::<String>::new());
    check(&mut *place.create(base()));
}

#[test]
fn a_base_that_failed_is_made_by_who_comes_next() {
    let Some(place) = overlay("a_base_that_failed_is_made_by_who_comes_next") else { return };
    let BaseLayer { diff_id, size, .. } = layer(vec![file("a", "1")]);
    let gone = || Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    let missing = BaseLayer { diff_id, size, open: Box::new(gone) };
    place.snapshotter.create(vec![missing]).expect_err("its bytes cannot be had");
    check(&mut *place.create(vec![vec![file("a", "1")]]));
}

#[test]
fn hundreds_of_layers_are_stacked() {
    let Some(place) = overlay("hundreds_of_layers_are_stacked") else { return };
    let base = (0..130).map(|n| vec![file(&format!("{n}"), "x"), file("same", &n.to_string())]);
    let mut workspace = place.create(base.collect());
    let changes = run(&mut *workspace, &[], |root| {
        fs::write(root.join("same"), "command").expect("a file");
    });
    assert_eq!(lines(&changes), ["put same 644 `command`"]);
    for n in 0..400 {
        let copied = ChangeSet::new(vec![file("same", &n.to_string())]);
        workspace.apply(&copied, &DiskContents).expect("applied");
    }
    check(&mut *workspace);
}

/// What many commands left is merged, and whoever forked before still reads what was there.
#[test]
fn layers_of_many_commands_are_merged() {
    let Some(place) = overlay("layers_of_many_commands_are_merged") else { return };
    let mut workspace =
        place.create(vec![vec![dir("d", 0o755), file("d/old", "x"), file("d/gone", "x")]]);
    let write = |workspace: &mut dyn Workspace, n: usize| {
        let root = workspace.root().expect("a root");
        fs::write(root.join("d/same"), n.to_string()).expect("a file");
        fs::write(root.join(format!("d/{n}")), "x").expect("a file");
        workspace.take_changes(&[], None).expect("changes")
    };
    let removed = run(&mut *workspace, &[], |root| {
        fs::remove_file(root.join("d/gone")).expect("it was there");
        fs::hard_link(root.join("d/old"), root.join("d/link")).expect("a link");
    });
    assert_eq!(lines(&removed).len(), 4, "{removed:?}");
    let first = write(&mut *workspace, 0);
    let fork = workspace.fork().expect("a fork");
    for n in 1..300 {
        // Somebody reads what the last command left, now and then for long.
        let _sealed = (n % 3 == 0).then(|| workspace.fork().expect("a fork"));
        write(&mut *workspace, n);
    }
    let root = workspace.root().expect("a root");
    for name in ["same", "0", "1", "150", "299"] {
        let links = fs::metadata(root.join("d").join(name)).expect("a file").nlink();
        assert_eq!(links, 1, "{name}");
    }
    assert!(workspace.take_changes(&[], None).expect("changes").is_empty());
    check(&mut *workspace);
    let directories = entries(&place.state.path().join("work")).len();
    // At most 63 of each of two levels, and the first 64, which the fork holds.
    assert!(directories < 63 + 63 + 64, "{directories}");
    let same = first.iter().find(|change| *change.path() == path("d/same")).expect("was written");
    let Change::Put { entry: Entry::Leaf(leaf), .. } = same else { panic!("{same:?}") };
    let LeafKind::File { content, size } = &leaf.kind else { panic!("{leaf:?}") };
    assert_eq!(bytes(content, *size), "0");
    drop(fork);
    let left = entries(&place.state.path().join("work")).len();
    assert!(left < directories, "{left} of {directories}");
}

/// A large layer is neither linked nor copied again.
#[test]
fn large_layers_are_left_as_they_are() {
    let Some(place) = overlay("large_layers_are_left_as_they_are") else { return };
    let mut workspace = place.create(vec![vec![file("base", "x")]]);
    let large = (0..1500).map(|n| file(&format!("large-{n}"), "x")).collect();
    workspace.apply(&ChangeSet::new(large), &DiskContents).expect("applied");
    let at = |workspace: &dyn Workspace| match workspace.tree().get(&path("large-7")) {
        Some(Node::Leaf(leaf)) => leaf.kind.clone(),
        _ => panic!("it was put"),
    };
    let before = at(&*workspace);
    for n in 0..150 {
        let change = vec![file("small", &n.to_string())];
        workspace.apply(&ChangeSet::new(change), &DiskContents).expect("applied");
    }
    check(&mut *workspace);
    assert_eq!(at(&*workspace), before);
    assert!(entries(&place.state.path().join("work")).len() < 10);
}

#[test]
fn dropped_workspaces_leave_nothing() {
    for place in places("dropped_workspaces_leave_nothing") {
        let mut workspace = place.create(vec![vec![dir("d", 0o000), file("d/a", "1")]]);
        let fork = workspace.fork().expect("a fork");
        run(&mut *workspace, &[], |root| fs::write(root.join("n"), "x").expect("a file"));
        let mounted = workspace.root().expect("a root");
        fs::write(mounted.join("m"), "x").expect("a file");
        drop((workspace, fork));
        assert!(!mounted.exists());
        assert_eq!(entries(&place.state.path().join("work")), Vec::<String>::new());
    }
}

#[test]
fn left_overs_are_deleted_by_the_next_process() {
    let Some(place) = overlay("left_overs_are_deleted_by_the_next_process") else { return };
    let work = place.state.path().join("work");
    drop(place.snapshotter);
    fs::create_dir_all(work.join("layer-1/work/work")).expect("directories");
    fs::write(work.join("layer-1/file"), "x").expect("a file");
    let again = OverlaySnapshotter::open(place.state.path()).expect("a snapshotter");
    assert_eq!(entries(&work), Vec::<String>::new());
    // While one is in use, another leaves its directories alone.
    let layers = vec![layer(vec![file("a", "1")])];
    let mut workspace = again.create(layers).expect("unpacked");
    workspace.root().expect("a root");
    let second = OverlaySnapshotter::open(place.state.path()).expect("a second one");
    assert_eq!(entries(&work).len(), 1);
    drop(second);
    check(&mut *{
        workspace.take_changes(&[], None).expect("changes");
        workspace
    });
}
