//! What goes wrong in a store.

use std::io;
use std::path::{Path, PathBuf};

use strata_oci::Digest;

/// Why the store cannot do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or directory of the store cannot be used.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it cannot be done.
        #[source]
        source: io::Error,
    },
    /// The file system has no more room, or the user none on it.
    #[error("no space left for `{}`: {needed} more bytes are needed{}", path.display(), shown(*free))]
    Full {
        /// The file that was being written.
        path: PathBuf,
        /// How many bytes it was to grow by at once; the whole file may need more.
        needed: u64,
        /// How many bytes are free for this user, if the system tells.
        free: Option<u64>,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What was written is not what was announced.
    #[error("blob `{expected}` came as {length} bytes with digest `{found}`")]
    Mismatch {
        /// The digest it should have had.
        expected: Digest,
        /// The digest it has.
        found: Digest,
        /// The length it has.
        length: u64,
    },
    /// A stored blob is not what its name says. It was removed.
    #[error("stored blob `{digest}` was damaged and has been removed")]
    Damaged {
        /// The name.
        digest: Digest,
    },
    /// Somebody else uses the store, which is to be pruned.
    #[error("the store `{}` is in use", directory.display())]
    InUse {
        /// The store.
        directory: PathBuf,
    },
}

fn shown(free: Option<u64>) -> String {
    free.map_or_else(String::new, |free| format!(", {free} are free"))
}

impl StoreError {
    /// For `map_err`: what was being done, and with what.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// For `map_err` where `needed` bytes were being written.
    pub(crate) fn write(path: &Path, needed: u64) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let directory = path.parent().unwrap_or(path);
                let free = rustix::fs::statvfs(directory)
                    .ok()
                    .map(|status| status.f_bavail.saturating_mul(status.f_frsize));
                Self::Full { path: path.to_owned(), needed, free, source }
            }
            _ => Self::Io { action: "write", path: path.to_owned(), source },
        }
    }
}

impl From<StoreError> for io::Error {
    /// Keeps the whole error inside one that can pass through [`io::Read`] and [`io::Write`].
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Io { source, .. } | StoreError::Full { source, .. } => source.kind(),
            StoreError::Mismatch { .. } | StoreError::Damaged { .. } => io::ErrorKind::InvalidData,
            StoreError::InUse { .. } => io::ErrorKind::ResourceBusy,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_how_much_is_missing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("blob");
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let error = StoreError::write(&path, 4096)(kind.into());
            let StoreError::Full { needed: 4096, free: Some(_), .. } = &error else {
                panic!("{error:?}")
            };
            assert_eq!(io::Error::from(error).kind(), kind);
        }
        let source = io::ErrorKind::StorageFull.into();
        let error = StoreError::Full { path: "/s/b".into(), needed: 5, free: Some(3), source };
        let message = "no space left for `/s/b`: 5 more bytes are needed, 3 are free";
        assert_eq!(error.to_string(), message);
    }
}
