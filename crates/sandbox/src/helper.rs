//! The helper process: the builder's own executable, started again with one thread.
//!
//! ```text
//! builder ──socket── supervisor          in the builder's pid namespace
//!                      └─ init           pid 1 of the command's: sets the world up, reaps
//!                           └─ program   gives privileges up, executes
//! ```
//!
//! The supervisor waits for two things. If the socket ends, the builder cancelled or died, and init is
//! killed; the kernel kills everything else in the pid namespace with it. If init ends, all of that
//! has happened already, and the supervisor's own end tells the builder so.
//!
//! No process here prints, and nothing of the builder's is inherited but the socket and two pipes.
//! The program of init can be reached as `/proc/1/exe` and `/proc/self/exe`, but not overwritten
//! (CVE-2019-5736): init is not dumpable, and the file is busy as long as the builder runs it.

pub(crate) mod chroot;
pub(crate) mod shared;

mod init;
mod program;
mod supervision;
#[cfg(target_arch = "x86_64")]
pub(crate) mod translated;
mod world;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal};
use strata_sys::process::{self, Fork, UnshareFlags};

use crate::enter::Processes;
use crate::message::{self, Answer};
use crate::supervisor::{self, Supervisor};
use crate::{Command, Mount, Network, Ownership, RunError, Seeming};
use supervision::Calls;

/// The first argument of a helper; nobody types it.
pub(crate) const NAME: &str = "strata-run-helper";

/// Serves one request and leaves the process.
pub(crate) fn main() -> ! {
    serve(supervise)
}

/// Connects to the builder, and tells it what `supervise` failed at.
fn serve(supervise: fn(&mut UnixStream) -> Result<(), RunError>) -> ! {
    let code = match serve_one(supervise) {
        Ok(()) => 0,
        // There is nobody left to tell.
        Err(_) => 1,
    };
    process::exit_now(code)
}

fn serve_one(supervise: fn(&mut UnixStream) -> Result<(), RunError>) -> Result<(), RunError> {
    process::close_inherited_descriptors().map_err(setup)?;
    let mut socket = UnixStream::from(process::take_stdin().map_err(setup)?);
    let result = supervise(&mut socket);
    if let Err(error) = result {
        answer(&mut socket, &Answer::Failed(error))?;
    }
    Ok(())
}

fn supervise(socket: &mut UnixStream) -> Result<(), RunError> {
    // Should this fail, the socket still tells when the builder dies; it only takes a poll longer.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // Out of the terminal's process group: Ctrl-C is the builder's to act on.
    let _ = rustix::process::setsid();
    let command: Option<Command> =
        message::receive(socket).map_err(|error| broken("read the request", &error))?;
    let Some(command) = command else {
        return Ok(());
    };
    // Of the builder's processes, as long as it can be reached.
    let procfs = supervisor::procfs().map_err(|errno| failed("open `/proc`", errno))?;
    // Refused by some filters, where keys are out of the command's reach as well.
    let _ = process::new_session_keyring();
    leave(namespaces(&command) | UnshareFlags::NEWPID)?;

    let (alive, witness) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|errno| failed("make a pipe", errno))?;
    let (calls, supervision) = supervision::of(&command)?;
    match process::fork().map_err(setup)? {
        Fork::Child => {
            drop((witness, calls));
            init::main(socket, &command, &alive, supervision)
        }
        Fork::Parent(init) => {
            let pidfd = pidfd_open(init, PidfdFlags::empty())
                .map_err(|errno| failed("watch the init process", errno))?;
            drop(supervision);
            let mut supervisor = None;
            let result = match &calls {
                Some(calls) => fake_ids(socket, (&pidfd, calls), &command, procfs, &mut supervisor),
                None => wait_for_end(socket.as_fd(), &pidfd),
            };
            // Whatever happened, init goes, and this waits until its whole namespace has.
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
            let _ = retry_on_intr(|| rustix::process::waitpid(Some(init), WaitOptions::empty()));
            drop(witness);
            result?;
            if let Some(supervisor) = supervisor {
                // If the builder is gone, nobody asks who owns what.
                let _ = answer(socket, &Answer::Owners(supervisor.journal()));
            }
            Ok(())
        }
    }
}

