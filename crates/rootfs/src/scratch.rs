//! Directories that go away with their owner.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use strata_sys::{Dir, Kind, PathError};

use crate::error::SnapshotError;

/// A directory with a name of its own, deleted with everything in it when dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes a directory in `parent` whose name starts with `prefix`.
    pub(crate) fn new(parent: &Path, prefix: &str) -> Result<Self, SnapshotError> {
        let keys = RandomState::new();
        for attempt in 0_u32.. {
            let path = parent.join(format!("{prefix}{:016x}", keys.hash_one(attempt)));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(SnapshotError::State { path, source }),
            }
        }
        unreachable!("a directory does not hold 2^32 names")
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it a lasting name instead, in place of what stands there.
    pub(crate) fn keep_as(self, path: &Path) -> Result<(), SnapshotError> {
        let fail = |source| SnapshotError::State { path: path.to_owned(), source };
        remove(path).map_err(|error| fail(error.source.into()))?;
        std::fs::rename(&self.path, path).map_err(fail)?;
        std::mem::forget(self);
        Ok(())
    }

    /// Makes a directory in it.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf, SnapshotError> {
        let path = self.path.join(name);
        match std::fs::create_dir(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(SnapshotError::State { path, source }),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            // Nothing depends on it being gone, and the next process with this state directory tries again.
            tracing::warn!(path = %self.path.display(), %error, "cannot delete a scratch directory");
        }
    }
}

/// Deletes a directory of ours with everything in it, following no link. A missing one is fine.
pub(crate) fn remove(path: &Path) -> Result<(), PathError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let parent = Dir::open(parent)?;
    let name = name.as_bytes();
    // The kernel makes `work/work` with mode 000, which stops whoever has no power over modes.
    if let Ok(work) = parent.dir(name).and_then(|dir| dir.dir("work"))
        && work.metadata("work").is_ok_and(|found| found.kind == Kind::Dir)
    {
        // Where this fails, so does the removal, and that is reported.
        work.set_mode("work", 0o700).unwrap_or_default();
    }
    match parent.remove_all(name) {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}
