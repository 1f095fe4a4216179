//! What a command sees of files and the disk does not have: from the tree, and back into it.

use strata_rootfs::{Owner, Owners};
use strata_sandbox::{Device, Ownership, Seeming};
use strata_tree::{LeafKind, PathError, TreePath};

/// What files are to seem: those of the stage, and mounts that have an owner.
pub(super) fn by_file(stage: Owners, mounts: &[Ownership]) -> Vec<Ownership> {
    let of_file = |(path, owner): (TreePath, Owner)| Ownership {
        path: path.as_bytes().to_vec(),
        seems: Seeming {
            uid: owner.uid,
            gid: owner.gid,
            device: owner.device.as_ref().and_then(device),
            mode: owner.mode,
            capability: owner.capability,
        },
    };
    stage.into_iter().map(of_file).chain(mounts.iter().cloned()).collect()
}

/// What files seem after the command.
pub(super) fn by_path(files: Vec<Ownership>) -> Result<Owners, PathError> {
    let of_file = |file: Ownership| {
        let Seeming { uid, gid, device, mode, capability } = file.seems;
        let device = device.map(|device| match device {
            Device::Character { major, minor } => LeafKind::CharDevice { major, minor },
            Device::Block { major, minor } => LeafKind::BlockDevice { major, minor },
        });
        Ok((TreePath::clean(&file.path)?, Owner { uid, gid, device, mode, capability }))
    };
    files.into_iter().map(of_file).collect()
}

fn device(kind: &LeafKind<()>) -> Option<Device> {
    match *kind {
        LeafKind::CharDevice { major, minor } => Some(Device::Character { major, minor }),
        LeafKind::BlockDevice { major, minor } => Some(Device::Block { major, minor }),
        LeafKind::File { .. } | LeafKind::Symlink { .. } | LeafKind::Fifo => None,
    }
}
