//! One open directory and the operations on the names in it.

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, RawDir, RenameFlags, Timestamps, Uid, chownat,
    fstat, linkat, mkdirat, mknodat, openat, readlinkat, renameat, renameat_with, symlinkat,
    unlinkat, utimensat,
};
use rustix::io::Errno;

use super::metadata::{self, Kind, Metadata, Node, Time};
use crate::PathError;

/// `fchmodat2`, since Linux 6.6; the number is the same on every architecture Rust's `linux` targets have.
const SYS_FCHMODAT2: libc::c_long = 452;

/// An open, readable directory.
///
/// Every method takes one name: not empty, without a slash, not `..` (`EINVAL` otherwise); `.` is the
/// directory itself. Nothing is ever followed. A shared reference may be used by several threads.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
}

/// One line of a directory listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, never `.` or `..`.
    pub name: Vec<u8>,
    /// What it is, where the file system tells without being asked again.
    pub kind: Option<Kind>,
    /// Its inode number.
    pub inode: u64,
}

impl Dir {
    /// Opens a host directory, following symbolic links.
    pub fn open(path: &Path) -> Result<Self, PathError> {
        open_at(CWD, path.as_os_str().as_bytes(), OFlags::empty()).map_err(|errno| {
            PathError::new("open the directory", path.as_os_str().as_bytes(), errno)
        })
    }

    /// Takes a descriptor that was opened as a directory.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Opens the same directory once more.
    pub fn try_clone(&self) -> Result<Self, PathError> {
        self.fd.try_clone().map(Self::from_fd).map_err(|error| {
            PathError::new(
                "duplicate the descriptor of",
                b".",
                Errno::from_io_error(&error).unwrap_or(Errno::MFILE),
            )
        })
    }

    /// Opens a directory in this one.
    pub fn dir(&self, name: impl AsRef<[u8]>) -> Result<Self, PathError> {
        self.on("open the directory", name.as_ref(), |fd, name| open_at(fd, name, OFlags::NOFOLLOW))
    }

    /// Opens a regular file for reading.
    ///
    /// Never blocks on a fifo; anything but a regular file is `EINVAL`, `EISDIR` or `ELOOP`.
    pub fn open_file(&self, name: impl AsRef<[u8]>) -> Result<File, PathError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        self.on("open", name.as_ref(), |fd, name| {
            openat(fd, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
                .and_then(only_regular)
        })
    }

