//! A socket that answers for as long as it exists.

use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tempfile::TempDir;

use crate::agent::{Agent, Connection};

/// How many clients are served at once. Each has a thread; more are turned away.
const MOST_CLIENTS: usize = 256;

/// How long it waits after a client could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest path that fits into the address of a socket, with the zero after it.
const LONGEST_ADDRESS: usize = 107;

/// Who may talk to the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The owner of the socket.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u32,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A step failed.
    #[error("cannot {action} for an ssh agent in `{}`", directory.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        directory: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The ids do not exist here.
    #[error(
        "cannot give the socket of an ssh agent to {uid}:{gid}: these ids are not available to the build"
    )]
    Owner {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
}

/// A socket of an agent. It is gone, and nobody is served, once this is dropped.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    // In this order: the thread stops when it sees the end of this stream.
    running: Option<(UnixStream, JoinHandle<()>)>,
    _directory: TempDir,
}

impl Server {
    /// Makes a directory of its own in `parent`, and a socket in it that answers for `agent`.
    ///
    /// The directory is for the builder alone: others reach the socket where it is mounted.
    pub fn start(agent: Agent, parent: &Path, access: Access) -> Result<Self, ServeError> {
        let failed =
            |action, source| ServeError::Io { action, directory: parent.to_owned(), source };
        let directory = tempfile::Builder::new()
            .prefix("agent-")
            .permissions(PermissionsExt::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(|source| failed("make a directory", source))?;
        let path = directory.path().join("socket");
        let listener = bind(directory.path(), "socket")
            .map_err(|source| failed("listen on a socket", source))?;
        let Access { uid, gid, mode } = access;
        match std::os::unix::fs::chown(&path, Some(uid), Some(gid)) {
            Ok(()) => {}
            Err(error) if is_unavailable(&error) => return Err(ServeError::Owner { uid, gid }),
            Err(source) => return Err(failed("set the owner of the socket", source)),
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode & 0o7777))
            .map_err(|source| failed("set the mode of the socket", source))?;
        let (stop, stopped) = UnixStream::pair().map_err(|source| failed("make a pipe", source))?;
        let thread = thread::Builder::new()
            .name("ssh-agent".into())
            .spawn(move || accept(&listener, &stopped, &agent))
            .map_err(|source| failed("start a thread", source))?;
        Ok(Self { path, running: Some((stop, thread)), _directory: directory })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            // It cannot be told any more, and has been told by the panic hook.
            if thread.join().is_err() {
                tracing::error!("the thread of an ssh agent panicked");
            }
        }
    }
}

/// The kernel does not know the id (a user namespace without it), or it is not ours to give.
fn is_unavailable(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::PERM))
}

/// An address has room for few bytes, and directories of builds can be deep: a descriptor stands in for the path.
fn bind(directory: &Path, name: &str) -> io::Result<UnixListener> {
    let path = directory.join(name);
    if path.as_os_str().len() <= LONGEST_ADDRESS {
        return UnixListener::bind(path);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(directory, flags, Mode::empty())?;
    UnixListener::bind(format!("/proc/self/fd/{}/{name}", directory.as_fd().as_raw_fd()))
}

/// The streams of those who are served, so that they can be ended.
#[derive(Default)]
struct Clients {
    is_over: bool,
    next: u64,
    streams: HashMap<u64, Vec<UnixStream>>,
}

fn accept(listener: &UnixListener, stopped: &UnixStream, agent: &Agent) {
    let clients = Mutex::new(Clients::default());
    thread::scope(|scope| {
        while wait(listener, stopped) {
            let client = match listener.accept() {
                Ok((client, _)) => client,
                Err(error) => {
                    tracing::debug!(%error, "a client of the ssh agent was lost");
                    // It would fail at once again where the process has no descriptors left.
                    thread::sleep(PAUSE);
                    continue;
                }
            };
            let clients = &clients;
            let serve = thread::Builder::new().name("ssh-agent-client".into());
            let spawned = serve.spawn_scoped(scope, move || {
                if let Err(error) = serve_one(&client, agent, clients) {
                    tracing::debug!(%error, "a client of the ssh agent was not served to its end");
                }
            });
            if let Err(error) = spawned {
                tracing::warn!(%error, "a client of the ssh agent is turned away");
            }
        }
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.is_over = true;
        for stream in clients.streams.values().flatten() {
            // One that is closed already is what is wanted.
            let _closed = stream.shutdown(Shutdown::Both);
        }
    });
}

/// Whether a client waits, and not the end.
fn wait(listener: &UnixListener, stopped: &UnixStream) -> bool {
    loop {
        let mut both = [
            PollFd::new(listener, PollFlags::IN),
            PollFd::new(stopped, PollFlags::IN | PollFlags::HUP),
        ];
        match poll(&mut both, None) {
            Err(Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "an ssh agent cannot wait for clients");
                return false;
            }
            Ok(_) => return both[1].revents().is_empty(),
        }
    }
}

fn serve_one(client: &UnixStream, agent: &Agent, clients: &Mutex<Clients>) -> io::Result<()> {
    let mut connection = agent.connect()?;
    let mut streams = vec![client.try_clone()?];
    if let Connection::Socket(stream) = &connection {
        streams.push(stream.try_clone()?);
    }
    let number = {
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.is_over {
            return Ok(());
        }
        if clients.streams.len() >= MOST_CLIENTS {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        clients.next += 1;
        let number = clients.next;
        clients.streams.insert(number, streams);
        number
    };
    let result = connection.serve(client);
    clients.lock().unwrap_or_else(PoisonError::into_inner).streams.remove(&number);
    result
}
