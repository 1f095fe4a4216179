//! Results of earlier steps, in the local store.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use strata_build::ports::{Lookup, StepCache, StepResult};
use strata_oci::{Hasher, LayerRef, Timestamp};
use strata_plan::recipe::{Ingredient, OpKind};
use strata_plan::{Recipe, StepKey};

use crate::local::Local;
use crate::stream::blocking;

/// The cache of one machine.
///
/// An entry whose layer is gone is no entry. Beside its key, each step has a slot: what it does without what it does
/// it to (`RUN make`, `COPY src /app`). The recipe stored last for a slot is what a miss is compared with.
#[derive(Clone, Debug)]
pub struct LocalSteps {
    local: Local,
    now: i64,
}

/// What is stored under a key.
#[derive(Serialize, Deserialize)]
struct Entry {
    blob: strata_oci::Descriptor,
    diff_id: strata_oci::DiffId,
    created: Timestamp,
    /// When the step ran, by the clock; `created` may have been set to another time.
    #[serde(default)]
    ran: Option<i64>,
}

impl LocalSteps {
    /// The cache in this store; `now` is in seconds since 1970.
    pub fn new(local: Local, now: i64) -> Self {
        Self { local, now }
    }

    /// A result and when it ran; or, if there is none, the recipe that comes closest.
    pub(crate) async fn find(
        &self,
        key: &StepKey,
        recipe: &Bytes,
    ) -> Result<(StepResult, i64), Option<Vec<u8>>> {
        let (steps, key, recipe) = (self.clone(), *key, recipe.clone());
        blocking(move || steps.find_here(&key, &recipe)).await
    }

    fn find_here(
        &self,
        key: &StepKey,
        recipe: &[u8],
    ) -> Result<(StepResult, i64), Option<Vec<u8>>> {
        if let Some(entry) = self.entry(key) {
            let layer = LayerRef { blob: entry.blob, diff_id: entry.diff_id };
            // An error is a miss like any other: the step runs.
            if self.local.has_blob(&layer.blob).unwrap_or(false) {
                let created = entry.created;
                let ran = entry.ran.unwrap_or_else(|| created.unix_seconds());
                return Ok((StepResult { layer, created }, ran));
            }
            tracing::debug!(%key, layer = %layer.blob.digest, "the layer of a cached step is gone");
        }
        let closest = slot(recipe).and_then(|slot| self.read(slot));
        Err(closest.filter(|closest| closest != recipe))
    }

    fn entry(&self, key: &StepKey) -> Option<Entry> {
        let bytes = self.read(*key.as_bytes())?;
        serde_json::from_slice(&bytes)
            .inspect_err(|error| tracing::debug!(%key, %error, "a cached step cannot be used"))
            .ok()
    }

    fn read(&self, key: [u8; 32]) -> Option<Vec<u8>> {
        self.local.store().step(key).unwrap_or_else(|error| {
            tracing::debug!(%error, "the cache of steps cannot be read");
            None
        })
    }

    fn keep(&self, key: &StepKey, recipe: &[u8], result: &StepResult) {
        let StepResult { layer, created } = result.clone();
        let digest = layer.blob.digest;
        let ran = Some(self.now);
        let entry = Entry { blob: layer.blob, diff_id: layer.diff_id, created, ran };
        let entry = serde_json::to_vec(&entry).expect("descriptors are always JSON");
        let store = self.local.store();
        let kept =
            store.put_step(*key.as_bytes(), &entry, &[digest]).and_then(|()| match slot(recipe) {
                Some(slot) => store.put_step(slot, recipe, &[]),
                None => Ok(()),
            });
        if let Err(error) = kept {
            tracing::warn!(%key, %error, "a step cannot be kept for later builds");
        }
    }
}

/// What a step does, whatever its inputs contain. `None` for a recipe in a form that is not known here.
pub(crate) fn slot(recipe: &[u8]) -> Option<[u8; 32]> {
    let recipe: Recipe = serde_json::from_slice(recipe).ok()?;
    let mut hasher = Hasher::new();
    hasher.update(match recipe.op {
        OpKind::Copy => b"slot copy",
        OpKind::Run => b"slot run ",
        OpKind::Workdir => b"slot dir ",
    });
    let mut text = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    for ingredient in &recipe.ingredients {
        match ingredient {
            Ingredient::Command(words) => words.iter().for_each(|word| text(word)),
            Ingredient::Destination(path)
            | Ingredient::Source(path)
            | Ingredient::Platform(path) => text(path),
            // A WORKDIR is its directory; a RUN in another directory is still the same command.
            Ingredient::Directory(path) if recipe.op == OpKind::Workdir => text(path),
            _ => {}
        }
    }
    Some(*hasher.finish().as_bytes())
}

impl StepCache for LocalSteps {
    fn lookup<'a>(&'a self, key: &'a StepKey, recipe: &'a Bytes) -> BoxFuture<'a, Lookup> {
        async move {
            match self.find(key, recipe).await {
                Ok((result, _)) => Lookup::Hit(Box::new(result)),
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
        let (steps, key, recipe, result) = (self.clone(), *key, recipe.clone(), result.clone());
        blocking(move || steps.keep(&key, &recipe, &result)).boxed()
    }
}
