//! The tree that is copied onto, and what was changed in it.

use std::collections::BTreeSet;

use strata_tree::lookup::Last;
use strata_tree::{
    Change, ChangeSet, Entry, Leaf, LookupError, Metadata, Node, Resolved, Tree, TreePath,
};

use super::CopyError;

/// A working copy of a tree that remembers its changes.
#[derive(Debug)]
pub(super) struct Target<C> {
    lower: Tree<C>,
    now: Tree<C>,
    changes: Vec<Change<C>>,
    made: BTreeSet<TreePath>,
}

impl<C: Clone> Target<C> {
    pub(super) fn new(onto: &Tree<C>) -> Self {
        Self { lower: onto.clone(), now: onto.clone(), changes: Vec::new(), made: BTreeSet::new() }
    }

    pub(super) fn finish(self) -> ChangeSet<C> {
        ChangeSet::new(self.changes).with_parents(&self.lower)
    }

    /// Where `path` leads, whether something stands there or not.
    pub(super) fn resolve(&self, path: &[u8]) -> Result<TreePath, CopyError> {
        match self.now.resolve(path, Last::Follow) {
            Ok(Resolved::Found { path, .. } | Resolved::Missing { path }) => Ok(path),
            Err(LookupError::NotADirectory { path }) => Err(CopyError::NotADirectory { path }),
            Err(error) => Err(error.into()),
        }
    }

    /// Where an archive's entry goes: links above it are followed with `base` as their root, its own name is not.
    pub(super) fn place_below(
        &self,
        base: &TreePath,
        path: &TreePath,
    ) -> Result<TreePath, CopyError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(base.clone());
        };
        let mut root = Tree::default();
        if let Some(Node::Directory(_)) = self.now.get(base) {
            root = self.now.subtree(base);
        }
        let above = match root.resolve(parent.as_bytes(), Last::Follow) {
            Ok(Resolved::Found { path, .. } | Resolved::Missing { path }) => path,
            // A file in the way is replaced by the directory that the archive needs there.
            Err(LookupError::NotADirectory { .. }) => parent,
            Err(error) => return Err(error.into()),
        };
        Ok(base.append(&above)?.join(name)?)
    }

    pub(super) fn is_directory(&self, path: &TreePath) -> bool {
        matches!(self.now.get(path), Some(Node::Directory(_)))
    }

    pub(super) fn was_made(&self, path: &TreePath) -> bool {
        self.made.contains(path)
    }

    pub(super) fn metadata_of(&self, path: &TreePath) -> Metadata {
        self.now.get(path).map(|node| node.metadata().clone()).unwrap_or_default()
    }

    /// Makes `path` and what is missing above it. What exists stays as it is.
    pub(super) fn make_all(
        &mut self,
        path: &TreePath,
        metadata: &Metadata,
    ) -> Result<(), CopyError> {
        let mut way = path.ancestors();
        way.push(path.clone());
        for place in way {
            match self.now.get(&place) {
                Some(Node::Directory(_)) => {}
                Some(Node::Leaf(_)) => return Err(CopyError::NotADirectory { path: place }),
                None => self.insert_directory(&place, metadata.clone()),
            }
        }
        Ok(())
    }

    /// The same, but what is no directory gives way to one.
    pub(super) fn make_all_replacing(&mut self, path: &TreePath, metadata: &Metadata) {
        let mut way = path.ancestors();
        way.push(path.clone());
        for place in way {
            if !self.is_directory(&place) {
                self.insert_directory(&place, metadata.clone());
            }
        }
    }

    /// Puts a directory where one or nothing stands.
    pub(super) fn put_directory(
        &mut self,
        path: &TreePath,
        metadata: Metadata,
    ) -> Result<(), CopyError> {
        if let Some(Node::Leaf(_)) = self.now.get(path) {
            return Err(CopyError::NotADirectory { path: path.clone() });
        }
        self.insert_directory(path, metadata);
        Ok(())
    }

    /// Puts a directory whatever stands there.
    pub(super) fn replace_directory(&mut self, path: &TreePath, metadata: Metadata) {
        self.insert_directory(path, metadata);
    }

    /// Puts a leaf whatever stands there.
    pub(super) fn replace_leaf(&mut self, path: &TreePath, leaf: Leaf<C>) -> Result<(), CopyError> {
        if path.is_root() {
            return Err(CopyError::IsADirectory { path: path.clone() });
        }
        self.forget_below(path);
        let entry = Entry::Leaf(leaf.clone());
        self.changes.push(Change::Put { path: path.clone(), entry });
        self.now.put_leaf(path, leaf);
        Ok(())
    }

    /// Makes `path` another name of what stands at `target`.
    pub(super) fn link(&mut self, path: &TreePath, target: &TreePath) -> Result<(), CopyError> {
        let missing = || CopyError::SourceMissing { path: target.clone() };
        if !matches!(self.now.get(target), Some(Node::Leaf(_))) {
            return Err(missing());
        }
        if path == target {
            return Ok(());
        }
        self.forget_below(path);
        self.changes.push(Change::Link { path: path.clone(), target: target.clone() });
        self.now.link(path, target).map_err(|_| missing())
    }

    // What this copy put below a place that is now replaced must not be in the layer.
    fn forget_below(&mut self, path: &TreePath) {
        if self.is_directory(path) {
            self.changes.retain(|change| !change.path().starts_with(path));
        }
    }

    fn insert_directory(&mut self, path: &TreePath, metadata: Metadata) {
        if !self.is_directory(path) {
            self.made.insert(path.clone());
        }
        let entry = Entry::Directory(metadata.clone());
        self.changes.push(Change::Put { path: path.clone(), entry });
        self.now.put_directory(path, metadata);
    }
}
