//! Puts what a build used and made where the next one finds it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use strata_oci::{Descriptor, DiffId, Digest, Document, Image, LayerRef, Manifest, MediaType};

use super::Caches;
use super::error::CacheError;
use super::inline;
use super::location::{CachePlace, CacheTarget, Extent};
use super::records::{
    ARTIFACT, CONFIG, INDEX, IndexRecord, RECIPE, Record, Records, SHORT, StoredRecipe, media_type,
};
use super::source::pack;
use super::steps::{CachedSteps, Used};
use crate::steps::slot;
use crate::stream::blocking;

mod directory;
mod registry;
mod tags;

pub(super) use registry::is_missing;

/// Says what became of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exported {
    /// The cache was written.
    Written {
        /// Its manifest, if it is one.
        manifest: Option<Digest>,
        /// How many steps it knows.
        steps: usize,
    },
    /// It knew all of that already.
    Unchanged,
}

/// What a build adds to a cache: records, and the small blobs that they name.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    records: Records,
    small: Vec<Bytes>,
}

/// What is exported.
#[derive(Clone, Copy, Debug)]
pub struct Export<'a> {
    /// What the build used and made.
    pub steps: &'a CachedSteps,
    /// Its results, one for each platform.
    pub images: &'a [Image],
    /// The layers of the images it started from: what is inside of them is kept, they themselves are not.
    pub bases: &'a [LayerRef],
    /// Where the result was pushed: what is there need not be sent again.
    pub pushed: &'a [strata_oci::Repository],
}

impl Caches {
    /// Writes a cache: adds what this build has to what is there now, and drops what was not used for long.
    ///
    /// Nothing is written if there is nothing to add.
    pub async fn export(
        &self,
        target: &CacheTarget,
        export: Export<'_>,
    ) -> Result<Exported, CacheError> {
        let mut batch = self.batch(target.extent, export).await;
        if let Some(limit) = target.mounts {
            batch.records.mounts = self.pack_mounts(export.steps, limit).await;
        }
        match &target.place {
            CachePlace::Registry(reference) => {
                let (steps, pushed) = (Some(export.steps), export.pushed);
                self.to_registry(reference, target.unused, batch, steps, pushed).await
            }
            CachePlace::Tags(repository) => self.to_tags(repository, batch, export).await,
            CachePlace::Directory { directory, tag } => {
                self.to_directory(directory, tag, target.unused, batch).await
            }
        }
    }

    /// Writes the keys of an image's own layers into its config, for `--cache-from` that image.
    pub fn write_inline(&self, image: &mut Image, steps: &CachedSteps) {
        // Keys by content are left out: which of them are known depends on what was found where, and the same
        // build has to give the same image.
        let used = steps.used().into_iter().filter(|(_, used)| !used.recipe.is_empty());
        let records = used.map(|(key, used)| (key, self.record(&used)));
        inline::write(image, &Records { steps: records.collect(), ..Records::default() });
    }

    fn record(&self, used: &Used) -> Record {
        Record {
            layer: used.result.layer.blob.clone(),
            diff_id: used.result.layer.diff_id,
            created: used.result.created.clone(),
            used: self.now,
            ran: Some(used.ran),
            slot: None,
            recipe: None,
        }
    }

    async fn batch(&self, extent: Extent, export: Export<'_>) -> Batch {
        let layers = export.images.iter().flat_map(|image| &image.layers);
        let result: BTreeSet<DiffId> = layers.map(|layer| layer.diff_id).collect();
        let wanted = |used: &Used| match extent {
            Extent::Everything => true,
            Extent::Result => result.contains(&used.result.layer.diff_id),
        };
        let mut batch = Batch::default();
        let mut layers: BTreeMap<DiffId, LayerRef> =
            export.bases.iter().map(|layer| (layer.diff_id, layer.clone())).collect();
        for (key, used) in export.steps.used() {
            if !wanted(&used) {
                continue;
            }
            let layer = used.result.layer.clone();
            layers.insert(layer.diff_id, layer);
            let mut record = self.record(&used);
            record.slot = slot(&used.recipe).map(Digest::from_bytes);
            record.recipe = batch.recipe(used.recipe).await;
            batch.records.steps.insert(key, record);
        }
        for layer in layers.into_values() {
            let blob = match self.images.published(layer.diff_id) {
                Some(blob) => blob,
                None => match self.images.index_if_near(&layer).await {
                    Some(index) => {
                        let packed = blocking(move || pack(&index.to_bytes())).await;
                        batch.keep(media_type(INDEX), packed)
                    }
                    None => continue,
                },
            };
            let files = self.images.small_files(layer.diff_id);
            let index = IndexRecord { blob, files, used: self.now };
            batch.records.indexes.insert(layer.diff_id, index);
        }
        batch
    }
}

impl Batch {
    fn keep(&mut self, media_type: MediaType, bytes: Bytes) -> Descriptor {
        let descriptor = Descriptor::of(media_type, &bytes);
        self.small.push(bytes);
        descriptor
    }

    async fn recipe(&mut self, recipe: Bytes) -> Option<StoredRecipe> {
        if recipe.len() <= SHORT {
            return serde_json::from_slice(&recipe).ok().map(StoredRecipe::Inline);
        }
        let packed = blocking(move || pack(&recipe)).await;
        Some(StoredRecipe::Blob(Box::new(self.keep(media_type(RECIPE), packed))))
    }
}

/// The manifest of records, and its config.
fn manifest(records: &Records) -> (Document<Manifest>, Bytes) {
    let config = Bytes::from(records.to_bytes());
    let descriptor = Descriptor::of(media_type(CONFIG), &config);
    let manifest = Manifest {
        artifact_type: Some(media_type(ARTIFACT)),
        ..Manifest::new(MediaType::OciManifest, descriptor, records.blobs())
    };
    (Document::write(manifest), config)
}
