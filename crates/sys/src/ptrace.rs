//! Tracing other processes: their stops, and their registers.
//!
//! Only what a supervisor needs that rewrites some calls: processes are seized and not stopped, what
//! they start is traced too, and all of them are killed when the tracer ends.

mod registers;

pub use registers::Registers;

use std::ptr;

use rustix::io::Errno;
use rustix::process::Pid;

use crate::CallError;

/// Why a traced thread does not run, or that it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The process returned this code.
    Exited(i32),
    /// This signal killed the process.
    Killed(i32),
    /// A signal is about to be delivered.
    Signal(i32),
    /// The process is stopped, as its shell or terminal wanted it to be.
    Group,
    /// A call begins or ends, after [`Resume::ToCall`].
    Call,
    /// A filter wants the tracer to look at a call before it is done.
    Filtered,
    /// Another program has been loaded, and none of its instructions has run. The number is that of the
    /// thread that executed it, which is its process's first by now.
    Executed(i32),
    /// It has a child or another thread, with this number, which is traced as well.
    Born(i32),
    /// It begins to be traced, or something else that needs nothing but to be resumed.
    Other,
}

/// How far a stopped thread goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Until the next event.
    Freely,
    /// Until a call begins or ends, too.
    ToCall,
}

/// Begins to trace a process of this user that can be traced, and what it will start.
pub fn seize(process: Pid) -> Result<(), CallError> {
    let options = libc::PTRACE_O_EXITKILL
        | libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_TRACESECCOMP
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEEXEC;
    // SAFETY: with this request the address is ignored and the data are the options.
    let result = unsafe {
        libc::ptrace(libc::PTRACE_SEIZE, number(process), ptr::null_mut::<u8>(), word(options))
    };
    crate::process::check(result)
        .map(drop)
        .map_err(|errno| CallError::new("trace a process", errno))
}

/// Takes the next news of any traced thread or child, or of one, without waiting. `ECHILD` where there
/// is none left.
pub fn news(of: Option<Pid>) -> Result<Option<(Pid, Stop)>, Errno> {
    let mut status = 0;
    let flags = libc::__WALL | libc::WNOHANG;
    // SAFETY: the kernel writes one `int`, which `status` is.
    let result = unsafe { libc::waitpid(of.map_or(-1, number), &raw mut status, flags) };
    let thread = i32::try_from(crate::process::check(result.into())?).ok().and_then(Pid::from_raw);
    match thread {
        Some(thread) => Ok(Some((thread, stop(thread, status)))),
        None => Ok(None),
    }
}

fn stop(thread: Pid, status: i32) -> Stop {
    if libc::WIFEXITED(status) {
        return Stop::Exited(libc::WEXITSTATUS(status));
    }
    if libc::WIFSIGNALED(status) {
        return Stop::Killed(libc::WTERMSIG(status));
    }
    let signal = libc::WSTOPSIG(status);
    let event = status >> 16;
    match event {
        libc::PTRACE_EVENT_SECCOMP => Stop::Filtered,
        libc::PTRACE_EVENT_EXEC => Stop::Executed(message(thread).unwrap_or(0)),
        libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
            // It may have been killed since, and then nobody asks.
            Stop::Born(message(thread).unwrap_or(0))
        }
        libc::PTRACE_EVENT_STOP if signal != libc::SIGTRAP => Stop::Group,
        0 if signal == libc::SIGTRAP | 0x80 => Stop::Call,
        0 => Stop::Signal(signal),
        _ => Stop::Other,
    }
}

fn message(thread: Pid) -> Result<i32, Errno> {
    let mut message: libc::c_ulong = 0;
    // SAFETY: the kernel writes one `unsigned long`, which `message` is; the address is ignored.
    let result = unsafe {
        libc::ptrace(
            libc::PTRACE_GETEVENTMSG,
            number(thread),
            ptr::null_mut::<u8>(),
            &raw mut message,
        )
    };
    crate::process::check(result)?;
    i32::try_from(message).map_err(|_| Errno::RANGE)
}

/// Lets a stopped thread go on, with a signal if it is not 0. One that was killed meanwhile is no error.
pub fn resume(thread: Pid, how: Resume, signal: i32) -> Result<(), Errno> {
    let request = match how {
        Resume::Freely => libc::PTRACE_CONT,
        Resume::ToCall => libc::PTRACE_SYSCALL,
    };
    go(request, thread, signal)
}

/// Leaves a stopped process stopped until it is continued, and hears of that.
pub fn stay(thread: Pid) -> Result<(), Errno> {
    go(libc::PTRACE_LISTEN, thread, 0)
}

fn go(request: libc::c_uint, thread: Pid, signal: i32) -> Result<(), Errno> {
    // SAFETY: with these requests the address is ignored and the data are the signal's number.
    let result =
        unsafe { libc::ptrace(request, number(thread), ptr::null_mut::<u8>(), word(signal)) };
    match crate::process::check(result) {
        Ok(_) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Sends a signal to one thread. One that has ended is no error.
pub fn signal_thread(process: Pid, thread: Pid, signal: i32) -> Result<(), Errno> {
    // SAFETY: the arguments are numbers.
    let result =
        unsafe { libc::syscall(libc::SYS_tgkill, number(process), number(thread), signal) };
    match crate::process::check(result) {
        Ok(_) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn number(thread: Pid) -> libc::pid_t {
    thread.as_raw_nonzero().get()
}

/// A number where the interface has a pointer.
fn word(number: i32) -> *mut u8 {
    ptr::without_provenance_mut(usize::try_from(number).unwrap_or(0))
}
