//! What one layer says about the tree below it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::canonical::sorted;
use crate::metadata::Metadata;
use crate::node::{Leaf, LeafKind, Node};
use crate::path::TreePath;
use crate::tree::Tree;

/// One entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change<C> {
    /// Something stands here now. A directory put onto a directory keeps its children and gets the new
    /// metadata; every other pair replaces what was there.
    Put {
        /// Where.
        path: TreePath,
        /// What.
        entry: Entry<C>,
    },
    /// A hard link to a leaf that stands at `target` once the changes before this one are applied.
    Link {
        /// The new name.
        path: TreePath,
        /// The name that it shares its file with.
        target: TreePath,
    },
    /// A whiteout: what the lower tree has here, with everything below, is gone.
    Remove {
        /// Where.
        path: TreePath,
    },
    /// An opaque directory: nothing of the lower tree shows in it; what this change set puts into it stays.
    Opaque {
        /// The directory.
        path: TreePath,
    },
}

/// What a change puts at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry<C> {
    /// A directory with this metadata.
    Directory(Metadata),
    /// Anything else.
    Leaf(Leaf<C>),
}

impl<C> Entry<C> {
    /// The metadata of either kind.
    pub fn metadata(&self) -> &Metadata {
        match self {
            Self::Directory(metadata) => metadata,
            Self::Leaf(leaf) => &leaf.metadata,
        }
    }
}

impl<C> Change<C> {
    /// The path that changes.
    pub fn path(&self) -> &TreePath {
        match self {
            Self::Put { path, .. }
            | Self::Link { path, .. }
            | Self::Remove { path }
            | Self::Opaque { path } => path,
        }
    }

    /// The same change with the content of files replaced.
    pub fn map<D>(self, convert: impl FnOnce(C) -> D) -> Change<D> {
        match self {
            Self::Put { path, entry } => Change::Put {
                path,
                entry: match entry {
                    Entry::Directory(metadata) => Entry::Directory(metadata),
                    Entry::Leaf(Leaf { metadata, kind }) => {
                        Entry::Leaf(Leaf { metadata, kind: kind.map(convert) })
                    }
                },
            },
            Self::Link { path, target } => Change::Link { path, target },
            Self::Remove { path } => Change::Remove { path },
            Self::Opaque { path } => Change::Opaque { path },
        }
    }
}

/// The changes of one layer in canonical order: by path as a walk meets them, each path once (an opaque
/// mark may stand beside the directory it belongs to), every hard link after the file it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSet<C>(Vec<Change<C>>);

impl<C> Default for ChangeSet<C> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<C> ChangeSet<C> {
    /// Takes changes in any order and brings them into canonical order.
    ///
    /// Of several changes to one path the last one counts, as it does when an archive is unpacked; only what
    /// a whiteout or an opaque mark hides stays hidden, so that one of these beside a directory leaves the
    /// directory opaque. A link is to the file that stands at its target when its turn comes, or else to the
    /// one that comes there later. The first name of a file, in the order of names, gets the file itself.
    pub fn new(changes: Vec<Change<C>>) -> Self {
        Self(sorted(changes))
    }

    /// The changes, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Change<C>> {
        self.0.iter()
    }

    /// Whether the layer says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The same changes with the content of every file replaced.
    pub fn map<D>(self, mut convert: impl FnMut(C) -> D) -> ChangeSet<D> {
        ChangeSet(self.0.into_iter().map(|change| change.map(&mut convert)).collect())
    }

    /// Adds an entry for each directory above a change that has none yet, as it stands in `lower`.
    ///
    /// Programs that unpack every layer into a directory of its own (Docker's overlay2 driver) create a missing
    /// parent with mode 0755, owned by root, and so change directories that the layer never meant to touch.
    #[must_use]
    pub fn with_parents(self, lower: &Tree<C>) -> Self
    where
        C: Clone,
    {
        let mut known = BTreeSet::new();
        let mut removed = BTreeSet::new();
        for change in &self.0 {
            match change {
                Change::Put { path, entry: Entry::Directory(_) } => drop(known.insert(path)),
                Change::Remove { path } => drop(removed.insert(path)),
                Change::Put { .. } | Change::Link { .. } | Change::Opaque { .. } => {}
            }
        }
        let mut missing = BTreeMap::new();
        for change in &self.0 {
            let mut above = change.path().parent();
            while let Some(path) = above.filter(|path| !path.is_root()) {
                if known.contains(&path) || missing.contains_key(&path) {
                    break;
                }
                // A directory that was removed is not the one that is made in its place.
                let lower = if removed.contains(&path) { None } else { lower.get(&path) };
                let metadata = lower
                    .and_then(Node::as_directory)
                    .map_or_else(|| Metadata::with_mode(0o755), |found| found.metadata.clone());
                above = path.parent();
                missing.insert(path, metadata);
            }
        }
        if missing.is_empty() {
            return self;
        }
        let missing = missing
            .into_iter()
            .map(|(path, metadata)| Change::Put { path, entry: Entry::Directory(metadata) });
        Self::new(missing.chain(self.0).collect())
    }

    /// The total length of all regular files in bytes; hard links count once.
    pub fn file_bytes(&self) -> u64 {
        let size = |change: &Change<C>| match change {
            Change::Put {
                entry: Entry::Leaf(Leaf { kind: LeafKind::File { size, .. }, .. }),
                ..
            } => *size,
            _ => 0,
        };
        self.0.iter().map(size).sum()
    }
}

impl<C> IntoIterator for ChangeSet<C> {
    type Item = Change<C>;
    type IntoIter = std::vec::IntoIter<Change<C>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, C> IntoIterator for &'a ChangeSet<C> {
    type Item = &'a Change<C>;
    type IntoIter = std::slice::Iter<'a, Change<C>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
