//! From a change set to a blob.

mod blocks;
mod compress;
mod noise;
mod tar;
mod uniform;

use std::io::{self, Write};
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use strata_oci::{Compression, DiffId, Hasher, MediaType, MediaTypes};
use strata_tree::{ChangeSet, Timestamp, TreePath};

use self::blocks::{Block, Blocks};
use self::compress::Codec;

use crate::content::{Content, OpenContent};
use crate::index::Index;

// How many blocks may wait between two threads: one being filled while one is taken.
const QUEUE: usize = 2;

/// How a layer is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// The compression of the blob.
    pub compression: Compression,
    /// Its level: 0 to 9 for gzip, 1 to 22 for zstd; the default is 6 or 3.
    pub level: Option<i32>,
    /// How many threads compress. The bytes do not depend on it; 0 counts as 1.
    pub threads: usize,
    /// Modification times later than this become this (`SOURCE_DATE_EPOCH`).
    pub clamp: Option<Timestamp>,
    /// Whether the descriptor has the media type of a Docker layer instead of an OCI one.
    pub docker_media_types: bool,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self {
            compression: Compression::Gzip,
            level: None,
            threads: 1,
            clamp: None,
            docker_media_types: false,
        }
    }
}

/// A layer that has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// What the blob is. Its digest is that of the bytes that went out: whoever keeps them hashes them.
    pub media_type: MediaType,
    /// The digest of the tar in it.
    pub diff_id: DiffId,
    /// The length of the tar.
    pub uncompressed_size: u64,
    /// What is in it, as [`decode`](fn@crate::decode) would find it.
    pub index: Index,
}

/// Why a layer could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A name begins with `.wh.`, which would make it a whiteout.
    #[error("`{path}` cannot be in a layer: names beginning with `.wh.` stand for removed files")]
    ReservedName {
        /// The file.
        path: TreePath,
    },
    /// The root was to be removed.
    #[error("a layer cannot remove the root")]
    RootRemoved,
    /// A hard link names nothing that this layer holds before it.
    #[error("hard link `{path}` names `{target}`, which is no file of the same layer")]
    BrokenLink {
        /// The link.
        path: TreePath,
        /// What it names.
        target: TreePath,
    },
    /// The name of an extended attribute cannot be written in a PAX record.
    #[error("`{path}` has an extended attribute `{name}`, which a tar archive cannot hold")]
    XattrName {
        /// The file.
        path: TreePath,
        /// The attribute.
        name: String,
    },
    /// A file could not be opened or read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file, where it was to be in the layer.
        path: TreePath,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file gave more or fewer bytes than it had when it was listed.
    #[error("`{path}` changed while it was read: it had {expected} bytes and gave {given}")]
    SizeChanged {
        /// The file, where it was to be in the layer.
        path: TreePath,
        /// The length that the change set says.
        expected: u64,
        /// How many bytes came; one too many stands for any excess.
        given: u64,
    },
    /// The compression does not know this level.
    #[error("{compression} has no level {level}")]
    Level {
        /// The compression.
        compression: Compression,
        /// The level.
        level: i32,
    },
    /// The compressor failed.
    #[error("cannot compress the layer")]
    Compress(#[source] io::Error),
    /// The blob could not be written.
    #[error("cannot write the layer")]
    Write(#[source] io::Error),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// Writes `changes` as a layer to `out`, in one pass and with the same bytes for any number of threads.
///
/// ```text
///                        ┌─► strata-diff-id: SHA-256 of the tar
/// strata-tar: headers ───┤
///   and file contents    └─► strata-deflate-N: blocks ─► this thread: `out`
/// ```
///
/// Memory is bounded by the number of threads times the length of a block, whatever the files' sizes. After
/// an error `out` holds part of a blob, which is of no use.
pub fn encode(
    changes: &ChangeSet<Content>,
    contents: &dyn OpenContent,
    options: &EncodeOptions,
    mut out: impl Write,
) -> Result<Encoded, EncodeError> {
    let codec = Codec::new(options.compression, options.level)?;
    let (tar, hasher) = thread::scope(|scope| {
        let (to_diff_id, unhashed) = sync_channel(QUEUE);
        let (to_compressor, blocks) = sync_channel(QUEUE);
        let hasher = thread::Builder::new()
            .name("strata-diff-id".to_owned())
            .spawn_scoped(scope, move || hash(&unhashed))
            .map_err(EncodeError::Thread)?;
        let tar = thread::Builder::new()
            .name("strata-tar".to_owned())
            .spawn_scoped(scope, move || {
                let receivers = Blocks::new(vec![to_diff_id, to_compressor]);
                tar::write(changes, contents, options.clamp, receivers)
            })
            .map_err(EncodeError::Thread)?;
        let written = compress::compress(codec, options.threads, &blocks, &mut out);
        // Whoever still sends learns from this that nobody listens any more.
        drop(blocks);
        let tar = tar.join().unwrap_or_else(|panic| resume_unwind(panic));
        let hasher = hasher.join().unwrap_or_else(|panic| resume_unwind(panic));
        // If writing failed then the tar thread was cut off, and its error is only a consequence.
        written?;
        Ok((tar?, hasher))
    })?;
    out.flush().map_err(EncodeError::Write)?;
    let (index, uncompressed_size) = tar;
    let family = if options.docker_media_types { MediaTypes::Docker } else { MediaTypes::Oci };
    Ok(Encoded {
        media_type: family.compressed_layer(options.compression),
        diff_id: DiffId(hasher.finish()),
        uncompressed_size,
        index: Index::new(index),
    })
}

fn hash(blocks: &Receiver<Block>) -> Hasher {
    let mut hasher = Hasher::new();
    for block in blocks {
        hasher.update(&block);
    }
    hasher
}

#[cfg(test)]
mod tests;
