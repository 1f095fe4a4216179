//! What caches add: places of layers, and indexes that were published beside them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use strata_layer::Index;
use strata_oci::{Descriptor, DiffId, Digest, LayerRef};

use super::{LazyImages, Place};
use crate::cache::{CacheError, Records, Tags, unpack, whole};

impl LazyImages {
    /// Takes note of where a cache has layers, and the indexes of layers.
    pub(crate) fn remember_cache(&self, records: &Records, place: &Place) {
        {
            let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
            for blob in records.blobs() {
                places.entry(blob.digest).or_insert_with(|| place.clone());
            }
        }
        let mut published = self.0.published.lock().unwrap_or_else(PoisonError::into_inner);
        for (diff_id, index) in &records.indexes {
            published.entry(*diff_id).or_insert_with(|| index.blob.clone());
            self.remember_small_files(*diff_id, &index.files);
        }
    }

    /// The small files of a layer whose bytes are known.
    pub(crate) fn small_files(&self, diff_id: DiffId) -> BTreeMap<u64, String> {
        let files = self.0.small_files.lock().unwrap_or_else(PoisonError::into_inner);
        files.get(&diff_id).cloned().unwrap_or_default()
    }

    pub(super) fn remember_small_files(&self, diff_id: DiffId, more: &BTreeMap<u64, String>) {
        if !more.is_empty() {
            let mut files = self.0.small_files.lock().unwrap_or_else(PoisonError::into_inner);
            files.entry(diff_id).or_default().extend(more.clone());
        }
    }

    /// Asks a cache for the indexes that turn out to be needed.
    pub(crate) fn remember_tags(&self, tags: Tags) {
        self.0.tagged.lock().unwrap_or_else(PoisonError::into_inner).push(tags);
    }

    /// The index that a cache has of a layer, unread.
    pub(crate) fn published(&self, diff_id: DiffId) -> Option<Descriptor> {
        let published = self.0.published.lock().unwrap_or_else(PoisonError::into_inner);
        published.get(&diff_id).cloned()
    }

    /// Forgets where a blob is, because it is not.
    pub(crate) fn forget_place(&self, digest: Digest) {
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.remove(&digest);
    }

    /// What is inside a layer, if that can be told without fetching anything.
    pub(crate) async fn index_if_near(&self, layer: &LayerRef) -> Option<Arc<Index>> {
        if let Some(index) = self.known_index(layer.diff_id).await {
            return Some(index);
        }
        if !self.is_local(&layer.blob).await.unwrap_or(false) {
            return None;
        }
        self.layer_index(layer)
            .await
            .inspect_err(|error| tracing::debug!(%error, "a layer has no index"))
            .ok()
    }

    /// The index that a cache has. One that cannot be had or read is none: the layer itself is read instead.
    ///
    /// It is kept for this build alone. The digest says that it is what the cache's writer meant, not that it is
    /// right, so it is believed only by builds that were told to believe that cache.
    pub(super) async fn published_index(&self, diff_id: DiffId) -> Option<Index> {
        let blob = match self.published(diff_id) {
            Some(blob) => blob,
            None => {
                self.ask_for_index(diff_id).await;
                self.published(diff_id)?
            }
        };
        let read = async {
            let bytes = self.document(&blob).await?;
            Index::from_bytes(&bytes)
                .map_err(|source| CacheError::Index { digest: blob.digest, source })
        };
        match read.await {
            Ok(index) => Some(index),
            Err(error) => {
                tracing::debug!(%diff_id, %error, "the published index cannot be had");
                let mut published = self.0.published.lock().unwrap_or_else(PoisonError::into_inner);
                published.remove(&diff_id);
                None
            }
        }
    }

    /// Reads a compressed document of a cache.
    pub(crate) async fn document(&self, blob: &Descriptor) -> Result<Vec<u8>, CacheError> {
        unpack(blob, whole(self.remote_stream(blob).await?, blob).await?).await
    }

    async fn ask_for_index(&self, diff_id: DiffId) {
        let tagged = self.0.tagged.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for tags in tagged {
            if let Some(records) = tags.layer(diff_id).await {
                let place = Place::Repository(tags.repository().clone());
                return self.remember_cache(&records, &place);
            }
        }
    }
}
