//! What stands at a path: a directory with children, or a leaf.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::metadata::Metadata;

/// A directory or a leaf. Cloning is cheap: subtrees are shared until one side changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node<C> {
    /// A directory.
    Directory(Arc<Directory<C>>),
    /// Anything else. Hard links of one file are the same allocation.
    Leaf(Arc<Leaf<C>>),
}

/// A directory: its own metadata and its children by name.
///
/// Beside them it knows which of its names may be hard links, and whether names anywhere below may be. How many refer
/// to a leaf would not tell: trees that share a directory share its leaves. Every link is known; what is known as one
/// may have lost its other names since, and so two directories are equal whatever is known of them.
#[derive(Clone, Debug)]
pub struct Directory<C> {
    /// The directory's own metadata.
    pub metadata: Metadata,
    children: BTreeMap<Box<[u8]>, Node<C>>,
    links: BTreeSet<Box<[u8]>>,
    /// Whether `links` of this directory or of one below may have names.
    links_below: bool,
}

impl<C: PartialEq> PartialEq for Directory<C> {
    fn eq(&self, other: &Self) -> bool {
        self.metadata == other.metadata && self.children == other.children
    }
}

impl<C: Eq> Eq for Directory<C> {}

/// A file that is not a directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Leaf<C> {
    /// The file's metadata.
    pub metadata: Metadata,
    /// Its type and what belongs to the type.
    pub kind: LeafKind<C>,
}

/// The types that a leaf can have. Sockets are not here: a tar cannot hold them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LeafKind<C> {
    /// A regular file.
    File {
        /// Its length in bytes.
        size: u64,
        /// Where its bytes are.
        content: C,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points, as stored: any bytes, absolute or relative.
        target: Vec<u8>,
    },
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

impl<C> Node<C> {
    /// The metadata of either kind.
    pub fn metadata(&self) -> &Metadata {
        match self {
            Self::Directory(directory) => &directory.metadata,
            Self::Leaf(leaf) => &leaf.metadata,
        }
    }

    /// The directory, if it is one.
    pub fn as_directory(&self) -> Option<&Directory<C>> {
        match self {
            Self::Directory(directory) => Some(directory),
            Self::Leaf(_) => None,
        }
    }

    /// The leaf, if it is one.
    pub fn as_leaf(&self) -> Option<&Arc<Leaf<C>>> {
        match self {
            Self::Directory(_) => None,
            Self::Leaf(leaf) => Some(leaf),
        }
    }

    /// Whether both are the same file: hard links of each other in one tree.
    pub fn is_same_file(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Leaf(one), Self::Leaf(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

impl<C> Directory<C> {
    /// An empty directory.
    pub fn new(metadata: Metadata) -> Self {
        Self { metadata, children: BTreeMap::new(), links: BTreeSet::new(), links_below: false }
    }

    /// The child of that name.
    pub fn get(&self, name: &[u8]) -> Option<&Node<C>> {
        self.children.get(name)
    }

    /// The children in the order of their names.
    pub fn children(&self) -> impl DoubleEndedIterator<Item = (&[u8], &Node<C>)> {
        self.children.iter().map(|(name, node)| (&**name, node))
    }

    /// Whether there are no children.
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// How many children there are, not counting theirs.
    pub fn len(&self) -> usize {
        self.children.len()
    }

    /// Whether the leaf of that name may have other names, here or elsewhere in a tree.
    pub fn may_be_linked(&self, name: &[u8]) -> bool {
        self.links.contains(name)
    }

    /// The leaves that may have other names.
    pub(crate) fn links(&self) -> impl Iterator<Item = (&[u8], &Arc<Leaf<C>>)> {
        self.links.iter().filter_map(|name| Some((&**name, self.get(name)?.as_leaf()?)))
    }

    pub(crate) fn has_links(&self) -> bool {
        !self.links.is_empty()
    }

    /// Whether leaves of this directory or of one below may have other names.
    pub(crate) fn has_links_below(&self) -> bool {
        self.links_below
    }

    /// Takes note that leaves of a directory below may have other names.
    pub(crate) fn expect_links_below(&mut self) {
        self.links_below = true;
    }

    /// Takes note that the leaf of that name may have other names.
    pub(crate) fn expect_link(&mut self, name: &[u8]) {
        self.links.insert(name.into());
        self.links_below = true;
    }

    /// Puts a node whatever had the name; a leaf that has it alone, until somebody says otherwise.
    pub(crate) fn insert(&mut self, name: &[u8], node: Node<C>) {
        self.links.remove(name);
        self.children.insert(name.into(), node);
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        self.links.remove(name);
        self.children.remove(name);
    }

    pub(crate) fn clear(&mut self) {
        self.links.clear();
        self.children.clear();
    }

    /// The directory of that name, if one stands there, to be changed.
    pub(crate) fn child_mut(&mut self, name: &[u8]) -> Option<&mut Self>
    where
        C: Clone,
    {
        match self.children.get_mut(name) {
            Some(Node::Directory(child)) => Some(Arc::make_mut(child)),
            Some(Node::Leaf(_)) | None => None,
        }
    }
}

impl<C> LeafKind<C> {
    /// The same leaf with its content replaced.
    pub fn map<D>(self, convert: impl FnOnce(C) -> D) -> LeafKind<D> {
        match self {
            Self::File { size, content } => LeafKind::File { size, content: convert(content) },
            Self::Symlink { target } => LeafKind::Symlink { target },
            Self::CharDevice { major, minor } => LeafKind::CharDevice { major, minor },
            Self::BlockDevice { major, minor } => LeafKind::BlockDevice { major, minor },
            Self::Fifo => LeafKind::Fifo,
        }
    }
}
