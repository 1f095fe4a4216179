//! What every kind of file has: mode, owner, time, extended attributes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Extended attributes by full name (`user.note`, `security.capability`), values as raw bytes.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// A point in time as `struct timespec` has it; before 1970 the seconds are negative and the
/// nanoseconds still count forwards.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Nanoseconds into that second, below 1,000,000,000.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// A whole second.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanoseconds: 0 }
    }
}

/// What a tar header or an inode says of a file apart from its type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// Permission bits with setuid, setgid and sticky: `mode & 0o7777`.
    pub mode: u32,
    /// Owner, as the image means it.
    pub uid: u32,
    /// Group, as the image means it.
    pub gid: u32,
    /// Time of the last modification.
    pub mtime: Timestamp,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

impl Metadata {
    /// Mode `mode`, owned by root, without attributes, at the epoch.
    pub fn with_mode(mode: u32) -> Self {
        Self { mode, ..Self::default() }
    }
}
