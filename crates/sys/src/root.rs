//! The files of an image, reached only below a directory descriptor.
//!
//! [`Root`] takes whole paths as the image spells them and lets the kernel resolve them as if the
//! directory were `/`; [`Dir`] takes single names and is for loops that keep descriptors of parents.

mod dir;
mod metadata;
mod remove;
mod xattr;

pub use dir::{Dir, Entry};
pub use metadata::{Identity, Kind, Metadata, Node, Time};

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use crate::PathError;

/// A directory that plays `/` for the paths of one image.
///
/// Paths are bytes, with or without a leading slash. Symbolic links in the parents are followed as
/// the image itself would see them: an absolute target starts at this directory and `..` stops at it
/// (`RESOLVE_IN_ROOT`), and links of procfs are refused (`RESOLVE_NO_MAGICLINKS`). The last component
/// is the entry itself, never what it points to, except in the methods that say *following*.
///
/// Cost: one `openat2` for the parent more than the operation itself; loops use [`Dir`].
#[derive(Debug)]
pub struct Root {
    dir: Dir,
}

impl Root {
    /// Opens a host directory as a root, following symbolic links on the way to it.
    pub fn open(path: &Path) -> Result<Self, PathError> {
        Dir::open(path).map(|dir| Self { dir })
    }

    /// Takes an open directory as a root.
    pub fn from_dir(dir: Dir) -> Self {
        Self { dir }
    }

    /// Borrows the root directory itself.
    pub fn as_dir(&self) -> &Dir {
        &self.dir
    }

