//! What is inside a layer, without the layer.

use strata_oci::DiffId;
use strata_tree::ChangeSet;

use crate::content::{Content, Extent};

/// The changes of one layer, and where in its tar each file's bytes begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index(ChangeSet<Extent>);

/// Why bytes are not an index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The bytes do not begin as an index does.
    #[error("not a layer index")]
    Magic,
    /// The index was written by another version of the format.
    #[error("layer index has version {version}, not {}", VERSION)]
    Version {
        /// The version it has.
        version: u8,
    },
    /// The index is longer than any that is read.
    #[error("layer index of {length} bytes is longer than {}", MAX_BYTES)]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// What follows the version cannot be read.
    #[error("layer index is malformed")]
    Malformed(#[source] postcard::Error),
    /// The index ends, but the bytes go on.
    #[error("layer index is followed by {bytes} stray bytes")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

const MAGIC: &[u8; 7] = b"strataI";
const VERSION: u8 = 1;

/// The longest index that is read: a layer of four million files stays below it.
const MAX_BYTES: usize = 1 << 30;

impl Index {
    /// An index of these changes.
    pub fn new(changes: ChangeSet<Extent>) -> Self {
        Self(changes)
    }

    /// What the layer changes.
    pub fn changes(&self) -> &ChangeSet<Extent> {
        &self.0
    }

    /// What the layer changes, with every file's bytes found in the layer `diff_id`.
    pub fn into_contents(self, diff_id: DiffId) -> ChangeSet<Content> {
        self.0.map(|extent| Content::Layer { diff_id, offset: extent.offset })
    }

    /// Seven bytes that name the format, one for its version, then the changes in postcard form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        postcard::to_extend(&self.0, bytes).expect("changes have no value that postcard lacks")
    }

    /// Reads what [`Index::to_bytes`] wrote. The bytes may be hostile: what comes out is a canonical change set
    /// whatever their order was, and reading takes memory in proportion to their length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IndexError> {
        if bytes.len() > MAX_BYTES {
            return Err(IndexError::TooLong { length: bytes.len() });
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(IndexError::Magic)?;
        let (&version, rest) = rest.split_first().ok_or(IndexError::Magic)?;
        if version != VERSION {
            return Err(IndexError::Version { version });
        }
        let (changes, rest): (ChangeSet<Extent>, _) =
            postcard::take_from_bytes(rest).map_err(IndexError::Malformed)?;
        if !rest.is_empty() {
            return Err(IndexError::Trailing { bytes: rest.len() });
        }
        Ok(Self(ChangeSet::new(changes.into_iter().collect())))
    }
}
