//! Owners, devices and modes that exist in an image only.
//!
//! Where a builder has one id, no file can be given away and no device be made; where it has no
//! capabilities either, it cannot use files whose mode refuses their owner. A supervisor lets commands
//! believe that they can: it keeps a journal, and answers questions about files from it.
//!
//! ```text
//! tree of the stage ──Command::owners──► journal ──Outcome::owners──► change set of the layer
//!      by path                        by device and inode                    by path
//! ```
//!
//! The journal lives as long as one command. What it begins with is what the stage's tree knows about
//! files that are shown wrongly; what it ends with is found again in the root, wherever the command
//! has moved it, and goes into the layer and so into the tree that the next command begins with.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use strata_sys::{Identity, Kind, Metadata, PathError, Root, Time};

/// What a file of the root is to seem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// Its image path, relative and without links.
    #[serde(with = "compact")]
    pub path: Vec<u8>,
    /// What it seems.
    pub seems: Seeming,
}

/// Owner, kind and mode of a file, as commands see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seeming {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Which device it is, if it is one; on disk it is an empty file.
    pub device: Option<Device>,
    /// Its permission, set-id and sticky bits, where the disk cannot have them.
    pub mode: Option<u32>,
    /// Its capabilities (`security.capability`, version 2), where the disk cannot have them.
    pub capability: Option<Capability>,
}

/// The value of a file's capabilities: a magic number and two times two masks.
pub type Capability = [u8; 20];

/// A device that could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Device {
    /// A character device.
    Character {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// One line of a journal, as a helper passes it on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) device: (u32, u32),
    pub(crate) inode: u64,
    /// Seconds and nanoseconds.
    pub(crate) born: Option<(i64, u32)>,
    pub(crate) seems: Seeming,
}

impl Entry {
    pub(crate) fn new(identity: Identity, seems: Seeming) -> Self {
        let born = identity.born.map(|time| (time.seconds, time.nanoseconds));
        Self { device: identity.device, inode: identity.inode, born, seems }
    }

    /// Whether a file with that number is meant; without a time it is, whenever it was made.
    fn is_of(&self, identity: &Identity) -> bool {
        let born = self.born.map(|(seconds, nanoseconds)| Time { seconds, nanoseconds });
        born.is_none() || born == identity.born
    }
}

/// Finds out where the files of a journal are.
pub(crate) fn locate(root: &Root, journal: &[Entry]) -> Result<Vec<Ownership>, PathError> {
    let known: HashMap<_, _> =
        journal.iter().map(|entry| ((entry.device, entry.inode), entry)).collect();
    let seems = |metadata: &Metadata| {
        let entry = known.get(&(metadata.device, metadata.inode))?;
        entry.is_of(&metadata.identity()).then_some(entry.seems)
    };
    let mut found = Vec::new();
    if known.is_empty() {
        return Ok(found);
    }
    let mut pending = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        let dir = root.open_dir(&path)?;
        if path.is_empty()
            && let Some(seems) = seems(&dir.metadata(b".")?)
        {
            found.push(Ownership { path: Vec::new(), seems });
        }
        for entry in dir.entries()? {
            let mut child = path.clone();
            if !child.is_empty() {
                child.push(b'/');
            }
            child.extend_from_slice(&entry.name);
            let metadata = dir.metadata(&entry.name)?;
            if let Some(seems) = seems(&metadata) {
                found.push(Ownership { path: child.clone(), seems });
            }
            if metadata.kind == Kind::Dir {
                pending.push(child);
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// Bytes as a string with a character for each, since a list of numbers takes four times the space,
/// and there can be many paths.
mod compact {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&bytes.iter().map(|&byte| char::from(byte)).collect::<String>())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        text.chars().map(|char| u8::try_from(char).map_err(D::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_any_bytes_are_passed_on() {
        let owner = Ownership { path: (1..=255).collect(), seems: Seeming::default() };
        let text = serde_json::to_string(&owner).unwrap();
        assert_eq!(serde_json::from_str::<Ownership>(&text).unwrap(), owner);
    }
}
