//! Results of earlier steps: of this machine first, then of each cache in the order they were named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use strata_build::event::{Event, Events};
use strata_build::kept_mount::CacheMount;
use strata_build::ports::{Lookup, StepCache, StepResult};
use strata_oci::{Digest, LayerRef, Platform, Reference, Repository};
use strata_plan::StepKey;

use super::Caches;
use super::error::CacheError;
use super::location::CacheSource;
use super::mounts;
use super::records::{MountRecord, Record, Records, StoredRecipe, seconds};
use super::source::Import;
use super::tags::Tags;
use crate::images::{LazyImages, Place};
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
    sources: Vec<Source>,
    now: i64,
    /// Results of steps that ran then or before are not taken.
    oldest: i64,
    /// Steps of this build: found, or run.
    used: Mutex<BTreeMap<StepKey, Used>>,
    /// Cache mounts of commands that ran.
    mounts: Mutex<BTreeMap<Digest, CacheMount>>,
    events: Arc<dyn Events>,
    /// Layers that caches promised and did not have.
    retracted: Mutex<BTreeSet<Digest>>,
}

/// A cache that is looked into.
#[derive(Clone, Debug)]
enum Source {
    /// Read whole when the build began.
    Whole(Box<Import>),
    /// Read step by step.
    Tags(Tags),
}

/// A step of this build.
#[derive(Clone, Debug)]
pub(super) struct Used {
    pub(super) result: StepResult,
    pub(super) recipe: Bytes,
    /// When it ran, by the clock.
    pub(super) ran: i64,
    found: bool,
}

impl Caches {
    /// Reads caches, all at the same time. One that cannot be read is told once, and the build goes on without it.
    pub async fn open(&self, wanted: &[CacheSource], platform: &Platform) -> CachedSteps {
        let reads = wanted.iter().map(|source| self.read(source, platform));
        let mut sources = Vec::new();
        for (source, read) in wanted.iter().zip(join_all(reads).await) {
            match read {
                Ok(read) => sources.extend(read),
                Err(error) => {
                    let message = format!("cache `{source}` is not used: {}", error.chain());
                    self.events.emit(Event::Warning { message, line: None });
                }
            }
        }
        for source in &sources {
            match source {
                Source::Whole(import) => self.images.remember_cache(&import.records, &import.place),
                Source::Tags(tags) => self.images.remember_tags(tags.clone()),
            }
        }
        let oldest =
            self.age_limit.map_or(i64::MIN, |limit| self.now.saturating_sub(seconds(limit)));
        CachedSteps(Arc::new(Inner {
            local: LocalSteps::new(self.local.clone(), self.now),
            images: self.images.clone(),
            sources,
            now: self.now,
            oldest,
            used: Mutex::default(),
            mounts: Mutex::default(),
            events: Arc::clone(&self.events),
            retracted: Mutex::default(),
        }))
    }

    async fn read(
        &self,
        source: &CacheSource,
        platform: &Platform,
    ) -> Result<Vec<Source>, CacheError> {
        let tags = |repository: &Repository| Source::Tags(Tags::new(self, repository.clone()));
        let whole = || async {
            let import = Import::read(self, source, platform).await?;
            Ok::<_, CacheError>(Source::Whole(Box::new(import)))
        };
        match source {
            CacheSource::Tags(repository) => Ok(vec![tags(repository)]),
            CacheSource::Registry(name) if name.tag().is_none() && name.digest().is_none() => {
                let tags = tags(name.repository());
                match whole().await {
                    Ok(whole) => Ok(vec![whole, tags]),
                    // Then there may still be tags of steps.
                    Err(error) if error.is_absence() => Ok(vec![tags]),
                    Err(error) => Err(error),
                }
            }
            CacheSource::Registry(_) | CacheSource::Directory { .. } => Ok(vec![whole().await?]),
        }
    }
}

impl CachedSteps {
    fn imports(&self) -> impl Iterator<Item = &Import> {
        self.0.sources.iter().filter_map(|source| match source {
            Source::Whole(import) => Some(&**import),
            Source::Tags(_) => None,
        })
    }

    /// What a cache in a registry held when it was read.
    pub(super) fn imported(&self, reference: &Reference) -> Option<&Records> {
        let wanted = CacheSource::Registry(reference.clone());
        let found = self.imports().find(|import| import.source == wanted && !import.inline);
        found.map(|import| &import.records)
    }

    /// What was read of a repository with a tag for each step.
    pub(super) fn tags_of(&self, repository: &Repository) -> Option<&Tags> {
        self.0.sources.iter().find_map(|source| match source {
            Source::Tags(tags) => Some(tags).filter(|tags| tags.repository() == repository),
            Source::Whole(_) => None,
        })
    }

    /// What the build used and made, and under which other keys it is known where it was found.
    pub(super) fn used(&self) -> BTreeMap<StepKey, Used> {
        let mut used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let layers: BTreeSet<Digest> =
            used.values().map(|used| used.result.layer.blob.digest).collect();
        for import in self.imports() {
            for (key, record) in &import.records.steps {
                if layers.contains(&record.layer.digest) {
                    let (layer, created) = (record.layer_ref(), record.created.clone());
                    let result = StepResult { layer, created };
                    let (recipe, ran) = (Bytes::new(), record.ran());
                    used.entry(*key).or_insert(Used { result, recipe, ran, found: true });
                }
            }
        }
        used
    }

