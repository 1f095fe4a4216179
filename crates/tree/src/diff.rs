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
    // Files whose names are all in directories that the trees share have the same names on both sides.
    if !links_touched(older, newer) {
        return BTreeMap::new();
    }
    let (before, mut files) = (groups(older), groups(newer));
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

/// The names of each file that has more than one, in order.
pub(crate) fn groups<C>(tree: &Tree<C>) -> Vec<Vec<TreePath>> {
    let mut names: HashMap<_, Vec<_>> = HashMap::new();
    collect(tree.root(), &TreePath::root(), &mut names);
    let several = names.into_values().filter(|paths| paths.len() > 1);
    several
        .map(|mut paths| {
            paths.sort();
            paths
        })
        .collect()
}

/// The names of leaves that may have several. Only directories that lead to one are looked at.
fn collect<C>(
    directory: &Directory<C>,
    base: &TreePath,
    names: &mut HashMap<*const Leaf<C>, Vec<TreePath>>,
) {
    if !directory.has_links_below() {
        return;
    }
    for (name, leaf) in directory.links() {
        let Ok(path) = base.join(name) else { continue };
        names.entry(Arc::as_ptr(leaf)).or_default().push(path);
    }
    for (name, node) in directory.children() {
        let Node::Directory(child) = node else { continue };
        if child.has_links_below()
            && let Ok(path) = base.join(name)
        {
            collect(child, &path, names);
        }
    }
}

/// Whether a file that may have several names has one in a directory that the trees do not share.
pub(crate) fn links_touched<C>(older: &Tree<C>, newer: &Tree<C>) -> bool {
    // Not by recursion: a tree may be deeper than a stack.
    let mut pending = vec![(older.root(), newer.root())];
    while let Some((older, newer)) = pending.pop() {
        if std::ptr::eq(older, newer) || !(older.has_links_below() || newer.has_links_below()) {
            continue;
        }
        if older.has_links() || newer.has_links() {
            return true;
        }
        for (name, node) in newer.children() {
            let Node::Directory(child) = node else { continue };
            match older.get(name).and_then(Node::as_directory) {
                Some(before) => pending.push((before, child)),
                None if child.has_links_below() => return true,
                None => {}
            }
        }
        for (name, node) in older.children() {
            let Node::Directory(child) = node else { continue };
            let stays = newer.get(name).is_some_and(|node| node.as_directory().is_some());
            if !stays && child.has_links_below() {
                return true;
            }
        }
    }
    false
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
