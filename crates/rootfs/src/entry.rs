//! One entry of the disk, read and written.

use strata_sys::{Dir, Errno, Kind, Metadata as Inode, PathError, Time};
use strata_tree::{LeafKind, Metadata, Timestamp, Xattrs};

use crate::medium::{Medium, Shape, Standing};

/// Which file of a disk it is: device and inode number.
pub(crate) type Identity = ((u32, u32), u64);

pub(crate) fn identity(inode: &Inode) -> Identity {
    (inode.device, inode.inode)
}

pub(crate) fn timestamp(time: Time) -> Timestamp {
    Timestamp { seconds: time.seconds, nanoseconds: time.nanoseconds }
}

pub(crate) fn time(timestamp: Timestamp) -> Time {
    Time { seconds: timestamp.seconds, nanoseconds: timestamp.nanoseconds }
}

/// Everything an image can say of an entry, or nothing if it is a socket.
pub(crate) fn read(dir: &Dir, name: &[u8], inode: &Inode) -> Result<Option<Standing>, PathError> {
    let (major, minor) = inode.node;
    let shape = match inode.kind {
        Kind::Dir => Shape::Directory,
        Kind::File => Shape::Leaf(LeafKind::File { size: inode.size, content: () }),
        Kind::Symlink => Shape::Leaf(LeafKind::Symlink { target: dir.readlink(name)? }),
        Kind::Fifo => Shape::Leaf(LeafKind::Fifo),
        Kind::CharDevice => Shape::Leaf(LeafKind::CharDevice { major, minor }),
        Kind::BlockDevice => Shape::Leaf(LeafKind::BlockDevice { major, minor }),
        Kind::Socket => return Ok(None),
    };
    let metadata = Metadata {
        mode: inode.mode,
        uid: inode.uid,
        gid: inode.gid,
        mtime: timestamp(inode.modified),
        xattrs: xattrs(dir, name)?,
    };
    Ok(Some(Standing { shape, metadata }))
}

fn xattrs(dir: &Dir, name: &[u8]) -> Result<Xattrs, PathError> {
    let mut found = Xattrs::new();
    for attribute in dir.xattr_names(name)? {
        if Medium::carries(&attribute)
            && let Some(value) = dir.xattr(name, &attribute)?
        {
            found.insert(attribute, value);
        }
    }
    Ok(found)
}

/// Gives an entry its metadata. The order matters: changing the owner clears set-id bits and capabilities,
/// and everything else touches the times.
pub(crate) fn dress(dir: &Dir, name: &[u8], standing: &Standing) -> Result<(), PathError> {
    let Metadata { mode, uid, gid, mtime, xattrs } = &standing.metadata;
    dir.set_owner(name, *uid, *gid)?;
    if !matches!(standing.shape, Shape::Leaf(LeafKind::Symlink { .. })) {
        dir.set_mode(name, *mode)?;
    }
    for (attribute, value) in xattrs {
        dir.set_xattr(name, attribute, value)?;
    }
    dir.set_times(name, time(*mtime), time(*mtime))
}

/// Removes the attributes of an entry that it should not have.
pub(crate) fn strip(dir: &Dir, name: &[u8], wanted: &Xattrs) -> Result<(), PathError> {
    for attribute in dir.xattr_names(name)? {
        if Medium::carries(&attribute) && !wanted.contains_key(&attribute) {
            match dir.remove_xattr(name, &attribute) {
                Err(error) if error.source != Errno::NODATA => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
