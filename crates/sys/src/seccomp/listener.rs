//! System calls that wait for another process to decide about them.

use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::process::Pid;

use super::{Instruction, program};
use crate::CallError;

/// A wake-up on the same processor: supervisor and supervised take turns, they never run at once.
/// (`SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`, since Linux 6.6.)
const SYNC_WAKE_UP: u64 = 1;

/// The supervisor's end of a filter that passes calls on.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
}

/// A system call that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification {
    /// Names it towards the kernel; another one's after this one has ended.
    pub id: u64,
    /// The thread that waits, as this process's pid namespace numbers it.
    pub thread: Pid,
    /// The number of the call.
    pub number: u32,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// What a waiting call comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The kernel does it, with the arguments as they are by then: another thread of the caller may
    /// have changed what they point to, so this decides nothing about security.
    Continue,
    /// It returns this value, and is not done.
    Value(i64),
    /// It fails with this error, and is not done.
    Error(Errno),
}

/// Filters this thread's system calls, and its descendants', for good, and gives the end at which
/// calls arrive that the filter notifies about.
///
/// As [`install`](super::install); `EBUSY` if a filter with a listener is in force already. When the
/// last copy of the listener is closed, waiting and later calls are `ENOSYS`.
pub fn install_listening(instructions: &[Instruction]) -> Result<Listener, CallError> {
    let error = |errno| CallError::new("install a filter that notifies", errno);
    let program = program(instructions).map_err(error)?;
    let install = |flags: libc::c_ulong| {
        // SAFETY: `program` points to its instructions, which outlive the call and are only read.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags | libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
                &raw const program,
            )
        };
        crate::process::check(result)
    };
    // A call that is being handled is not interrupted by signals, or it would be done twice.
    let number = match install(libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        // Before Linux 5.19.
        Err(Errno::INVAL) => install(0),
        other => other,
    };
    let number = number.and_then(|number| RawFd::try_from(number).map_err(|_| Errno::BADF));
    let number = number.map_err(error)?;
    // SAFETY: the kernel has just allocated the number for this descriptor, and nobody else knows it.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    Ok(Listener { fd })
}

impl Listener {
    /// Takes the descriptor of a listener that another process has passed on.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Makes another end of the same filter, for another thread that answers.
    pub fn try_clone(&self) -> Result<Self, CallError> {
        self.fd.try_clone().map(|fd| Self { fd }).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::MFILE);
            CallError::new("duplicate a listener", errno)
        })
    }

    /// Lets a call and its supervisor run on the same processor. Kernels before 6.6 do not know how
    /// (`EINVAL`, `ENOTTY`), and nothing depends on it but time.
    pub fn stay_on_one_processor(&self) -> Result<(), Errno> {
        // SAFETY: the request takes the flags themselves in place of a pointer.
        let result = unsafe {
            libc::ioctl(self.fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP)
        };
        crate::process::check(result.into()).map(drop)
    }

    /// Takes the next call; waits for one if there is none. `None` if the call that was there has
    /// ended before it could be taken.
    pub fn receive(&self) -> Result<Option<Notification>, CallError> {
        // SAFETY: plain data, for which all zeroes is a value; the kernel demands it.
        let mut raw: libc::seccomp_notif = unsafe { zeroed() };
        // SAFETY: the kernel writes one `seccomp_notif`, which `raw` is.
        let result = unsafe {
            libc::ioctl(self.fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut raw)
        };
        match crate::process::check(result.into()) {
            Ok(_) => {}
            Err(Errno::NOENT | Errno::INTR) => return Ok(None),
            Err(errno) => return Err(CallError::new("receive a system call", errno)),
        }
        let thread = i32::try_from(raw.pid).ok().and_then(Pid::from_raw);
        // A thread of a namespace that this process cannot see has no number here.
        let Some(thread) = thread else {
            self.reply(raw.id, Reply::Continue)?;
            return Ok(None);
        };
        Ok(Some(Notification {
            id: raw.id,
            thread,
            number: raw.data.nr.cast_unsigned(),
            arguments: raw.data.args,
        }))
    }

    /// Lets a call go on. One that has ended meanwhile, because its thread was killed, is no error.
    pub fn reply(&self, id: u64, reply: Reply) -> Result<(), CallError> {
        let mut raw = libc::seccomp_notif_resp { id, val: 0, error: 0, flags: 0 };
        match reply {
            Reply::Continue => raw.flags = CONTINUE,
            Reply::Value(value) => raw.val = value,
            Reply::Error(errno) => raw.error = -errno.raw_os_error(),
        }
        // SAFETY: the kernel reads one `seccomp_notif_resp`, which `raw` is.
        let result = unsafe {
            libc::ioctl(self.fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut raw)
        };
        match crate::process::check(result.into()) {
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(CallError::new("answer a system call", errno)),
        }
    }

    /// Tells whether a call still waits, and so whether its thread's number is still that thread's.
    pub fn is_waiting(&self, id: u64) -> bool {
        // SAFETY: the kernel reads one 64-bit number, which `id` is.
        let result = unsafe {
            libc::ioctl(self.fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id)
        };
        result == 0
    }

    /// Gives the caller a copy of a descriptor, under the lowest free number, which is what its call
    /// returns. The errno is what the call is to fail with: the caller's table may be full.
    pub fn reply_descriptor(
        &self,
        id: u64,
        fd: BorrowedFd<'_>,
        close_on_exec: CloseOnExec,
    ) -> Result<(), Errno> {
        let raw = libc::seccomp_notif_addfd {
            id,
            flags: ADDFD_SEND,
            srcfd: fd.as_raw_fd().cast_unsigned(),
            newfd: 0,
            newfd_flags: match close_on_exec {
                CloseOnExec::Yes => libc::O_CLOEXEC.cast_unsigned(),
                CloseOnExec::No => 0,
            },
        };
        // SAFETY: the kernel reads one `seccomp_notif_addfd`, which `raw` is; `fd` is open.
        let result = unsafe {
            libc::ioctl(self.fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw const raw)
        };
        crate::process::check(result.into()).map(drop)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the flag is 1")]
const CONTINUE: u32 = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;

#[expect(clippy::cast_possible_truncation, reason = "the flag is 2")]
const ADDFD_SEND: u32 = libc::SECCOMP_ADDFD_FLAG_SEND as u32;

/// Whether a descriptor goes when its process executes another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseOnExec {
    /// It goes.
    Yes,
    /// It stays.
    No,
}

impl AsFd for Listener {
    /// Readable when a call waits; hung up when nobody is left who could make one.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Listener> for OwnedFd {
    fn from(listener: Listener) -> Self {
        listener.fd
    }
}
