//! Why a build ends without an image.

use strata_context::{ContextError, GitError};
use strata_dockerfile::{IgnoreError, Span};
use strata_layer::{DecodeError, EncodeError};
use strata_oci::{Digest, Platform};
use strata_rootfs::SnapshotError;
use strata_sandbox::{Exit, RunError};
use strata_tree::{ApplyError, TreePath};

use crate::copy::CopyError;
use crate::event::StepNumber;
use crate::ports::PortError;
use crate::users::UserError;

/// How much room a command left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// Hardly any: that is why it failed, or could be.
    Full,
    /// Some, or nobody can tell.
    Roomy,
}

/// What went wrong, and where in the Dockerfile.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct BuildError {
    /// The step, if one was at work.
    pub step: Option<StepNumber>,
    /// The instruction.
    pub span: Option<Span>,
    /// What went wrong.
    #[source]
    pub kind: ErrorKind,
}

impl BuildError {
    /// Whether this is the consequence of a request to stop, not a cause of its own.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.kind, ErrorKind::Cancelled | ErrorKind::Run(RunError::Cancelled))
    }

    /// Whether building again, with one cached result less, may do.
    pub(crate) fn is_lost_hit(&self) -> bool {
        matches!(self.kind, ErrorKind::CachedLayer { .. })
    }
}

/// The ways in which a build fails.
#[derive(Debug, thiserror::Error)]
pub enum ErrorKind {
    /// A source of COPY or ADD is not in the build context.
    #[error("`{written}` is not in the build context")]
    NotInContext {
        /// The source as written, expanded.
        written: String,
        /// Why, as far as it is known.
        reason: MissingReason,
    },
    /// A source of `COPY --from` is not in the stage or image.
    #[error("`{written}` is not in {origin}")]
    NotInOrigin {
        /// The source as written, expanded.
        written: String,
        /// What was looked in, as a phrase: "stage `builder`".
        origin: String,
    },
    /// Files cannot be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// `--exclude` or an ignore file cannot be read.
    #[error(transparent)]
    Pattern(#[from] IgnoreError),
    /// A user or group is unknown.
    #[error(transparent)]
    User(#[from] UserError),
    /// A command ended with something other than success.
    #[error("{}", failed(*.exit, .command))]
    CommandFailed {
        /// The command, for people.
        command: String,
        /// How it ended.
        exit: Exit,
        /// The last lines it wrote.
        tail: Vec<String>,
        /// Whether it left its disk full.
        disk: Disk,
    },
    /// A command could not be run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A command is for another processor, and nothing on this machine stands in for it.
    #[error("commands for `{platform}` do not run on this machine, which is `{host}`")]
    ForeignCommand {
        /// The platform of the stage.
        platform: Box<Platform>,
        /// The platform of this machine.
        host: Box<Platform>,
        /// What the kernel said.
        #[source]
        source: RunError,
    },
    /// No way of running commands works here.
    #[error("this host allows no way to run commands")]
    NoIsolation {
        /// Each way, with the reason why it does not work.
        reasons: Vec<String>,
    },
    /// A RUN asks for a secret that was not given.
    #[error("secret `{id}` was not given")]
    SecretMissing {
        /// Its id.
        id: String,
    },
    /// A RUN asks for an ssh agent that was not given.
    #[error("no ssh agent was given for `{id}`")]
    SshMissing {
        /// Its id.
        id: String,
    },
    /// The socket of an ssh mount cannot be made.
    #[error(transparent)]
    Ssh(#[from] strata_agent::ServeError),
    /// A source of a bind mount does not exist.
    #[error("`{path}` is not in {origin}")]
    MountSourceMissing {
        /// The path.
        path: String,
        /// What was looked in.
        origin: String,
    },
    /// A download is not what `--checksum` says.
    #[error("digest mismatch for `{url}`: `--checksum` says `{expected}`, the file has `{actual}`")]
    Checksum {
        /// The address.
        url: String,
        /// What the Dockerfile says.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// Something that is planned but that the engine cannot do yet.
    #[error("{what} is not built yet")]
    NotBuilt {
        /// The feature, as the Dockerfile spells it.
        what: String,
    },
    /// The context cannot be read.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A repository cannot be had.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The layer of a hit cannot be had after all: the hit is none.
    #[error("the layer `{digest}` of a cached step cannot be had")]
    CachedLayer {
        /// The layer.
        digest: Digest,
        /// Why not.
        #[source]
        source: PortError,
    },
    /// The working file system failed.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A layer could not be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A layer or archive cannot be read.
    #[error("cannot unpack {what}")]
    Decode {
        /// Which, as a phrase.
        what: String,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// A layer does not fit those below it.
    #[error("layer `{diff_id}` does not fit the layers below it")]
    Apply {
        /// Which.
        diff_id: strata_oci::DiffId,
        /// Why.
        #[source]
        source: ApplyError,
    },
    /// A file of the image or of the builder's own could not be read or written.
    #[error("cannot {action} {what}")]
    Io {
        /// A verb: `read`, `write`.
        action: &'static str,
        /// Which, as a phrase.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A thread of the builder ended by a panic.
    #[error("a worker of the builder stopped: {message}")]
    Worker {
        /// What it said.
        message: String,
    },
    /// The user or a failed stage stopped the build.
    #[error("the build was cancelled")]
    Cancelled,
}

/// Why a path is not in the build context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingReason {
    /// An ignore file leaves it out.
    Ignored {
        /// The name of the ignore file.
        file: String,
        /// The line of the pattern, from 1.
        line: u32,
        /// The pattern as written.
        pattern: String,
    },
    /// Nothing of that name is there, but something of a similar one.
    Similar {
        /// What is there.
        path: TreePath,
    },
    /// Nothing is known.
    Unknown,
}

fn failed(exit: Exit, command: &str) -> String {
    match exit {
        Exit::Code(code) => format!("the command `{command}` exited with code {code}"),
        Exit::Signal(signal) => format!("the command `{command}` was killed by signal {signal}"),
    }
}

impl From<ErrorKind> for BuildError {
    /// An error that belongs to no step.
    fn from(kind: ErrorKind) -> Self {
        Self { step: None, span: None, kind }
    }
}
