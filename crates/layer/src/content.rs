//! Where the bytes of files are, without the bytes.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strata_oci::DiffId;
use strata_tree::TreePath;

/// Where a file's bytes are to be found; never the bytes themselves, except for the few that a build makes up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// The bytes themselves: what a heredoc or a generated file holds.
    Inline(Arc<[u8]>),
    /// A file of a build context.
    Context {
        /// Which context: a number that the one who opened the contexts gave out.
        context: u32,
        /// Where in it.
        path: TreePath,
    },
    /// A file of a layer.
    Layer {
        /// Which layer.
        diff_id: DiffId,
        /// [`Extent::offset`] of the file in it; [`open_extent`](crate::open_extent) reads it.
        offset: u64,
    },
    /// A file below a directory of the host.
    Disk {
        /// The directory, which bounds the lookup of `path`.
        directory: Arc<Path>,
        /// Where in it.
        path: TreePath,
    },
    /// A stretch of a file of the host, into which bytes of archives were gathered.
    Slice {
        /// The file.
        file: Arc<Path>,
        /// Where the bytes begin.
        offset: u64,
    },
}

/// Opens what a [`Content`] points at. Encoders call it from a thread of their own, once for each file.
pub trait OpenContent: Send + Sync {
    /// Opens `content`, which is expected to give `size` bytes; the caller checks that it does.
    fn open(&self, content: &Content, size: u64) -> io::Result<Box<dyn Read + Send>>;
}

/// Where a file's bytes are in an uncompressed layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Extent {
    /// The position of the first byte of the file's body, for an ordinary entry.
    ///
    /// A sparse entry has no such place: its number is that of its header with the highest bit set. Only
    /// [`open_extent`](crate::open_extent) needs to know.
    pub offset: u64,
}
