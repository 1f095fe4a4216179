//! Which calls are passed on, to whom, and which are refused.

use rustix::fs::OFlags;
use rustix::io::Errno;
use strata_sys::seccomp::{Action, Instruction, Load, number};

use crate::supervisor::call::PR_SET_KEEPCAPS;

/// The supervisor answers these.
const ANSWERED: [u32; 73] = [
    number::OPENAT2,
    number::CREAT,
    number::STAT,
    number::LSTAT,
    number::FSTAT,
    number::NEWFSTATAT,
    number::STATX,
    number::READLINK,
    number::READLINKAT,
    number::ACCESS,
    number::FACCESSAT,
    number::FACCESSAT2,
    number::MKDIR,
    number::MKDIRAT,
    number::MKNOD,
    number::MKNODAT,
    number::SYMLINK,
    number::SYMLINKAT,
    number::LINK,
    number::LINKAT,
    number::UNLINK,
    number::UNLINKAT,
    number::RMDIR,
    number::RENAME,
    number::RENAMEAT,
    number::RENAMEAT2,
    number::CHMOD,
    number::FCHMOD,
    number::FCHMODAT,
    number::FCHMODAT2,
    number::CHOWN,
    number::LCHOWN,
    number::FCHOWN,
    number::FCHOWNAT,
    number::UTIME,
    number::UTIMES,
    number::FUTIMESAT,
    number::UTIMENSAT,
    number::TRUNCATE,
    number::STATFS,
    number::GETCWD,
    number::CHROOT,
    number::GETXATTR,
    number::LGETXATTR,
    number::FGETXATTR,
    number::SETXATTR,
    number::LSETXATTR,
    number::FSETXATTR,
    number::LISTXATTR,
    number::LLISTXATTR,
    number::FLISTXATTR,
    number::REMOVEXATTR,
    number::LREMOVEXATTR,
    number::FREMOVEXATTR,
    number::SETUID,
    number::SETGID,
    number::SETREUID,
    number::SETREGID,
    number::SETRESUID,
    number::SETRESGID,
    number::SETFSUID,
    number::SETFSGID,
    number::SETGROUPS,
    number::GETUID,
    number::GETEUID,
    number::GETGID,
    number::GETEGID,
    number::GETRESUID,
    number::GETRESGID,
    number::GETGROUPS,
    number::CAPGET,
    number::CAPSET,
    number::EXIT_GROUP,
];

/// The caller does these itself, with a path of the host that the tracer puts in place.
const REWRITTEN: [u32; 6] = [
    number::EXECVE,
    number::EXECVEAT,
    number::CHDIR,
    number::BIND,
    number::CONNECT,
    number::INOTIFY_ADD_WATCH,
];

/// Nobody may do these here, or what they do would be the host's.
const FORBIDDEN: [u32; 19] = [
    number::MOUNT,
    number::UMOUNT2,
    number::PIVOT_ROOT,
    number::UNSHARE,
    number::SETNS,
    number::PTRACE,
    number::PROCESS_VM_READV,
    number::PROCESS_VM_WRITEV,
    number::OPEN_TREE,
    number::MOVE_MOUNT,
    number::FSOPEN,
    number::FSPICK,
    number::MOUNT_SETATTR,
    number::NAME_TO_HANDLE_AT,
    number::OPEN_BY_HANDLE_AT,
    number::FANOTIFY_MARK,
    number::SWAPON,
    number::ACCT,
    number::QUOTACTL,
];

/// Newer ways to do what the others do, or ways around filters: programs know how to do without.
const MISSING: [u32; 6] = [
    number::CLONE3,
    number::IO_URING_SETUP,
    number::SETXATTRAT,
    number::GETXATTRAT,
    number::LISTXATTRAT,
    number::REMOVEXATTRAT,
];

/// Calls that open, and which argument has the flags.
const OPENING: [(u32, u8); 2] = [(number::OPEN, 1), (number::OPENAT, 2)];

/// A descriptor that only names a place cannot be handed over: the caller makes it.
const LOCATION: u32 = OFlags::PATH.bits();

/// `CLONE_NEWUSER` and the other namespaces.
const NEW_NAMESPACES: u32 = 0x7e02_0080;

/// The filter for a command whose paths are translated.
///
/// Other architectures' calls, whose numbers mean something else, are as if the kernel did not have them, and so are
/// calls newer than this list: some of them take paths.
pub(crate) fn filter() -> Vec<Instruction> {
    let missing = Action::Refuse(Errno::NOSYS).instruction();
    let mut program = vec![
        Load::Architecture.instruction(),
        Instruction::skip_if(number::ARCHITECTURE, 1),
        missing,
        Load::Number.instruction(),
        Instruction::skip_unless_at_least(number::UNKNOWN_FROM, 1),
        missing,
    ];
    for (call, argument) in OPENING.into_iter().filter(|(call, _)| *call != number::ABSENT) {
        program.extend([
            Instruction::skip_unless(call, 4),
            Load::Argument(argument).instruction(),
            Instruction::skip_unless_any(LOCATION, 1),
            Action::Trace.instruction(),
            Action::Notify.instruction(),
        ]);
    }
    program.extend([
        Instruction::skip_unless(number::PRCTL, 4),
        Load::Argument(0).instruction(),
        Instruction::skip_unless(PR_SET_KEEPCAPS, 1),
        Action::Notify.instruction(),
        Action::Allow.instruction(),
        Instruction::skip_unless(number::CLONE, 4),
        Load::Argument(0).instruction(),
        Instruction::skip_unless_any(NEW_NAMESPACES, 1),
        Action::Refuse(Errno::PERM).instruction(),
        Action::Allow.instruction(),
    ]);
    let lists: [(&[u32], Action); 4] = [
        (&ANSWERED, Action::Notify),
        (&REWRITTEN, Action::Trace),
        (&FORBIDDEN, Action::Refuse(Errno::PERM)),
        (&MISSING, Action::Refuse(Errno::NOSYS)),
    ];
    for (calls, action) in lists {
        for &call in calls.iter().filter(|&&call| call != number::ABSENT) {
            program.extend([Instruction::skip_unless(call, 1), action.instruction()]);
        }
    }
    program.push(Action::Allow.instruction());
    program
}
