//! Answers system calls of a command that the kernel alone would answer wrongly.
//!
//! ```text
//! command   openat("/proc/self/status") ──┐ waits            ┌─► goes on with a descriptor
//! kernel                                  └─► notification ──┤
//! supervisor                   reads the path, opens, answers┘
//! ```
//!
//! A filter passes the calls named here on; all others cost nothing. The supervisor stays outside of
//! the command's root, where procfs is, and reads arguments from the caller's memory. Most calls turn
//! out to be none of its business: then the kernel does them.
//!
//! This is fidelity and no security boundary: a caller can change what an argument points to while
//! it is looked at, and gains nothing but what it could have asked for at once. What the supervisor
//! opens itself it opens by names that it has copied, below descriptors that cannot lead out: of
//! procfs only the command's own processes and what is the same for everybody, of `/dev` only
//! harmless devices and the terminals that the command has made.
//!
//! Calls of other architectures (32-bit programs, x32) are not passed on: they get the kernel's own
//! answers, and with them no more than any process in this root could have.
//!
//! If the supervisor dies, calls that wait fail with `ENOSYS`, and the run ends with an error.

mod call;
mod caller;
mod filter;
mod listing;
mod place;
mod process;
mod serve;

use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use strata_sys::seccomp::{Listener, Notification, Reply};
use strata_sys::{CallError, Dir};

use call::Call;
use caller::Memories;
pub(crate) use filter::served_paths as served_paths_filter;
use serve::{Answer, Served};

/// Serves the calls of one command's processes.
#[derive(Debug)]
pub(crate) struct Supervisor {
    listener: Listener,
    memories: Memories,
    served: Served,
}

impl Supervisor {
    /// Serves what is missing in a root directory that was changed and has no mounts.
    pub(crate) fn for_changed_root(listener: Listener, root: &Dir) -> Result<Self, Errno> {
        // Without it everything works, only slower.
        let _ = listener.stay_on_one_processor();
        Ok(Self { listener, memories: Memories::default(), served: Served::new(root)? })
    }

    /// Answers one call, if one waits.
    pub(crate) fn serve(&mut self) -> Result<(), CallError> {
        let Some(notification) = self.listener.receive()? else {
            return Ok(());
        };
        let answer = self.answer(&notification).unwrap_or_else(Answer::Error);
        let id = notification.id;
        match answer {
            Answer::Continue => self.listener.reply(id, Reply::Continue),
            Answer::Value(value) => self.listener.reply(id, Reply::Value(value)),
            Answer::Error(errno) => self.listener.reply(id, Reply::Error(errno)),
            Answer::Open(file, close_on_exec) => {
                match self.listener.reply_descriptor(id, file.as_fd(), close_on_exec) {
                    Ok(()) => Ok(()),
                    // The caller's own trouble, such as a full table of descriptors.
                    Err(errno) => self.listener.reply(id, Reply::Error(errno)),
                }
            }
        }
    }

    fn answer(&mut self, notification: &Notification) -> Result<Answer, Errno> {
        let thread = notification.thread;
        match Call::decode(notification) {
            None => Ok(Answer::Continue),
            Some(Call::ChangeIds) => {
                // Later the memory may be out of reach, but for whoever has opened it already.
                self.memories.keep(thread);
                Ok(Answer::Continue)
            }
            Some(Call::Path(call)) => {
                let Ok((path, mut caller)) = self.memories.path(thread, call.at.path) else {
                    // A bad address is the kernel's to refuse; one that hides gets nothing served.
                    return Ok(Answer::Continue);
                };
                let Some(place) = self.served.find(&caller, &call, &path) else {
                    return Ok(Answer::Continue);
                };
                caller.identify();
                // Its number may be another thread's by now, and what was read another's memory.
                if !self.listener.is_waiting(notification.id) {
                    return Ok(Answer::Continue);
                }
                self.served.answer(&mut caller, &call, &place)
            }
        }
    }
}

impl AsFd for Supervisor {
    /// Readable when a call waits.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
