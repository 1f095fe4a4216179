//! Removing a tree in constant descriptors and without recursion.

use std::os::fd::AsFd;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::Metadata;
use super::dir::{Dir, open_at};
use super::metadata::{self, Kind};
use crate::PathError;

/// A directory that is being emptied, while the walk is somewhere below it.
struct Level {
    /// Its name in the level above.
    name: Vec<u8>,
    /// Its identity, to be found again when the walk comes back through `..`.
    identity: (u64, (u32, u32)),
    /// Directories in it that are still to be removed.
    left: Vec<Vec<u8>>,
}

pub(super) fn remove_all(parent: &Dir, name: &[u8]) -> Result<(), PathError> {
    if parent.metadata(name)?.kind != Kind::Dir {
        return parent.unlink(name);
    }
    let mut current = parent.dir(name)?;
    let mut levels = vec![Level::empty(&current, name)?];
    loop {
        let Some(level) = levels.last_mut() else {
            return parent.rmdir(name);
        };
        if let Some(next) = level.left.pop() {
            current = current.dir(&next)?;
            levels.push(Level::empty(&current, &next)?);
            continue;
        }
        let done = levels.pop().expect("the level was just looked at");
        if let Some(above) = levels.last() {
            current = step_up(&current, above)?;
            current.rmdir(&done.name)?;
        }
    }
}

impl Level {
    /// Removes everything but directories from `dir`.
    fn empty(dir: &Dir, name: &[u8]) -> Result<Self, PathError> {
        let mut left = Vec::new();
        for entry in dir.entries()? {
            let kind = match entry.kind {
                Some(kind) => kind,
                None => dir.metadata(&entry.name)?.kind,
            };
            if kind == Kind::Dir {
                left.push(entry.name);
            } else {
                dir.unlink(&entry.name)?;
            }
        }
        Ok(Self { name: name.to_vec(), identity: identity(&dir.metadata(b".")?), left })
    }
}

fn identity(metadata: &Metadata) -> (u64, (u32, u32)) {
    (metadata.inode, metadata.device)
}

/// Opens the parent, and refuses to continue if somebody moved the tree meanwhile.
fn step_up(current: &Dir, above: &Level) -> Result<Dir, PathError> {
    let error = |errno| PathError::new("go back up to", &above.name, errno);
    let parent = open_at(current.as_fd(), b"..", OFlags::empty()).map_err(error)?;
    let found = metadata::of_fd(parent.as_fd()).map_err(error)?;
    if identity(&found) == above.identity { Ok(parent) } else { Err(error(Errno::STALE)) }
}
