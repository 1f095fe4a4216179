//! Reads caches from wherever they are.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use strata_oci::{AnyManifest, Descriptor, Document, Image, Manifest, Platform};

use super::Caches;
use super::error::CacheError;
use super::inline;
use super::location::CacheSource;
use super::records::{ARTIFACT, LIMIT, Records, media_type};
use crate::error::ReadError;
use crate::images::Place;
use crate::images::resolve::{choose_manifest, read_config};
use crate::origin::Origin;
use crate::origin::layout::{Layout, blob_path};
use crate::origin::registry::{Remote, fetch};
use crate::stream::{ByteStream, blocking};

/// The tag of a cache in a layout, if none is asked for.
pub(super) const LATEST: &str = "latest";
/// Decompressed, an index or recipe is at most this long.
const LONGEST: u64 = 256 << 20;

/// A cache that was read: what it knows, and where the blobs are.
#[derive(Clone, Debug)]
pub(super) struct Import {
    pub(super) source: CacheSource,
    /// Whether it rode in an image.
    pub(super) inline: bool,
    pub(super) records: Records,
    pub(super) place: Place,
}

impl Import {
    /// Reads a cache: its manifest, and its records.
    pub(super) async fn read(
        caches: &Caches,
        source: &CacheSource,
        platform: &Platform,
    ) -> Result<Self, CacheError> {
        let source = source.clone().or_latest();
        let (origin, place, root): (Arc<dyn Origin>, _, _) = match &source {
            CacheSource::Registry(reference) => {
                let root = fetch(&caches.client, reference).await?;
                let repository = reference.repository().clone();
                let origin = Remote::new(caches.client.clone(), repository.clone());
                (Arc::new(origin), Place::Repository(repository), root)
            }
            CacheSource::Tags(_) => return Err(CacheError::NoCache),
            CacheSource::Directory { directory, selector } => {
                let (directory, selector) = (directory.clone(), selector.clone());
                let (layout, row) = blocking(move || {
                    let layout = Layout::open(&directory)?;
                    let tag = selector.as_deref().unwrap_or(LATEST);
                    let row = match layout.select(Some(&layout_name(tag))) {
                        Ok(row) => row,
                        Err(_) => layout.select(selector.as_deref())?,
                    };
                    Ok::<_, ReadError>((Arc::new(layout), row))
                })
                .await?;
                let root = layout.manifest(&row).await?;
                (layout.clone(), Place::Layout(layout), root)
            }
        };
        let (records, inline) = match &root {
            AnyManifest::Manifest(manifest) if is_cache(manifest) => {
                (records_of(&*origin, manifest).await?, false)
            }
            _ => {
                let name = source.to_string();
                let manifest = choose_manifest(&*origin, root, &name, platform).await?;
                let config = read_config(&*origin, &manifest, &name).await?;
                let image = Image::read(manifest.value(), config.into_value())
                    .map_err(|source| ReadError::NotAnImage { image: name, source })?;
                (inline::read(&image, caches.now).ok_or(CacheError::NoCache)?, true)
            }
        };
        Ok(Self { source, inline, records, place })
    }
}

/// The name of a cache in a layout that has other things too.
pub(super) fn layout_name(tag: &str) -> String {
    format!("strata-cache:{tag}")
}

/// Whether a layout has a blob, by its length.
pub(super) fn in_layout(directory: &Path, blob: &Descriptor) -> bool {
    let found = std::fs::metadata(blob_path(directory, blob.digest));
    found.is_ok_and(|found| found.is_file() && found.len() == blob.size)
}

/// Whether a manifest is of a cache.
pub(super) fn is_cache(manifest: &Document<Manifest>) -> bool {
    manifest.value().artifact_type.as_ref() == Some(&media_type(ARTIFACT))
}

/// Reads the records that a cache's manifest names.
pub(super) async fn records_of(
    origin: &dyn Origin,
    manifest: &Document<Manifest>,
) -> Result<Records, CacheError> {
    let config = &manifest.value().config;
    let bytes = whole(origin.blob(config).await?, config).await?;
    Records::parse(&bytes)
}

/// Decompresses a document whose digest was checked.
pub(crate) async fn unpack(blob: &Descriptor, bytes: Bytes) -> Result<Vec<u8>, CacheError> {
    let digest = blob.digest;
    let (unpacked, bytes) = blocking(move || {
        let mut unpacked = Vec::new();
        let read = zstd::Decoder::new(&*bytes)
            .and_then(|decoder| decoder.take(LONGEST + 1).read_to_end(&mut unpacked));
        (read.map(|_| unpacked), bytes)
    })
    .await;
    drop(bytes);
    let unpacked = unpacked.map_err(|source| CacheError::Compression { digest, source })?;
    match unpacked.len() as u64 {
        size if size > LONGEST => Err(CacheError::TooLong { digest, size }),
        _ => Ok(unpacked),
    }
}

/// Compresses a document. The same one gives the same bytes.
pub(super) fn pack(bytes: &[u8]) -> Bytes {
    const LEVEL: i32 = 3;
    let packed = zstd::encode_all(bytes, LEVEL).expect("memory takes whatever is written to it");
    Bytes::from(packed)
}

/// Reads a small blob whole.
pub(crate) async fn whole(stream: ByteStream, blob: &Descriptor) -> Result<Bytes, CacheError> {
    let size = match usize::try_from(blob.size) {
        Ok(size) if blob.size <= LIMIT => size,
        _ => return Err(CacheError::TooLong { digest: blob.digest, size: blob.size }),
    };
    let whole = stream
        .try_fold(Vec::with_capacity(size), |mut whole, bytes| async move {
            whole.extend_from_slice(&bytes);
            Ok(whole)
        })
        .await?;
    Ok(Bytes::from(whole))
}
