//! Which calls are passed on.

use strata_sys::seccomp::{Action, Instruction, Load, number};

use super::call::{O_CREAT, PR_SET_KEEPCAPS};

/// What names a path, and what takes a caller's memory out of reach.
const SERVED_PATHS: [u32; 25] = [
    number::GETXATTR,
    number::LGETXATTR,
    number::LISTXATTR,
    number::LLISTXATTR,
    number::OPEN,
    number::OPENAT,
    number::OPENAT2,
    number::STAT,
    number::LSTAT,
    number::NEWFSTATAT,
    number::STATX,
    number::READLINK,
    number::READLINKAT,
    number::ACCESS,
    number::FACCESSAT,
    number::FACCESSAT2,
    number::CHDIR,
    number::EXECVE,
    number::SETUID,
    number::SETGID,
    number::SETREUID,
    number::SETREGID,
    number::SETRESUID,
    number::SETRESGID,
    number::CREAT,
];

/// The filter for a root whose `/proc` and `/dev` are served.
pub(crate) fn served_paths() -> Vec<Instruction> {
    notify_about(start(), &SERVED_PATHS)
}

/// What asks about ids of processes and owners of files, or sets them, and what makes files.
const FAKED_IDS: [u32; 36] = [
    number::STAT,
    number::LSTAT,
    number::FSTAT,
    number::NEWFSTATAT,
    number::STATX,
    number::CHOWN,
    number::LCHOWN,
    number::FCHOWN,
    number::FCHOWNAT,
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
    number::EXECVE,
    number::EXECVEAT,
    number::EXIT_GROUP,
    number::CREAT,
    number::OPENAT2,
    number::MKDIR,
    number::MKDIRAT,
    number::SYMLINK,
    number::SYMLINKAT,
    number::MKNOD,
    number::MKNODAT,
];

/// Calls that make a file only with a flag, and which argument has the flags.
const OPENING: [(u32, u8); 2] = [(number::OPEN, 1), (number::OPENAT, 2)];

/// Flags with which opening makes a file; the second is the part of `O_TMPFILE` that is its own.
const MAKING: u32 = O_CREAT.cast_unsigned() | 0o20_000_000;

/// The filter for a user namespace with one id.
pub(crate) fn faked_ids() -> Vec<Instruction> {
    let mut program = start();
    for (call, argument) in OPENING.into_iter().filter(|(call, _)| *call != number::ABSENT) {
        program.extend([
            Instruction::skip_unless(call, 4),
            Load::Argument(argument).instruction(),
            Instruction::skip_unless_any(MAKING, 1),
            Action::Notify.instruction(),
            Action::Allow.instruction(),
        ]);
    }
    program.extend([
        Instruction::skip_unless(number::PRCTL, 4),
        Load::Argument(0).instruction(),
        Instruction::skip_unless(PR_SET_KEEPCAPS, 1),
        Action::Notify.instruction(),
        Action::Allow.instruction(),
    ]);
    notify_about(program, &FAKED_IDS)
}

/// Allows calls of other architectures, and loads the number of the others.
fn start() -> Vec<Instruction> {
    vec![
        Load::Architecture.instruction(),
        Instruction::skip_if(number::ARCHITECTURE, 1),
        Action::Allow.instruction(),
        Load::Number.instruction(),
    ]
}

/// Passes calls on by their numbers, and allows all others.
fn notify_about(mut program: Vec<Instruction>, calls: &[u32]) -> Vec<Instruction> {
    for &call in calls.iter().filter(|&&call| call != number::ABSENT) {
        program.extend([Instruction::skip_unless(call, 1), Action::Notify.instruction()]);
    }
    program.push(Action::Allow.instruction());
    program
}
