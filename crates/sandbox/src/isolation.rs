//! What every way of isolating a command has in common.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::{Command, Ownership, Resource};

/// A way to run commands that this host allows.
pub trait Isolation: fmt::Debug + Send + Sync {
    /// Its name in the ladder, as `doctor` shows it.
    fn name(&self) -> &'static str;

    /// Whether commands see owners and devices that are not on disk: those of [`Command::owners`],
    /// and what they made of them, as [`Outcome::owners`] tells.
    fn fakes_ids(&self) -> bool {
        false
    }

    /// Runs a command to its end and hands over what it prints while it prints it.
    ///
    /// `output` gets pieces as they arrive, which need not be whole lines. When this returns, with
    /// whatever result, no process of the command is left and mount points that were created for it
    /// are gone. Blocks the calling thread; a thread may run one command at a time, and several
    /// threads several.
    fn run(
        &self,
        command: &Command,
        cancel: &Cancel,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Outcome, RunError>;
}

/// Which of its two outputs a command wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

/// What is known after a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub exit: Exit,
    /// Image paths (relative, without links) of mount points that were created for the run. They
    /// have been removed again, except directories in which the command left something.
    pub mount_points: Vec<Vec<u8>>,
    /// All files that seem others' than root's now. `None` if nothing was faked, and the disk tells.
    pub owners: Option<Vec<Ownership>>,
}

/// Asks a running command to be killed, from any thread and any number of times.
#[derive(Debug, Clone)]
pub struct Cancel {
    event: Arc<OwnedFd>,
}

/// The kernel refused an event descriptor.
#[derive(Debug, thiserror::Error)]
#[error("cannot make an event descriptor")]
pub struct CancelError {
    /// What it answered.
    #[source]
    pub source: Errno,
}

impl Cancel {
    /// Makes a request that nobody has made yet.
    pub fn new() -> Result<Self, CancelError> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|source| CancelError { source })?;
        Ok(Self { event: Arc::new(event) })
    }

    /// Kills every command that runs, or will run, with this request.
    pub fn cancel(&self) {
        // The only failure is a counter that is full, and then it has been asked for already.
        let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
    }
}

impl AsFd for Cancel {
    /// Readable as soon as cancelling was asked for.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// Why a command did not run to an end of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum RunError {
    /// The program's name was found in no directory of `PATH`.
    #[error("exec: \"{program}\": executable file not found in $PATH")]
    ProgramNotFound {
        /// The name, as given.
        program: String,
    },
    /// The program was given with a path, and there is nothing.
    #[error("exec: \"{program}\": stat {program}: no such file or directory")]
    ProgramMissing {
        /// The path, as given.
        program: String,
    },
    /// The program is there, but may not be executed or is a directory.
    #[error("exec: \"{program}\": permission denied")]
    ProgramNotExecutable {
        /// The name or path, as given.
        program: String,
    },
    /// The kernel would not start the program.
    #[error("exec {program}")]
    Exec {
        /// The path that was tried: another architecture's program, a script without an interpreter
        /// line (`ENOEXEC`), or one whose interpreter is missing (`ENOENT`).
        program: String,
        /// What it answered.
        #[source]
        #[serde(with = "crate::errno")]
        source: Errno,
    },
    /// No program was given.
    #[error("no command specified")]
    NoProgram,
    /// The working directory is missing or is no directory.
    #[error("chdir to cwd (`{path}`) failed")]
    WorkingDirectory {
        /// Its image path.
        path: String,
        /// What the kernel answered.
        #[source]
        #[serde(with = "crate::errno")]
        source: Errno,
    },
    /// An id has no counterpart outside the user namespace.
    #[error("{what} {id} is not mapped in the user namespace")]
    IdNotMapped {
        /// `user` or `group`.
        what: String,
        /// Which.
        id: u32,
    },
    /// A mount could not be made.
    #[error("cannot mount {what} on `{target}`")]
    Mount {
        /// What was to be mounted.
        what: String,
        /// The image path.
        target: String,
        /// What the kernel answered.
        #[source]
        #[serde(with = "crate::errno")]
        source: Errno,
    },
    /// A mount point could not be created, or is not of the kind the mount needs.
    #[error("cannot prepare the mount point `{target}`")]
    MountPoint {
        /// The image path.
        target: String,
        /// What the kernel answered.
        #[source]
        #[serde(with = "crate::errno")]
        source: Errno,
    },
    /// The isolation has no means for a mount.
    #[error("isolation `{isolation}` cannot make a {what} (on `{target}`)")]
    MountUnsupported {
        /// The isolation's name.
        isolation: String,
        /// What kind of mount.
        what: String,
        /// The image path.
        target: String,
    },
    /// What a run had moved away could not be put back.
    #[error("cannot put back what was at `{target}` before the command")]
    Restore {
        /// The relative image path.
        target: String,
        /// What the kernel answered.
        #[source]
        #[serde(with = "crate::errno")]
        source: Errno,
    },
    /// A limit could not be set.
    #[error("cannot set the limit `{}`", resource.name())]
    Limit {
        /// Which.
        resource: Resource,
        /// What the kernel answered.
        #[source]
        #[serde(with = "crate::errno")]
        source: Errno,
    },
    /// The files that a command gave away could not be found again.
    #[error("cannot look for the files that the command gave away")]
    Owners {
        /// What the kernel answered.
        #[source]
        #[serde(with = "crate::errno")]
        source: Errno,
    },
    /// Another step of setting up failed.
    #[error("cannot {operation}")]
    Setup {
        /// Which, as a verb phrase.
        operation: String,
        /// What the kernel answered.
        #[source]
        #[serde(with = "crate::errno")]
        source: Errno,
    },
    /// The root directory could not be opened.
    #[error("cannot open the root directory `{}`", path.display())]
    Root {
        /// Its host path.
        path: PathBuf,
        /// What the kernel answered.
        #[source]
        #[serde(with = "crate::errno")]
        source: Errno,
    },
    /// The helper process could not be started.
    #[error("cannot start the helper process")]
    HelperStart {
        /// Why.
        #[source]
        #[serde(with = "crate::errno")]
        source: Errno,
    },
    /// The helper process ended without an answer: something killed it.
    #[error("the helper process ended unexpectedly ({status})")]
    HelperLost {
        /// How it ended.
        status: String,
    },
    /// Cancelling was asked for; the command has been killed.
    #[error("cancelled")]
    Cancelled,
}
