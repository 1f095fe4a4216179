//! What cache mounts hold: archives, cut where their content says, so that only what changed travels.
//!
//! ```text
//! directory ─► archive ─► pieces of about a megabyte ─► zstd ─► blobs     (known ones are neither made nor sent)
//! blobs ─► pieces ─► archive ─► a directory beside, renamed               (whole, verified, or not at all)
//! ```

use std::collections::{BTreeMap, HashMap};
use std::io;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use strata_build::ErrorKind;
use strata_build::event::Event;
use strata_build::kept_mount::{self, CacheMount};
use strata_oci::{Descriptor, DiffId, Digest};

use super::Caches;
use super::error::CacheError;
use super::records::{LIMIT, MountRecord, PIECE, Piece, media_type};
use super::source::pack;
use super::steps::CachedSteps;
use crate::error::ReadError;
use crate::images::LazyImages;
use crate::local::Local;
use crate::stream::{blocking, consume};
use cut::{Cutter, LONGEST};

mod cut;

/// Pieces on their way at one time.
const PARALLEL: usize = 4;

impl Caches {
    /// Packs the mounts that commands of this build used. One that cannot be kept is told, and the others are.
    pub(super) async fn pack_mounts(
        &self,
        steps: &CachedSteps,
        limit: u64,
    ) -> BTreeMap<Digest, MountRecord> {
        let mut records = BTreeMap::new();
        let mut rest = limit;
        for mount in steps.mounts() {
            let kept = steps.kept_mounts(mount.name).await;
            let known = kept.into_iter().flat_map(|kept| kept.pieces);
            let known = known.map(|piece| (piece.content, piece.blob)).collect();
            let (local, now, name, id) =
                (self.local.clone(), self.now, mount.name, mount.id.clone());
            let (left, working) = (rest, mount);
            match blocking(move || pack_mount(&working, &local, &known, left, now)).await {
                Ok(Some(record)) => {
                    rest -= record.size;
                    records.insert(name, record);
                }
                Ok(None) => {
                    tracing::debug!(id, "another build uses the cache mount, and keeps it itself");
                }
                Err(error) => {
                    let message = format!("cache mount `{id}` is not kept: {}", error.chain());
                    self.events.emit(Event::Warning { message, line: None });
                }
            }
        }
        records
    }
}

/// Packs one mount. New pieces go into the local store, from where they are sent.
fn pack_mount(
    mount: &CacheMount,
    local: &Local,
    known: &HashMap<Digest, Descriptor>,
    limit: u64,
    now: i64,
) -> Result<Option<MountRecord>, CacheError> {
    let mut pieces = Vec::new();
    let mut size = 0;
    let packed = {
        let mut cutter = Cutter::new(|bytes: &[u8]| {
            size += bytes.len() as u64;
            if size > limit {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let content = Digest::of(bytes);
            let blob = match known.get(&content) {
                Some(blob) => blob.clone(),
                None => {
                    let packed = pack(bytes);
                    local.store().put_blob(&packed).map_err(io::Error::other)?;
                    Descriptor::of(media_type(PIECE), &packed)
                }
            };
            pieces.push(Piece { content, blob });
            Ok(())
        });
        let packed = kept_mount::pack(mount, &mut cutter);
        packed.and_then(|packed| match (packed, cutter.finish()) {
            (packed, Ok(())) => Ok(packed),
            (_, Err(source)) => {
                let what = format!("the cache mount `{}`", mount.id);
                Err(ErrorKind::Io { action: "pack", what, source })
            }
        })
    };
    match packed {
        Err(_) if size > limit => Err(CacheError::TooMuch { limit }),
        Err(error) => Err(CacheError::Mount(Box::new(error))),
        Ok(None) => Ok(None),
        Ok(Some(diff_id)) => {
            Ok(Some(MountRecord { id: mount.id.clone(), diff_id, size, pieces, used: now }))
        }
    }
}

/// Puts what was kept into a slot.
pub(super) async fn unpack(
    images: &LazyImages,
    kept: MountRecord,
    mount: &CacheMount,
) -> Result<(), CacheError> {
    let MountRecord { diff_id, pieces, .. } = kept;
    let (images, slot) = (images.clone(), mount.slot.clone());
    let pieces = stream::iter(pieces)
        .map(move |piece| {
            let images = images.clone();
            async move { read_piece(&images, &piece.blob).await }
        })
        .buffered(PARALLEL)
        .boxed();
    let put = move |archive| {
        kept_mount::unpack(&slot, DiffId(diff_id.0), archive)
            .map_err(|error| CacheError::Mount(Box::new(error)))
    };
    consume(pieces, |_| {}, put).await
}

async fn read_piece(images: &LazyImages, blob: &Descriptor) -> Result<Bytes, ReadError> {
    let digest = blob.digest;
    let wrong = move |problem: &str| ReadError::Layer {
        digest,
        source: io::Error::new(io::ErrorKind::InvalidData, problem.to_owned()),
    };
    if blob.size > LIMIT {
        return Err(wrong("it is too long for a piece of a cache mount"));
    }
    let packed: Vec<u8> = images
        .remote_stream(blob)
        .await?
        .try_fold(Vec::new(), |mut whole, bytes| async move {
            whole.extend_from_slice(&bytes);
            Ok(whole)
        })
        .await?;
    blocking(move || zstd::bulk::decompress(&packed, LONGEST))
        .await
        .map(Bytes::from)
        .map_err(|source| ReadError::Layer { digest, source })
}
