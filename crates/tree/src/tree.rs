//! The whole: a root directory, and how change sets act on it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::change::{Change, ChangeSet, Entry};
use crate::diff::diff;
use crate::metadata::Metadata;
use crate::node::{Directory, Leaf, Node};
use crate::path::TreePath;

/// A file system's metadata. Cloning costs one reference count; changing a clone copies only the
/// directories on the way to the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree<C> {
    // Always a directory; kept as a node so that a lookup of the root can lend one.
    root: Node<C>,
}

/// Why a change set does not fit a tree. What was applied before the bad change stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A hard link names something that is not there or is a directory.
    #[error("hard link `{path}` names `{target}`, which is no file")]
    BrokenLink {
        /// The link.
        path: TreePath,
        /// What it names.
        target: TreePath,
    },
    /// The root was to be removed or to become something other than a directory.
    #[error("the root of a layer is not a directory")]
    RootReplaced,
}

impl<C> Default for Tree<C> {
    /// An empty root: mode 0755, owned by 0:0.
    fn default() -> Self {
        Self { root: Node::Directory(Arc::new(Directory::new(Metadata::with_mode(0o755)))) }
    }
}

impl<C> Tree<C> {
    /// The root directory.
    pub fn root(&self) -> &Directory<C> {
        self.root.as_directory().expect("nothing but a directory is ever made the root")
    }

    /// What stands at `path`, without following symlinks anywhere. The root is a node too.
    pub fn get(&self, path: &TreePath) -> Option<&Node<C>> {
        let mut node = &self.root;
        for name in path.components() {
            node = node.as_directory()?.get(name)?;
        }
        Some(node)
    }

    /// Every path below the root with its node, in the order of a walk.
    pub fn walk(&self) -> Vec<(TreePath, Node<C>)> {
        self.walk_below(&TreePath::root())
    }

    /// Every path below `base` (not `base` itself), in the order of a walk. Nothing if it is no directory.
    pub fn walk_below(&self, base: &TreePath) -> Vec<(TreePath, Node<C>)> {
        let mut found = Vec::new();
        if let Some(Node::Directory(directory)) = self.get(base) {
            collect(directory, base, &mut found);
        }
        found
    }
}

fn collect<C>(directory: &Directory<C>, base: &TreePath, found: &mut Vec<(TreePath, Node<C>)>) {
    for (name, node) in directory.children() {
        // A tree only ever holds names that came out of a `TreePath`; only the length can be in the way.
        let Ok(path) = base.join(name) else { continue };
        match node {
            Node::Directory(child) => {
                found.push((path.clone(), Node::Directory(Arc::clone(child))));
                collect(child, &path, found);
            }
            Node::Leaf(leaf) => found.push((path, Node::Leaf(Arc::clone(leaf)))),
        }
    }
}

impl<C: Clone> Tree<C> {
    /// Applies one layer.
    ///
    /// Whiteouts and opaque marks hide what the tree held before the change set, never what the change set
    /// itself puts there, whatever their order ([layer specification], "Whiteouts"). A missing parent is made
    /// with mode 0755, owned by root; a parent that is no directory is replaced by one.
    ///
    /// [layer specification]: https://github.com/opencontainers/image-spec/blob/main/layer.md
    pub fn apply(&mut self, changes: &ChangeSet<C>) -> Result<(), ApplyError> {
        for change in changes {
            match change {
                Change::Remove { path } => {
                    if path.is_root() {
                        return Err(ApplyError::RootReplaced);
                    }
                    self.remove(path);
                }
                Change::Opaque { path } => {
                    if let Some(Node::Directory(_)) = self.get(path) {
                        self.directory_mut(path).clear();
                    }
                }
                Change::Put { .. } | Change::Link { .. } => {}
            }
        }
        for change in changes {
            match change {
                Change::Put { path, entry: Entry::Directory(metadata) } => {
                    self.directory_mut(path).metadata = metadata.clone();
                }
                Change::Put { path, entry: Entry::Leaf(leaf) } => {
                    self.insert_leaf(path, Arc::new(leaf.clone()))?;
                }
                Change::Link { path, target } => self.link(path, target)?,
                Change::Remove { .. } | Change::Opaque { .. } => {}
            }
        }
        Ok(())
    }

