//! A store on disk: where everything is, and who may use it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use strata_oci::Digest;
use tempfile::NamedTempFile;

use crate::error::StoreError;

/// An open store. It is locked against pruning as long as this value lives.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    lock: File,
}

/// Everything below the store's directory that holds files.
const DIRECTORIES: [&str; 7] =
    ["blobs/sha256", "indexes", "links", "steps", "images", "unpacked", "tmp"];

impl Store {
    /// Opens the store in `directory`, which is made if it is missing. Waits while somebody prunes it.
    ///
    /// If nobody else uses the store, what dead builders left half written is removed.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let directory = directory.into();
        for name in DIRECTORIES {
            let path = directory.join(name);
            fs::create_dir_all(&path).map_err(StoreError::io("create", &path))?;
        }
        let path = directory.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(StoreError::io("open", &path))?;
        let store = Self { directory, lock };
        if store.lock(FlockOperation::NonBlockingLockExclusive)? {
            store.clear_temporary()?;
        }
        store.lock(FlockOperation::LockShared)?;
        Ok(store)
    }

    /// The directory of the store.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where snapshotters keep unpacked layers. The store makes the directory and leaves it to them.
    pub fn unpacked_directory(&self) -> PathBuf {
        self.directory.join("unpacked")
    }

    /// Where a blob is, or would be.
    pub fn blob_path(&self, digest: Digest) -> PathBuf {
        self.directory.join("blobs/sha256").join(digest.to_hex())
    }

    /// Where an entry of a kind is, or would be.
    pub(crate) fn entry_path(&self, kind: &str, name: Digest) -> PathBuf {
        self.directory.join(kind).join(name.to_hex())
    }

    /// A file in `tmp`, which vanishes when it is dropped.
    pub(crate) fn temporary(&self) -> Result<NamedTempFile, StoreError> {
        let directory = self.directory.join("tmp");
        NamedTempFile::new_in(&directory).map_err(StoreError::write(&directory, 0))
    }

    /// Takes the lock in another way; tells whether it could be had.
    pub(crate) fn lock(&self, operation: FlockOperation) -> Result<bool, StoreError> {
        loop {
            match flock(&self.lock, operation) {
                Ok(()) => return Ok(true),
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    let path = self.directory.join("lock");
                    return Err(StoreError::io("lock", &path)(error.into()));
                }
            }
        }
    }

    /// Removes everything in `tmp`. Only for who holds the exclusive lock: others are writing there.
    pub(crate) fn clear_temporary(&self) -> Result<u64, StoreError> {
        let mut bytes = 0;
        for file in list(&self.directory.join("tmp"))? {
            bytes += file.size;
            remove(&file.path)?;
        }
        Ok(bytes)
    }
}

/// A file of the store.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) path: PathBuf,
    /// What its name says, if it is a digest.
    pub(crate) digest: Option<Digest>,
    pub(crate) size: u64,
    pub(crate) modified: std::time::SystemTime,
}

/// The files of a directory.
pub(crate) fn list(directory: &Path) -> Result<Vec<Listed>, StoreError> {
    let mut files = Vec::new();
    let fail = || StoreError::io("list", directory);
    for entry in fs::read_dir(directory).map_err(fail())? {
        let entry = entry.map_err(fail())?;
        let path = entry.path();
        let metadata = entry.metadata().map_err(StoreError::io("read", &path))?;
        if metadata.is_dir() {
            continue;
        }
        let digest = entry.file_name().to_str().and_then(|name| Digest::parse_hex(name).ok());
        let modified = metadata.modified().map_err(StoreError::io("read", &path))?;
        files.push(Listed { path, digest, size: metadata.len(), modified });
    }
    Ok(files)
}

/// Removes a file; one that is gone already is as good.
pub(crate) fn remove(path: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::io("remove", path)(error)),
    }
}

/// Opens a file, if there is one.
pub(crate) fn open(path: &Path) -> Result<Option<File>, StoreError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("open", path)(error)),
    }
}
