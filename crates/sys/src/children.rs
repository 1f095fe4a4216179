//! News of children, as something that can be waited for together with other things.

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::Errno;

use crate::CallError;

/// Is readable when a child, or a traced process, has stopped or ended.
#[derive(Debug)]
pub struct ChildNews {
    fd: OwnedFd,
}

impl ChildNews {
    /// Blocks `SIGCHLD` in this thread, for good, and listens for it. Programs that are started later
    /// inherit that it is blocked, unless [`reset_signals`](crate::process::reset_signals) is called.
    pub fn new() -> Result<Self, CallError> {
        let error = |errno| CallError::new("listen for news of children", errno);
        // SAFETY: an all-zero `sigset_t` is valid to pass to `sigemptyset`, which then initialises it; the
        // other calls read and write that set only, and the old mask is not asked for.
        let result = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGCHLD);
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
            libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        let number = crate::process::check(result.into()).map_err(error)?;
        let number = RawFd::try_from(number).map_err(|_| error(Errno::BADF))?;
        // SAFETY: the kernel has just allocated the number for this descriptor, and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        Ok(Self { fd })
    }

    /// Takes note: it is readable again with the next news.
    pub fn take(&self) {
        let mut record = [0; size_of::<libc::signalfd_siginfo>()];
        // Signals of one kind do not queue, so there is at most one; none is no news.
        let _ = rustix::io::read(&self.fd, &mut record);
    }
}

impl AsFd for ChildNews {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
