//! Mounts, by the interface of Linux 5.2 that deals in descriptors.
//!
//! A mount is made detached, given its attributes, and only then attached to a place that was
//! resolved beforehand; no path is resolved twice, and nothing half-configured is ever visible.

mod overlay;

pub use overlay::Overlay;

/// Restrictions of a mount.
pub use rustix::mount::MountAttrFlags as Attributes;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_change,
    move_mount, open_tree, unmount,
};

const SYS_MOUNT_SETATTR: libc::c_long = 442;

/// A mount that could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {operation}{}", explained(explanation.as_deref()))]
pub struct MountError {
    /// What was attempted, as a verb phrase (``mount `overlay` ``).
    pub operation: String,
    /// What the file system said about it, where it says anything.
    pub explanation: Option<String>,
    /// What the kernel answered.
    #[source]
    pub source: Errno,
}

fn explained(explanation: Option<&str>) -> String {
    explanation.map_or_else(String::new, |text| format!(" ({text})"))
}

impl MountError {
    fn new(operation: String, source: Errno) -> Self {
        Self { operation, explanation: None, source }
    }
}

/// Whether what is mounted below a place is taken along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Only the one mount.
    Single,
    /// With everything mounted below.
    Recursive,
}

/// A mount that is attached nowhere yet; dropping it undoes it.
#[derive(Debug)]
pub struct Detached {
    tree: OwnedFd,
    what: String,
}

impl Detached {
    /// Makes a new instance of a file system with options (`size=…`; a value of `None` is a flag).
    pub fn new(
        file_system: &str,
        options: &[(&str, Option<&str>)],
        attributes: Attributes,
    ) -> Result<Self, MountError> {
        let context = fsopen(file_system, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|errno| {
            MountError::new(format!("open the file system `{file_system}`"), errno)
        })?;
        for (key, value) in options {
            let result = match value {
                Some(value) => fsconfig_set_string(context.as_fd(), *key, *value),
                None => fsconfig_set_flag(context.as_fd(), *key),
            };
            result.map_err(|errno| {
                let operation = format!("set `{key}` of the file system `{file_system}`");
                explain(&context, operation, errno)
            })?;
        }
        Self::create(&context, file_system, attributes)
    }

    fn create(
        context: &OwnedFd,
        file_system: &str,
        attributes: Attributes,
    ) -> Result<Self, MountError> {
        fsconfig_create(context.as_fd())
            .and_then(|()| fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes))
            .map(|tree| Self { tree, what: file_system.to_owned() })
            .map_err(|errno| explain(context, format!("mount `{file_system}`"), errno))
    }

    /// Takes a second view (a bind mount) of a host path.
    pub fn bind(source: &Path, depth: Depth) -> Result<Self, MountError> {
        let what = source.display().to_string();
        clone_tree(CWD, source.as_os_str().as_bytes(), OpenTreeFlags::empty(), depth)
            .map_err(|errno| MountError::new(format!("bind `{what}`"), errno))
            .map(|tree| Self { tree, what })
    }

    /// Takes a second view (a bind mount) of an open file or directory.
    pub fn bind_fd(source: BorrowedFd<'_>, depth: Depth) -> Result<Self, MountError> {
        let what = "an open file".to_owned();
        clone_tree(source, b"", OpenTreeFlags::AT_EMPTY_PATH, depth)
            .map_err(|errno| MountError::new(format!("bind {what}"), errno))
            .map(|tree| Self { tree, what })
    }

    /// Adds restrictions to the mount, and to all below it if it was bound recursively; what was
    /// restricted before stays so.
    pub fn restrict(&self, attributes: Attributes, depth: Depth) -> Result<(), MountError> {
        set_attributes(self.tree.as_fd(), attributes, 0, depth).map_err(|errno| {
            MountError::new(format!("restrict the mount of `{}`", self.what), errno)
        })
    }

    /// Keeps mounts from being passed on to or from the place this is a copy of.
    pub fn make_private(&self, depth: Depth) -> Result<(), MountError> {
        set_attributes(self.tree.as_fd(), Attributes::empty(), libc::MS_PRIVATE, depth).map_err(
            |errno| MountError::new(format!("make the mount of `{}` private", self.what), errno),
        )
    }

    /// Attaches the mount on an open place.
    pub fn attach(&self, place: BorrowedFd<'_>) -> Result<(), MountError> {
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(self.tree.as_fd(), "", place, "", flags)
            .map_err(|errno| MountError::new(format!("attach the mount of `{}`", self.what), errno))
    }

    /// Attaches the mount on a host path, following symbolic links.
    pub fn attach_at(&self, place: &Path) -> Result<(), MountError> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
        move_mount(self.tree.as_fd(), "", CWD, place, flags).map_err(|errno| {
            let operation = format!("attach the mount of `{}` at `{}`", self.what, place.display());
            MountError::new(operation, errno)
        })
    }
}

