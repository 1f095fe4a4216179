//! The helper of a command whose paths are translated: as that of a [changed root](super::chroot), with a
//! supervisor that is also the tracer of everything the command starts.
//!
//! ```text
//! builder ──socket── guardian
//!                      └─ attendant      answers calls, rewrites some, maps programs
//!                           └─ program   executed when the attendant says so
//! ```
//!
//! If the attendant dies, the kernel kills everybody whom it traces.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{DumpableBehavior, Pid, set_dumpable_behavior};
use rustix::thread::set_no_new_privs;
use strata_sys::children::ChildNews;
use strata_sys::process::{self, Fork};
use strata_sys::{Dir, Root, caps, landlock, seccomp};

use super::chroot::network::filter as network_filter;
use super::chroot::{adopt_orphans, guard, kill_all, root};
use super::program::{View, start_in};
use super::supervision::{self, Calls, Supervision};
use super::{answer, failed, owners, serve, setup, wait_for_end};
use crate::message::Answer;
use crate::supervisor::Supervisor;
use crate::supervisor::translate::{Tracer, filter};
use crate::{Command, Exit, Network, RunError, User};

/// The first argument of such a helper; nobody types it.
pub(crate) const NAME: &str = "strata-translated-helper";

/// Serves one request and leaves the process.
pub(crate) fn main() -> ! {
    serve(|socket| guard(socket, attend))
}

fn attend(socket: &mut UnixStream, command: &Command) -> Result<(), RunError> {
    // Root has got them again by executing this program.
    caps::limit(caps::CapabilitySet::empty()).map_err(setup)?;
    adopt_orphans()?;
    let root = root(command)?;
    let news = ChildNews::new().map_err(setup)?;
    let (ours, theirs) = supervision::pair_in_turns(filter)?;
    match process::fork().map_err(setup)? {
        Fork::Child => {
            drop(ours);
            let error = start(command, root, &theirs);
            let _ = answer(socket, &Answer::Failed(error));
            process::exit_now(127)
        }
        Fork::Parent(program) => {
            drop(theirs);
            let ended = supervise(socket, (command, root), (program, &ours), news);
            // Whatever happened, nothing of the command is left when the socket ends.
            kill_all()?;
            ended
        }
    }
}

/// Answers and traces the command until its program ends or the builder wants it to, and says how.
fn supervise(
    socket: &mut UnixStream,
    (command, root): (&Command, Dir),
    (program, calls): (Pid, &Calls),
    news: ChildNews,
) -> Result<(), RunError> {
    // There are none if the program could not be started, and it has said why.
    let Some(listener) = calls.receive()? else {
        let program = rustix::process::pidfd_open(program, rustix::process::PidfdFlags::empty())
            .map_err(|errno| failed("watch the command", errno))?;
        return wait_for_end(socket.as_fd(), &program);
    };
    let mut supervisor =
        Supervisor::for_translated_paths(listener, root, &command.user, &owners(command))
            .map_err(|errno| failed("supervise the command", errno))?;
    let mut tracer = Tracer::new(news, program).map_err(setup)?;
    calls.allow()?;
    serve_until_end(socket.as_fd(), &mut tracer, &mut supervisor)?;
    match tracer.ended() {
        Some(exit) => {
            answer(socket, &Answer::Ended(exit))?;
            answer(socket, &Answer::Owners(supervisor.journal()))
        }
        None => Ok(()),
    }
}

/// Has this process's child do in a directory what commands do: enter a directory, open a file. The directory has a
/// directory `entered`, with a file `opened` in it.
pub(crate) fn try_in(directory: &Path) -> Result<(), RunError> {
    caps::limit(caps::CapabilitySet::empty()).map_err(setup)?;
    let root = Dir::open(directory)
        .map_err(|error| RunError::Root { path: directory.to_owned(), source: error.source })?;
    let news = ChildNews::new().map_err(setup)?;
    let (ours, theirs) = supervision::pair_in_turns(filter)?;
    match process::fork().map_err(setup)? {
        Fork::Child => {
            drop(ours);
            let tried = restrict(Network::Host, &root).and_then(|()| theirs.begin()).is_ok()
                && std::env::set_current_dir("/entered").is_ok()
                && std::fs::File::open("../entered/opened").is_ok();
            process::exit_now(i32::from(!tried))
        }
        Fork::Parent(child) => {
            drop(theirs);
            let refused = |source| failed("supervise and trace a process", source);
            let listener = ours
                .receive()?
                .ok_or_else(|| failed("install a filter that notifies", Errno::PERM))?;
            let mut supervisor =
                Supervisor::for_translated_paths(listener, root, &User::default(), &[])
                    .map_err(refused)?;
            let mut tracer = Tracer::new(news, child).map_err(setup)?;
            ours.allow()?;
            let (socket, _end) = UnixStream::pair()
                .map_err(|error| failed("make a socket", crate::errno::of(&error)))?;
            serve_until_end(socket.as_fd(), &mut tracer, &mut supervisor)?;
            match tracer.ended() {
                Some(Exit::Code(0)) => Ok(()),
                _ => Err(failed("translate the paths of a process", Errno::PERM)),
            }
        }
    }
}

fn serve_until_end(
    socket: BorrowedFd<'_>,
    tracer: &mut Tracer,
    supervisor: &mut Supervisor,
) -> Result<(), RunError> {
    loop {
        tracer.act(supervisor).map_err(|errno| failed("trace the command", errno))?;
        supervisor.catch_up().map_err(setup)?;
        if tracer.ended().is_some() {
            return Ok(());
        }
        let mut waiting = [
            PollFd::from_borrowed_fd(socket, PollFlags::IN),
            PollFd::new(&*tracer, PollFlags::IN),
            PollFd::new(&*supervisor, PollFlags::IN),
        ];
        retry_on_intr(|| poll(&mut waiting, None))
            .map_err(|errno| failed("wait for the command", errno))?;
        let [socket, _, calls] = waiting.each_ref().map(PollFd::revents);
        if !socket.is_empty() {
            return Ok(());
        }
        if calls.contains(PollFlags::IN) {
            supervisor.serve().map_err(setup)?;
        }
    }
}

/// Becomes the program; returns only with the reason why not.
fn start(command: &Command, root: Dir, supervision: &Supervision) -> RunError {
    match restrict(command.network, &root) {
        Ok(()) => {
            let view = View { seeming_root: Some(&Root::from_dir(root)) };
            start_in(&view, command, Some(supervision))
        }
        Err(error) => error,
    }
}

fn restrict(network: Network, root: &Dir) -> Result<(), RunError> {
    // Its parent hides, and so did this process until now; but only what does not hide can be traced.
    set_dumpable_behavior(DumpableBehavior::Dumpable)
        .map_err(|errno| failed("let the command be traced", errno))?;
    set_no_new_privs(true).map_err(|errno| failed("forbid new privileges", errno))?;
    // Should a call get past the supervisor, it finds the image and nothing else. Where there is no Landlock,
    // everything works, only less contained.
    let _ = landlock::restrict_to(root.as_fd());
    if network == Network::None {
        seccomp::install(&network_filter()).map_err(setup)?;
    }
    Ok(())
}
