//! The local store in the words of this crate: everything here blocks.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use strata_layer::Index;
use strata_oci::{
    AnyManifest, Descriptor, DiffId, Digest, Document, Format, ImageConfig, Manifest, Reference,
};
use strata_store::{Store, StoreError, VerifiedBlob};

use crate::error::ReadError;

/// The local store. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Local {
    store: Arc<Store>,
}

impl Local {
    /// Takes an open store.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    pub(crate) fn has_blob(&self, blob: &Descriptor) -> Result<bool, ReadError> {
        self.store.has_blob(blob).map_err(failed(format!("blob `{}`", blob.digest)))
    }

    pub(crate) fn verified_blob(&self, blob: &Descriptor) -> io::Result<VerifiedBlob> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "the blob is not in the store");
        self.store.verified_blob(blob)?.ok_or_else(missing)
    }

    pub(crate) fn open_blob(&self, digest: Digest) -> io::Result<File> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "the blob is not in the store");
        self.store.blob(digest)?.ok_or_else(missing)
    }

    pub(crate) fn blob_path(&self, digest: Digest) -> PathBuf {
        self.store.blob_path(digest)
    }

    /// Takes a blob whose reader verifies it.
    pub(crate) fn put_blob(
        &self,
        reader: &mut dyn Read,
        blob: &Descriptor,
    ) -> Result<(), ReadError> {
        let fail = || failed(format!("blob `{}`", blob.digest));
        let mut writer = self.store.blob_writer().map_err(fail())?;
        io::copy(reader, &mut writer)
            .map_err(|source| ReadError::Layer { digest: blob.digest, source })?;
        writer.commit_as(blob.digest).map_err(fail()).map(drop)
    }

    pub(crate) fn index(&self, diff_id: DiffId) -> Option<Index> {
        let bytes = self.store.index(diff_id).unwrap_or_else(|error| {
            tracing::debug!(%diff_id, %error, "a stored index cannot be read");
            None
        })?;
        match Index::from_bytes(&bytes) {
            Ok(index) => Some(index),
            // Written by another version: made again.
            Err(error) => {
                tracing::debug!(%diff_id, %error, "a stored index cannot be used");
                None
            }
        }
    }

    /// Keeps an index. One that cannot be kept is made again next time.
    pub(crate) fn put_index(&self, diff_id: DiffId, index: &Index) {
        if let Err(error) = self.store.put_index(diff_id, &index.to_bytes()) {
            tracing::warn!(%diff_id, %error, "an index cannot be kept");
        }
    }

    /// What a name of the store stands for.
    pub(crate) fn image(&self, name: &Reference) -> Result<Option<Descriptor>, ReadError> {
        self.store.image(name).map_err(failed(format!("image `{}`", name.familiar())))
    }

    pub(crate) fn manifest(
        &self,
        descriptor: &Descriptor,
    ) -> Result<Option<AnyManifest>, ReadError> {
        self.manifest_by_digest(descriptor.digest)
    }

    /// A manifest that is here. A damaged one is as good as none.
    pub(crate) fn manifest_by_digest(
        &self,
        digest: Digest,
    ) -> Result<Option<AnyManifest>, ReadError> {
        let Some(bytes) = self.small_blob(digest, Manifest::LIMIT)? else { return Ok(None) };
        Ok(AnyManifest::parse(bytes, None).ok())
    }

    pub(crate) fn config(
        &self,
        descriptor: &Descriptor,
    ) -> Result<Option<Document<ImageConfig>>, ReadError> {
        let Some(bytes) = self.small_blob(descriptor.digest, ImageConfig::LIMIT)? else {
            return Ok(None);
        };
        Ok(Document::parse(bytes).ok())
    }

    fn small_blob(&self, digest: Digest, limit: usize) -> Result<Option<Vec<u8>>, ReadError> {
        let fail = || failed(format!("blob `{digest}`"));
        let Some(file) = self.store.blob(digest).map_err(fail())? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(limit as u64)
            .read_to_end(&mut bytes)
            .map_err(|source| ReadError::File { path: self.blob_path(digest), source })?;
        let right = Digest::of(&bytes) == digest;
        Ok(right.then_some(bytes))
    }
}

pub(crate) fn failed(what: String) -> impl FnOnce(StoreError) -> ReadError {
    move |source| ReadError::Store { what, source }
}
