//! The registers of a stopped thread, by what calls use them for.

use std::mem::zeroed;
use std::ptr;

use rustix::io::Errno;
use rustix::process::Pid;

/// Below the stack pointer the ABI lets a function keep things without saying so.
const RED_ZONE: u64 = 128;

/// All general registers.
#[derive(Clone, Copy)]
pub struct Registers {
    raw: libc::user_regs_struct,
}

impl Registers {
    /// Reads those of a stopped thread.
    pub fn of(thread: Pid) -> Result<Self, Errno> {
        // SAFETY: plain data, for which all zeroes is a value.
        let mut raw: libc::user_regs_struct = unsafe { zeroed() };
        // SAFETY: the kernel writes one `user_regs_struct`, which `raw` is; the address is ignored.
        let result = unsafe {
            libc::ptrace(
                libc::PTRACE_GETREGS,
                thread.as_raw_nonzero().get(),
                ptr::null_mut::<u8>(),
                &raw mut raw,
            )
        };
        crate::process::check(result).map(|_| Self { raw })
    }

    /// Gives them to a stopped thread.
    pub fn give(&self, thread: Pid) -> Result<(), Errno> {
        // SAFETY: the kernel reads one `user_regs_struct`, and refuses values that user space may not
        // have; the address is ignored.
        let result = unsafe {
            libc::ptrace(
                libc::PTRACE_SETREGS,
                thread.as_raw_nonzero().get(),
                ptr::null_mut::<u8>(),
                &raw const self.raw,
            )
        };
        crate::process::check(result).map(drop)
    }

    /// The number of the call that the thread is in.
    pub fn call(&self) -> u64 {
        self.raw.orig_rax
    }

    /// Makes it another call; the kernel does none for a number that does not exist.
    pub fn set_call(&mut self, number: u64) {
        self.raw.orig_rax = number;
    }

    /// The six arguments of the call.
    pub fn arguments(&self) -> [u64; 6] {
        let raw = &self.raw;
        [raw.rdi, raw.rsi, raw.rdx, raw.r10, raw.r8, raw.r9]
    }

    /// Gives the call other arguments.
    pub fn set_arguments(&mut self, arguments: [u64; 6]) {
        let raw = &mut self.raw;
        [raw.rdi, raw.rsi, raw.rdx, raw.r10, raw.r8, raw.r9] = arguments;
    }

    /// What the call returned, as the kernel has it: a small negative number is an error.
    pub fn result(&self) -> i64 {
        self.raw.rax.cast_signed()
    }

    /// Lets the call return this.
    pub fn set_result(&mut self, result: i64) {
        self.raw.rax = result.cast_unsigned();
    }

    /// Where the thread goes on.
    pub fn instruction(&self) -> u64 {
        self.raw.rip
    }

    /// The stack pointer.
    pub fn stack(&self) -> u64 {
        self.raw.rsp
    }

    /// Where something of this length can be put without overwriting what the thread uses.
    pub fn scratch(&self, length: usize) -> u64 {
        self.raw.rsp.wrapping_sub(RED_ZONE + length as u64) & !15
    }

    /// The same, about to execute the `syscall` instruction that is at an address.
    #[must_use]
    pub fn calling(&self, instruction: u64, number: u64, arguments: [u64; 6]) -> Self {
        let mut other = *self;
        other.raw.rip = instruction;
        other.raw.rax = number;
        // Not in a call, and so nothing to be begun again.
        other.raw.orig_rax = u64::MAX;
        other.set_arguments(arguments);
        other
    }

    /// The same, in no call.
    #[must_use]
    pub fn outside_of_call(&self) -> Self {
        let mut other = *self;
        other.raw.orig_rax = u64::MAX;
        other
    }
}

impl std::fmt::Debug for Registers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Registers")
            .field("call", &self.call())
            .field("arguments", &self.arguments())
            .finish_non_exhaustive()
    }
}
