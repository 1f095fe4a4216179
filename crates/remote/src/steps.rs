//! Results of earlier steps, in the local store.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use strata_build::ports::{Lookup, StepCache, StepResult};
use strata_oci::{Hasher, LayerRef, Timestamp};
use strata_plan::StepKey;
use strata_plan::recipe::OpKind;

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

/// A [`Recipe`](strata_plan::Recipe) without what its inputs contain: that of a large COPY has a row for each file.
#[derive(Deserialize)]
struct Outline {
    op: OpKind,
    ingredients: Vec<Named>,
}

/// As [`Ingredient`](strata_plan::recipe::Ingredient).
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Named {
    Platform(String),
    Command(Vec<String>),
    Directory(String),
    Destination(String),
    Source(String),
    Epoch(IgnoredAny),
    Script(IgnoredAny),
    Variable(IgnoredAny),
    Argument(IgnoredAny),
    User(IgnoredAny),
    Network(IgnoredAny),
    Hostname(IgnoredAny),
    Host(IgnoredAny),
    Mount(IgnoredAny),
    Flag(IgnoredAny),
    Content(IgnoredAny),
}

/// What a step does, whatever its inputs contain. `None` for a recipe in a form that is not known here.
pub(crate) fn slot(recipe: &[u8]) -> Option<[u8; 32]> {
    let recipe: Outline = serde_json::from_slice(recipe).ok()?;
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
            Named::Command(words) => words.iter().for_each(|word| text(word)),
            Named::Destination(path) | Named::Source(path) | Named::Platform(path) => text(path),
            // A WORKDIR is its directory; a RUN in another directory is still the same command.
            Named::Directory(path) if recipe.op == OpKind::Workdir => text(path),
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

#[cfg(test)]
mod tests {
    use strata_oci::Digest;
    use strata_plan::Recipe;
    use strata_plan::recipe::{Content, Fact, FactKind, Ingredient, Place};
    use strata_tree::TreePath;

    use super::*;

    fn of(ingredients: Vec<Ingredient>) -> [u8; 32] {
        let recipe = Recipe { version: 1, parent: None, op: OpKind::Run, ingredients };
        let json = serde_json::to_vec(&recipe).expect("a recipe is JSON");
        slot(&json).expect("every ingredient is known here")
    }

    #[test]
    fn slot_is_what_a_step_does_and_nothing_of_its_inputs() {
        let text = || "x".to_owned();
        let fact = Fact {
            path: TreePath::parse("x").expect("a path"),
            mode: 0o644,
            owner: None,
            xattrs: std::collections::BTreeMap::new(),
            kind: FactKind::File(Digest::of(b"x")),
        };
        let content = Content::Files([fact].into());
        let inputs = vec![
            Ingredient::Epoch(1),
            Ingredient::Script { name: text(), content: Digest::of(b"x") },
            Ingredient::Variable { name: text(), value: text() },
            Ingredient::Argument { name: text(), value: text() },
            Ingredient::User(text()),
            Ingredient::Directory(text()),
            Ingredient::Network(text()),
            Ingredient::Hostname(text()),
            Ingredient::Host { name: text(), address: text() },
            Ingredient::Mount { target: text(), properties: vec![(text(), text())] },
            Ingredient::Flag { name: text(), value: text() },
            Ingredient::Content { place: Place::Source(text()), content },
        ];
        assert_eq!(of(inputs), of(Vec::new()));
        for does in [
            Ingredient::Platform(text()),
            Ingredient::Command(vec![text()]),
            Ingredient::Destination(text()),
            Ingredient::Source(text()),
        ] {
            assert_ne!(of(vec![does.clone()]), of(Vec::new()), "{does:?}");
        }
    }
}