    /// The cache mounts of commands that ran.
    pub(super) fn mounts(&self) -> Vec<CacheMount> {
        let mounts = self.0.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        mounts.values().cloned().collect()
    }

    /// What the caches that were read have of cache mounts.
    pub(super) async fn kept_mounts(&self, name: Digest) -> Vec<MountRecord> {
        let mut kept = Vec::new();
        for source in &self.0.sources {
            match source {
                Source::Whole(import) => kept.extend(import.records.mounts.get(&name).cloned()),
                Source::Tags(tags) => {
                    if let Some(records) = tags.mount(name).await {
                        let place = Place::Repository(tags.repository().clone());
                        self.0.images.remember_cache(&records, &place);
                        kept.extend(records.mounts.get(&name).cloned());
                    }
                }
            }
        }
        kept
    }

    async fn fill(&self, mount: &CacheMount) {
        let Some(kept) = self.kept_mounts(mount.name).await.into_iter().next() else { return };
        if let Err(error) = mounts::unpack(&self.0.images, kept, mount).await {
            let message = format!("cache mount `{}` begins empty: {}", mount.id, error.chain());
            self.0.events.emit(Event::Warning { message, line: None });
        }
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

    fn use_result(&self, key: &StepKey, used: Used) {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner).insert(*key, used);
    }

    fn usable(&self, record: &Record) -> bool {
        record.ran() > self.0.oldest && !self.is_retracted(record.layer.digest)
    }

    /// Looks everywhere; a hit comes with the time at which the step ran.
    async fn find(
        &self,
        key: &StepKey,
        recipe: &Bytes,
    ) -> Result<(StepResult, i64), Option<Vec<u8>>> {
        let mut closest = match self.0.local.find(key, recipe).await {
            Ok((result, ran))
                if ran > self.0.oldest && !self.is_retracted(result.layer.blob.digest) =>
            {
                return Ok((result, ran));
            }
            Ok(_) => None,
            Err(closest) => closest,
        };
        for source in &self.0.sources {
            let found = match source {
                Source::Whole(import) => import.records.steps.get(key).cloned(),
                Source::Tags(tags) => self.tagged_step(tags, key).await,
            };
            if let Some(record) = found.filter(|record| self.usable(record)) {
                let (layer, created) = (record.layer_ref(), record.created.clone());
                return Ok((StepResult { layer, created }, record.ran()));
            }
        }
        if let Some(slot) = slot(recipe).map(Digest::from_bytes) {
            for source in &self.0.sources {
                if closest.is_some() {
                    break;
                }
                closest = match source {
                    Source::Whole(import) => self.recipe(import.records.closest(slot)).await,
                    Source::Tags(tags) => {
                        let records = tags.slot(slot).await;
                        if let Some(records) = &records {
                            let place = Place::Repository(tags.repository().clone());
                            self.0.images.remember_cache(records, &place);
                        }
                        let record = records.as_ref().and_then(|records| records.closest(slot));
                        self.recipe(record).await
                    }
                };
            }
        }
        Err(closest.filter(|closest| closest != recipe))
    }

    async fn tagged_step(&self, tags: &Tags, key: &StepKey) -> Option<Record> {
        let records = tags.step(key).await?;
        let place = Place::Repository(tags.repository().clone());
        self.0.images.remember_cache(&records, &place);
        records.steps.get(key).cloned()
    }

    async fn recipe(&self, record: Option<&Record>) -> Option<Vec<u8>> {
        match record?.recipe.as_ref()? {
            StoredRecipe::Inline(value) => serde_json::to_vec(value).ok(),
            StoredRecipe::Blob(blob) => self
                .0
                .images
                .document(blob)
                .await
                .inspect_err(|error| tracing::debug!(%error, "a recipe cannot be had"))
                .ok(),
        }
    }
}

impl StepCache for CachedSteps {
    fn lookup<'a>(&'a self, key: &'a StepKey, recipe: &'a Bytes) -> BoxFuture<'a, Lookup> {
        async move {
            match self.find(key, recipe).await {
                Ok((result, ran)) => {
                    let (recipe, found) = (recipe.clone(), true);
                    let used = Used { result: result.clone(), recipe, ran, found };
                    self.use_result(key, used);
                    Lookup::Hit(Box::new(result))
                }
                Err(closest) => Lookup::Miss { closest },
            }
        }
        .boxed()
    }

    fn store<'a>(
        &'a self,
        key: &'a StepKey,
        recipe: &'a Bytes,
        result: &'a StepResult,
    ) -> BoxFuture<'a, ()> {
        let (ran, found) = (self.0.now, false);
        self.use_result(key, Used { result: result.clone(), recipe: recipe.clone(), ran, found });
        self.0.local.store(key, recipe, result)
    }

    fn fill_mount<'a>(&'a self, mount: &'a CacheMount) -> BoxFuture<'a, ()> {
        self.fill(mount).boxed()
    }

    fn use_mount(&self, mount: CacheMount) {
        let mut mounts = self.0.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        mounts.insert(mount.name, mount);
    }

    fn retract(&self, layer: &LayerRef) -> bool {
        Self::retract(self, layer.blob.digest)
    }
}
