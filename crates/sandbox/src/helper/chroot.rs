//! The helper of a command in a changed root directory: there is no namespace to end with it, so it
//! is the one that finds and kills whatever the command leaves behind.
//!
//! ```text
//! builder ──socket── guardian
//!                      └─ attendant      supervises the program's calls, kills what it leaves
//!                           └─ program   root changed, privileges given up, executed
//! ```
//!
//! Both stay outside of the root, where procfs is, and cannot be traced by the command. A command that
//! runs as root can still send signals: one that kills its parent ends the run with an error, and then
//! the guardian inherits what is left and kills it.

pub(super) mod descendants;
pub(super) mod network;

pub(crate) use descendants::below;

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::io::retry_on_intr;
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, WaitOptions, chdir, chroot, fchdir, getpid, pidfd_open,
    set_child_subreaper, set_dumpable_behavior, setsid, waitpid,
};
use rustix::thread::set_no_new_privs;
use strata_sys::process::{self, Fork};
use strata_sys::{Dir, seccomp};

use super::init::exit;
use super::supervision::{self, Calls, Supervision};
use super::{answer, broken, failed, program, serve, setup, wait_for_end};
use crate::message::{self, Answer};
use crate::supervisor::{self, Supervisor};
use crate::{Command, Network, RunError};

/// The first argument of such a helper; nobody types it.
pub(crate) const NAME: &str = "strata-chroot-helper";

/// Serves one request and leaves the process.
pub(crate) fn main() -> ! {
    serve(supervise)
}

fn supervise(socket: &mut UnixStream) -> Result<(), RunError> {
    guard(socket, attend)
}

/// Has a child attend to the command, and kills whatever that leaves behind.
pub(super) fn guard(
    socket: &mut UnixStream,
    attend: fn(&mut UnixStream, &Command) -> Result<(), RunError>,
) -> Result<(), RunError> {
    // Out of the terminal's process group: Ctrl-C is the builder's to act on. It is not killed with
    // the builder either, because it has somebody to kill then: the end of the socket tells it.
    let _ = setsid();
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|errno| failed("hide the helper process", errno))?;
    let command: Option<Command> =
        message::receive(socket).map_err(|error| broken("read the request", &error))?;
    let Some(command) = command else {
        return Ok(());
    };
    let _ = process::new_session_keyring();
    adopt_orphans()?;
    match process::fork().map_err(setup)? {
        Fork::Child => {
            if let Err(error) = attend(socket, &command) {
                let _ = answer(socket, &Answer::Failed(error));
            }
            process::exit_now(0)
        }
        Fork::Parent(attendant) => {
            let ended = retry_on_intr(|| waitpid(Some(attendant), WaitOptions::empty()))
                .map_err(|errno| failed("wait for the command's attendant", errno));
            kill_all()?;
            ended.map(drop)
        }
    }
}

pub(super) fn adopt_orphans() -> Result<(), RunError> {
    set_child_subreaper(Some(getpid()))
        .map_err(|errno| failed("become the parent of orphans", errno))
}

pub(super) fn kill_all() -> Result<(), RunError> {
    descendants::kill().map_err(|errno| failed("kill what the command left", errno))
}

fn attend(socket: &mut UnixStream, command: &Command) -> Result<(), RunError> {
    adopt_orphans()?;
    let root = root(command)?;
    let (ours, theirs) = supervision::pair(supervisor::served_paths_filter)?;
    match process::fork().map_err(setup)? {
        Fork::Child => {
            drop(ours);
            let error = start(command, &root, &theirs);
            let _ = answer(socket, &Answer::Failed(error));
            process::exit_now(127)
        }
        Fork::Parent(program) => {
            drop(theirs);
            // Until all are gone, calls that nobody answers wait, rather than fail.
            let mut supervisor = None;
            let ended = supervise_calls(socket, program, (&ours, &root), &mut supervisor);
            // Whatever happened, nothing of the command is left when the socket ends.
            kill_all()?;
            ended
        }
    }
}

/// Answers the program's calls until it ends or the builder wants it to, and says how it ended.
fn supervise_calls(
    socket: &mut UnixStream,
    program: Pid,
    (calls, root): (&Calls, &Dir),
    supervisor: &mut Option<Supervisor>,
) -> Result<(), RunError> {
    let pidfd = pidfd_open(program, PidfdFlags::empty())
        .map_err(|errno| failed("watch the command", errno))?;
    // There are none if the program could not be started, and it has said why.
    if let Some(listener) = calls.receive()? {
        let new = Supervisor::for_changed_root(listener, root)
            .map_err(|errno| failed("supervise the command", errno))?;
        supervision::serve_until_end(socket.as_fd(), &pidfd, supervisor.insert(new))?;
    } else {
        wait_for_end(socket.as_fd(), &pidfd)?;
    }
    let ended = retry_on_intr(|| waitpid(Some(program), WaitOptions::NOHANG))
        .map_err(|errno| failed("wait for the command", errno))?;
    match ended.and_then(|(_, status)| exit(status)) {
        Some(exit) => answer(socket, &Answer::Ended(exit)),
        None => Ok(()),
    }
}

/// Becomes the program; returns only with the reason why not.
fn start(command: &Command, root: &Dir, supervision: &Supervision) -> RunError {
    match enter(command, root) {
        Ok(()) => program::start(command, Some(supervision)),
        Err(error) => error,
    }
}

pub(super) fn root(command: &Command) -> Result<Dir, RunError> {
    Dir::open(&command.root)
        .map_err(|error| RunError::Root { path: command.root.clone(), source: error.source })
}

fn enter(command: &Command, root: &Dir) -> Result<(), RunError> {
    fchdir(root.as_fd())
        .and_then(|()| chroot("."))
        .and_then(|()| chdir("/"))
        .map_err(|errno| failed("change the root directory", errno))?;
    if command.network == Network::None {
        set_no_new_privs(true).map_err(|errno| failed("forbid new privileges", errno))?;
        seccomp::install(&network::filter()).map_err(setup)?;
    }
    Ok(())
}
