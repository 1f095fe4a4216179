//! The difference of two trees as a change set.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::change::{Change, ChangeSet, Entry};
use crate::node::{Directory, Leaf, Node};
use crate::path::TreePath;
use crate::tree::Tree;

pub(crate) fn diff<C: Clone + PartialEq>(older: &Tree<C>, newer: &Tree<C>) -> ChangeSet<C> {
    let root = TreePath::root();
    let mut walk = Walk { rewritten: rewritten(older, newer), changes: Vec::new() };
    if older.root().metadata != newer.root().metadata {
        walk.put(&root, Entry::Directory(newer.root().metadata.clone()));
    }
    walk.directory(&root, Some(older.root()), newer.root());
    ChangeSet::new(walk.changes)
}

/// The names whose file is written though it may look the same, each with the first name of that file.
///
/// A layer can only link to what it holds itself, so a file with several names is written whole or not at all.
/// It need not be written if its names were all names of one file before (which may have had more of them).
/// Of several files that were one before, the first may stay; the others become files of their own.
fn rewritten<C: PartialEq>(older: &Tree<C>, newer: &Tree<C>) -> BTreeMap<TreePath, TreePath> {
    let (before, mut files) =
        touched_groups(older, newer).unwrap_or_else(|| (groups(older), groups(newer)));
    let linked: HashSet<TreePath> = files.iter().flatten().cloned().collect();
    for path in before.into_iter().flatten() {
        if !linked.contains(&path) && newer.get(&path).is_some_and(|now| now.as_leaf().is_some()) {
            files.push(vec![path]);
        }
    }
    files.sort();
    let mut rewritten = BTreeMap::new();
    let mut kept = HashSet::new();
    for paths in files {
        let before = older.get(&paths[0]).filter(|before| {
            paths.iter().all(|path| {
                older.get(path).is_some_and(|node| node.is_same_file(before))
                    && newer.get(path) == Some(*before)
            })
        });
        let stays =
            before.and_then(Node::as_leaf).is_some_and(|before| kept.insert(Arc::as_ptr(before)));
        if !stays {
            let first = paths[0].clone();
            rewritten.extend(paths.into_iter().map(|path| (path, first.clone())));
        }
    }
    rewritten
}

/// The names of each file that has more than one.
type Groups = Vec<Vec<TreePath>>;

/// The names of files.
type Names<C> = HashMap<*const Leaf<C>, Vec<TreePath>>;

/// The names of each file that has more than one, in order.
fn groups<C>(tree: &Tree<C>) -> Groups {
    let mut names = HashMap::new();
    collect(tree.root(), &TreePath::root(), &mut names);
    with_several(names)
}

fn with_several<C>(names: Names<C>) -> Groups {
    let several = names.into_values().filter(|paths| paths.len() > 1);
    several
        .map(|mut paths| {
            paths.sort();
            paths
        })
        .collect()
}

/// [`groups`] of both, of only those directories that the trees do not share: what was not touched has the same names
/// on both sides. Nothing if a file there may have a name elsewhere, which only a walk over everything finds.
fn touched_groups<C>(older: &Tree<C>, newer: &Tree<C>) -> Option<(Groups, Groups)> {
    let mut touched = Touched::default();
    touched.walk(older.root(), newer.root());
    let Touched { older, newer, counts } = touched;
    let known = |leaf: &*const Leaf<C>| {
        [&older, &newer].iter().filter_map(|names| names.get(leaf)).map(Vec::len).sum::<usize>()
    };
    // Each name holds one reference. There may be more: of other trees, or of names that were not walked over.
    let all = counts.iter().all(|(leaf, &references)| references <= known(leaf));
    all.then(|| (with_several(older), with_several(newer)))
}

/// What stands in directories that two trees do not share.
struct Touched<C> {
    older: Names<C>,
    newer: Names<C>,
    /// How often each of those files is referred to, from wherever.
    counts: HashMap<*const Leaf<C>, usize>,
}

impl<C> Default for Touched<C> {
    fn default() -> Self {
        Self { older: HashMap::new(), newer: HashMap::new(), counts: HashMap::new() }
    }
}

