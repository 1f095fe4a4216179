//! What goes wrong with a cache. None of it ends a build.

use strata_oci::Digest;

use crate::error::{ReadError, WriteError};

/// Why a cache cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It cannot be fetched.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It cannot be put where it belongs.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// What is there is neither a cache nor an image that carries one.
    #[error("it holds no cache of build steps")]
    NoCache,
    /// What is there is not a cache, and would be lost if one were written.
    #[error("something other than a cache has this name")]
    InTheWay,
    /// The records cannot be read.
    #[error("its records are malformed")]
    Malformed(#[source] serde_json::Error),
    /// The records were written by another version.
    #[error("its records have version {version}, not {}", super::records::VERSION)]
    Version {
        /// The version they have.
        version: u32,
    },
    /// A document that is too long to be what it should be.
    #[error("blob `{digest}` of {size} bytes is too long for what it is")]
    TooLong {
        /// Which.
        digest: Digest,
        /// Its length.
        size: u64,
    },
    /// A compressed document that does not decompress.
    #[error("blob `{digest}` does not decompress")]
    Compression {
        /// Which.
        digest: Digest,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The index of a layer that cannot be used.
    #[error("blob `{digest}` is not usable as an index")]
    Index {
        /// Which.
        digest: Digest,
        /// Why not.
        #[source]
        source: strata_layer::IndexError,
    },
    /// A cache is named by its digest, which changing it would change.
    #[error("a digest names it, and what has a digest cannot be changed: name its tag")]
    Pinned,
    /// What a cache mount holds cannot be read, or put where it belongs.
    #[error("cannot pack or unpack it")]
    Mount(#[from] Box<strata_build::ErrorKind>),
    /// A cache mount holds more than is to be kept.
    #[error("it holds more than {limit} bytes")]
    TooMuch {
        /// How much is kept.
        limit: u64,
    },
    /// Others write to it all the time.
    #[error("it was changed by others during each of {attempts} attempts to write it")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
}

impl CacheError {
    /// Whether there simply is no cache.
    pub(super) fn is_absence(&self) -> bool {
        match self {
            Self::NoCache => true,
            Self::Read(ReadError::Registry(error)) => error.is_not_found(),
            _ => false,
        }
    }

    /// Itself and its causes on one line, for a warning.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}
