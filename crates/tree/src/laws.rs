//! The laws of `lib.rs`, for any trees and change sets that tests can think of.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::diff::{groups, links_touched};
use crate::{
    Change, ChangeSet, Entry, Leaf, LeafKind, Metadata, Node, Timestamp, Tree, TreePath, Xattrs,
};

fn path(text: &str) -> TreePath {
    TreePath::parse(text).expect("a path")
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "a.b"])
}

fn any_path() -> impl Strategy<Value = TreePath> {
    vec(name(), 1..4).prop_map(|names| path(&names.join("/")))
}

fn metadata() -> impl Strategy<Value = Metadata> {
    // Few values, so that files are often the same.
    let xattrs = prop_oneof![3 => Just(Xattrs::new()), 1 => btree_map(Just(b"user.a".to_vec()), vec(0..2_u8, 1), 1)];
    (prop::sample::select(vec![0o644, 0o755]), 0..2_u32, 0..2_i64, xattrs).prop_map(
        |(mode, uid, seconds, xattrs)| Metadata {
            mode,
            uid,
            gid: 0,
            mtime: Timestamp::from_seconds(seconds),
            xattrs,
        },
    )
}

fn leaf() -> impl Strategy<Value = Leaf<u8>> {
    let kind = prop_oneof![
        4 => (0..3_u8).prop_map(|content| LeafKind::File { size: 1, content }),
        1 => Just(LeafKind::Symlink { target: b"a".to_vec() }),
        1 => Just(LeafKind::Fifo),
        1 => (0..2_u32).prop_map(|minor| LeafKind::CharDevice { major: 1, minor }),
    ];
    (metadata(), kind).prop_map(|(metadata, kind)| Leaf { metadata, kind })
}

fn change() -> impl Strategy<Value = Change<u8>> {
    let entry = prop_oneof![
        2 => leaf().prop_map(Entry::Leaf),
        1 => metadata().prop_map(Entry::Directory),
    ];
    prop_oneof![
        6 => (any_path(), entry).prop_map(|(path, entry)| Change::Put { path, entry }),
        3 => (any_path(), any_path()).prop_map(|(path, target)| Change::Link { path, target }),
        2 => any_path().prop_map(|path| Change::Remove { path }),
        1 => any_path().prop_map(|path| Change::Opaque { path }),
        1 => metadata().prop_map(|metadata| {
            Change::Put { path: TreePath::root(), entry: Entry::Directory(metadata) }
        }),
    ]
}

/// Applies changes one by one, as a program does that unpacks them in the order they come; links to nothing
/// are left out.
fn apply_each(tree: &mut Tree<u8>, changes: &[Change<u8>]) {
    for change in changes {
        let _ = tree.apply(&ChangeSet::new(vec![change.clone()]));
    }
}

fn any_tree() -> impl Strategy<Value = Tree<u8>> {
    vec(change(), 0..24).prop_map(|changes| {
        let mut tree = Tree::default();
        apply_each(&mut tree, &changes);
        tree
    })
}

/// Two trees of which one grew out of the other, so that they share directories and files, or not.
fn two_trees() -> impl Strategy<Value = (Tree<u8>, Tree<u8>)> {
    let grown = (any_tree(), vec(change(), 0..8)).prop_map(|(older, changes)| {
        let mut newer = older.clone();
        apply_each(&mut newer, &changes);
        (older, newer)
    });
    prop_oneof![grown, (any_tree(), any_tree())]
}

/// Which names are names of one file. `==` on trees does not look at that.
fn links(tree: &Tree<u8>) -> Vec<Vec<TreePath>> {
    let mut files: BTreeMap<*const Leaf<u8>, Vec<TreePath>> = BTreeMap::new();
    for (path, node) in tree.walk() {
        if let Node::Leaf(leaf) = &node {
            files.entry(Arc::as_ptr(leaf)).or_default().push(path);
        }
    }
    let mut files: Vec<_> = files.into_values().filter(|names| names.len() > 1).collect();
    files.sort();
    files
}

/// The same tree with nothing known of links but those that there are.
fn relearned(tree: &Tree<u8>) -> Tree<u8> {
    let mut learned = Tree::default();
    learned.apply(&Tree::default().diff(tree)).expect("a difference fits");
    learned
}