    fn insert_leaf(&mut self, path: &TreePath, leaf: Arc<Leaf<C>>) -> Result<(), ApplyError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(ApplyError::RootReplaced);
        };
        self.directory_mut(&parent).insert(name, Node::Leaf(leaf));
        Ok(())
    }

    /// Makes `path`, whatever stands there, another name of the leaf at `target`.
    pub fn link(&mut self, path: &TreePath, target: &TreePath) -> Result<(), ApplyError> {
        let Some(Node::Leaf(leaf)) = self.get(target) else {
            let (path, target) = (path.clone(), target.clone());
            return Err(ApplyError::BrokenLink { path, target });
        };
        let leaf = Arc::clone(leaf);
        self.insert_leaf(path, leaf)?;
        self.expect_link(path);
        self.expect_link(target);
        Ok(())
    }

    /// Lets the directories above a leaf know that it may have other names. If it gave way to a directory, it has not.
    fn expect_link(&mut self, path: &TreePath) {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return };
        let known = match self.get(&parent) {
            Some(Node::Directory(directory)) => directory.may_be_linked(name),
            Some(Node::Leaf(_)) | None => return,
        };
        // What is known already need not be copied where trees share it.
        if known || !matches!(self.get(path), Some(Node::Leaf(_))) {
            return;
        }
        let mut directory = self.root_mut();
        for name in parent.components() {
            directory.expect_links_below();
            let Some(child) = directory.child_mut(name) else { return };
            directory = child;
        }
        directory.expect_link(name);
    }

    fn root_mut(&mut self) -> &mut Directory<C> {
        match &mut self.root {
            Node::Directory(root) => Arc::make_mut(root),
            Node::Leaf(_) => unreachable!("nothing but a directory is ever made the root"),
        }
    }

    fn remove(&mut self, path: &TreePath) {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return };
        if let Some(Node::Directory(directory)) = self.get(&parent)
            && directory.get(name).is_some()
        {
            self.directory_mut(&parent).remove(name);
        }
    }

    /// The directory at `path`, made with its parents if it is missing or something else stands there.
    fn directory_mut(&mut self, path: &TreePath) -> &mut Directory<C> {
        let mut directory = self.root_mut();
        for name in path.components() {
            if !matches!(directory.get(name), Some(Node::Directory(_))) {
                let made = Directory::new(Metadata::with_mode(0o755));
                directory.insert(name, Node::Directory(Arc::new(made)));
            }
            directory = directory.child_mut(name).expect("was made if it was missing");
        }
        directory
    }

    /// Puts a leaf at a path, whatever stood there; what is missing above it is made. The root stays.
    ///
    /// It is a leaf of its own: only [`link`](Self::link) gives one several names.
    pub fn put_leaf(&mut self, path: &TreePath, leaf: Leaf<C>) {
        if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
            self.directory_mut(&parent).insert(name, Node::Leaf(Arc::new(leaf)));
        }
    }

    /// Gives the directory at a path this metadata; it is made if something else or nothing stands there.
    pub fn put_directory(&mut self, path: &TreePath, metadata: Metadata) {
        self.directory_mut(path).metadata = metadata;
    }

    /// The tree whose root is the directory at a path; empty if none stands there. Costs one reference count.
    #[must_use]
    pub fn subtree(&self, path: &TreePath) -> Self {
        match self.get(path) {
            Some(node @ Node::Directory(_)) => Self { root: node.clone() },
            _ => Self::default(),
        }
    }

    /// The same tree with the content of every file replaced. Hard links stay hard links.
    pub fn map<D: Clone>(&self, convert: impl FnMut(&C) -> D) -> Tree<D> {
        let mut mapping = Mapping { convert, linked: HashMap::new() };
        let mut mapped = Tree { root: emptied(self.root()) };
        mapping.fill(mapped.root_mut(), self.root());
        mapped
    }
}

struct Mapping<C, D, F> {
    convert: F,
    /// What became of leaves that may have other names.
    linked: HashMap<*const Leaf<C>, Arc<Leaf<D>>>,
}

impl<C: Clone, D: Clone, F: FnMut(&C) -> D> Mapping<C, D, F> {
    /// Fills a directory with what another has. Little is kept on the stack: a tree may be deep.
    fn fill(&mut self, mapped: &mut Directory<D>, directory: &Directory<C>) {
        for (name, node) in directory.children() {
            match node {
                Node::Directory(child) => {
                    mapped.insert(name, emptied(child));
                    if let Some(mapped_child) = mapped.child_mut(name) {
                        self.fill(mapped_child, child);
                    }
                    if child.has_links_below() {
                        mapped.expect_links_below();
                    }
                }
                Node::Leaf(leaf) if directory.may_be_linked(name) => {
                    mapped.insert(name, self.linked_leaf(leaf));
                    mapped.expect_link(name);
                }
                Node::Leaf(leaf) => mapped.insert(name, self.leaf(leaf)),
            }
        }
    }

    fn linked_leaf(&mut self, leaf: &Arc<Leaf<C>>) -> Node<D> {
        let key = Arc::as_ptr(leaf);
        if let Some(known) = self.linked.get(&key) {
            return Node::Leaf(Arc::clone(known));
        }
        let node = self.leaf(leaf);
        if let Node::Leaf(made) = &node {
            self.linked.insert(key, Arc::clone(made));
        }
        node
    }

    fn leaf(&mut self, leaf: &Leaf<C>) -> Node<D> {
        let kind = leaf.kind.clone().map(|content| (self.convert)(&content));
        Node::Leaf(Arc::new(Leaf { metadata: leaf.metadata.clone(), kind }))
    }
}

/// A directory with the same metadata and nothing in it.
fn emptied<C, D>(directory: &Directory<C>) -> Node<D> {
    Node::Directory(Arc::new(Directory::new(directory.metadata.clone())))
}

impl<C: Clone + PartialEq> Tree<C> {
    /// The changes that turn this tree into `newer`: the shortest that a layer can say.
    ///
    /// If one name of a hard-linked file is new or changed, all its names are put again, because a layer can
    /// only link to what it holds itself.
    pub fn diff(&self, newer: &Self) -> ChangeSet<C> {
        diff(self, newer)
    }
}
