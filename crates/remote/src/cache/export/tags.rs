//! Into a repository with a tag for each step. Nothing is read and merged, so that nothing can get lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use strata_oci::{Descriptor, DiffId, Document, Manifest, MediaType, Repository};

use super::{Batch, Export, Exported};
use crate::cache::Caches;
use crate::cache::error::CacheError;
use crate::cache::records::{Records, media_type};
use crate::cache::tags::{ANNOTATION, ARTIFACT, of_layer, of_mount, of_slot, of_step, reference};
use crate::error::WriteError;
use crate::origin::{Origin, WithInline};
use crate::output::registry::{BlobTransfer, PARALLEL};

/// The config of an artifact that has none.
const EMPTY: &[u8] = b"{}";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// One manifest, and the tags it gets.
struct Sheet {
    tags: Vec<String>,
    records: Records,
}

impl Sheet {
    /// The layer, if it is about nothing but what is in one.
    fn only_layer(&self) -> Option<DiffId> {
        let first = self.records.indexes.keys().next().copied();
        first.filter(|_| self.records.steps.is_empty())
    }
}

impl Caches {
    pub(super) async fn to_tags(
        &self,
        repository: &Repository,
        batch: Batch,
        export: Export<'_>,
    ) -> Result<Exported, CacheError> {
        let read = export.steps.tags_of(repository);
        let is_known = |tag: &str, records: &Records| {
            let known = read.as_ref().and_then(|read| read.known(tag));
            known.is_some_and(|mut known| {
                let before = known.clone();
                known.merge(records);
                known == before
            })
        };
        let mut sheets = sheets(&batch.records);
        for diff_id in sheets.iter().filter_map(Sheet::only_layer) {
            // Nothing may have asked for it while the build ran.
            if let Some(read) = &read {
                read.layer(diff_id).await;
            }
        }
        sheets.retain(|sheet| !is_known(&sheet.tags[0], &sheet.records));
        if sheets.is_empty() {
            return Ok(Exported::Unchanged);
        }
        let images: Arc<dyn Origin> = Arc::new(self.images.clone());
        let small = batch.small.into_iter().chain([Bytes::from_static(EMPTY)]);
        let origin = WithInline::new(small, images);
        let transfer = BlobTransfer {
            client: &self.client,
            origin: &origin,
            to: repository,
            mount_from: export.pushed,
            events: &self.events,
        };
        let manifests: Vec<(Sheet, Document<Manifest>)> =
            sheets.into_iter().map(manifest).collect();
        let mut blobs: BTreeMap<_, Descriptor> = BTreeMap::new();
        for (_, document) in &manifests {
            let manifest = document.value();
            let named = manifest.layers.iter().chain([&manifest.config]);
            blobs.extend(named.map(|blob| (blob.digest, blob.clone())));
        }
        let steps = manifests.iter().map(|(sheet, _)| sheet.records.steps.len()).sum();
        let pushes = blobs.into_values().map(|blob| async move { transfer.push(&blob).await });
        stream::iter(pushes).buffer_unordered(PARALLEL).try_collect::<()>().await?;
        let puts = manifests.iter().flat_map(|(sheet, document)| {
            sheet.tags.iter().map(move |tag| async move {
                let name = reference(repository, tag);
                let (bytes, kind) = (document.bytes().to_vec(), MediaType::OciManifest);
                let put = self.client.push_manifest(&name, bytes, &kind).await;
                put.map(drop).map_err(WriteError::from)
            })
        });
        let puts: Vec<_> = puts.collect();
        stream::iter(puts).buffer_unordered(PARALLEL).try_collect::<()>().await?;
        Ok(Exported::Written { manifest: None, steps })
    }
}

/// Takes records apart: one sheet for each step with the index of its layer, one for each layer of a
/// base, one for each cache mount.
fn sheets(records: &Records) -> Vec<Sheet> {
    let mut rest = records.indexes.clone();
    let mut sheets = Vec::new();
    for (key, record) in &records.steps {
        let mut tags = vec![of_step(key)];
        if let (Some(slot), Some(_)) = (record.slot, &record.recipe) {
            tags.push(of_slot(slot));
        }
        rest.remove(&record.diff_id);
        let index = records.indexes.get(&record.diff_id);
        let sheet = Records {
            steps: BTreeMap::from([(*key, record.clone())]),
            indexes: index.map(|index| (record.diff_id, index.clone())).into_iter().collect(),
            ..Records::default()
        };
        sheets.push(Sheet { tags, records: sheet });
    }
    for (diff_id, index) in rest {
        let indexes = BTreeMap::from([(diff_id, index)]);
        let records = Records { indexes, ..Records::default() };
        sheets.push(Sheet { tags: vec![of_layer(diff_id)], records });
    }
    for (name, mount) in &records.mounts {
        let mounts = BTreeMap::from([(*name, mount.clone())]);
        let records = Records { mounts, ..Records::default() };
        sheets.push(Sheet { tags: vec![of_mount(*name)], records });
    }
    sheets
}

fn manifest(sheet: Sheet) -> (Sheet, Document<Manifest>) {
    let config = Descriptor::of(media_type(EMPTY_TYPE), EMPTY);
    let text = String::from_utf8(sheet.records.to_bytes()).expect("JSON is text");
    let manifest = Manifest {
        artifact_type: Some(media_type(ARTIFACT)),
        annotations: BTreeMap::from([(ANNOTATION.to_owned(), text)]),
        ..Manifest::new(MediaType::OciManifest, config, sheet.records.blobs())
    };
    (sheet, Document::write(manifest))
}