impl<C> Touched<C> {
    // Not by recursion: a tree may be deeper than a stack.
    fn walk(&mut self, older: &Directory<C>, newer: &Directory<C>) {
        let mut pending = vec![(TreePath::root(), Some(older), Some(newer))];
        while let Some((base, older, newer)) = pending.pop() {
            if let (Some(older), Some(newer)) = (older, newer)
                && std::ptr::eq(older, newer)
            {
                continue;
            }
            for (name, node) in newer.into_iter().flat_map(Directory::children) {
                let Ok(path) = base.join(name) else { continue };
                match node {
                    Node::Directory(child) => {
                        let before = older.and_then(|older| older.get(name));
                        pending.push((path, before.and_then(Node::as_directory), Some(child)));
                    }
                    Node::Leaf(leaf) => {
                        self.counts.insert(Arc::as_ptr(leaf), Arc::strong_count(leaf));
                        self.newer.entry(Arc::as_ptr(leaf)).or_default().push(path);
                    }
                }
            }
            for (name, node) in older.into_iter().flat_map(Directory::children) {
                let Ok(path) = base.join(name) else { continue };
                match node {
                    Node::Directory(child) => {
                        let after = newer.and_then(|newer| newer.get(name));
                        if after.and_then(Node::as_directory).is_none() {
                            pending.push((path, Some(child), None));
                        }
                    }
                    Node::Leaf(leaf) => {
                        self.counts.insert(Arc::as_ptr(leaf), Arc::strong_count(leaf));
                        self.older.entry(Arc::as_ptr(leaf)).or_default().push(path);
                    }
                }
            }
        }
    }
}

fn collect<C>(directory: &Directory<C>, base: &TreePath, names: &mut Names<C>) {
    for (name, node) in directory.children() {
        match node {
            Node::Directory(child) => {
                let Ok(path) = base.join(name) else { continue };
                collect(child, &path, names);
            }
            // One count means one name; only others can be links.
            Node::Leaf(leaf) if Arc::strong_count(leaf) > 1 => {
                let Ok(path) = base.join(name) else { continue };
                names.entry(Arc::as_ptr(leaf)).or_default().push(path);
            }
            Node::Leaf(_) => {}
        }
    }
}

struct Walk<C> {
    rewritten: BTreeMap<TreePath, TreePath>,
    changes: Vec<Change<C>>,
}

impl<C: Clone + PartialEq> Walk<C> {
    fn put(&mut self, path: &TreePath, entry: Entry<C>) {
        self.changes.push(Change::Put { path: path.clone(), entry });
    }

    fn directory(&mut self, base: &TreePath, older: Option<&Directory<C>>, newer: &Directory<C>) {
        if let Some(older) = older {
            // Both sides share the allocation where nothing below was touched.
            if std::ptr::eq(older, newer) && !self.rewrites_below(base) {
                return;
            }
            self.removed(base, older, newer);
        }
        for (name, node) in newer.children() {
            let Ok(path) = base.join(name) else { continue };
            let before = older.and_then(|older| older.get(name));
            match node {
                Node::Leaf(leaf) => self.leaf(&path, before, leaf),
                Node::Directory(child) => {
                    let same = before.and_then(Node::as_directory);
                    if same.is_none_or(|same| same.metadata != child.metadata) {
                        self.put(&path, Entry::Directory(child.metadata.clone()));
                    }
                    self.directory(&path, same, child);
                }
            }
        }
    }

    fn rewrites_below(&self, base: &TreePath) -> bool {
        let next = self.rewritten.range(base..).next();
        next.is_some_and(|(path, _)| path.starts_with(base))
    }

    fn removed(&mut self, base: &TreePath, older: &Directory<C>, newer: &Directory<C>) {
        let gone: Vec<_> = older.children().filter(|(name, _)| newer.get(name).is_none()).collect();
        // One opaque mark says what many whiteouts would, where no name survives.
        if gone.len() > 1 && gone.len() == older.len() && !base.is_root() {
            self.put(base, Entry::Directory(newer.metadata.clone()));
            self.changes.push(Change::Opaque { path: base.clone() });
            return;
        }
        for (name, _) in gone {
            if let Ok(path) = base.join(name) {
                self.changes.push(Change::Remove { path });
            }
        }
    }

    fn leaf(&mut self, path: &TreePath, before: Option<&Node<C>>, leaf: &Arc<Leaf<C>>) {
        match self.rewritten.get(path) {
            Some(first) if first != path => {
                let target = first.clone();
                self.changes.push(Change::Link { path: path.clone(), target });
            }
            Some(_) => self.put(path, Entry::Leaf((**leaf).clone())),
            None => {
                let same = before.and_then(Node::as_leaf).is_some_and(|before| before == leaf);
                if !same {
                    self.put(path, Entry::Leaf((**leaf).clone()));
                }
            }
        }
    }
}