impl AsFd for Detached {
    /// The root of the mount, to create files in it before it is attached.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tree.as_fd()
    }
}

fn clone_tree(
    place: BorrowedFd<'_>,
    path: &[u8],
    flags: OpenTreeFlags,
    depth: Depth,
) -> Result<OwnedFd, Errno> {
    let mut flags = flags | OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags.set(OpenTreeFlags::AT_RECURSIVE, depth == Depth::Recursive);
    open_tree(place, path, flags)
}

/// `struct mount_attr` of the kernel's interface.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

fn set_attributes(
    tree: BorrowedFd<'_>,
    set: Attributes,
    propagation: libc::c_ulong,
    depth: Depth,
) -> Result<(), Errno> {
    let attributes = MountAttr { set: set.bits().into(), clear: 0, propagation, user_namespace: 0 };
    let mut flags = libc::AT_EMPTY_PATH;
    if depth == Depth::Recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: `tree` is borrowed for the call, the path is an empty NUL-terminated string, and
    // `attributes` has the layout and the size that are passed.
    let result = unsafe {
        libc::syscall(
            SYS_MOUNT_SETATTR,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttr>(),
        )
    };
    crate::process::check(result).map(drop)
}

/// Adds what the file system wrote about the failure to its context.
fn explain(context: &OwnedFd, operation: String, source: Errno) -> MountError {
    let mut lines = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(length) = rustix::io::read(context, &mut buffer) {
        if length == 0 {
            break;
        }
        let line = String::from_utf8_lossy(&buffer[..length]);
        // Each message begins with its level: `e`, `w` or `i` and a space.
        let line = line.trim_end();
        lines.push(line.get(2..).unwrap_or(line).to_owned());
    }
    MountError { operation, explanation: (!lines.is_empty()).then(|| lines.join("; ")), source }
}

/// Stops all mounts of this mount namespace from being passed on to others, while those of the
/// parent namespace still arrive.
pub fn make_all_slave() -> Result<(), MountError> {
    let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", flags)
        .map_err(|errno| MountError::new("make the mounts slaves of their parents".into(), errno))
}

/// Stops mounts of this mount namespace from being passed on, either way.
pub fn make_all_private() -> Result<(), MountError> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", flags)
        .map_err(|errno| MountError::new("make the mounts private".into(), errno))
}

/// Detaches what is mounted on a host path; the file system goes when its last user does.
pub fn detach(path: &Path) -> Result<(), MountError> {
    unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
        .map_err(|errno| MountError::new(format!("unmount `{}`", path.display()), errno))
}

/// Makes an open directory, which must be the root of a mount, this process's `/`, and drops the old
/// one from the mount namespace.
///
/// Where `pivot_root` is refused, the mount is moved over `/` and the process changes its root there;
/// then the old root stays below, out of reach of paths.
pub fn change_root(new_root: BorrowedFd<'_>) -> Result<(), MountError> {
    let error = |operation: &str| {
        let operation = operation.to_owned();
        move |errno| MountError::new(operation, errno)
    };
    rustix::process::fchdir(new_root).map_err(error("enter the root directory"))?;
    // With both arguments the same, the old root ends up mounted over the new one, and detaching `.`
    // removes it: no directory for the old root is needed inside the image.
    match rustix::process::pivot_root(".", ".") {
        Ok(()) => unmount(".", UnmountFlags::DETACH).map_err(error("detach the old root"))?,
        Err(Errno::PERM | Errno::ACCESS | Errno::NOSYS | Errno::INVAL) => {
            rustix::mount::mount_move(".", "/")
                .map_err(error("move the root directory over `/`"))?;
            rustix::process::chroot(".").map_err(error("change the root directory"))?;
        }
        Err(errno) => return Err(error("change the root directory")(errno)),
    }
    rustix::process::chdir("/").map_err(error("enter the new root directory"))
}
