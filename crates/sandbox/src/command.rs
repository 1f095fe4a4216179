//! What to run, as data.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Ownership;

/// One command and the world it sees.
///
/// Image paths are bytes, absolute, and resolved inside the root with its own symbolic links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Host path of the directory that becomes `/`: an overlay's mount point or a plain directory.
    pub root: PathBuf,
    /// The program and its arguments; the program is searched in the `PATH` of `environment`, or in
    /// Docker's default path if there is none.
    pub arguments: Vec<OsString>,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Image path of the working directory, which must exist.
    pub working_directory: Vec<u8>,
    /// Who runs it.
    pub user: User,
    /// The host name, and the content of `/etc/hostname`.
    pub hostname: String,
    /// Which network it has.
    pub network: Network,
    /// Mounts, in the order they are made, after `/proc`, `/dev` and `/sys`.
    pub mounts: Vec<Mount>,
    /// Names to add to `/etc/hosts`.
    pub extra_hosts: Vec<(String, IpAddr)>,
    /// The content of `/etc/resolv.conf`; `None` leaves the image's own.
    pub resolver_configuration: Option<Vec<u8>>,
    /// Limits to set.
    pub ulimits: Vec<Ulimit>,
    /// Size of `/dev/shm` in bytes; Docker's default is [`DEFAULT_SHM_SIZE`].
    pub shm_size: u64,
    /// Which files of the root are to seem others' than root's. `None` is for the disk to tell: then
    /// nothing is faked. Only an isolation that [fakes ids](crate::Isolation::fakes_ids) looks at it.
    pub owners: Option<Vec<Ownership>>,
}

/// Docker's size of `/dev/shm`.
pub const DEFAULT_SHM_SIZE: u64 = 64 << 20;

/// The `PATH` of a command whose environment has none.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Numeric credentials; names are looked up by the caller, in the image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary group ids.
    pub groups: Vec<u32>,
}

/// Which network a command has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// The builder's own.
    Host,
    /// A network namespace with nothing but a loopback interface.
    None,
}

/// One mount inside the root. A target that is missing is created, and removed after the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mount {
    /// A file or directory of the host, with what is mounted below it (a user namespace may not
    /// uncover what its parent mounted over).
    Bind {
        /// Host path.
        source: PathBuf,
        /// Image path.
        target: Vec<u8>,
        /// Whether writing is refused.
        read_only: bool,
    },
    /// An empty file system in memory.
    Tmpfs {
        /// Image path.
        target: Vec<u8>,
        /// Its limit in bytes; `None` is the kernel's default, half of the memory.
        size: Option<u64>,
        /// Permission bits of its root.
        mode: u32,
    },
    /// A read-only file that exists only during the run, in memory.
    File {
        /// Image path.
        target: Vec<u8>,
        /// What it holds.
        content: Vec<u8>,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

impl Mount {
    /// The image path it is mounted on.
    pub fn target(&self) -> &[u8] {
        match self {
            Self::Bind { target, .. } | Self::Tmpfs { target, .. } | Self::File { target, .. } => {
                target
            }
        }
    }
}

/// One resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// What is limited.
    pub resource: Resource,
    /// The limit that is enforced; `None` is none.
    pub soft: Option<u64>,
    /// Up to where the command may raise it; `None` is everywhere.
    pub hard: Option<u64>,
}

/// What can be limited, in Docker's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Size of a core dump.
    Core,
    /// Processor time in seconds.
    Cpu,
    /// Size of the data segment.
    Data,
    /// Size of a file that is written.
    Fsize,
    /// Number of file locks.
    Locks,
    /// Locked memory.
    Memlock,
    /// Bytes in message queues.
    Msgqueue,
    /// Ceiling of the nice value.
    Nice,
    /// Open descriptors.
    Nofile,
    /// Processes of the user.
    Nproc,
    /// Resident memory.
    Rss,
    /// Real-time priority.
    Rtprio,
    /// Real-time processor time in microseconds.
    Rttime,
    /// Queued signals.
    Sigpending,
    /// Size of the stack.
    Stack,
}

impl Resource {
    /// Every resource, for parsing and for help texts.
    pub const ALL: [Self; 15] = [
        Self::Core,
        Self::Cpu,
        Self::Data,
        Self::Fsize,
        Self::Locks,
        Self::Memlock,
        Self::Msgqueue,
        Self::Nice,
        Self::Nofile,
        Self::Nproc,
        Self::Rss,
        Self::Rtprio,
        Self::Rttime,
        Self::Sigpending,
        Self::Stack,
    ];

    /// Docker's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Cpu => "cpu",
            Self::Data => "data",
            Self::Fsize => "fsize",
            Self::Locks => "locks",
            Self::Memlock => "memlock",
            Self::Msgqueue => "msgqueue",
            Self::Nice => "nice",
            Self::Nofile => "nofile",
            Self::Nproc => "nproc",
            Self::Rss => "rss",
            Self::Rtprio => "rtprio",
            Self::Rttime => "rttime",
            Self::Sigpending => "sigpending",
            Self::Stack => "stack",
        }
    }

    /// Finds a resource by Docker's word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.name() == name)
    }
}