/// The same tree made anew, sharing nothing.
fn rebuilt(tree: &Tree<u8>) -> Tree<u8> {
    tree.map(|content| *content)
}

fn assert_same(found: &Tree<u8>, expected: &Tree<u8>) -> Result<(), TestCaseError> {
    prop_assert_eq!(found, expected);
    prop_assert_eq!(links(found), links(expected));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_difference_leads_from_one_tree_to_the_other((older, newer) in two_trees()) {
        let changes = older.diff(&newer);
        let mut applied = older.clone();
        applied.apply(&changes).expect("a difference fits");
        assert_same(&applied, &newer)?;
    }

    #[test]
    fn a_tree_does_not_differ_from_itself(tree in any_tree()) {
        prop_assert_eq!(tree.diff(&tree), ChangeSet::default());
        prop_assert_eq!(tree.diff(&rebuilt(&tree)), ChangeSet::default());
        prop_assert_eq!(rebuilt(&tree).diff(&tree), ChangeSet::default());
    }

    #[test]
    fn a_difference_depends_on_what_trees_are_and_not_on_what_they_share((older, newer) in two_trees()) {
        prop_assert_eq!(older.diff(&newer), rebuilt(&older).diff(&rebuilt(&newer)));
    }

    #[test]
    fn one_difference_says_what_two_say_in_turn((a, b) in two_trees(), c in any_tree()) {
        let mut turns = a.clone();
        turns.apply(&a.diff(&b)).expect("fits");
        turns.apply(&b.diff(&c)).expect("fits");
        let mut once = a.clone();
        once.apply(&a.diff(&c)).expect("fits");
        assert_same(&once, &turns)?;
    }

    #[test]
    fn a_difference_is_canonical((older, newer) in two_trees()) {
        let changes = older.diff(&newer);
        prop_assert_eq!(&ChangeSet::new(changes.iter().cloned().collect()), &changes);
        let lower_names: Vec<_> = changes.iter().filter(|change| matches!(change, Change::Remove { .. })).collect();
        for change in lower_names {
            prop_assert!(older.get(change.path()).is_some(), "a whiteout of nothing: {:?}", change);
        }
    }

    #[test]
    fn canonical_order_is_kept_and_each_path_comes_once(changes in vec(change(), 0..24)) {
        let canonical = ChangeSet::new(changes);
        prop_assert_eq!(&ChangeSet::new(canonical.iter().cloned().collect()), &canonical);
        let all: Vec<_> = canonical.iter().collect();
        for pair in all.windows(2) {
            let opaque = matches!(pair, [Change::Put { entry: Entry::Directory(_), .. }, Change::Opaque { .. }]);
            let (one, two) = (pair[0].path(), pair[1].path());
            prop_assert!(one < two || (one == two && opaque), "{:?}", pair);
        }
        // A link to one of the set's own files comes after it.
        for (at, change) in all.iter().enumerate() {
            let Change::Link { target, .. } = change else { continue };
            let file = all.iter().position(|other| {
                matches!(other, Change::Put { path, entry: Entry::Leaf(_) } if path == target)
            });
            prop_assert!(file.is_none_or(|file| file < at), "{:?}", change);
        }
    }

    /// Files and links in one directory, named over and over: what counts is what an unpacker would leave.
    #[test]
    fn duplicates_come_to_what_unpacking_in_turn_leaves(
        changes in vec(prop_oneof![
            2 => (name(), leaf()).prop_map(|(name, leaf)| Change::Put { path: path(name), entry: Entry::Leaf(leaf) }),
            1 => (name(), metadata()).prop_map(|(name, metadata)| Change::Put { path: path(name), entry: Entry::Directory(metadata) }),
            2 => (name(), name()).prop_map(|(name, target)| Change::Link { path: path(name), target: path(target) }),
        ], 0..12),
    ) {
        let mut turns = Tree::default();
        let mut fitting = Vec::new();
        for change in changes {
            // Links to what comes only later are another test's.
            if turns.apply(&ChangeSet::new(vec![change.clone()])).is_ok() {
                fitting.push(change);
            }
        }
        let mut once = Tree::default();
        once.apply(&ChangeSet::new(fitting)).expect("fits");
        assert_same(&once, &turns)?;
    }

    #[test]
    fn whiteouts_act_on_the_lower_tree_whatever_their_order(lower in any_tree(), changes in vec(change(), 0..12), seed: u64) {
        // One change a path, so that order cannot matter.
        let unique: BTreeMap<_, _> = changes.into_iter().filter(|change| !matches!(change, Change::Link { .. })).map(|change| (change.path().clone(), change)).collect();
        let mut shuffled: Vec<_> = unique.into_values().collect();
        let sorted = ChangeSet::new(shuffled.clone());
        let length = shuffled.len();
        let mut state = seed;
        for at in (1..length).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(at, usize::try_from(state >> 33).expect("31 bits") % (at + 1));
        }
        prop_assert_eq!(&ChangeSet::new(shuffled), &sorted);
        let (mut one, mut two) = (lower.clone(), lower);
        prop_assert_eq!(one.apply(&sorted), two.apply(&sorted));
        assert_same(&one, &two)?;
    }

    #[test]
    fn parents_are_added_as_they_stand((older, newer) in two_trees()) {
        let changes = older.diff(&newer);
        let whole = changes.clone().with_parents(&older);
        for change in &whole {
            let parents = change.path().ancestors();
            for parent in parents.iter().filter(|parent| !parent.is_root()) {
                let put = |change: &Change<u8>| matches!(change, Change::Put { path, entry: Entry::Directory(_) } if path == parent);
                prop_assert!(whole.iter().any(put), "{} is missing", parent);
            }
        }
        let mut applied = older.clone();
        applied.apply(&whole).expect("fits");
        assert_same(&applied, &newer)?;
    }

    #[test]
    fn mapping_keeps_links(tree in any_tree()) {
        assert_same(&rebuilt(&tree), &tree)?;
    }

    #[test]
    fn directories_know_of_every_link((older, newer) in two_trees(), base in any_path()) {
        let mut linked = newer.clone();
        let leaf = newer.walk().into_iter().find(|(_, node)| node.as_leaf().is_some());
        if let Some((target, _)) = leaf {
            linked.link(&base, &target).expect("a leaf stands there");
        }
        for tree in [&older, &newer, &linked, &rebuilt(&linked), &linked.subtree(&base)] {
            let mut found = groups(tree);
            found.sort();
            prop_assert_eq!(found, links(tree));
        }
    }

    #[test]
    fn what_is_known_of_links_makes_no_difference((older, newer) in two_trees()) {
        for tree in [&older, &newer] {
            assert_same(&relearned(tree), tree)?;
        }
        prop_assert_eq!(older.diff(&newer), relearned(&older).diff(&relearned(&newer)));
    }

    /// Each step of a stage keeps its tree, and other stages have trees of their own that share directories and files.
    #[test]
    fn a_difference_does_not_depend_on_what_else_is_held(tree in any_tree(), steps in vec(change(), 0..12)) {
        let mut held = vec![tree.clone()];
        let mut now = tree;
        for step in steps {
            apply_each(&mut now, std::slice::from_ref(&step));
            let mut other = now.clone();
            apply_each(&mut other, &[put("c/held", 1)]);
            held.push(now.clone());
            held.push(other);
        }
        for (at, older) in held.iter().enumerate() {
            let newer = &held[held.len() - 1 - at];
            prop_assert_eq!(older.diff(newer), rebuilt(older).diff(&rebuilt(newer)));
        }
    }
}

