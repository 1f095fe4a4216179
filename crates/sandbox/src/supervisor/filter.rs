//! Which calls are passed on.

use strata_sys::seccomp::{Action, Instruction, Load, number};

use super::call::{AT_EMPTY_PATH, AT_FDCWD, O_CREAT, O_EXCL, PR_SET_KEEPCAPS};

/// What names a path, and what takes a caller's memory out of reach; but for [`OPENING`] and [`DESCRIBING`].
const SERVED_PATHS: [u32; 21] = [
    number::GETXATTR,
    number::LGETXATTR,
    number::LISTXATTR,
    number::LLISTXATTR,
    number::OPENAT2,
    number::STAT,
    number::LSTAT,
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

/// Calls that describe what is at a path, or a descriptor, and which argument has the flags.
const DESCRIBING: [(u32, u8); 2] = [(number::NEWFSTATAT, 3), (number::STATX, 2)];

/// The filter for a root whose `/proc` and `/dev` are served.
///
/// A third of what a package manager opens and describes is nothing that could be served, and the call says so without
/// its path: it is about a descriptor, or about a file that must not exist yet. The kernel answers these alone.
pub(crate) fn served_paths() -> Vec<Instruction> {
    let mut program = start();
    for (call, flags) in present(&OPENING) {
        program.extend([
            Instruction::skip_unless(call, 5),
            Load::Argument(flags).instruction(),
            Instruction::skip_unless_any(O_CREAT.cast_unsigned(), 2),
            // What is served has a placeholder in the root, or a directory above it that nothing can be made in.
            Instruction::skip_unless_any(O_EXCL.cast_unsigned(), 1),
            Action::Allow.instruction(),
            Action::Notify.instruction(),
        ]);
    }
    for (call, flags) in present(&DESCRIBING) {
        program.extend([
            Instruction::skip_unless(call, 6),
            Load::Argument(flags).instruction(),
            Instruction::skip_unless_any(AT_EMPTY_PATH.cast_unsigned(), 3),
            Load::Argument(0).instruction(),
            // An absolute path goes with any descriptor, though nobody says that an empty one would do as well.
            Instruction::skip_if(AT_FDCWD.cast_unsigned(), 1),
            Action::Allow.instruction(),
            Action::Notify.instruction(),
        ]);
    }
    notify_about(program, &SERVED_PATHS)
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
    for (call, argument) in present(&OPENING) {
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

/// Those that this architecture has.
fn present(calls: &[(u32, u8)]) -> impl Iterator<Item = (u32, u8)> {
    calls.iter().copied().filter(|(call, _)| *call != number::ABSENT)
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

#[cfg(test)]
mod tests {
    use rustix::fs::{AtFlags, OFlags};

    use super::*;

    /// Whether a filter passes a call on, found by running it as the kernel does.
    fn notifies(program: &[Instruction], call: u32, arguments: [u32; 4]) -> bool {
        let sources: Vec<(u32, u32)> = [
            (Load::Number, call),
            (Load::Architecture, number::ARCHITECTURE),
            (Load::Argument(0), arguments[0]),
            (Load::Argument(1), arguments[1]),
            (Load::Argument(2), arguments[2]),
            (Load::Argument(3), arguments[3]),
        ]
        .map(|(load, word)| (load.instruction().operand, word))
        .to_vec();
        let (load, end) = (Load::Number.instruction().code, Action::Allow.instruction().code);
        let equal = Instruction::skip_if(0, 0).code;
        let any_bit = Instruction::skip_unless_any(0, 0).code;
        let (mut at, mut loaded) = (0, 0);
        loop {
            let Instruction { code, if_true, if_false, operand } = program[at];
            at += 1;
            let holds = match code {
                _ if code == end => return operand == Action::Notify.instruction().operand,
                _ if code == load => {
                    let source = sources.iter().find(|(place, _)| *place == operand);
                    loaded = source.expect("one of the call's words").1;
                    continue;
                }
                _ if code == equal => loaded == operand,
                _ if code == any_bit => loaded & operand != 0,
                _ => panic!("{code:#x}?"),
            };
            at += usize::from(if holds { if_true } else { if_false });
        }
    }

    #[test]
    fn served_paths_are_asked_about_where_a_path_may_be_one() {
        const HERE: u32 = AT_FDCWD.cast_unsigned();
        let (make, new) = (OFlags::CREATE.bits(), OFlags::EXCL.bits());
        let (read, link) = (OFlags::CLOEXEC.bits(), AtFlags::SYMLINK_NOFOLLOW.bits());
        let itself = AtFlags::EMPTY_PATH.bits();
        let program = served_paths();
        for (name, call, arguments, expected) in [
            ("open", number::OPENAT, [HERE, 1, read, 0], true),
            ("open or make", number::OPENAT, [HERE, 1, make, 0], true),
            ("make anew", number::OPENAT, [HERE, 1, read | make | new, 0o600], false),
            ("make anew, but not make", number::OPENAT, [HERE, 1, new, 0], true),
            ("make anew below a directory", number::OPENAT, [3, 1, make | new, 0o600], false),
            ("describe a path", number::NEWFSTATAT, [HERE, 1, 1, 0], true),
            ("describe a link", number::NEWFSTATAT, [HERE, 1, 1, link], true),
            ("describe a path below", number::NEWFSTATAT, [3, 1, 1, 0], true),
            ("describe a descriptor", number::NEWFSTATAT, [3, 1, 1, itself], false),
            ("describe the working directory", number::NEWFSTATAT, [HERE, 1, 1, itself], true),
            ("describe a path in full", number::STATX, [HERE, 1, 0, 0x7ff], true),
            ("describe a descriptor in full", number::STATX, [3, 1, itself | link, 0x7ff], false),
            ("the mask is no flags", number::STATX, [3, 1, 0, itself], true),
            ("follow a link", number::READLINKAT, [HERE, 1, 1, itself], true),
            ("execute", number::EXECVE, [1, 1, 1, 0], true),
            ("make a directory", number::MKDIRAT, [HERE, 1, 0o755, 0], false),
            ("describe a descriptor by the old call", number::FSTAT, [3, 1, 0, 0], false),
        ] {
            assert_eq!(notifies(&program, call, arguments), expected, "{name}");
        }
        // The older calls, which not every architecture has.
        for (name, call, arguments, expected) in [
            ("open", number::OPEN, [1, read, 0, 0], true),
            ("make anew", number::OPEN, [1, make | new, 0o600, 0], false),
            ("flags are not the mode", number::OPEN, [1, make, new, 0], true),
            ("describe", number::STAT, [1, 1, 0, 0], true),
        ] {
            if call != number::ABSENT {
                assert_eq!(notifies(&program, call, arguments), expected, "{name}");
            }
        }
    }

    #[test]
    fn faked_ids_are_asked_about_where_a_file_may_be_made() {
        let program = faked_ids();
        for (name, call, arguments, expected) in [
            ("open", number::OPENAT, [3, 1, 0, 0], false),
            ("make", number::OPENAT, [3, 1, OFlags::CREATE.bits(), 0], true),
            ("make without a name", number::OPENAT, [3, 1, OFlags::TMPFILE.bits(), 0], true),
            ("a directory", number::OPENAT, [3, 1, OFlags::DIRECTORY.bits(), 0], false),
            ("keep capabilities", number::PRCTL, [PR_SET_KEEPCAPS, 1, 0, 0], true),
            ("name a thread", number::PRCTL, [15, 1, 0, 0], false),
            ("describe a descriptor", number::FSTAT, [3, 1, 0, 0], true),
        ] {
            assert_eq!(notifies(&program, call, arguments), expected, "{name}");
        }
    }
}
