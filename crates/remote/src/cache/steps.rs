//! Results of earlier steps: of this machine first, then of each cache in the order they were named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use strata_build::event::Event;
use strata_build::ports::{Lookup, StepCache, StepResult};
use strata_oci::{Digest, LayerRef, Platform, Reference};
use strata_plan::StepKey;

use super::Caches;
use super::location::CacheSource;
use super::records::{Records, StoredRecipe};
use super::source::Import;
use crate::images::LazyImages;
use crate::steps::{LocalSteps, slot};

/// The cache of one build. Cloning shares it.
///
/// A hit says where its layer is and moves nothing. It also remembers what the build used and made, for whoever
/// exports it.
#[derive(Clone, Debug)]
pub struct CachedSteps(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    local: LocalSteps,
    images: LazyImages,
    imports: Vec<Import>,
    /// Steps of this build: found, or run.
    used: Mutex<BTreeMap<StepKey, Used>>,
    /// Layers that caches promised and did not have.
    retracted: Mutex<BTreeSet<Digest>>,
}

/// A step of this build.
#[derive(Clone, Debug)]
pub(super) struct Used {
    pub(super) result: StepResult,
    pub(super) recipe: Vec<u8>,
    found: bool,
}

impl Caches {
    /// Reads caches, all at the same time. One that cannot be read is told once, and the build goes on without it.
    pub async fn open(&self, sources: &[CacheSource], platform: &Platform) -> CachedSteps {
        let reads = sources.iter().map(|source| Import::read(self, source, platform));
        let mut imports = Vec::new();
        for (source, read) in sources.iter().zip(join_all(reads).await) {
            match read {
                Ok(import) => {
                    self.images.remember_cache(&import.records, &import.place);
                    imports.push(import);
                }
                Err(error) => {
                    let message = format!("cache `{source}` is not used: {}", error.chain());
                    self.events.emit(Event::Warning { message, line: None });
                }
            }
        }
        let (local, images) = (LocalSteps::new(self.local.clone()), self.images.clone());
        let (used, retracted) = (Mutex::default(), Mutex::default());
        CachedSteps(Arc::new(Inner { local, images, imports, used, retracted }))
    }
}

impl CachedSteps {
    /// What a cache in a registry held when it was read.
    pub(super) fn imported(&self, reference: &Reference) -> Option<&Records> {
        let wanted = CacheSource::Registry(reference.clone());
        let found = self.0.imports.iter().find(|import| import.source == wanted && !import.inline);
        found.map(|import| &import.records)
    }

    /// What the build used and made, and under which other keys it is known where it was found.
    pub(super) fn used(&self) -> BTreeMap<StepKey, Used> {
        let mut used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let layers: BTreeSet<Digest> =
            used.values().map(|used| used.result.layer.blob.digest).collect();
        for import in &self.0.imports {
            for (key, record) in &import.records.steps {
                if layers.contains(&record.layer.digest) {
                    let (layer, created) = (record.layer_ref(), record.created.clone());
                    let result = StepResult { layer, created };
                    used.entry(*key).or_insert(Used { result, recipe: Vec::new(), found: true });
                }
            }
        }
        used
    }

    /// Whether a cache promised this layer and did not have it.
    pub(super) fn is_retracted(&self, digest: Digest) -> bool {
        self.0.retracted.lock().unwrap_or_else(PoisonError::into_inner).contains(&digest)
    }

    /// Stops believing that a layer can be had. Whether that changes what a new look-up finds.
    pub fn retract(&self, digest: Digest) -> bool {
        let was_found = {
            let mut used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner);
            let is_it = |used: &Used| used.found && used.result.layer.blob.digest == digest;
            let was_found = used.values().any(is_it);
            used.retain(|_, used| !is_it(used));
            was_found
        };
        self.0.images.forget_place(digest);
        let mut retracted = self.0.retracted.lock().unwrap_or_else(PoisonError::into_inner);
        retracted.insert(digest) && was_found
    }

    fn use_result(&self, key: &StepKey, recipe: &[u8], result: &StepResult, found: bool) {
        let mut used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(*key, Used { result: result.clone(), recipe: recipe.to_vec(), found });
    }

    async fn find(&self, key: &StepKey, recipe: &[u8]) -> Lookup {
        let mut closest = match self.0.local.lookup(key, recipe).await {
            Lookup::Hit(result) if self.is_retracted(result.layer.blob.digest) => None,
            Lookup::Hit(result) => return Lookup::Hit(result),
            Lookup::Miss { closest } => closest,
        };
        for import in &self.0.imports {
            if let Some(record) = import.records.steps.get(key)
                && !self.is_retracted(record.layer.digest)
            {
                let (layer, created) = (record.layer_ref(), record.created.clone());
                return Lookup::Hit(Box::new(StepResult { layer, created }));
            }
        }
        let slot = slot(recipe).map(Digest::from_bytes);
        for import in &self.0.imports {
            let (None, Some(slot)) = (&closest, slot) else { break };
            let record = import.records.closest(slot).and_then(|record| record.recipe.as_ref());
            closest = match record {
                Some(StoredRecipe::Inline(value)) => serde_json::to_vec(value).ok(),
                Some(StoredRecipe::Blob(blob)) => import
                    .document(blob)
                    .await
                    .inspect_err(|error| tracing::debug!(%error, "a recipe cannot be had"))
                    .ok(),
                None => None,
            };
        }
        Lookup::Miss { closest: closest.filter(|closest| closest != recipe) }
    }
}

impl StepCache for CachedSteps {
    fn lookup<'a>(&'a self, key: &'a StepKey, recipe: &'a [u8]) -> BoxFuture<'a, Lookup> {
        async move {
            let lookup = self.find(key, recipe).await;
            if let Lookup::Hit(result) = &lookup {
                self.use_result(key, recipe, result, true);
            }
            lookup
        }
        .boxed()
    }

    fn store<'a>(
        &'a self,
        key: &'a StepKey,
        recipe: &'a [u8],
        result: &'a StepResult,
    ) -> BoxFuture<'a, ()> {
        self.use_result(key, recipe, result, false);
        self.0.local.store(key, recipe, result)
    }

    fn retract(&self, layer: &LayerRef) -> bool {
        Self::retract(self, layer.blob.digest)
    }
}