/// `Put` of a file with this content.
fn put(text: &str, content: u8) -> Change<u8> {
    let kind = LeafKind::File { size: 1, content };
    let leaf = Leaf { metadata: Metadata::with_mode(0o644), kind };
    Change::Put { path: path(text), entry: Entry::Leaf(leaf) }
}

fn directory(text: &str) -> Change<u8> {
    Change::Put { path: path(text), entry: Entry::Directory(Metadata::with_mode(0o700)) }
}

fn link(text: &str, target: &str) -> Change<u8> {
    Change::Link { path: path(text), target: path(target) }
}

fn remove(text: &str) -> Change<u8> {
    Change::Remove { path: path(text) }
}

fn opaque(text: &str) -> Change<u8> {
    Change::Opaque { path: path(text) }
}

#[test]
fn canonical_form() {
    for (name, given, expected) in [
        (
            "sorted",
            vec![put("b", 1), put("a.c", 2), put("a/b", 3), directory("a")],
            vec![directory("a"), put("a/b", 3), put("a.c", 2), put("b", 1)],
        ),
        ("the last counts", vec![put("f", 1), put("f", 2)], vec![put("f", 2)]),
        (
            "file then directory",
            vec![put("d", 1), directory("d")],
            vec![directory("d"), opaque("d")],
        ),
        ("directory then file", vec![directory("d"), put("d", 1)], vec![put("d", 1)]),
        ("removed and put again", vec![put("f", 1), remove("f")], vec![put("f", 1)]),
        (
            "removed and made again",
            vec![remove("d"), directory("d")],
            vec![directory("d"), opaque("d")],
        ),
        (
            "opaque twice",
            vec![opaque("d"), directory("d"), opaque("d")],
            vec![directory("d"), opaque("d")],
        ),
        ("opaque and removed", vec![opaque("d"), remove("d")], vec![remove("d")]),
        ("opaque file", vec![put("f", 1), opaque("f")], vec![put("f", 1)]),
        (
            "link before its file",
            vec![link("a", "b"), put("b", 1)],
            vec![put("a", 1), link("b", "a")],
        ),
        (
            "link to a link",
            vec![put("c", 1), link("b", "c"), link("a", "b")],
            vec![put("a", 1), link("b", "a"), link("c", "a")],
        ),
        (
            "links before links",
            vec![link("a", "b"), link("b", "c"), put("c", 1)],
            vec![put("a", 1), link("b", "a"), link("c", "a")],
        ),
        (
            "link to a lower file",
            vec![link("a", "z"), link("b", "a")],
            vec![link("a", "z"), link("b", "a")],
        ),
        ("link to itself", vec![put("a", 1), link("a", "a")], vec![put("a", 1)]),
        (
            "links in a circle",
            vec![link("a", "b"), link("b", "a")],
            vec![link("a", "b"), link("b", "a")],
        ),
        (
            "file replaced after it was linked",
            vec![put("a", 1), link("b", "a"), put("a", 2)],
            vec![put("a", 2), put("b", 1)],
        ),
        (
            "link replaced by a file",
            vec![put("a", 1), link("b", "a"), put("b", 2)],
            vec![put("a", 1), put("b", 2)],
        ),
    ] {
        assert_eq!(ChangeSet::new(given), ChangeSet::new(expected.clone()), "{name}");
        let canonical: Vec<_> = ChangeSet::new(expected.clone()).into_iter().collect();
        assert_eq!(canonical, expected, "{name}: the expectation is canonical");
    }
}

