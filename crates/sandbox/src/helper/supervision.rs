//! Between the program and its supervisor: the filter is installed by the one, and its calls arrive at
//! the other.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::thread::set_no_new_privs;
use strata_sys::seccomp::{Instruction, Listener, install_listening};
use strata_sys::socket;

use super::{failed, setup};
use crate::supervisor::{Supervisor, faked_ids_filter};
use crate::{Command, RunError};

/// The program's end.
#[derive(Debug)]
pub(super) struct Supervision {
    socket: OwnedFd,
    filter: fn() -> Vec<Instruction>,
    start: Start,
}

/// When the program may begin, once its calls are passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    AtOnce,
    #[cfg(target_arch = "x86_64")]
    WhenAllowed,
}

/// The supervisor's end.
#[derive(Debug)]
pub(super) struct Calls {
    socket: OwnedFd,
}

/// Makes the two ends, for the calls that a filter passes on.
pub(super) fn pair(filter: fn() -> Vec<Instruction>) -> Result<(Calls, Supervision), RunError> {
    let (ours, theirs) = socket::pair().map_err(setup)?;
    Ok((Calls { socket: ours }, Supervision { socket: theirs, filter, start: Start::AtOnce }))
}

/// The same for a program that waits until the supervisor [allows](Calls::allow) it to begin.
#[cfg(target_arch = "x86_64")]
pub(super) fn pair_in_turns(
    filter: fn() -> Vec<Instruction>,
) -> Result<(Calls, Supervision), RunError> {
    let (calls, supervision) = pair(filter)?;
    Ok((calls, Supervision { start: Start::WhenAllowed, ..supervision }))
}

/// The two ends for a command whose ids are to be faked, and none for another.
pub(super) fn of(command: &Command) -> Result<(Option<Calls>, Option<Supervision>), RunError> {
    match command.owners {
        Some(_) => {
            let (calls, supervision) = pair(faked_ids_filter)?;
            Ok((Some(calls), Some(supervision)))
        }
        None => Ok((None, None)),
    }
}

impl Supervision {
    /// Has this process's calls supervised from now on. Those that the next steps need must not be
    /// among the filter's.
    pub(super) fn begin(&self) -> Result<(), RunError> {
        let filter = (self.filter)();
        let listener = match install_listening(&filter) {
            // Without a capability over this user namespace, the price is that set-id programs gain
            // nothing.
            Err(error) if error.source == Errno::ACCESS => {
                set_no_new_privs(true).map_err(|errno| failed("forbid new privileges", errno))?;
                install_listening(&filter)
            }
            other => other,
        };
        let listener = listener.map_err(setup)?;
        socket::send(self.socket.as_fd(), b"!", &[listener.as_fd()]).map_err(setup)?;
        match self.start {
            Start::AtOnce => Ok(()),
            #[cfg(target_arch = "x86_64")]
            Start::WhenAllowed => match socket::receive(self.socket.as_fd(), 1).map_err(setup)? {
                (word, _) if word.is_empty() => Err(failed("be supervised", Errno::PIPE)),
                _ => Ok(()),
            },
        }
    }
}

impl Calls {
    /// Waits for the calls to be passed on; `None` if the program ended before.
    pub(super) fn receive(&self) -> Result<Option<Listener>, RunError> {
        let (_, descriptors) = socket::receive(self.socket.as_fd(), 1).map_err(setup)?;
        Ok(descriptors.into_iter().next().map(Listener::from_fd))
    }

    /// Lets the program begin.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn allow(&self) -> Result<(), RunError> {
        socket::send(self.socket.as_fd(), b"!", &[]).map_err(setup)
    }
}

impl Calls {
    /// Waits until the program begins, or cannot: then [`receive`](Self::receive) does not wait.
    /// False if the builder's end is closed or the process has ended before.
    pub(super) fn are_announced_before(
        &self,
        socket: BorrowedFd<'_>,
        process: &OwnedFd,
    ) -> Result<bool, RunError> {
        let mut waiting = [
            PollFd::from_borrowed_fd(socket, PollFlags::IN),
            PollFd::new(process, PollFlags::IN),
            PollFd::new(&self.socket, PollFlags::IN),
        ];
        retry_on_intr(|| poll(&mut waiting, None))
            .map_err(|errno| failed("wait for the command", errno))?;
        Ok(waiting[..2].iter().all(|one| one.revents().is_empty()))
    }
}

/// Answers calls until the builder's end is closed or the process has ended.
pub(super) fn serve_until_end(
    socket: BorrowedFd<'_>,
    process: &OwnedFd,
    supervisor: &mut Supervisor,
) -> Result<(), RunError> {
    loop {
        let mut waiting = [
            PollFd::from_borrowed_fd(socket, PollFlags::IN),
            PollFd::new(process, PollFlags::IN),
            PollFd::new(supervisor, PollFlags::IN),
        ];
        retry_on_intr(|| poll(&mut waiting, None))
            .map_err(|errno| failed("wait for the command", errno))?;
        let [socket, process, calls] = waiting.each_ref().map(PollFd::revents);
        if !socket.is_empty() || !process.is_empty() {
            return Ok(());
        }
        if calls.contains(PollFlags::IN) {
            supervisor.serve().map_err(setup)?;
        }
    }
}
