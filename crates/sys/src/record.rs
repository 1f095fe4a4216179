//! What the calls of the stat family write into their caller's memory, byte by byte, for a supervisor
//! that answers such a call.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

/// A `struct stat`.
#[derive(Clone, Copy)]
pub struct Stat {
    raw: libc::stat,
}

/// A `struct statx`.
#[derive(Clone, Copy)]
pub struct Statx {
    raw: libc::statx,
}

/// A `struct statfs`.
#[derive(Clone, Copy)]
pub struct FileSystem {
    raw: libc::statfs,
}

/// What a record says in place of what the kernel knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disguise {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// File type bits (`S_IFCHR`, …) with major and minor number, where it shows as a device.
    pub device: Option<(u32, u32, u32)>,
    /// Permission, set-id and sticky bits, where they are not what the kernel knows.
    pub mode: Option<u32>,
}

const PERMISSIONS: u32 = 0o7777;

impl Stat {
    /// Asks as `newfstatat` does.
    pub fn at(dir: BorrowedFd<'_>, path: &[u8], flags: i32) -> Result<Self, Errno> {
        let path = CString::new(path).map_err(|_| Errno::INVAL)?;
        // SAFETY: plain data, for which all zeroes is a value.
        let mut raw: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: `path` is NUL-terminated, and the kernel writes one `struct stat`, which the C
        // library's type is on the 64-bit architectures.
        let result = unsafe {
            libc::syscall(
                libc::SYS_newfstatat,
                dir.as_raw_fd(),
                path.as_ptr(),
                &raw mut raw,
                libc::c_long::from(flags),
            )
        };
        crate::process::check(result).map(|_| Self { raw })
    }

    /// Owner and group.
    pub fn owner(&self) -> (u32, u32) {
        (self.raw.st_uid, self.raw.st_gid)
    }

    /// Says something else about owner, mode and kind.
    pub fn disguise(&mut self, disguise: &Disguise) {
        self.raw.st_uid = disguise.uid;
        self.raw.st_gid = disguise.gid;
        if let Some(mode) = disguise.mode {
            self.raw.st_mode = (self.raw.st_mode & !PERMISSIONS) | (mode & PERMISSIONS);
        }
        if let Some((kind, major, minor)) = disguise.device {
            self.raw.st_mode = (self.raw.st_mode & PERMISSIONS) | kind;
            self.raw.st_rdev = libc::makedev(major, minor);
        }
    }

    /// The bytes that the caller is to find.
    pub fn as_bytes(&self) -> &[u8] {
        bytes_of(&self.raw)
    }
}

impl Statx {
    /// Asks as `statx` does.
    pub fn at(dir: BorrowedFd<'_>, path: &[u8], flags: i32, mask: u32) -> Result<Self, Errno> {
        let path = CString::new(path).map_err(|_| Errno::INVAL)?;
        // SAFETY: plain data, for which all zeroes is a value.
        let mut raw: libc::statx = unsafe { std::mem::zeroed() };
        // SAFETY: `path` is NUL-terminated, and the kernel writes one `struct statx`.
        let result = unsafe {
            libc::syscall(
                libc::SYS_statx,
                dir.as_raw_fd(),
                path.as_ptr(),
                libc::c_long::from(flags),
                libc::c_long::from(mask),
                &raw mut raw,
            )
        };
        crate::process::check(result).map(|_| Self { raw })
    }

    /// Owner and group.
    pub fn owner(&self) -> (u32, u32) {
        (self.raw.stx_uid, self.raw.stx_gid)
    }

    /// Says something else about owner, mode and kind.
    pub fn disguise(&mut self, disguise: &Disguise) {
        self.raw.stx_uid = disguise.uid;
        self.raw.stx_gid = disguise.gid;
        if let Some(mode) = disguise.mode {
            let mode = (u32::from(self.raw.stx_mode) & !PERMISSIONS) | (mode & PERMISSIONS);
            self.raw.stx_mode = u16::try_from(mode).unwrap_or(self.raw.stx_mode);
        }
        if let Some((kind, major, minor)) = disguise.device {
            let mode = (u32::from(self.raw.stx_mode) & PERMISSIONS) | kind;
            self.raw.stx_mode = u16::try_from(mode).unwrap_or(self.raw.stx_mode);
            self.raw.stx_rdev_major = major;
            self.raw.stx_rdev_minor = minor;
        }
    }

    /// The bytes that the caller is to find.
    pub fn as_bytes(&self) -> &[u8] {
        bytes_of(&self.raw)
    }
}

impl FileSystem {
    /// Asks as `fstatfs` does.
    pub fn of(file: BorrowedFd<'_>) -> Result<Self, Errno> {
        // SAFETY: plain data, for which all zeroes is a value.
        let mut raw: libc::statfs = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes one `struct statfs`, which the C library's type is on the 64-bit
        // architectures.
        let result = unsafe { libc::syscall(libc::SYS_fstatfs, file.as_raw_fd(), &raw mut raw) };
        crate::process::check(result).map(|_| Self { raw })
    }

    /// The bytes that the caller is to find.
    pub fn as_bytes(&self) -> &[u8] {
        bytes_of(&self.raw)
    }
}

impl std::fmt::Debug for FileSystem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FileSystem").field("type", &self.raw.f_type).finish_non_exhaustive()
    }
}

fn bytes_of<T>(raw: &T) -> &[u8] {
    // SAFETY: callers pass the kernel's records, which came from zeroed memory that the kernel wrote
    // to: every byte of them, padding included, has been initialised.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(raw).cast(), size_of::<T>()) }
}

impl std::fmt::Debug for Stat {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Stat").field("inode", &self.raw.st_ino).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Statx {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Statx").field("inode", &self.raw.stx_ino).finish_non_exhaustive()
    }
}
