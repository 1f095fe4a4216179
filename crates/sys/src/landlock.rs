//! Taking a process's own way to files away (Landlock).

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

use crate::CallError;

const SYS_CREATE_RULESET: libc::c_long = 444;
const SYS_ADD_RULE: libc::c_long = 445;
const SYS_RESTRICT_SELF: libc::c_long = 446;
const RULE_PATH_BENEATH: libc::c_long = 1;

/// What the first version of the interface knows: everything but truncating, moving and device requests.
const ALL_OF_FIRST: u64 = (1 << 13) - 1;
const EXECUTE: u64 = 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIRECTORY: u64 = 1 << 3;
const MAKE_SOCKET: u64 = 1 << 9;

/// Since the sixth version: abstract sockets, and signals, of processes that are not restricted so.
const ALL_SCOPES: u64 = 3;
const HAS_SCOPES: usize = 6;

#[repr(C)]
struct RulesetAttributes {
    files: u64,
    network: u64,
    scopes: u64,
}

#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: i32,
}

/// From now on this thread, and what it starts, opens nothing by itself but what lies below a directory, and that
/// only to read and to execute it, or to bind sockets there; where the kernel can, it also sends no signals to processes that are
/// not restricted so. What others have opened for it is not affected.
///
/// Needs `no_new_privs`. `ENOSYS` or `EOPNOTSUPP` where there is no Landlock.
pub fn restrict_to(directory: BorrowedFd<'_>) -> Result<(), CallError> {
    restrict(directory).map_err(|errno| CallError::new("restrict access to files", errno))
}

fn restrict(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    let version = crate::kernel::landlock_version()?;
    let scopes = if version >= HAS_SCOPES { ALL_SCOPES } else { 0 };
    let attributes = RulesetAttributes { files: ALL_OF_FIRST, network: 0, scopes };
    // Older kernels take only as much as they know.
    let size =
        if version >= HAS_SCOPES { size_of::<RulesetAttributes>() } else { size_of::<u64>() };
    // SAFETY: the kernel reads `size` bytes of `attributes`, which has the layout that it defines.
    let ruleset = unsafe { libc::syscall(SYS_CREATE_RULESET, &raw const attributes, size, 0) };
    let ruleset = RawFd::try_from(crate::process::check(ruleset)?).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel has just allocated the number for this descriptor, and nobody else knows it.
    let ruleset = unsafe { OwnedFd::from_raw_fd(ruleset) };
    let rule = PathBeneath {
        allowed: EXECUTE | READ_FILE | READ_DIRECTORY | MAKE_SOCKET,
        parent: directory.as_raw_fd(),
    };
    // SAFETY: the kernel reads one `landlock_path_beneath_attr`, whose packed layout `rule` has.
    let result = unsafe {
        libc::syscall(SYS_ADD_RULE, ruleset.as_raw_fd(), RULE_PATH_BENEATH, &raw const rule, 0)
    };
    crate::process::check(result)?;
    // SAFETY: the arguments are a descriptor and no flags.
    let result = unsafe { libc::syscall(SYS_RESTRICT_SELF, ruleset.as_raw_fd(), 0) };
    crate::process::check(result).map(drop)
}
