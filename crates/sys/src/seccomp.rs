//! Filters on system calls.

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
}

// `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_JMP | BPF_JGE | BPF_K`, `BPF_LD | BPF_W | BPF_ABS`, `BPF_RET | BPF_K`.
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
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
}

impl Action {
    /// Ends the filter with it.
    pub fn instruction(self) -> Instruction {
        let operand = match self {
            Self::Allow => libc::SECCOMP_RET_ALLOW,
            Self::Refuse(errno) => libc::SECCOMP_RET_ERRNO | errno.raw_os_error().cast_unsigned(),
        };
        Instruction { code: RETURN, if_true: 0, if_false: 0, operand }
    }
}

/// Numbers of this architecture, as filters see them.
pub mod number {
    const fn call(number: libc::c_long) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "numbers of calls are small"
        )]
        let number = number as u32;
        number
    }

    /// `socket`.
    pub const SOCKET: u32 = call(libc::SYS_socket);
    /// `io_uring_setup`.
    pub const IO_URING_SETUP: u32 = call(libc::SYS_io_uring_setup);

    /// The architecture itself.
    #[cfg(target_arch = "x86_64")]
    pub const ARCHITECTURE: u32 = 0xc000_003e;
    /// The architecture itself.
    #[cfg(target_arch = "aarch64")]
    pub const ARCHITECTURE: u32 = 0xc000_00b7;

    /// From where on numbers are another interface's, if the architecture has two.
    pub const FOREIGN_FROM: Option<u32> =
        if cfg!(target_arch = "x86_64") { Some(0x4000_0000) } else { None };
}

/// Filters this thread's system calls, and its descendants', for good.
///
/// Needs `CAP_SYS_ADMIN` in the user namespace, or `no_new_privs`. The kernel verifies the program:
/// one that is empty, too long or not well-formed is `EINVAL`.
pub fn install(program: &[Instruction]) -> Result<(), CallError> {
    let error = |errno| CallError::new("install a filter on system calls", errno);
    let program = libc::sock_fprog {
        len: libc::c_ushort::try_from(program.len()).map_err(|_| error(Errno::INVAL))?,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: `filter` points to `len` instructions in the kernel's layout (`repr(C)`, same fields),
    // which outlive the call; the kernel copies and does not write them.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    };
    crate::process::check(result).map(drop).map_err(error)
}