fn tree(changes: Vec<Change<u8>>) -> Tree<u8> {
    let mut tree = Tree::default();
    tree.apply(&ChangeSet::new(changes)).expect("fits");
    tree
}

#[test]
fn differences() {
    let file = |content| vec![put("a", content)];
    let pair = || vec![put("a", 1), link("b", "a")];
    let full = || vec![directory("d"), put("d/x", 1), put("d/y", 2)];
    for (name, older, newer, expected) in [
        ("changed", file(1), file(2), file(2)),
        ("removed", file(1), vec![], vec![remove("a")]),
        ("one of two names removed", pair(), file(1), vec![remove("b")]),
        ("a name added", file(1), pair(), pair()),
        (
            "both names changed",
            pair(),
            vec![put("a", 2), link("b", "a")],
            vec![put("a", 2), link("b", "a")],
        ),
        ("one name replaced", pair(), vec![put("a", 1), put("b", 2)], vec![put("b", 2)]),
        ("names parted", pair(), vec![put("a", 1), put("b", 1)], vec![put("b", 1)]),
        ("names joined", vec![put("a", 1), put("b", 1)], pair(), pair()),
        ("emptied", full(), vec![directory("d")], vec![directory("d"), opaque("d")]),
        (
            "refilled",
            full(),
            vec![directory("d"), put("d/z", 3)],
            vec![directory("d"), opaque("d"), put("d/z", 3)],
        ),
        ("one left", full(), vec![directory("d"), put("d/x", 1)], vec![remove("d/y")]),
        ("directory to file", full(), vec![put("d", 1)], vec![put("d", 1)]),
        ("file to directory", vec![put("d", 1)], full(), full()),
        (
            "all gone from the root",
            [full(), file(1)].concat(),
            vec![],
            vec![remove("a"), remove("d")],
        ),
    ] {
        let found: Vec<_> = tree(older).diff(&tree(newer)).into_iter().collect();
        assert_eq!(found, expected, "{name}");
    }
}

