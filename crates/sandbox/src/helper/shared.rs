//! The helper of a command that shares the builder's pid namespace: there is none to end with it, so it
//! is the one that finds and kills whatever the command leaves behind.
//!
//! ```text
//! builder ──socket── guardian        in the builder's namespaces, inherits orphans and kills them
//!                      └─ attendant      in the command's: sets the world up, waits
//!                           └─ program   gives privileges up, executes
//! ```
//!
//! Neither can be traced by the command. A command that runs as root can still send signals: one that
//! kills its attendant ends the run with an error, and the guardian kills what is left.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::retry_on_intr;
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, Signal, WaitOptions, getpid, pidfd_open,
    set_child_subreaper, set_dumpable_behavior, set_parent_process_death_signal, setsid, wait,
    waitpid,
};
use strata_sys::process::{self, Fork};

use super::chroot::descendants;
use super::init::exit;
use super::supervision::{self, Calls};
use super::{
    answer, broken, failed, fake_ids, leave, namespaces, program, serve, settle, setup,
    wait_for_end,
};
use crate::enter::Processes;
use crate::message::{self, Answer};
use crate::supervisor;
use crate::{Command, RunError};

/// The first argument of such a helper; nobody types it.
pub(crate) const NAME: &str = "strata-shared-helper";

/// Serves one request and leaves the process.
pub(crate) fn main() -> ! {
    serve(supervise)
}

fn supervise(socket: &mut UnixStream) -> Result<(), RunError> {
    // Out of the terminal's process group: Ctrl-C is the builder's to act on. It is not killed with
    // the builder either, because it has somebody to kill then: the end of the socket tells it.
    let _ = setsid();
    hide()?;
    let command: Option<Command> =
        message::receive(socket).map_err(|error| broken("read the request", &error))?;
    let Some(command) = command else {
        return Ok(());
    };
    // Refused by some filters, where keys are out of the command's reach as well.
    let _ = process::new_session_keyring();
    set_child_subreaper(Some(getpid()))
        .map_err(|errno| failed("become the parent of orphans", errno))?;
    match process::fork().map_err(setup)? {
        Fork::Child => {
            if let Err(error) = attend(socket, &command) {
                let _ = answer(socket, &Answer::Failed(error));
            }
            process::exit_now(0)
        }
        Fork::Parent(attendant) => {
            let ended = reap_until(attendant);
            descendants::kill().map_err(|errno| failed("kill what the command left", errno))?;
            ended
        }
    }
}

fn hide() -> Result<(), RunError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|errno| failed("hide the helper process", errno))
}

/// Takes leave of orphans as they end, until the attendant has.
fn reap_until(attendant: Pid) -> Result<(), RunError> {
    loop {
        match retry_on_intr(|| wait(WaitOptions::empty())) {
            Ok(Some((child, _))) if child == attendant => return Ok(()),
            Ok(_) => {}
            Err(errno) => return Err(failed("wait for the command's attendant", errno)),
        }
    }
}

fn attend(socket: &mut UnixStream, command: &Command) -> Result<(), RunError> {
    // Whoever kills the guardian does not get rid of everybody.
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|errno| failed("tie the attendant to its parent", errno))?;
    let procfs = supervisor::procfs().map_err(|errno| failed("open `/proc`", errno))?;
    leave(namespaces(command))?;
    settle(command, Processes::Shared)?;
    let (calls, supervision) = supervision::of(command)?;
    match process::fork().map_err(setup)? {
        Fork::Child => {
            drop(calls);
            let error = program::start(command, supervision.as_ref());
            let _ = answer(socket, &Answer::Failed(error));
            process::exit_now(127)
        }
        Fork::Parent(program) => {
            drop(supervision);
            wait_for(socket, program, command, calls.map(|calls| (calls, procfs)))
        }
    }
}

/// Waits until the program ends or the builder wants it to, and says how it ended.
fn wait_for(
    socket: &mut UnixStream,
    program: Pid,
    command: &Command,
    calls: Option<(Calls, OwnedFd)>,
) -> Result<(), RunError> {
    let pidfd = pidfd_open(program, PidfdFlags::empty())
        .map_err(|errno| failed("watch the command", errno))?;
    let mut supervisor = None;
    match calls {
        Some((calls, procfs)) => {
            fake_ids(socket, (&pidfd, &calls), command, procfs, &mut supervisor)?;
        }
        None => wait_for_end(socket.as_fd(), &pidfd)?,
    }
    let ended = retry_on_intr(|| waitpid(Some(program), WaitOptions::NOHANG))
        .map_err(|errno| failed("wait for the command", errno))?;
    match ended.and_then(|(_, status)| exit(status)) {
        Some(exit) => answer(socket, &Answer::Ended(exit))?,
        None => return Ok(()),
    }
    match supervisor {
        Some(supervisor) => answer(socket, &Answer::Owners(supervisor.journal())),
        None => Ok(()),
    }
}
