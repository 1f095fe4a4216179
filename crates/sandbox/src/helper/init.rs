//! Pid 1 of a command: sets its world up, starts the program, and reaps until that ends.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, WaitStatus, set_dumpable_behavior,
    set_parent_process_death_signal, wait,
};
use strata_sys::process::{self, Fork};

use super::supervision::Supervision;
use super::{answer, failed, program, settle, setup};
use crate::enter::Processes;
use crate::message::Answer;
use crate::{Command, Exit, RunError};

/// `supervisor` ends when the supervisor does.
pub(super) fn main(
    socket: &mut UnixStream,
    command: &Command,
    supervisor: &OwnedFd,
    supervision: Option<Supervision>,
) -> ! {
    let last = match run(socket, command, supervisor, supervision) {
        Ok(exit) => Answer::Ended(exit),
        Err(error) => Answer::Failed(error),
    };
    // If the builder is gone there is nothing left to do either.
    let _ = answer(socket, &last);
    // The kernel kills whatever the program left behind.
    process::exit_now(0)
}

fn run(
    socket: &mut UnixStream,
    command: &Command,
    supervisor: &OwnedFd,
    supervision: Option<Supervision>,
) -> Result<Exit, RunError> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|errno| failed("tie the init process to its parent", errno))?;
    if is_ended(supervisor) {
        // It died before the line above could tie them.
        process::exit_now(1);
    }
    settle(command, Processes::Own)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|errno| failed("hide the init process", errno))?;
    match process::fork().map_err(setup)? {
        Fork::Child => {
            let error = program::start(command, supervision.as_ref());
            let _ = answer(socket, &Answer::Failed(error));
            process::exit_now(127)
        }
        Fork::Parent(child) => {
            // The supervisor sees by its end that the program has ended before it began.
            drop(supervision);
            reap(child)
        }
    }
}

fn is_ended(pipe: &OwnedFd) -> bool {
    let mut waiting = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut waiting, Some(&now)), Ok(1..))
}

/// Waits for every child there is, until the program itself has ended.
fn reap(program: Pid) -> Result<Exit, RunError> {
    loop {
        let ended = retry_on_intr(|| wait(WaitOptions::empty()));
        match ended {
            Ok(Some((child, status))) if child == program => {
                if let Some(exit) = exit(status) {
                    return Ok(exit);
                }
            }
            Ok(_) => {}
            Err(errno) => return Err(failed("wait for the command", errno)),
        }
    }
}

pub(super) fn exit(status: WaitStatus) -> Option<Exit> {
    let code = status.exit_status().map(Exit::Code);
    code.or_else(|| status.terminating_signal().map(Exit::Signal))
}
