//! The whole: a root directory, and how change sets act on it.

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
                        self.directory_mut(path).children.clear();
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
                Change::Link { path, target } => {
                    let Some(Node::Leaf(leaf)) = self.get(target) else {
                        return Err(ApplyError::BrokenLink {
                            path: path.clone(),
                            target: target.clone(),
                        });
                    };
                    let leaf = Arc::clone(leaf);
                    self.insert_leaf(path, leaf)?;
                }
                Change::Remove { .. } | Change::Opaque { .. } => {}
            }
        }
        Ok(())
    }

    fn insert_leaf(&mut self, path: &TreePath, leaf: Arc<Leaf<C>>) -> Result<(), ApplyError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(ApplyError::RootReplaced);
        };
        self.directory_mut(&parent).children.insert(name.into(), Node::Leaf(leaf));
        Ok(())
    }

    fn remove(&mut self, path: &TreePath) {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return };
        if let Some(Node::Directory(directory)) = self.get(&parent)
            && directory.get(name).is_some()
        {
            self.directory_mut(&parent).children.remove(name);
        }
    }

    /// The directory at `path`, made with its parents if it is missing or something else stands there.
    fn directory_mut(&mut self, path: &TreePath) -> &mut Directory<C> {
        let Node::Directory(root) = &mut self.root else {
            unreachable!("nothing but a directory is ever made the root")
        };
        let mut directory = Arc::make_mut(root);
        for name in path.components() {
            let made = || Node::Directory(Arc::new(Directory::new(Metadata::with_mode(0o755))));
            let node = directory.children.entry(name.into()).or_insert_with(made);
            if let Node::Leaf(_) = node {
                *node = made();
            }
            directory = match node {
                Node::Directory(child) => Arc::make_mut(child),
                Node::Leaf(_) => unreachable!("a leaf was replaced just above"),
            };
        }
        directory
    }

    /// Puts a leaf at a path, whatever stood there; what is missing above it is made. The root stays.
    pub fn put_leaf(&mut self, path: &TreePath, leaf: Arc<Leaf<C>>) {
        if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
            self.directory_mut(&parent).children.insert(name.into(), Node::Leaf(leaf));
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
    pub fn map<D: Clone>(&self, mut convert: impl FnMut(&C) -> D) -> Tree<D> {
        let mut shared = std::collections::HashMap::new();
        let root = map_directory(self.root(), &mut convert, &mut shared);
        Tree { root: Node::Directory(Arc::new(root)) }
    }
}

fn map_directory<C: Clone, D: Clone>(
    directory: &Directory<C>,
    convert: &mut impl FnMut(&C) -> D,
    shared: &mut std::collections::HashMap<*const Leaf<C>, Arc<Leaf<D>>>,
) -> Directory<D> {
    let mut mapped = Directory::new(directory.metadata.clone());
    for (name, node) in &directory.children {
        let node = match node {
            Node::Directory(child) => {
                Node::Directory(Arc::new(map_directory(child, convert, shared)))
            }
            Node::Leaf(leaf) => {
                let known = shared.entry(Arc::as_ptr(leaf)).or_insert_with(|| {
                    let kind = leaf.kind.clone().map(|content| convert(&content));
                    Arc::new(Leaf { metadata: leaf.metadata.clone(), kind })
                });
                Node::Leaf(Arc::clone(known))
            }
        };
        mapped.children.insert(name.clone(), node);
    }
    mapped
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