/// Answers the command's calls about ids until its init ends or the builder wants it to.
fn fake_ids(
    socket: &UnixStream,
    (init, calls): (&OwnedFd, &Calls),
    command: &Command,
    procfs: OwnedFd,
    supervisor: &mut Option<Supervisor>,
) -> Result<(), RunError> {
    if !calls.are_announced_before(socket.as_fd(), init)? {
        return Ok(());
    }
    let Some(listener) = calls.receive()? else {
        return wait_for_end(socket.as_fd(), init);
    };
    // The root of this process has changed with init's.
    let owners = owners(command);
    let new = Supervisor::for_single_id(listener, procfs, &command.user, &owners)
        .map_err(|errno| failed("supervise the command", errno))?;
    supervision::serve_until_end(socket.as_fd(), init, supervisor.insert(new))
}

/// What files of the root seem, and those that exist for the run.
fn owners(command: &Command) -> Vec<Ownership> {
    let mut owners = command.owners.clone().unwrap_or_default();
    for mount in &command.mounts {
        if let Mount::File { target, uid, gid, mode, .. } = mount {
            let mode = Some(*mode);
            let seems = Seeming { uid: *uid, gid: *gid, mode, ..Seeming::default() };
            owners.push(Ownership { path: target.clone(), seems });
        }
    }
    owners
}

/// Leaves the builder's namespaces, with mounts that nobody else sees.
fn leave(namespaces: UnshareFlags) -> Result<(), RunError> {
    process::unshare(namespaces).map_err(setup)?;
    // Helps the command not to learn where the builder is; older kernels and filters lack it.
    let _ = process::unshare(UnshareFlags::NEWCGROUP);
    strata_sys::mount::make_all_private().map_err(|error| RunError::Setup {
        operation: "make the mounts private".into(),
        source: error.source,
    })
}

/// Builds the world of a command around this process, in namespaces that it has for that.
fn settle(command: &Command, processes: Processes) -> Result<(), RunError> {
    match rustix::system::sethostname(command.hostname.as_bytes()) {
        // Podman's filter allows it to nobody without a capability outside. Then only the files of
        // the command have its name, and the probe lists that among the limits.
        Ok(()) | Err(Errno::PERM) => {}
        Err(errno) => return Err(failed("set the host name", errno)),
    }
    if command.network == Network::None {
        match process::bring_loopback_up() {
            // The capability to mount does not imply that; an interface that is down is no network either.
            Err(error) if error.source == Errno::PERM => {}
            other => other.map_err(setup)?,
        }
    }
    world::build(command, processes)
}

fn namespaces(command: &Command) -> UnshareFlags {
    let common = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    match command.network {
        Network::Host => common,
        Network::None => common | UnshareFlags::NEWNET,
    }
}

/// Returns when the builder's end is closed or the process has ended.
fn wait_for_end(socket: BorrowedFd<'_>, process: &OwnedFd) -> Result<(), RunError> {
    let mut waiting =
        [PollFd::from_borrowed_fd(socket, PollFlags::IN), PollFd::new(process, PollFlags::IN)];
    retry_on_intr(|| poll(&mut waiting, None))
        .map(drop)
        .map_err(|errno| failed("wait for the command's first process", errno))
}

fn answer(socket: &mut UnixStream, answer: &Answer) -> Result<(), RunError> {
    message::send(socket, answer).map_err(|error| broken("answer", &error))
}

fn setup(error: strata_sys::CallError) -> RunError {
    RunError::Setup { operation: error.operation, source: error.source }
}

fn failed(operation: &str, source: Errno) -> RunError {
    RunError::Setup { operation: operation.to_owned(), source }
}

fn broken(operation: &str, error: &std::io::Error) -> RunError {
    failed(operation, crate::errno::of(error))
}
