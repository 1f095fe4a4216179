//! Places to mount on that an image lacks: made for a run, and gone after it.
//!
//! A mount point is created where the image's own links lead, but links are followed here, one
//! component at a time, so that a dangling one (`/etc/resolv.conf` is, in many images) gets its target
//! created inside the root. Removing undoes it without a trace: the parent's times go back to what
//! they were, unless the command changed the directory too.

use std::collections::VecDeque;

use rustix::io::Errno;
use strata_sys::{Kind, Metadata, PathError, Root, Time};

use crate::RunError;

/// As many links as the kernel itself follows in one path.
const MOST_LINKS: usize = 40;

/// What a mount needs to be put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// A directory, reached without a link in the last component: `/proc`, `/dev`, `/sys`, which a
    /// hostile image could otherwise make cover something else.
    PlainDirectory,
    /// A directory.
    Directory,
    /// Anything but a directory.
    File,
}

/// The mount points that were created in one root.
#[derive(Debug)]
pub(crate) struct MountPoints<'a> {
    root: &'a Root,
    created: Vec<Created>,
}

#[derive(Debug)]
struct Created {
    path: Vec<u8>,
    metadata: Metadata,
    parent: Vec<u8>,
    /// The parent as it was before, and its modification time right after.
    parent_before: Metadata,
    parent_modified: Time,
}

impl<'a> MountPoints<'a> {
    pub(crate) fn new(root: &'a Root) -> Self {
        Self { root, created: Vec::new() }
    }

    /// Relative image paths of everything that was created, parents first.
    pub(crate) fn paths(&self) -> Vec<Vec<u8>> {
        self.created.iter().map(|one| one.path.clone()).collect()
    }

    /// Makes sure that `path` leads to something of the wanted kind, creating what is missing, and
    /// gives the relative image path without links that it leads to.
    pub(crate) fn ensure(&mut self, path: &[u8], want: Want) -> Result<Vec<u8>, RunError> {
        self.walk(path, want).map_err(|source| RunError::MountPoint {
            target: path.escape_ascii().to_string(),
            source,
        })
    }

    fn walk(&mut self, path: &[u8], want: Want) -> Result<Vec<u8>, Errno> {
        let mut left: VecDeque<Vec<u8>> = components(path).collect();
        let mut resolved: Vec<Vec<u8>> = Vec::new();
        let mut links = 0;
        let mut found = Kind::Dir;
        while let Some(component) = left.pop_front() {
            if component == b".." {
                resolved.pop();
                found = Kind::Dir;
                continue;
            }
            if found != Kind::Dir {
                return Err(Errno::NOTDIR);
            }
            resolved.push(component);
            let here = resolved.join(&b'/');
            let metadata = match self.root.metadata(&here) {
                Ok(metadata) => metadata,
                Err(error) if error.is_not_found() => {
                    let want = if left.is_empty() { want } else { Want::Directory };
                    self.create(&here, want).map_err(|error| error.source)?
                }
                Err(error) => return Err(error.source),
            };
            if metadata.kind == Kind::Symlink {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Errno::LOOP);
                }
                if want == Want::PlainDirectory {
                    return Err(Errno::NOTDIR);
                }
                let target = self.root.readlink(&here).map_err(|error| error.source)?;
                resolved.pop();
                if target.starts_with(b"/") {
                    resolved.clear();
                }
                for component in components(&target).rev() {
                    left.push_front(component);
                }
                found = Kind::Dir;
            } else {
                found = metadata.kind;
            }
        }
        match (want, found) {
            (Want::File, Kind::Dir) => Err(Errno::ISDIR),
            (Want::Directory | Want::PlainDirectory, kind) if kind != Kind::Dir => {
                Err(Errno::NOTDIR)
            }
            // The root itself is no mount point.
            _ if resolved.is_empty() => Err(Errno::BUSY),
            _ => Ok(resolved.join(&b'/')),
        }
    }

    fn create(&mut self, path: &[u8], want: Want) -> Result<Metadata, PathError> {
        let parent = match path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => path[..slash].to_vec(),
            None => Vec::new(),
        };
        let parent_before = self.root.metadata(&parent)?;
        match want {
            Want::File => drop(self.root.create_file(path, 0o644)?),
            Want::Directory | Want::PlainDirectory => self.root.mkdir(path, 0o755)?,
        }
        let metadata = self.root.metadata(path)?;
        self.created.push(Created {
            path: path.to_vec(),
            metadata,
            parent_modified: self.root.metadata(&parent)?.modified,
            parent,
            parent_before,
        });
        Ok(metadata)
    }

    /// Leaves what was created where it is.
    pub(crate) fn keep(mut self) {
        self.created.clear();
    }

    /// Removes what was created, last first, and leaves directories that are not empty any more.
    fn remove(&mut self) {
        while let Some(created) = self.created.pop() {
            if let Err(error) = created.remove(self.root) {
                tracing::debug!(
                    path = %created.path.escape_ascii(),
                    %error,
                    "the mount point stays: the command made it its own",
                );
            }
        }
    }
}

impl Drop for MountPoints<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Created {
    fn remove(&self, root: &Root) -> Result<(), PathError> {
        let now = root.metadata(&self.path)?;
        let same = |metadata: &Metadata| (metadata.kind, metadata.mode, metadata.uid, metadata.gid);
        let written = now.kind == Kind::File && now.size > 0;
        if same(&now) != same(&self.metadata) || written {
            return Ok(());
        }
        let parent = root.metadata(&self.parent)?;
        match now.kind {
            Kind::Dir => root.rmdir(&self.path)?,
            _ => root.unlink(&self.path)?,
        }
        if parent.modified == self.parent_modified {
            let before = &self.parent_before;
            root.set_times(&self.parent, before.accessed, before.modified)?;
        }
        Ok(())
    }
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    path.split(|&byte| byte == b'/')
        .filter(|component| !component.is_empty() && *component != b".")
        .map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests;
