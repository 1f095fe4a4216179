//! Into an OCI layout: a directory that a CI cache keeps.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use strata_oci::{AnyManifest, Descriptor, Digest, Document, Manifest, Repository};

use super::{Batch, Exported, manifest};
use crate::cache::Caches;
use crate::cache::error::CacheError;
use crate::cache::records::Records;
use crate::cache::source::{in_layout, is_cache, layout_name, records_of};
use crate::error::{ReadError, WriteError};
use crate::images::LazyImages;
use crate::origin::layout::{Layout, blob_path};
use crate::origin::{Bundle, Origin, PushSource, WithInline};
use crate::output::{Progress, layout};
use crate::stream::{ByteStream, blocking};

impl Caches {
    pub(in crate::cache) async fn to_directory(
        &self,
        directory: &Path,
        tag: &str,
        unused: Duration,
        batch: Batch,
    ) -> Result<Exported, CacheError> {
        let before = current(directory, tag).await?;
        let current = before.as_ref().map(|(_, records)| records.clone()).unwrap_or_default();
        let mut records = current.clone();
        records.merge(&batch.records);
        records.prune(self.now, unused);
        if before.is_some() && records == current {
            return Ok(Exported::Unchanged);
        }
        let (document, config) = manifest(&records);
        let layers: Arc<dyn Origin> = Arc::new(Layers(self.images.clone()));
        let origin = WithInline::new(batch.small.into_iter().chain([config]), layers);
        let root = AnyManifest::Manifest(document.clone());
        let bundle = Bundle::new(Vec::new(), root, Arc::new(origin));
        let progress = Progress::new(Arc::clone(&self.events), None);
        layout::write(&bundle, &[layout_name(tag)], directory, &progress).await?;
        let digest = document.digest();
        if let Some((old, _)) = before {
            let directory = directory.to_owned();
            blocking(move || remove_unnamed(&directory, &old, &document)).await?;
        }
        Ok(Exported::Written { manifest: Some(digest), steps: records.steps.len() })
    }
}

/// The cache of a layout with its records, of which only those count whose blobs are there.
async fn current(
    directory: &Path,
    tag: &str,
) -> Result<Option<(Document<Manifest>, Records)>, CacheError> {
    let (opened, name) = (directory.to_owned(), layout_name(tag));
    let found = blocking(move || {
        if !opened.join("oci-layout").exists() {
            return Ok(None);
        }
        let layout = Layout::open(&opened)?;
        Ok::<_, ReadError>(layout.select(Some(&name)).ok().map(|row| (layout, row)))
    });
    let Some((layout, row)) = found.await? else { return Ok(None) };
    let AnyManifest::Manifest(manifest) = layout.manifest(&row).await? else { return Ok(None) };
    if !is_cache(&manifest) {
        return Ok(None);
    }
    let mut records = match records_of(&layout, &manifest).await {
        Ok(records) => records,
        Err(error @ CacheError::Version { .. }) => return Err(error),
        Err(_) => Records::default(),
    };
    let directory = directory.to_owned();
    let records = blocking(move || {
        records.retain_blobs(|blob| in_layout(&directory, blob));
        records
    })
    .await;
    Ok(Some((manifest, records)))
}

/// Removes what the old manifest named and the new one does not, unless the layout has more than the cache.
fn remove_unnamed(
    directory: &Path,
    old: &Document<Manifest>,
    new: &Document<Manifest>,
) -> Result<(), WriteError> {
    let layout = Layout::open(directory)?;
    if !matches!(layout.index().value().manifests.as_slice(), [only] if only.digest == new.digest())
    {
        return Ok(());
    }
    let named = |manifest: &Document<Manifest>| -> BTreeSet<Digest> {
        let blobs = manifest.value().layers.iter().chain([&manifest.value().config]);
        blobs.map(|blob| blob.digest).chain([manifest.digest()]).collect()
    };
    for digest in named(old).difference(&named(new)) {
        let path = blob_path(directory, *digest);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(WriteError::File { path, source }),
        }
    }
    Ok(())
}

/// Layers wherever they are, read as they are written: bringing all of them into the store first would be a second
/// copy of the cache.
#[derive(Debug)]
struct Layers(LazyImages);

impl Origin for Layers {
    fn manifest<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<AnyManifest, ReadError>> {
        self.0.manifest(descriptor)
    }

    fn blob<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<ByteStream, ReadError>> {
        self.0.blob(descriptor)
    }

    fn repository(&self, digest: Digest) -> Option<Repository> {
        self.0.repository(digest)
    }

    fn push_source<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<PushSource, ReadError>> {
        async move { self.0.push_source(descriptor).await }.boxed()
    }
}