    /// Creates and opens for writing a regular file that must not exist yet.
    ///
    /// The mode is subject to the process's umask; [`set_mode`](Self::set_mode) is exact.
    pub fn create_file(&self, name: impl AsRef<[u8]>, mode: u32) -> Result<File, PathError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        self.on("create", name.as_ref(), |fd, name| {
            openat(fd, name, flags | OFlags::NOFOLLOW, Mode::from_raw_mode(mode)).map(File::from)
        })
    }

    /// Creates a directory; the mode is subject to the umask.
    pub fn mkdir(&self, name: impl AsRef<[u8]>, mode: u32) -> Result<(), PathError> {
        self.on("create the directory", name.as_ref(), |fd, name| {
            mkdirat(fd, name, Mode::from_raw_mode(mode))
        })
    }

    /// Creates a symbolic link whose target is stored unread.
    pub fn symlink(
        &self,
        target: impl AsRef<[u8]>,
        name: impl AsRef<[u8]>,
    ) -> Result<(), PathError> {
        self.on("create the symbolic link", name.as_ref(), |fd, name| {
            symlinkat(target.as_ref(), fd, name)
        })
    }

    /// Creates a fifo, socket or device; the mode is subject to the umask.
    pub fn mknod(&self, name: impl AsRef<[u8]>, node: Node, mode: u32) -> Result<(), PathError> {
        let (kind, device) = node.parts();
        self.on("create the node", name.as_ref(), |fd, name| {
            mknodat(fd, name, kind, Mode::from_raw_mode(mode), device)
        })
    }

    /// Gives an entry of this directory a second name in `to`.
    pub fn link(
        &self,
        name: impl AsRef<[u8]>,
        to: &Self,
        to_name: impl AsRef<[u8]>,
    ) -> Result<(), PathError> {
        self.on("link", name.as_ref(), |fd, name| {
            linkat(fd, name, to, single(to_name.as_ref())?, AtFlags::empty())
        })
    }

    /// Moves an entry of this directory to `to`, replacing what is there.
    pub fn rename(
        &self,
        name: impl AsRef<[u8]>,
        to: &Self,
        to_name: impl AsRef<[u8]>,
    ) -> Result<(), PathError> {
        self.on("rename", name.as_ref(), |fd, name| {
            renameat(fd, name, to, single(to_name.as_ref())?)
        })
    }

    /// Moves an entry of this directory to `to`, unless there is something (`EEXIST`).
    pub fn rename_new(
        &self,
        name: impl AsRef<[u8]>,
        to: &Self,
        to_name: impl AsRef<[u8]>,
    ) -> Result<(), PathError> {
        self.on("rename", name.as_ref(), |fd, name| {
            renameat_with(fd, name, to, single(to_name.as_ref())?, RenameFlags::NOREPLACE)
        })
    }

    /// Removes an entry that is not a directory.
    pub fn unlink(&self, name: impl AsRef<[u8]>) -> Result<(), PathError> {
        self.on("remove", name.as_ref(), |fd, name| unlinkat(fd, name, AtFlags::empty()))
    }

    /// Removes an empty directory.
    pub fn rmdir(&self, name: impl AsRef<[u8]>) -> Result<(), PathError> {
        self.on("remove the directory", name.as_ref(), |fd, name| {
            unlinkat(fd, name, AtFlags::REMOVEDIR)
        })
    }

    /// Removes an entry with everything below it; a missing one is `ENOENT`.
    ///
    /// Holds one descriptor and a list of names whatever the depth, so a hostile tree exhausts
    /// neither descriptors nor the stack.
    pub fn remove_all(&self, name: impl AsRef<[u8]>) -> Result<(), PathError> {
        let name = name.as_ref();
        self.check("remove", name)?;
        super::remove::remove_all(self, name)
    }

    /// Reads a symbolic link's target.
    pub fn readlink(&self, name: impl AsRef<[u8]>) -> Result<Vec<u8>, PathError> {
        self.on("read the symbolic link", name.as_ref(), |fd, name| {
            readlinkat(fd, name, Vec::new()).map(std::ffi::CString::into_bytes)
        })
    }

    /// Lists the directory, in the file system's order.
    ///
    /// Each call opens the directory anew, so listings in several threads do not share an offset.
    pub fn entries(&self) -> Result<Vec<Entry>, PathError> {
        self.list().map_err(|errno| PathError::new("list the directory", b".", errno))
    }

    fn list(&self) -> Result<Vec<Entry>, Errno> {
        let again = open_at(self.as_fd(), b".", OFlags::empty())?;
        let mut buffer = [const { MaybeUninit::uninit() }; 16 * 1024];
        let mut reader = RawDir::new(&again.fd, &mut buffer);
        let mut entries = Vec::new();
        while let Some(entry) = reader.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                entries.push(Entry {
                    name: name.to_vec(),
                    kind: Kind::from_file_type(entry.file_type()),
                    inode: entry.ino(),
                });
            }
        }
        Ok(entries)
    }

    /// Describes an entry.
    pub fn metadata(&self, name: impl AsRef<[u8]>) -> Result<Metadata, PathError> {
        self.on("inspect", name.as_ref(), |fd, name| metadata::at(fd, name, AtFlags::empty()))
    }

    /// Sets the owner and group.
    pub fn set_owner(&self, name: impl AsRef<[u8]>, uid: u32, gid: u32) -> Result<(), PathError> {
        self.on("set the owner of", name.as_ref(), |fd, name| {
            // The all-ones id means "leave it" to the kernel; asking for it is a mistake.
            if uid == u32::MAX || gid == u32::MAX {
                return Err(Errno::INVAL);
            }
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            chownat(fd, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        })
    }

    /// Sets the permission bits, set-id and sticky included; `EOPNOTSUPP` for a symbolic link.
    pub fn set_mode(&self, name: impl AsRef<[u8]>, mode: u32) -> Result<(), PathError> {
        self.on("set the mode of", name.as_ref(), |fd, name| {
            match chmod_no_follow(fd, name, mode) {
                // Before Linux 6.6, or a seccomp profile that is older than the call.
                Err(Errno::NOSYS | Errno::PERM) => chmod_through_location(fd, name, mode),
                other => other,
            }
        })
    }

    /// Sets the access and modification times.
    pub fn set_times(
        &self,
        name: impl AsRef<[u8]>,
        accessed: Time,
        modified: Time,
    ) -> Result<(), PathError> {
        let times = Timestamps {
            last_access: accessed.to_timespec(),
            last_modification: modified.to_timespec(),
        };
        self.on("set the times of", name.as_ref(), |fd, name| {
            utimensat(fd, name, &times, AtFlags::SYMLINK_NOFOLLOW)
        })
    }

    pub(super) fn on<T>(
        &self,
        operation: &'static str,
        name: &[u8],
        call: impl FnOnce(BorrowedFd<'_>, &[u8]) -> Result<T, Errno>,
    ) -> Result<T, PathError> {
        single(name)
            .and_then(|name| call(self.as_fd(), name))
            .map_err(|errno| PathError::new(operation, name, errno))
    }

    fn check(&self, operation: &'static str, name: &[u8]) -> Result<(), PathError> {
        self.on(operation, name, |_, _| Ok(()))
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Dir> for OwnedFd {
    fn from(dir: Dir) -> Self {
        dir.fd
    }
}

/// Refuses what would be more than one step down.
fn single(name: &[u8]) -> Result<&[u8], Errno> {
    if name.is_empty() || name == b".." || name.contains(&b'/') {
        return Err(Errno::INVAL);
    }
    Ok(name)
}

pub(super) fn open_at(fd: BorrowedFd<'_>, name: &[u8], extra: OFlags) -> Result<Dir, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | extra;
    openat(fd, name, flags, Mode::empty()).map(Dir::from_fd)
}

/// Turns an opened entry into a file if it is a regular one.
pub(super) fn only_regular(fd: OwnedFd) -> Result<File, Errno> {
    match FileType::from_raw_mode(fstat(&fd)?.st_mode) {
        FileType::RegularFile => Ok(File::from(fd)),
        FileType::Directory => Err(Errno::ISDIR),
        _ => Err(Errno::INVAL),
    }
}

fn chmod_no_follow(fd: BorrowedFd<'_>, name: &[u8], mode: u32) -> Result<(), Errno> {
    let name = std::ffi::CString::new(name).map_err(|_| Errno::INVAL)?;
    // SAFETY: `fd` is borrowed for the call and `name` is a NUL-terminated string that outlives it;
    // the kernel reads nothing else.
    let result = unsafe {
        libc::syscall(
            SYS_FCHMODAT2,
            fd.as_raw_fd(),
            name.as_ptr(),
            mode & 0o7777,
            libc::AT_SYMLINK_NOFOLLOW,
        )
    };
    crate::process::check(result).map(drop)
}

/// `chmod` knows no way not to follow, but the link that procfs shows for a location leads to exactly
/// the entry that was located.
fn chmod_through_location(fd: BorrowedFd<'_>, name: &[u8], mode: u32) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let location = openat(fd, name, flags, Mode::empty())?;
    if metadata::of_fd(location.as_fd())?.kind == Kind::Symlink {
        return Err(Errno::OPNOTSUPP);
    }
    let link = format!("/proc/self/fd/{}", location.as_raw_fd());
    rustix::fs::chmod(link, Mode::from_raw_mode(mode & 0o7777))
}
