//! A repository with a tag for each step: jobs write side by side without ever writing the same thing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use strata_build::event::{Event, Events};
use strata_oci::{AnyManifest, DiffId, Digest, Reference, Repository, Tag};
use strata_plan::StepKey;
use strata_registry::Client;
use tokio::sync::Semaphore;

use super::Caches;
use super::error::CacheError;
use super::export::is_missing;
use super::records::{Records, media_type};
use crate::error::ReadError;
use crate::origin::registry::fetch;

/// What all tags begin with, so that a registry's retention rules can tell them from images.
pub(super) const PREFIX: &str = "cache-";
/// The type of the manifest of one step, as an artifact.
pub(super) const ARTIFACT: &str = "application/vnd.strata.cache.step.v1";
/// The annotation that holds the records.
pub(super) const ANNOTATION: &str = "strata.cache.records.v1";
/// Questions at one time.
const PARALLEL: usize = 16;

/// Reads one step at a time. Cloning shares what was read.
#[derive(Clone, Debug)]
pub(crate) struct Tags(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    repository: Repository,
    events: Arc<dyn Events>,
    slots: Semaphore,
    /// Whether it was told that something does not work.
    told: AtomicBool,
    /// Whether asking goes on.
    usable: AtomicBool,
    known: Mutex<BTreeMap<String, Option<Records>>>,
}

/// The name of what a key stands for.
pub(super) fn of_step(key: &StepKey) -> String {
    format!("{PREFIX}{key}")
}

pub(super) fn of_slot(slot: Digest) -> String {
    format!("{PREFIX}slot-{}", slot.to_hex())
}

pub(super) fn of_layer(diff_id: DiffId) -> String {
    format!("{PREFIX}layer-{}", diff_id.0.to_hex())
}

pub(super) fn of_mount(name: Digest) -> String {
    format!("{PREFIX}mount-{}", name.to_hex())
}

pub(super) fn reference(repository: &Repository, tag: &str) -> Reference {
    repository.tagged(Tag::parse(tag).expect("a prefix and 64 digits are a tag"))
}

impl Tags {
    pub(super) fn new(caches: &Caches, repository: Repository) -> Self {
        Self(Arc::new(Inner {
            client: caches.client.clone(),
            repository,
            events: Arc::clone(&caches.events),
            slots: Semaphore::new(PARALLEL),
            told: AtomicBool::new(false),
            usable: AtomicBool::new(true),
            known: Mutex::default(),
        }))
    }

    pub(crate) fn repository(&self) -> &Repository {
        &self.0.repository
    }

    pub(super) async fn step(&self, key: &StepKey) -> Option<Records> {
        self.read(of_step(key)).await.filter(|records| records.steps.contains_key(key))
    }

    pub(super) async fn slot(&self, slot: Digest) -> Option<Records> {
        self.read(of_slot(slot)).await
    }

    pub(crate) async fn layer(&self, diff_id: DiffId) -> Option<Records> {
        self.read(of_layer(diff_id)).await.filter(|records| records.indexes.contains_key(&diff_id))
    }

    pub(super) async fn mount(&self, name: Digest) -> Option<Records> {
        self.read(of_mount(name)).await.filter(|records| records.mounts.contains_key(&name))
    }

    /// What was read under a tag, without asking.
    pub(super) fn known(&self, tag: &str) -> Option<Records> {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(tag).cloned().flatten()
    }

    async fn read(&self, tag: String) -> Option<Records> {
        let known = {
            let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(&tag).cloned()
        };
        if let Some(known) = known {
            return known;
        }
        let _slot = self.0.slots.acquire().await.expect("the semaphore is never closed");
        if !self.0.usable.load(Ordering::Relaxed) {
            return None;
        }
        let found = match read(&self.0.client, &reference(&self.0.repository, &tag)).await {
            Ok(found) => found,
            Err(error) => {
                self.tell(&error);
                None
            }
        };
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(tag, found.clone());
        found
    }

    /// Says once what does not work. A registry that does not answer is asked no more; one record that cannot be
    /// read says nothing about the others.
    fn tell(&self, error: &CacheError) {
        if matches!(error, CacheError::Read(_)) {
            self.0.usable.store(false, Ordering::Relaxed);
        }
        if !self.0.told.swap(true, Ordering::Relaxed) {
            let (cache, reason) = (&self.0.repository, error.chain());
            let message = format!("cache `{cache}` is not used: {reason}");
            self.0.events.emit(Event::Warning { message, line: None });
        }
    }
}

/// Reads what a tag has; nothing if there is none.
pub(super) async fn read(
    client: &Client,
    reference: &Reference,
) -> Result<Option<Records>, CacheError> {
    Ok(read_manifest(client, reference).await?.map(|(_, records)| records))
}

/// The same with the digest of its manifest.
pub(super) async fn read_manifest(
    client: &Client,
    reference: &Reference,
) -> Result<Option<(Digest, Records)>, CacheError> {
    let root = match fetch(client, reference).await {
        Ok(root) => root,
        Err(ReadError::Registry(error)) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let digest = root.digest();
    let AnyManifest::Manifest(manifest) = root else { return Err(CacheError::NoCache) };
    if manifest.value().artifact_type.as_ref() != Some(&media_type(ARTIFACT)) {
        return Err(CacheError::NoCache);
    }
    let records = manifest.value().annotations.get(ANNOTATION).ok_or(CacheError::NoCache)?;
    Records::parse(records.as_bytes()).map(|records| Some((digest, records)))
}