    /// Opens a directory, following symbolic links inside the root.
    pub fn open_dir(&self, path: impl AsRef<[u8]>) -> Result<Dir, PathError> {
        let path = path.as_ref();
        self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY)
            .map(Dir::from_fd)
            .map_err(|errno| PathError::new("open the directory", path, errno))
    }

    /// Opens a regular file for reading, following symbolic links inside the root.
    ///
    /// Never blocks on a fifo; anything but a regular file is `EINVAL`, or `EISDIR` for a directory.
    pub fn open_file(&self, path: impl AsRef<[u8]>) -> Result<File, PathError> {
        let path = path.as_ref();
        self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
            .and_then(dir::only_regular)
            .map_err(|errno| PathError::new("open", path, errno))
    }

    /// Opens whatever is there as a location only (`O_PATH`), following symbolic links inside the
    /// root: something to mount on, to compare or to ask about.
    pub fn locate(&self, path: impl AsRef<[u8]>) -> Result<OwnedFd, PathError> {
        let path = path.as_ref();
        self.resolve(path, OFlags::PATH).map_err(|errno| PathError::new("find", path, errno))
    }

    /// Describes what a path leads to, following symbolic links inside the root.
    pub fn metadata_following(&self, path: impl AsRef<[u8]>) -> Result<Metadata, PathError> {
        let path = path.as_ref();
        let found = self.locate(path)?;
        metadata::of_fd(found.as_fd()).map_err(|errno| PathError::new("inspect", path, errno))
    }

    /// Describes an open file or location.
    pub fn metadata_of(found: BorrowedFd<'_>) -> Result<Metadata, Errno> {
        metadata::of_fd(found)
    }

    /// Describes an entry.
    pub fn metadata(&self, path: impl AsRef<[u8]>) -> Result<Metadata, PathError> {
        self.at(path.as_ref(), |dir, name| dir.metadata(name))
    }

    /// Creates and opens for writing a regular file that must not exist yet.
    pub fn create_file(&self, path: impl AsRef<[u8]>, mode: u32) -> Result<File, PathError> {
        self.at(path.as_ref(), |dir, name| dir.create_file(name, mode))
    }

    /// Creates a directory.
    pub fn mkdir(&self, path: impl AsRef<[u8]>, mode: u32) -> Result<(), PathError> {
        self.at(path.as_ref(), |dir, name| dir.mkdir(name, mode))
    }

    /// Creates a symbolic link whose target is stored unread.
    pub fn symlink(
        &self,
        target: impl AsRef<[u8]>,
        path: impl AsRef<[u8]>,
    ) -> Result<(), PathError> {
        self.at(path.as_ref(), |dir, name| dir.symlink(&target, name))
    }

    /// Creates a fifo, socket or device.
    pub fn mknod(&self, path: impl AsRef<[u8]>, node: Node, mode: u32) -> Result<(), PathError> {
        self.at(path.as_ref(), |dir, name| dir.mknod(name, node, mode))
    }

    /// Gives an existing entry a second name.
    pub fn link(
        &self,
        existing: impl AsRef<[u8]>,
        path: impl AsRef<[u8]>,
    ) -> Result<(), PathError> {
        let existing = existing.as_ref();
        let (from, from_name) = self.parent("link", existing)?;
        self.at(path.as_ref(), |dir, name| from.as_dir(self).link(from_name, dir, name))
    }

    /// Moves an entry, replacing what is at the new path.
    pub fn rename(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<(), PathError> {
        let from = from.as_ref();
        let (parent, from_name) = self.parent("rename", from)?;
        self.at(to.as_ref(), |dir, name| parent.as_dir(self).rename(from_name, dir, name))
    }

    /// Removes an entry that is not a directory.
    pub fn unlink(&self, path: impl AsRef<[u8]>) -> Result<(), PathError> {
        self.at(path.as_ref(), |dir, name| dir.unlink(name))
    }

    /// Removes an empty directory.
    pub fn rmdir(&self, path: impl AsRef<[u8]>) -> Result<(), PathError> {
        self.at(path.as_ref(), |dir, name| dir.rmdir(name))
    }

    /// Removes an entry with everything below it; a missing one is `ENOENT`.
    pub fn remove_all(&self, path: impl AsRef<[u8]>) -> Result<(), PathError> {
        self.at(path.as_ref(), |dir, name| dir.remove_all(name))
    }

    /// Reads a symbolic link's target.
    pub fn readlink(&self, path: impl AsRef<[u8]>) -> Result<Vec<u8>, PathError> {
        self.at(path.as_ref(), |dir, name| dir.readlink(name))
    }

    /// Lists a directory, following symbolic links to it inside the root.
    pub fn read_dir(&self, path: impl AsRef<[u8]>) -> Result<Vec<Entry>, PathError> {
        self.open_dir(path)?.entries()
    }

    /// Sets the owner and group.
    pub fn set_owner(&self, path: impl AsRef<[u8]>, uid: u32, gid: u32) -> Result<(), PathError> {
        self.at(path.as_ref(), |dir, name| dir.set_owner(name, uid, gid))
    }

    /// Sets the permission bits, set-id and sticky included; `EOPNOTSUPP` for a symbolic link.
    pub fn set_mode(&self, path: impl AsRef<[u8]>, mode: u32) -> Result<(), PathError> {
        self.at(path.as_ref(), |dir, name| dir.set_mode(name, mode))
    }

    /// Sets the access and modification times.
    pub fn set_times(
        &self,
        path: impl AsRef<[u8]>,
        accessed: Time,
        modified: Time,
    ) -> Result<(), PathError> {
        self.at(path.as_ref(), |dir, name| dir.set_times(name, accessed, modified))
    }

    /// Reads an extended attribute; `None` if the entry has none of that name.
    pub fn xattr(
        &self,
        path: impl AsRef<[u8]>,
        attribute: impl AsRef<[u8]>,
    ) -> Result<Option<Vec<u8>>, PathError> {
        self.at(path.as_ref(), |dir, name| dir.xattr(name, &attribute))
    }

    /// Lists the names of the extended attributes.
    pub fn xattr_names(&self, path: impl AsRef<[u8]>) -> Result<Vec<Vec<u8>>, PathError> {
        self.at(path.as_ref(), |dir, name| dir.xattr_names(name))
    }

    /// Sets an extended attribute.
    pub fn set_xattr(
        &self,
        path: impl AsRef<[u8]>,
        attribute: impl AsRef<[u8]>,
        value: &[u8],
    ) -> Result<(), PathError> {
        self.at(path.as_ref(), |dir, name| dir.set_xattr(name, &attribute, value))
    }

    /// Removes an extended attribute.
    pub fn remove_xattr(
        &self,
        path: impl AsRef<[u8]>,
        attribute: impl AsRef<[u8]>,
    ) -> Result<(), PathError> {
        self.at(path.as_ref(), |dir, name| dir.remove_xattr(name, &attribute))
    }

    /// Runs `operation` on the parent directory of `path` and the last component, and lets an error
    /// name the whole path.
    fn at<T>(
        &self,
        path: &[u8],
        operation: impl FnOnce(&Dir, &[u8]) -> Result<T, PathError>,
    ) -> Result<T, PathError> {
        let (parent, name) = self.parent("find", path)?;
        operation(parent.as_dir(self), name)
            .map_err(|error| PathError { path: path.to_vec(), ..error })
    }

    fn parent<'path>(
        &self,
        operation: &'static str,
        path: &'path [u8],
    ) -> Result<(Parent, &'path [u8]), PathError> {
        let error = |errno| PathError::new(operation, path, errno);
        let (parent, name) = split(path);
        if name == b".." {
            return Err(error(Errno::INVAL));
        }
        if parent.is_empty() {
            return Ok((Parent::Root, name));
        }
        let fd = self.resolve(parent, OFlags::RDONLY | OFlags::DIRECTORY).map_err(error)?;
        Ok((Parent::Opened(Dir::from_fd(fd)), name))
    }

    fn resolve(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        // EAGAIN says that a rename elsewhere made the answer to a `..` uncertain; the kernel's
        // documentation asks for another try.
        for _ in 0..64 {
            let result = openat2(
                &self.dir,
                path,
                flags | OFlags::CLOEXEC,
                Mode::empty(),
                ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
            );
            match result {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

enum Parent {
    Root,
    Opened(Dir),
}

impl Parent {
    fn as_dir<'a>(&'a self, root: &'a Root) -> &'a Dir {
        match self {
            Self::Root => &root.dir,
            Self::Opened(dir) => dir,
        }
    }
}

/// Splits off the last component; the root itself is `("", ".")`.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().rposition(|&b| b != b'/').map_or(0, |at| at + 1);
    let path = &path[..end];
    match path.iter().rposition(|&b| b == b'/') {
        _ if path.is_empty() => (b"", b"."),
        None => (b"", path),
        Some(slash) => (&path[..slash], &path[slash + 1..]),
    }
}

#[cfg(test)]
mod tests;
