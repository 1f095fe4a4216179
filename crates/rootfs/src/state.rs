//! The directory that a snapshotter keeps everything in.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::SnapshotError;
use crate::medium::Medium;
use crate::scratch;

/// ```text
/// lock                                       held, shared, by every process that uses the directory
/// unpacked/<medium>/<diff id>/{fs,index}     complete layers, shared by stages and builds
/// unpacked/<medium>/<diff id>.lock           held by whoever unpacks that layer
/// unpacked/<medium>/.partial-…/              layers on their way
/// work/…/                                    workspaces
/// ```
///
/// Nothing is synced to the disk: after a loss of power a layer may be there by name and damaged, as with
/// other builders' stores; deleting the directory is always safe.
#[derive(Debug)]
pub(crate) struct State {
    unpacked: PathBuf,
    work: PathBuf,
    medium: Medium,
    _lock: File,
}

impl State {
    /// Opens the directory, makes it if it is missing, and deletes what a process that died left in it,
    /// unless others are using it now.
    pub(crate) fn open(directory: &Path) -> Result<Self, SnapshotError> {
        make_directory(directory)?;
        let path = directory.join("lock");
        let fail = |source| SnapshotError::State { path: path.clone(), source };
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).open(&path).map_err(fail)?;
        let (unpacked, work) = (directory.join("unpacked"), directory.join("work"));
        let alone = match lock.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        };
        if alone {
            delete_left_over(&unpacked, &work);
        }
        lock.lock_shared().map_err(fail)?;
        make_directory(&work)?;
        let medium = Medium::probe(&work)?;
        let unpacked = unpacked.join(medium.name());
        make_directory(&unpacked)?;
        Ok(Self { unpacked, work, medium, _lock: lock })
    }

    pub(crate) fn medium(&self) -> &Medium {
        &self.medium
    }

    /// Where complete layers are.
    pub(crate) fn unpacked(&self) -> &Path {
        &self.unpacked
    }

    /// Where workspaces are.
    pub(crate) fn work(&self) -> &Path {
        &self.work
    }
}

/// Others on the host may not look into it: it holds whole file systems with their set-id programs.
fn make_directory(path: &Path) -> Result<(), SnapshotError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| SnapshotError::State { path: path.to_owned(), source })
}

/// The left-overs cost space and nothing else, so that a failure is only worth a note.
fn delete_left_over(unpacked: &Path, work: &Path) {
    let mut left_over = children(work);
    for medium in children(unpacked) {
        let partial = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".partial-"))
        };
        left_over.extend(children(&medium).into_iter().filter(partial));
    }
    for path in left_over {
        // A root that was still mounted when its process died, where mounts outlive processes.
        strata_sys::mount::detach(&path.join("merged")).unwrap_or_default();
        if let Err(error) = scratch::remove(&path) {
            tracing::debug!(path = %path.display(), %error, "cannot delete a left-over directory");
        }
    }
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
