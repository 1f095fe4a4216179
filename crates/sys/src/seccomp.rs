//! Filters on system calls.

mod listener;
pub mod number;

pub use listener::{CloseOnExec, Listener, Notification, Reply, install_listening};

use rustix::io::Errno;

use crate::CallError;

/// One instruction of classic BPF, as the kernel lays it out.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// How many instructions to skip if a comparison holds.
    pub if_true: u8,
    /// How many to skip if it does not.
    pub if_false: u8,
    /// Operand.
    pub operand: u32,
}

impl Instruction {
    /// Goes on at the next instruction, or skips as many as `skipped` if the loaded word is `value`.
    pub fn skip_if(value: u32, skipped: u8) -> Self {
        Self { code: JUMP_EQUAL, if_true: skipped, if_false: 0, operand: value }
    }

    /// Skips `skipped` instructions unless the loaded word is `value`.
    pub fn skip_unless(value: u32, skipped: u8) -> Self {
        Self { code: JUMP_EQUAL, if_true: 0, if_false: skipped, operand: value }
    }

    /// Skips `skipped` instructions unless the loaded word is `least` or greater.
    pub fn skip_unless_at_least(least: u32, skipped: u8) -> Self {
        Self { code: JUMP_AT_LEAST, if_true: 0, if_false: skipped, operand: least }
    }

    /// Skips `skipped` instructions unless the loaded word has one of `bits`.
    pub fn skip_unless_any(bits: u32, skipped: u8) -> Self {
        Self { code: JUMP_ANY_BIT, if_true: 0, if_false: skipped, operand: bits }
    }
}

// `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_JMP | BPF_JGE | BPF_K`, `BPF_JMP | BPF_JSET | BPF_K`,
// `BPF_LD | BPF_W | BPF_ABS`, `BPF_RET | BPF_K`.
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const LOAD: u16 = 0x20;
const RETURN: u16 = 0x06;

/// What a filter can look at, as `struct seccomp_data` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Load {
    /// The number of the call.
    Number,
    /// Which table of numbers it is from.
    Architecture,
    /// The lower half of an argument; the sixth is number 5, and there is none after it.
    Argument(u8),
}

impl Load {
    /// Loads it.
    pub fn instruction(self) -> Instruction {
        let operand = match self {
            Self::Number => 0,
            Self::Architecture => 4,
            Self::Argument(index) => {
                let high_half_first = if cfg!(target_endian = "big") { 4 } else { 0 };
                16 + 8 * u32::from(index) + high_half_first
            }
        };
        Instruction { code: LOAD, if_true: 0, if_false: 0, operand }
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The kernel does it.
    Allow,
    /// It fails with this error.
    Refuse(Errno),
    /// It waits for what the [`Listener`] says.
    Notify,
    /// It stops for the process's tracer; without one it is `ENOSYS`.
    Trace,
}

impl Action {
    /// Ends the filter with it.
    pub fn instruction(self) -> Instruction {
        let operand = match self {
            Self::Allow => libc::SECCOMP_RET_ALLOW,
            Self::Refuse(errno) => libc::SECCOMP_RET_ERRNO | errno.raw_os_error().cast_unsigned(),
            Self::Notify => libc::SECCOMP_RET_USER_NOTIF,
            Self::Trace => libc::SECCOMP_RET_TRACE,
        };
        Instruction { code: RETURN, if_true: 0, if_false: 0, operand }
    }
}

/// Filters this thread's system calls, and its descendants', for good.
///
/// Needs `CAP_SYS_ADMIN` in the user namespace, or `no_new_privs`. The kernel verifies the program:
/// one that is empty, too long or not well-formed is `EINVAL`.
pub fn install(instructions: &[Instruction]) -> Result<(), CallError> {
    let error = |errno| CallError::new("install a filter on system calls", errno);
    let program = program(instructions).map_err(error)?;
    // SAFETY: `program` points to its instructions, which outlive the call and are only read.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    };
    crate::process::check(result).map(drop).map_err(error)
}

/// The kernel's view of instructions: a pointer to them, in the layout that `repr(C)` and the fields
/// of [`Instruction`] have. The kernel copies and does not write them.
fn program(instructions: &[Instruction]) -> Result<libc::sock_fprog, Errno> {
    Ok(libc::sock_fprog {
        len: libc::c_ushort::try_from(instructions.len()).map_err(|_| Errno::INVAL)?,
        filter: instructions.as_ptr().cast_mut().cast(),
    })
}
