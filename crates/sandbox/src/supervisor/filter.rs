//! Which calls are passed on.

use strata_sys::seccomp::{Action, Instruction, Load, number};

/// What names a path, and what takes a caller's memory out of reach.
const SERVED_PATHS: [u32; 20] = [
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
    notify_about(&SERVED_PATHS)
}

/// Passes calls on by their numbers, and allows all others and those of other architectures.
fn notify_about(calls: &[u32]) -> Vec<Instruction> {
    let mut program = vec![
        Load::Architecture.instruction(),
        Instruction::skip_if(number::ARCHITECTURE, 1),
        Action::Allow.instruction(),
        Load::Number.instruction(),
    ];
    for &call in calls.iter().filter(|&&call| call != number::ABSENT) {
        program.extend([Instruction::skip_unless(call, 1), Action::Notify.instruction()]);
    }
    program.push(Action::Allow.instruction());
    program
}
