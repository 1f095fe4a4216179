//! Blobs: written aside and renamed, read with or without a check.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use strata_oci::{Descriptor, Digest, Hasher};
use tempfile::NamedTempFile;

use crate::error::StoreError;
use crate::store::{Store, open, remove};

impl Store {
    /// Begins a blob, which is hashed on the way.
    pub fn blob_writer(&self) -> Result<BlobWriter, StoreError> {
        self.writer(Name::Found(Hasher::new()))
    }

    /// Begins the blob `digest`, for whoever verifies its bytes, as transfers do, and commits nothing else. They are not
    /// hashed once more.
    pub fn verified_blob_writer(&self, digest: Digest) -> Result<BlobWriter, StoreError> {
        self.writer(Name::Known(digest))
    }

    fn writer(&self, name: Name) -> Result<BlobWriter, StoreError> {
        let blobs = self.directory().join("blobs/sha256");
        Ok(BlobWriter { file: self.temporary()?, name, length: 0, blobs })
    }

    /// Takes a blob that is in memory. One that is here already is not written again.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        let path = self.blob_path(digest);
        if path.metadata().is_ok_and(|metadata| metadata.len() == bytes.len() as u64) {
            return Ok(digest);
        }
        let mut writer = self.blob_writer()?;
        writer.append(bytes)?;
        writer.commit().map(|(digest, _)| digest)
    }

    /// Opens a blob without any check.
    pub fn blob(&self, digest: Digest) -> Result<Option<File>, StoreError> {
        open(&self.blob_path(digest))
    }

    /// Whether the blob is here with the length it should have. One of another length is removed.
    pub fn has_blob(&self, blob: &Descriptor) -> Result<bool, StoreError> {
        Ok(self.sized_blob(blob)?.is_some())
    }

    /// Opens a blob so that who reads it to its end knows that its bytes are right.
    pub fn verified_blob(&self, blob: &Descriptor) -> Result<Option<VerifiedBlob>, StoreError> {
        let file = self.sized_blob(blob)?;
        Ok(file.map(|file| VerifiedBlob {
            file,
            hasher: Some(Hasher::new()),
            digest: blob.digest,
            size: blob.size,
            path: self.blob_path(blob.digest),
        }))
    }

    /// Forgets a blob; tells whether it was there.
    pub fn remove_blob(&self, digest: Digest) -> Result<bool, StoreError> {
        remove(&self.blob_path(digest))
    }

    fn sized_blob(&self, blob: &Descriptor) -> Result<Option<File>, StoreError> {
        let path = self.blob_path(blob.digest);
        let Some(file) = open(&path)? else { return Ok(None) };
        let length = file.metadata().map_err(StoreError::io("read", &path))?.len();
        if length == blob.size {
            return Ok(Some(file));
        }
        // The descriptor may be the one that is wrong: only bytes that are not what the file's name says are
        // removed.
        if hash(file).map_err(StoreError::io("read", &path))? != blob.digest {
            tracing::warn!(digest = %blob.digest, length, "a stored blob is damaged and is removed");
            remove(&path)?;
        }
        Ok(None)
    }
}

fn hash(mut file: File) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    io::copy(&mut file, &mut hasher)?;
    Ok(hasher.finish())
}

/// A blob that is being written. It vanishes if it is dropped uncommitted.
#[derive(Debug)]
pub struct BlobWriter {
    file: NamedTempFile,
    name: Name,
    length: u64,
    blobs: PathBuf,
}

/// Whence a blob's digest is known.
#[derive(Debug)]
enum Name {
    Found(Hasher),
    Known(Digest),
}

impl BlobWriter {
    /// The file that is being written, for whoever reads it meanwhile, at places of their own. It stays readable
    /// when the blob is committed, and when it is not.
    pub fn file(&self) -> Result<File, StoreError> {
        let path = self.file.path();
        self.file.as_file().try_clone().map_err(StoreError::io("open", path))
    }

    /// How many bytes were written so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Takes what was written into the store, under its digest.
    pub fn commit(self) -> Result<(Digest, u64), StoreError> {
        let length = self.length;
        let digest = self.name.digest();
        let path = self.blobs.join(digest.to_hex());
        let renamed = self.file.persist(&path);
        renamed.map_err(|error| StoreError::write(&path, length)(error.error))?;
        Ok((digest, length))
    }

    /// Takes what was written into the store if it is the blob `expected`, else forgets it.
    pub fn commit_as(self, expected: Digest) -> Result<u64, StoreError> {
        let found = self.name.digest();
        if found != expected {
            return Err(StoreError::Mismatch { expected, found, length: self.length });
        }
        self.commit().map(|(_, length)| length)
    }

    /// As [`Write::write_all`], with the store's own error.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.file.path();
        let result = self.file.as_file().write_all(bytes);
        result.map_err(StoreError::write(path, bytes.len() as u64))?;
        self.wrote(bytes);
        Ok(())
    }

    fn wrote(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if let Name::Found(hasher) = &mut self.name {
            hasher.update(bytes);
        }
    }
}

impl Name {
    fn digest(&self) -> Digest {
        match self {
            Self::Found(hasher) => hasher.clone().finish(),
            Self::Known(digest) => *digest,
        }
    }
}

impl Write for BlobWriter {
    /// Errors carry a [`StoreError`], which says which file and, on a full disk, how much room there is.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let path = self.file.path();
        let written = match self.file.as_file().write(bytes) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(StoreError::write(path, bytes.len() as u64)(error).into()),
        };
        self.wrote(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a blob and fails instead of ending if its bytes are not those of its digest. A blob that is found
/// damaged is removed, so that it is fetched again next time.
#[derive(Debug)]
pub struct VerifiedBlob {
    file: File,
    // Nothing once the end was reached and was right.
    hasher: Option<Hasher>,
    digest: Digest,
    size: u64,
    path: PathBuf,
}

impl Read for VerifiedBlob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let Some(hasher) = &mut self.hasher else { return Ok(0) };
        hasher.update(&buffer[..read]);
        let ends = read == 0 && !buffer.is_empty();
        if (ends || hasher.length() > self.size)
            && let Some(hasher) = self.hasher.take()
            && (hasher.length() != self.size || hasher.finish() != self.digest)
        {
            tracing::warn!(digest = %self.digest, "a stored blob is damaged and is removed");
            remove(&self.path)?;
            return Err(StoreError::Damaged { digest: self.digest }.into());
        }
        Ok(read)
    }
}
