//! What files seem to commands that have owners, devices and modes faked.

use std::collections::BTreeMap;

use strata_tree::{LeafKind, Node, Tree, TreePath};

use crate::medium::{CAPABILITY, Medium, Shape, Standing};

/// What a file seems that the disk shows as root's, and a device as an empty file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Which device it is, if it is one: [`LeafKind::CharDevice`] or [`LeafKind::BlockDevice`].
    pub device: Option<LeafKind<()>>,
    /// Its mode, where the disk has another.
    pub mode: Option<u32>,
    /// Its capabilities, where the disk can have none.
    pub capability: Option<[u8; 20]>,
}

/// Everything that seems something: a file that is not here is root's, and what it is on disk.
pub type Owners = BTreeMap<TreePath, Owner>;

/// What the files of a tree are to seem on a disk.
pub(crate) fn of<C: Clone>(tree: &Tree<C>, medium: &Medium) -> Owners {
    let mut owners = Owners::new();
    let root = tree.get(&TreePath::root()).map(|root| (TreePath::root(), root.clone()));
    for (path, node) in root.into_iter().chain(tree.walk()) {
        let device = match &node {
            Node::Leaf(leaf) => device(&leaf.kind),
            Node::Directory(_) => None,
        };
        let meant = Standing::of(&node);
        let shown = medium.project(&meant).metadata;
        let is_link = matches!(meant.shape, Shape::Leaf(LeafKind::Symlink { .. }));
        let meant = meant.metadata;
        let owner = Owner {
            uid: meant.uid,
            gid: meant.gid,
            device,
            mode: (shown.mode != meant.mode && !is_link).then_some(meant.mode),
            capability: match shown.xattrs.get(CAPABILITY) {
                Some(_) => None,
                None => meant.xattrs.get(CAPABILITY).and_then(|value| capability(value)),
            },
        };
        if owner != ROOTS {
            owners.insert(path, owner);
        }
    }
    owners
}

/// Root's, and what it is on disk.
const ROOTS: Owner = Owner { uid: 0, gid: 0, device: None, mode: None, capability: None };

fn capability(value: &[u8]) -> Option<[u8; 20]> {
    crate::medium::capability(value)?.try_into().ok()
}

fn device<C>(kind: &LeafKind<C>) -> Option<LeafKind<()>> {
    match *kind {
        LeafKind::CharDevice { major, minor } => Some(LeafKind::CharDevice { major, minor }),
        LeafKind::BlockDevice { major, minor } => Some(LeafKind::BlockDevice { major, minor }),
        LeafKind::File { .. } | LeafKind::Symlink { .. } | LeafKind::Fifo => None,
    }
}

/// Lets what is known about a path decide over what was concluded from the disk.
pub(crate) fn decide(
    owners: &Owners,
    medium: &Medium,
    path: &TreePath,
    on_disk: &Standing,
    now: &mut Standing,
) {
    let owner = owners.get(path).unwrap_or(&ROOTS);
    now.metadata.uid = owner.uid;
    now.metadata.gid = owner.gid;
    if !matches!(on_disk.shape, Shape::Leaf(LeafKind::Symlink { .. })) {
        now.metadata.mode = owner.mode.unwrap_or(on_disk.metadata.mode);
    }
    // A device is an empty file there, and an empty file may have taken a device's place.
    if let Shape::Leaf(LeafKind::File { .. }) = on_disk.shape {
        now.shape = owner.device.clone().map_or(on_disk.shape.clone(), Shape::Leaf);
    }
    if !medium.has_capabilities() {
        now.metadata.xattrs.remove(CAPABILITY);
        if let Some(value) = owner.capability {
            now.metadata.xattrs.insert(CAPABILITY.to_vec(), value.to_vec());
        }
    }
}
