//! Extended attributes of an entry itself, whatever kind of entry it is.
//!
//! Three ways, best first. `getxattrat` and its siblings (Linux 6.13) take a directory descriptor and
//! a name. Before that, the `l*xattr` calls on `/proc/self/fd/N/name`: the link of procfs leads to the
//! directory, and the name is not followed. Without procfs, the `f*xattr` calls on an opened file or
//! directory; other kinds of entries cannot be opened harmlessly and stay `ENOENT` then.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{
    Mode, OFlags, XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr, lgetxattr,
    llistxattr, lremovexattr, lsetxattr, openat,
};
use rustix::io::Errno;

use super::Dir;
use crate::PathError;

const SYS_SETXATTRAT: libc::c_long = 463;
const SYS_GETXATTRAT: libc::c_long = 464;
const SYS_LISTXATTRAT: libc::c_long = 465;
const SYS_REMOVEXATTRAT: libc::c_long = 466;

/// The kernel's own limit for one value, and for a list of names.
const LARGEST: usize = 64 * 1024;

/// `struct xattr_args` of the kernel's interface.
#[repr(C)]
struct Arguments {
    value: u64,
    size: u32,
    flags: u32,
}

impl Dir {
    /// Reads an extended attribute; `None` if the entry has none of that name, or its file system
    /// has none at all.
    pub fn xattr(
        &self,
        name: impl AsRef<[u8]>,
        attribute: impl AsRef<[u8]>,
    ) -> Result<Option<Vec<u8>>, PathError> {
        let attribute = attribute.as_ref();
        let operation = "read an extended attribute of";
        let result = self.on(operation, name.as_ref(), |fd, name| {
            let key = CString::new(attribute).map_err(|_| Errno::INVAL)?;
            sized(|buffer| match get_at(fd, name, &key, buffer) {
                Err(Errno::NOSYS | Errno::PERM) => through_procfs(fd, name, |way| match way {
                    Way::Path(path) => lgetxattr(path, key.as_c_str(), &mut *buffer),
                    Way::File(file) => fgetxattr(file, key.as_c_str(), &mut *buffer),
                }),
                other => other,
            })
        });
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if matches!(error.source, Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists the names of an entry's extended attributes; empty where the file system has none.
    pub fn xattr_names(&self, name: impl AsRef<[u8]>) -> Result<Vec<Vec<u8>>, PathError> {
        let operation = "list the extended attributes of";
        let result = self.on(operation, name.as_ref(), |fd, name| {
            sized(|buffer| match list_at(fd, name, buffer) {
                Err(Errno::NOSYS | Errno::PERM) => through_procfs(fd, name, |way| match way {
                    Way::Path(path) => llistxattr(path, &mut *buffer),
                    Way::File(file) => flistxattr(file, &mut *buffer),
                }),
                other => other,
            })
        });
        match result {
            Ok(list) => Ok(list
                .split(|&byte| byte == 0)
                .filter(|name| !name.is_empty())
                .map(<[u8]>::to_vec)
                .collect()),
            Err(error) if error.source == Errno::OPNOTSUPP => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Sets an extended attribute.
    pub fn set_xattr(
        &self,
        name: impl AsRef<[u8]>,
        attribute: impl AsRef<[u8]>,
        value: &[u8],
    ) -> Result<(), PathError> {
        let operation = "set an extended attribute of";
        self.on(operation, name.as_ref(), |fd, name| {
            let key = CString::new(attribute.as_ref()).map_err(|_| Errno::INVAL)?;
            match set_at(fd, name, &key, value) {
                Err(Errno::NOSYS | Errno::PERM) => through_procfs(fd, name, |way| match way {
                    Way::Path(path) => lsetxattr(path, key.as_c_str(), value, XattrFlags::empty()),
                    Way::File(file) => fsetxattr(file, key.as_c_str(), value, XattrFlags::empty()),
                }),
                other => other,
            }
        })
    }

    /// Removes an extended attribute.
    pub fn remove_xattr(
        &self,
        name: impl AsRef<[u8]>,
        attribute: impl AsRef<[u8]>,
    ) -> Result<(), PathError> {
        let operation = "remove an extended attribute of";
        self.on(operation, name.as_ref(), |fd, name| {
            let key = CString::new(attribute.as_ref()).map_err(|_| Errno::INVAL)?;
            match remove_at(fd, name, &key) {
                Err(Errno::NOSYS | Errno::PERM) => through_procfs(fd, name, |way| match way {
                    Way::Path(path) => lremovexattr(path, key.as_c_str()),
                    Way::File(file) => fremovexattr(file, key.as_c_str()),
                }),
                other => other,
            }
        })
    }
}

/// Calls with a small buffer, and once more with the largest there can be if that was not enough.
fn sized(mut call: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; 256];
    match call(&mut small) {
        Ok(length) => Ok(small[..length].to_vec()),
        Err(Errno::RANGE) => {
            let mut large = vec![0; LARGEST];
            let length = call(&mut large)?;
            large.truncate(length);
            Ok(large)
        }
        Err(errno) => Err(errno),
    }
}

/// How the older calls can be pointed at an entry.
enum Way<'a> {
    Path(&'a [u8]),
    File(BorrowedFd<'a>),
}

fn through_procfs<T>(
    fd: BorrowedFd<'_>,
    name: &[u8],
    mut call: impl FnMut(Way<'_>) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let mut path = format!("/proc/self/fd/{}/", fd.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    match call(Way::Path(&path)) {
        Err(Errno::NOENT) => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = openat(fd, name, flags, Mode::empty())?;
            call(Way::File(file.as_fd()))
        }
        other => other,
    }
}

fn get_at(fd: BorrowedFd<'_>, name: &[u8], key: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    let arguments = Arguments {
        value: buffer.as_mut_ptr() as u64,
        size: u32::try_from(buffer.len()).map_err(|_| Errno::INVAL)?,
        flags: 0,
    };
    // SAFETY: the strings are NUL-terminated, `arguments` has the layout and the size that are
    // passed, and its `value` points to `size` writable bytes; all outlive the call.
    let result = unsafe {
        libc::syscall(
            SYS_GETXATTRAT,
            fd.as_raw_fd(),
            name.as_ptr(),
            libc::AT_SYMLINK_NOFOLLOW,
            key.as_ptr(),
            &raw const arguments,
            size_of::<Arguments>(),
        )
    };
    crate::process::check(result)
}

fn list_at(fd: BorrowedFd<'_>, name: &[u8], buffer: &mut [u8]) -> Result<usize, Errno> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    // SAFETY: `name` is NUL-terminated and `buffer` is writable for its length; both outlive the call.
    let result = unsafe {
        libc::syscall(
            SYS_LISTXATTRAT,
            fd.as_raw_fd(),
            name.as_ptr(),
            libc::AT_SYMLINK_NOFOLLOW,
            buffer.as_mut_ptr(),
            buffer.len(),
        )
    };
    crate::process::check(result)
}

fn set_at(fd: BorrowedFd<'_>, name: &[u8], key: &CStr, value: &[u8]) -> Result<(), Errno> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    let arguments = Arguments {
        value: value.as_ptr() as u64,
        size: u32::try_from(value.len()).map_err(|_| Errno::TOOBIG)?,
        flags: 0,
    };
    // SAFETY: as in `get_at`, except that the kernel only reads `value`.
    let result = unsafe {
        libc::syscall(
            SYS_SETXATTRAT,
            fd.as_raw_fd(),
            name.as_ptr(),
            libc::AT_SYMLINK_NOFOLLOW,
            key.as_ptr(),
            &raw const arguments,
            size_of::<Arguments>(),
        )
    };
    crate::process::check(result).map(drop)
}

fn remove_at(fd: BorrowedFd<'_>, name: &[u8], key: &CStr) -> Result<(), Errno> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    // SAFETY: both strings are NUL-terminated and outlive the call.
    let result = unsafe {
        libc::syscall(
            SYS_REMOVEXATTRAT,
            fd.as_raw_fd(),
            name.as_ptr(),
            libc::AT_SYMLINK_NOFOLLOW,
            key.as_ptr(),
        )
    };
    crate::process::check(result).map(drop)
}
