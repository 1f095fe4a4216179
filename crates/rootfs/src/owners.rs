//! What files seem to commands that have owners and devices faked.

use std::collections::BTreeMap;

use strata_tree::{LeafKind, Node, Tree, TreePath};

use crate::medium::{Shape, Standing};

/// What a file seems that the disk shows as root's, and a device as an empty file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Which device it is, if it is one: [`LeafKind::CharDevice`] or [`LeafKind::BlockDevice`].
    pub device: Option<LeafKind<()>>,
}

/// Everything that seems something: a file that is not here is root's, and what it is on disk.
pub type Owners = BTreeMap<TreePath, Owner>;

/// What the files of a tree are to seem.
pub fn owners<C: Clone>(tree: &Tree<C>) -> Owners {
    let mut owners = Owners::new();
    let root = tree.get(&TreePath::root()).map(|root| (TreePath::root(), root.clone()));
    for (path, node) in root.into_iter().chain(tree.walk()) {
        let metadata = node.metadata();
        let device = match &node {
            Node::Leaf(leaf) => device(&leaf.kind),
            Node::Directory(_) => None,
        };
        if (metadata.uid, metadata.gid) != (0, 0) || device.is_some() {
            owners.insert(path, Owner { uid: metadata.uid, gid: metadata.gid, device });
        }
    }
    owners
}

fn device<C>(kind: &LeafKind<C>) -> Option<LeafKind<()>> {
    match *kind {
        LeafKind::CharDevice { major, minor } => Some(LeafKind::CharDevice { major, minor }),
        LeafKind::BlockDevice { major, minor } => Some(LeafKind::BlockDevice { major, minor }),
        LeafKind::File { .. } | LeafKind::Symlink { .. } | LeafKind::Fifo => None,
    }
}

/// Lets what is known about a path decide over what was concluded from the disk.
pub(crate) fn decide(owners: &Owners, path: &TreePath, on_disk: &Shape, now: &mut Standing) {
    let owner = owners.get(path);
    now.metadata.uid = owner.map_or(0, |owner| owner.uid);
    now.metadata.gid = owner.map_or(0, |owner| owner.gid);
    // A device is an empty file there, and an empty file may have taken a device's place.
    if let Shape::Leaf(LeafKind::File { .. }) = on_disk {
        now.shape = match owner.and_then(|owner| owner.device.clone()) {
            Some(device) => Shape::Leaf(device),
            None => on_disk.clone(),
        };
    }
}
