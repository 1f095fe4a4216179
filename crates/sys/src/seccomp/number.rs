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

/// A number that no call has.
pub const ABSENT: u32 = u32::MAX;

/// `open`.
#[cfg(target_arch = "x86_64")]
pub const OPEN: u32 = call(libc::SYS_open);
/// `open`.
#[cfg(not(target_arch = "x86_64"))]
pub const OPEN: u32 = ABSENT;
/// `openat`.
pub const OPENAT: u32 = call(libc::SYS_openat);
/// `openat2`.
pub const OPENAT2: u32 = call(libc::SYS_openat2);
/// `creat`.
#[cfg(target_arch = "x86_64")]
pub const CREAT: u32 = call(libc::SYS_creat);
/// `creat`.
#[cfg(not(target_arch = "x86_64"))]
pub const CREAT: u32 = ABSENT;
/// `stat`.
#[cfg(target_arch = "x86_64")]
pub const STAT: u32 = call(libc::SYS_stat);
/// `stat`.
#[cfg(not(target_arch = "x86_64"))]
pub const STAT: u32 = ABSENT;
/// `lstat`.
#[cfg(target_arch = "x86_64")]
pub const LSTAT: u32 = call(libc::SYS_lstat);
/// `lstat`.
#[cfg(not(target_arch = "x86_64"))]
pub const LSTAT: u32 = ABSENT;
/// `newfstatat`.
pub const NEWFSTATAT: u32 = call(libc::SYS_newfstatat);
/// `fstat`.
pub const FSTAT: u32 = call(libc::SYS_fstat);
/// `statx`.
pub const STATX: u32 = call(libc::SYS_statx);
/// `readlink`.
#[cfg(target_arch = "x86_64")]
pub const READLINK: u32 = call(libc::SYS_readlink);
/// `readlink`.
#[cfg(not(target_arch = "x86_64"))]
pub const READLINK: u32 = ABSENT;
/// `readlinkat`.
pub const READLINKAT: u32 = call(libc::SYS_readlinkat);
/// `access`.
#[cfg(target_arch = "x86_64")]
pub const ACCESS: u32 = call(libc::SYS_access);
/// `access`.
#[cfg(not(target_arch = "x86_64"))]
pub const ACCESS: u32 = ABSENT;
/// `faccessat`.
pub const FACCESSAT: u32 = call(libc::SYS_faccessat);
/// `faccessat2`.
pub const FACCESSAT2: u32 = 439;
/// `chdir`.
pub const CHDIR: u32 = call(libc::SYS_chdir);
/// `mkdir`.
#[cfg(target_arch = "x86_64")]
pub const MKDIR: u32 = call(libc::SYS_mkdir);
/// `mkdir`.
#[cfg(not(target_arch = "x86_64"))]
pub const MKDIR: u32 = ABSENT;
/// `mkdirat`.
pub const MKDIRAT: u32 = call(libc::SYS_mkdirat);
/// `mknod`.
#[cfg(target_arch = "x86_64")]
pub const MKNOD: u32 = call(libc::SYS_mknod);
/// `mknod`.
#[cfg(not(target_arch = "x86_64"))]
pub const MKNOD: u32 = ABSENT;
/// `mknodat`.
pub const MKNODAT: u32 = call(libc::SYS_mknodat);
/// `symlink`.
#[cfg(target_arch = "x86_64")]
pub const SYMLINK: u32 = call(libc::SYS_symlink);
/// `symlink`.
#[cfg(not(target_arch = "x86_64"))]
pub const SYMLINK: u32 = ABSENT;
/// `symlinkat`.
pub const SYMLINKAT: u32 = call(libc::SYS_symlinkat);
/// `chown`.
#[cfg(target_arch = "x86_64")]
pub const CHOWN: u32 = call(libc::SYS_chown);
/// `chown`.
#[cfg(not(target_arch = "x86_64"))]
pub const CHOWN: u32 = ABSENT;
/// `lchown`.
#[cfg(target_arch = "x86_64")]
pub const LCHOWN: u32 = call(libc::SYS_lchown);
/// `lchown`.
#[cfg(not(target_arch = "x86_64"))]
pub const LCHOWN: u32 = ABSENT;
/// `fchown`.
pub const FCHOWN: u32 = call(libc::SYS_fchown);
/// `fchownat`.
pub const FCHOWNAT: u32 = call(libc::SYS_fchownat);
/// `setuid`.
pub const SETUID: u32 = call(libc::SYS_setuid);
/// `setgid`.
pub const SETGID: u32 = call(libc::SYS_setgid);
/// `setreuid`.
pub const SETREUID: u32 = call(libc::SYS_setreuid);
/// `setregid`.
pub const SETREGID: u32 = call(libc::SYS_setregid);
/// `setresuid`.
pub const SETRESUID: u32 = call(libc::SYS_setresuid);
/// `setresgid`.
pub const SETRESGID: u32 = call(libc::SYS_setresgid);
/// `setfsuid`.
pub const SETFSUID: u32 = call(libc::SYS_setfsuid);
/// `setfsgid`.
pub const SETFSGID: u32 = call(libc::SYS_setfsgid);
/// `setgroups`.
pub const SETGROUPS: u32 = call(libc::SYS_setgroups);
/// `getuid`.
pub const GETUID: u32 = call(libc::SYS_getuid);
/// `geteuid`.
pub const GETEUID: u32 = call(libc::SYS_geteuid);
/// `getgid`.
pub const GETGID: u32 = call(libc::SYS_getgid);
/// `getegid`.
pub const GETEGID: u32 = call(libc::SYS_getegid);
/// `getresuid`.
pub const GETRESUID: u32 = call(libc::SYS_getresuid);
/// `getresgid`.
pub const GETRESGID: u32 = call(libc::SYS_getresgid);
/// `getgroups`.
pub const GETGROUPS: u32 = call(libc::SYS_getgroups);
/// `execve`.
pub const EXECVE: u32 = call(libc::SYS_execve);
/// `execveat`.
pub const EXECVEAT: u32 = call(libc::SYS_execveat);
/// `exit`.
pub const EXIT: u32 = call(libc::SYS_exit);
/// `exit_group`.
pub const EXIT_GROUP: u32 = call(libc::SYS_exit_group);
/// `socket`.
pub const SOCKET: u32 = call(libc::SYS_socket);
/// `io_uring_setup`.
pub const IO_URING_SETUP: u32 = call(libc::SYS_io_uring_setup);
/// `getxattr`.
pub const GETXATTR: u32 = call(libc::SYS_getxattr);
/// `lgetxattr`.
pub const LGETXATTR: u32 = call(libc::SYS_lgetxattr);
/// `listxattr`.
pub const LISTXATTR: u32 = call(libc::SYS_listxattr);
/// `llistxattr`.
pub const LLISTXATTR: u32 = call(libc::SYS_llistxattr);
/// `prctl`.
pub const PRCTL: u32 = call(libc::SYS_prctl);
