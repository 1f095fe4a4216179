//! RUN.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{InlineFile, Origin};

/// RUN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunOp {
    /// Program and arguments, the shell included. May be empty: then nothing can be run, which fails.
    pub argv: Vec<String>,
    /// Files that are visible during the run only, read-only, mode 0755, in the directory [`RunOp::FILES_AT`].
    pub files: Vec<InlineFile>,
    /// The whole environment but for proxies and what the isolation adds (`HOME` where it is not set): the
    /// config's variables and the ARGs in scope, each name once. Secrets are in `mounts`.
    pub env: Vec<(String, String)>,
    /// Which names of `env` have their value from an ARG.
    #[serde(skip)]
    pub arguments: BTreeSet<String>,
    /// Proxy variables given on the command line and not declared; visible, but in neither history nor key.
    pub proxies: Vec<(String, String)>,
    /// The USER as text: `name`, `uid`, `name:group`, …; empty for root.
    pub user: String,
    /// The working directory: absolute and clean. It is made if it is missing.
    pub directory: String,
    /// Mounts in the order to make them.
    pub mounts: Vec<Mount>,
    /// The network.
    pub network: Network,
    /// Hosts to add to `/etc/hosts`, as `(name, address)`.
    pub hosts: Vec<(String, String)>,
    /// The host name, if one is asked for.
    pub hostname: Option<String>,
    /// Paths of which nothing that the command writes gets into the image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
}

impl RunOp {
    /// The directory in which a run sees its files.
    pub const FILES_AT: &'static str = "/dev/pipes";
}

/// The network of a RUN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// What the builder gives by default.
    #[default]
    Default,
    /// Loopback alone.
    None,
    /// The host's own.
    Host,
}

/// A mount of a RUN. Mount points that have to be made do not stay in the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// Where: absolute. For a secret that is only a variable, absent.
    pub target: Option<String>,
    /// What.
    pub kind: MountKind,
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountKind {
    /// A tree or file of another place.
    Bind {
        /// Which.
        from: MountFrom,
        /// Writes to a writable one are thrown away after the run.
        access: Access,
    },
    /// A directory that is kept between builds.
    Cache {
        /// Which one.
        id: String,
        /// What it holds at first.
        from: Option<MountFrom>,
        /// Who else may use it meanwhile.
        sharing: Sharing,
        /// Writable or not.
        access: Access,
        /// Owner and mode of the directory when it is made.
        owner: MountOwner,
    },
    /// A fresh memory file system.
    Tmpfs {
        /// Its size in bytes, if it is limited.
        size: Option<u64>,
        /// Writable or not.
        access: Access,
    },
    /// The content of a secret: as a file at the mount's target if that is there, as a variable if `env` is.
    Secret {
        /// Which.
        id: String,
        /// Whether the build fails without it.
        required: bool,
        /// The variable to set.
        env: Option<String>,
        /// Owner and mode of the file.
        owner: MountOwner,
    },
    /// A socket of an ssh agent.
    Ssh {
        /// Which; `default` unless said.
        id: String,
        /// Whether the build fails without it.
        required: bool,
        /// Owner and mode of the socket.
        owner: MountOwner,
    },
}

/// A place in a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MountFrom {
    /// The tree.
    pub origin: Origin,
    /// Absolute and clean; `/` for all of it.
    pub path: String,
}

/// Owner and mode of what a mount makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct MountOwner {
    /// Permission bits.
    pub mode: u32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl MountOwner {
    /// Those of a cache mount where the instruction names none.
    pub const OF_CACHES: Self = Self { mode: 0o755, uid: 0, gid: 0 };
}

/// Whether a mount may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// It may not.
    ReadOnly,
    /// It may.
    ReadWrite,
}

/// Who may use a cache directory at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// Everyone.
    #[default]
    Shared,
    /// Each user gets one of their own.
    Private,
    /// One after the other.
    Locked,
}