/// What costs a walk over all links, and what does not though many trees hold the same files.
#[test]
fn links_are_looked_for_where_one_may_have_changed() {
    let base = || vec![put("a/x", 1), link("b/x", "a/x"), put("c/x", 1), put("c/d/x", 1)];
    for (name, change, expected) in [
        ("elsewhere", vec![put("c/d/y", 2)], false),
        ("a directory in their midst", vec![directory("c/d")], false),
        ("something new beside them", vec![put("d/a", 2)], false),
        ("a directory that has none is gone", vec![remove("c")], false),
        ("one is gone", vec![remove("b/x")], true),
        ("one is gone with all around it", vec![remove("b")], true),
        ("another comes", vec![link("c/y", "a/x")], true),
        ("a new one comes", vec![put("d/a", 2), link("d/b", "d/a")], true),
        ("one changed", vec![put("a/x", 2)], true),
    ] {
        let older = tree(base());
        let mut newer = older.clone();
        newer.apply(&ChangeSet::new(change)).expect("fits");
        let mut held = newer.clone();
        held.apply(&ChangeSet::new(vec![put("c/d/z", 1), put("a/z", 1)])).expect("fits");
        assert_eq!(links_touched(&older, &newer), expected, "{name}");
    }
}

#[test]
fn parents_of_a_directory_made_anew_are_new() {
    let lower = tree(vec![directory("d"), put("d/x", 1)]);
    let changes = ChangeSet::new(vec![remove("d"), put("d/y", 2)]);
    let made = Change::Put { path: path("d"), entry: Entry::Directory(Metadata::with_mode(0o755)) };
    let found: Vec<_> = changes.clone().with_parents(&lower).into_iter().collect();
    assert_eq!(found, [made, opaque("d"), put("d/y", 2)]);
    let (mut one, mut two) = (lower.clone(), lower.clone());
    one.apply(&changes).expect("fits");
    two.apply(&changes.with_parents(&lower)).expect("fits");
    assert_eq!(one, two);
}

#[test]
fn what_does_not_fit_is_named() {
    for (changes, message) in [
        (vec![link("a", "b")], "hard link `/a` names `/b`, which is no file"),
        (vec![directory("b"), link("a", "b")], "hard link `/a` names `/b`, which is no file"),
        (
            vec![put("b", 1), remove("c"), link("a", "c")],
            "hard link `/a` names `/c`, which is no file",
        ),
        (vec![remove("")], "the root of a layer is not a directory"),
        (vec![put("", 1)], "the root of a layer is not a directory"),
    ] {
        let mut lower = tree(vec![put("c", 1)]);
        let error = lower.apply(&ChangeSet::new(changes)).expect_err(message);
        assert_eq!(error.to_string(), message);
    }
}

/// Sorting, resolving and swapping must not look at every change for every change.
#[test]
fn many_reversed_links_are_quick() {
    let count = 50_000;
    let mut changes: Vec<_> =
        (0..count).map(|at| link(&format!("{at:06}"), &format!("{:06}", at + 1))).collect();
    changes.push(put(&format!("{count:06}"), 1));
    let canonical = ChangeSet::new(changes);
    let first = canonical.iter().next().cloned();
    assert_eq!(first, Some(put("000000", 1)));
    let to_first = |change: &&Change<u8>| matches!(change, Change::Link { target, .. } if *target == path("000000"));
    assert_eq!(canonical.iter().filter(to_first).count(), count);
}

/// A path has at most 4096 bytes, which bounds how deep anything that walks can get.
#[test]
fn the_deepest_tree_fits_the_stack() {
    let deepest = vec!["d"; 2048].join("/");
    let tree = tree(vec![put(&deepest, 1)]);
    assert_eq!(tree.walk().len(), 2048);
    assert_eq!(Tree::default().diff(&tree).len(), 2048);
    assert_eq!(tree.map(|content| *content), tree);
}
