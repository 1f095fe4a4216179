//! Extended attributes of files and directories.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{Mode, OFlags, fgetxattr, flistxattr, lgetxattr, llistxattr, openat};
use rustix::io::Errno;
use strata_tree::Xattrs;

/// The kernel's limit for one value and for a list of names.
const LARGEST: usize = 64 * 1024;

/// Reads what an image carries: `user.*` and file capabilities. Everything else (labels, access lists)
/// belongs to the host.
///
/// The link that procfs shows for a directory's descriptor leads to exactly that directory, so that
/// `/proc/self/fd/N/name` asks about an entry without opening it; a file that may not be read is no
/// obstacle then. Without procfs the entry is opened.
#[derive(Debug)]
pub(crate) struct Attributes {
    procfs: bool,
    buffer: Vec<u8>,
}

impl Attributes {
    pub(crate) fn new() -> Self {
        let procfs = rustix::fs::access("/proc/self/fd", rustix::fs::Access::EXISTS).is_ok();
        Self { procfs, buffer: vec![0; LARGEST] }
    }

    /// The attributes of `name` in `directory`, which is no symbolic link.
    pub(crate) fn read(&mut self, directory: BorrowedFd<'_>, name: &CStr) -> Result<Xattrs, Errno> {
        if self.procfs {
            let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
            path.extend_from_slice(name.to_bytes());
            let path = CString::new(path).map_err(|_| Errno::INVAL)?;
            let list = |buffer: &mut [u8]| llistxattr(path.as_c_str(), buffer);
            self.collect(list, |key, buffer| lgetxattr(path.as_c_str(), key, buffer))
        } else {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = match openat(directory, name, flags, Mode::empty()) {
                Ok(file) => file,
                // What may not be read fails later, and only if its bytes are really wanted.
                Err(Errno::ACCESS | Errno::PERM) => return Ok(Xattrs::new()),
                Err(errno) => return Err(errno),
            };
            let list = |buffer: &mut [u8]| flistxattr(&file, buffer);
            self.collect(list, |key, buffer| fgetxattr(&file, key, buffer))
        }
    }

    fn collect(
        &mut self,
        list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
        get: impl Fn(&CStr, &mut [u8]) -> Result<usize, Errno>,
    ) -> Result<Xattrs, Errno> {
        let mut found = Xattrs::new();
        let length = match list(&mut self.buffer) {
            Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(found),
            Ok(length) => length,
            Err(errno) => return Err(errno),
        };
        let names = self.buffer[..length].to_vec();
        for key in names.split_inclusive(|&byte| byte == 0) {
            let Ok(key) = CStr::from_bytes_with_nul(key) else { continue };
            if !carried(key.to_bytes()) {
                continue;
            }
            match get(key, &mut self.buffer) {
                Ok(length) => {
                    found.insert(key.to_bytes().to_vec(), self.buffer[..length].to_vec());
                }
                // Removed since it was listed, or not for this reader's eyes.
                Err(Errno::NODATA | Errno::ACCESS | Errno::PERM) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(found)
    }
}

fn carried(name: &[u8]) -> bool {
    name == b"security.capability"
        || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}
