//! Numbers of this architecture's system calls, as filters see them.
//!
//! Where an architecture lacks an older call that another one has replaced, its number is
//! [`ABSENT`], which no call has.

const fn call(number: libc::c_long) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "numbers of calls are small"
    )]
    let number = number as u32;
    number
}

/// The architecture itself.
#[cfg(target_arch = "x86_64")]
pub const ARCHITECTURE: u32 = 0xc000_003e;
/// The architecture itself.
#[cfg(target_arch = "aarch64")]
pub const ARCHITECTURE: u32 = 0xc000_00b7;

/// From where on numbers are another interface's, if the architecture has two.
pub const FOREIGN_FROM: Option<u32> =
    if cfg!(target_arch = "x86_64") { Some(0x4000_0000) } else { None };

/// From where on nothing is known about numbers, on any architecture: calls of Linux 6.15 and later.
pub const UNKNOWN_FROM: u32 = 467;

/// A number that no call has.
pub const ABSENT: u32 = u32::MAX;

/// Calls that every architecture has.
macro_rules! calls {
    ($($name:ident = $call:ident,)*) => {$(
        #[doc = concat!("`", stringify!($call), "`.")]
        pub const $name: u32 = call(libc::$call);
    )*};
}

/// Calls that later architectures lack, because others can do the same.
macro_rules! older_calls {
    ($($name:ident = $call:ident,)*) => {$(
        #[doc = concat!("`", stringify!($call), "`.")]
        #[cfg(target_arch = "x86_64")]
        pub const $name: u32 = call(libc::$call);
        #[doc = concat!("`", stringify!($call), "`, which this architecture lacks.")]
        #[cfg(not(target_arch = "x86_64"))]
        pub const $name: u32 = ABSENT;
    )*};
}

calls! {
    ACCT = SYS_acct,
    BIND = SYS_bind,
    CAPGET = SYS_capget,
    CAPSET = SYS_capset,
    CHDIR = SYS_chdir,
    CHROOT = SYS_chroot,
    CLONE = SYS_clone,
    CLOSE = SYS_close,
    CLONE3 = SYS_clone3,
    CONNECT = SYS_connect,
    EXECVE = SYS_execve,
    EXECVEAT = SYS_execveat,
    EXIT = SYS_exit,
    EXIT_GROUP = SYS_exit_group,
    FACCESSAT = SYS_faccessat,
    FANOTIFY_MARK = SYS_fanotify_mark,
    FCHMOD = SYS_fchmod,
    FCHMODAT = SYS_fchmodat,
    FCHOWN = SYS_fchown,
    FCHOWNAT = SYS_fchownat,
    FGETXATTR = SYS_fgetxattr,
    FLISTXATTR = SYS_flistxattr,
    FREMOVEXATTR = SYS_fremovexattr,
    FSETXATTR = SYS_fsetxattr,
    FSOPEN = SYS_fsopen,
    FSPICK = SYS_fspick,
    FSTAT = SYS_fstat,
    GETCWD = SYS_getcwd,
    GETEGID = SYS_getegid,
    GETEUID = SYS_geteuid,
    GETGID = SYS_getgid,
    GETGROUPS = SYS_getgroups,
    GETRESGID = SYS_getresgid,
    GETRESUID = SYS_getresuid,
    GETUID = SYS_getuid,
    GETXATTR = SYS_getxattr,
    INOTIFY_ADD_WATCH = SYS_inotify_add_watch,
    IO_URING_SETUP = SYS_io_uring_setup,
    LGETXATTR = SYS_lgetxattr,
    LINKAT = SYS_linkat,
    LISTXATTR = SYS_listxattr,
    LLISTXATTR = SYS_llistxattr,
    LREMOVEXATTR = SYS_lremovexattr,
    LSETXATTR = SYS_lsetxattr,
    MKDIRAT = SYS_mkdirat,
    MKNODAT = SYS_mknodat,
    MMAP = SYS_mmap,
    MOUNT = SYS_mount,
    MOUNT_SETATTR = SYS_mount_setattr,
    MOVE_MOUNT = SYS_move_mount,
    NAME_TO_HANDLE_AT = SYS_name_to_handle_at,
    NEWFSTATAT = SYS_newfstatat,
    OPENAT = SYS_openat,
    OPENAT2 = SYS_openat2,
    OPEN_BY_HANDLE_AT = SYS_open_by_handle_at,
    OPEN_TREE = SYS_open_tree,
    PIVOT_ROOT = SYS_pivot_root,
    PRCTL = SYS_prctl,
    PROCESS_VM_READV = SYS_process_vm_readv,
    PROCESS_VM_WRITEV = SYS_process_vm_writev,
    PTRACE = SYS_ptrace,
    QUOTACTL = SYS_quotactl,
    READLINKAT = SYS_readlinkat,
    REMOVEXATTR = SYS_removexattr,
    RENAMEAT = SYS_renameat,
    RENAMEAT2 = SYS_renameat2,
    SETFSGID = SYS_setfsgid,
    SETFSUID = SYS_setfsuid,
    SETGID = SYS_setgid,
    SETGROUPS = SYS_setgroups,
    SETNS = SYS_setns,
    SETREGID = SYS_setregid,
    SETRESGID = SYS_setresgid,
    SETRESUID = SYS_setresuid,
    SETREUID = SYS_setreuid,
    SETUID = SYS_setuid,
    SETXATTR = SYS_setxattr,
    SOCKET = SYS_socket,
    STATFS = SYS_statfs,
    STATX = SYS_statx,
    SWAPON = SYS_swapon,
    SYMLINKAT = SYS_symlinkat,
    TRUNCATE = SYS_truncate,
    UMOUNT2 = SYS_umount2,
    UNLINKAT = SYS_unlinkat,
    UNSHARE = SYS_unshare,
    UTIMENSAT = SYS_utimensat,
}

older_calls! {
    ACCESS = SYS_access,
    CHMOD = SYS_chmod,
    CHOWN = SYS_chown,
    CREAT = SYS_creat,
    FUTIMESAT = SYS_futimesat,
    LCHOWN = SYS_lchown,
    LINK = SYS_link,
    LSTAT = SYS_lstat,
    MKDIR = SYS_mkdir,
    MKNOD = SYS_mknod,
    OPEN = SYS_open,
    READLINK = SYS_readlink,
    RENAME = SYS_rename,
    RMDIR = SYS_rmdir,
    STAT = SYS_stat,
    SYMLINK = SYS_symlink,
    UNLINK = SYS_unlink,
    UTIME = SYS_utime,
    UTIMES = SYS_utimes,
}

/// `faccessat2`.
pub const FACCESSAT2: u32 = 439;
/// `fchmodat2`.
pub const FCHMODAT2: u32 = 452;
/// `setxattrat`, and the three after it for the other things that are done with attributes.
pub const SETXATTRAT: u32 = 463;
/// `getxattrat`.
pub const GETXATTRAT: u32 = 464;
/// `listxattrat`.
pub const LISTXATTRAT: u32 = 465;
/// `removexattrat`.
pub const REMOVEXATTRAT: u32 = 466;
