//! Overlay mounts.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{
    FsOpenFlags, MountFlags, fsconfig_set_flag, fsconfig_set_string, fsopen, mount as old_mount,
};

use super::{Attributes, Detached, MountError, explain};

/// Several directories seen as one, of which only the upper is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// What is below, topmost first; at least one.
    pub lowers: Vec<PathBuf>,
    /// Where changes go, with an empty directory on the same file system for the kernel's work;
    /// `None` makes a read-only view, which needs at least two lowers.
    pub upper: Option<(PathBuf, PathBuf)>,
    /// Keep overlayfs's marks in `user.overlay.*`, as a user namespace must. Without it the mount
    /// succeeds there too, and later removing a lower directory is `EIO`.
    pub user_xattrs: bool,
    /// Never flush the upper to disk. It leaves a mark in the work directory that forbids mounting
    /// it again.
    pub volatile: bool,
}

impl Overlay {
    /// Mounts the overlay on a host directory.
    ///
    /// Where the kernel takes lowers one by one (Linux 6.8) their number is limited to 500 and their
    /// names to `PATH_MAX`; before, all options together must fit in a page (`E2BIG`).
    pub fn mount(&self, target: &Path) -> Result<(), MountError> {
        match self.detached() {
            Ok(detached) => detached.attach_at(target),
            // A kernel that knows no `lowerdir+`, or one without the newer calls.
            Err(error) if matches!(error.source, Errno::INVAL | Errno::NOSYS) => {
                self.mount_in_one_string(target, error)
            }
            Err(error) => Err(error),
        }
    }

    fn detached(&self) -> Result<Detached, MountError> {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
            .map_err(|errno| MountError::new("open the file system `overlay`".into(), errno))?;
        let set = |key: &str, path: &Path, special: &[u8]| {
            let mut value = Vec::new();
            escape_into(&mut value, path, special);
            fsconfig_set_string(context.as_fd(), key, value.as_slice()).map_err(|errno| {
                let operation = format!("set `{key}` of the overlay to `{}`", path.display());
                explain(&context, operation, errno)
            })
        };
        for lower in &self.lowers {
            set("lowerdir+", lower, b"")?;
        }
        if let Some((upper, work)) = &self.upper {
            // Unlike a lower, these two are still unescaped by the kernel.
            set("upperdir", upper, b"\\")?;
            set("workdir", work, b"\\")?;
        }
        for (wanted, key) in [(self.user_xattrs, "userxattr"), (self.volatile, "volatile")] {
            if wanted {
                fsconfig_set_flag(context.as_fd(), key).map_err(|errno| {
                    explain(&context, format!("set `{key}` of the overlay"), errno)
                })?;
            }
        }
        Detached::create(&context, "overlay", Attributes::empty())
    }

    /// `mount(2)` with a string of options; `refusal` is what the newer way answered.
    fn mount_in_one_string(&self, target: &Path, refusal: MountError) -> Result<(), MountError> {
        let options = self.options();
        if options.len() >= 4096 {
            return Err(MountError::new(
                format!("mount an overlay of {} lower directories", self.lowers.len()),
                Errno::TOOBIG,
            ));
        }
        let options = std::ffi::CString::new(options)
            .map_err(|_| MountError::new("mount `overlay`".into(), Errno::INVAL))?;
        let result =
            old_mount("overlay", target, "overlay", MountFlags::empty(), options.as_c_str());
        // The newer way explains itself; this one has an errno only.
        result.map_err(|errno| MountError { source: errno, ..refusal })
    }

    fn options(&self) -> Vec<u8> {
        let mut options = b"lowerdir=".to_vec();
        for (index, lower) in self.lowers.iter().enumerate() {
            if index > 0 {
                options.push(b':');
            }
            escape_into(&mut options, lower, b":,\\");
        }
        if let Some((upper, work)) = &self.upper {
            options.extend_from_slice(b",upperdir=");
            escape_into(&mut options, upper, b",\\");
            options.extend_from_slice(b",workdir=");
            escape_into(&mut options, work, b",\\");
        }
        if self.user_xattrs {
            options.extend_from_slice(b",userxattr");
        }
        if self.volatile {
            options.extend_from_slice(b",volatile");
        }
        options
    }
}

fn escape_into(options: &mut Vec<u8>, path: &Path, special: &[u8]) {
    use std::os::unix::ffi::OsStrExt;
    for &byte in path.as_os_str().as_bytes() {
        if special.contains(&byte) {
            options.push(b'\\');
        }
        options.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_escape_what_separates_them() {
        let overlay = Overlay {
            lowers: vec!["/a:b".into(), "/c,d".into()],
            upper: Some(("/u\\v".into(), "/w".into())),
            user_xattrs: true,
            volatile: true,
        };
        assert_eq!(
            String::from_utf8(overlay.options()).unwrap(),
            r"lowerdir=/a\:b:/c\,d,upperdir=/u\\v,workdir=/w,userxattr,volatile"
        );
    }
}
