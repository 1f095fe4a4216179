//! What a cache holds, for people.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use strata_oci::{Digest, Platform, Repository};
use strata_plan::recipe::{Ingredient, OpKind};
use strata_plan::{Recipe, StepKey};

use super::Caches;
use super::error::CacheError;
use super::location::CacheSource;
use super::records::{Record, Records, StoredRecipe};
use super::source::Import;
use super::tags::{PREFIX, read_manifest, reference};

/// Manifests that are read at one time.
const PARALLEL: usize = 16;

/// What a cache holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contents {
    /// The cache, as it was named.
    pub name: String,
    /// How many bytes its blobs have, each counted once.
    pub size: u64,
    /// The results, those that were used last first.
    pub steps: Vec<StepRow>,
    /// Of how many layers it says what is inside.
    pub indexes: usize,
    /// What cache mounts hold.
    pub mounts: Vec<MountRow>,
}

/// The result of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepRow {
    /// Its key.
    pub key: StepKey,
    /// What the step does, if its recipe is at hand.
    pub does: Option<String>,
    /// The layer.
    pub layer: Digest,
    /// The layer's size in bytes.
    pub size: u64,
    /// When the step ran, in seconds since 1970.
    pub ran: i64,
    /// When a build last used it.
    pub used: i64,
}

/// What one cache mount holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MountRow {
    /// Its id in the Dockerfile.
    pub id: String,
    /// How many bytes it is unpacked.
    pub size: u64,
    /// How many bytes travel for it when nothing of it is known.
    pub compressed: u64,
    /// When a build last used it.
    pub used: i64,
}

impl Caches {
    /// Reads everything that a cache says about itself; no layer.
    pub async fn inspect(
        &self,
        source: &CacheSource,
        platform: &Platform,
    ) -> Result<Contents, CacheError> {
        let records = match self.whole(source, platform).await? {
            Some(import) => import.records,
            None => {
                let mut records = Records::default();
                for (_, tagged) in self.tagged(tags_of(source)).await? {
                    records.steps.extend(tagged.steps);
                    records.indexes.extend(tagged.indexes);
                    records.mounts.extend(tagged.mounts);
                }
                records
            }
        };
        Ok(contents(source.to_string(), &records))
    }

    /// The cache if it is one that is read whole; nothing if it is one of tags.
    pub(super) async fn whole(
        &self,
        source: &CacheSource,
        platform: &Platform,
    ) -> Result<Option<Import>, CacheError> {
        match source {
            CacheSource::Tags(_) => Ok(None),
            CacheSource::Registry(name) if name.tag().is_none() && name.digest().is_none() => {
                match Import::read(self, source, platform).await {
                    Ok(import) => Ok(Some(import)),
                    Err(error) if error.is_absence() => Ok(None),
                    Err(error) => Err(error),
                }
            }
            CacheSource::Registry(_) | CacheSource::Directory { .. } => {
                Import::read(self, source, platform).await.map(Some)
            }
        }
    }

    /// The manifests of a repository with a tag for each step, each once.
    pub(super) async fn tagged(
        &self,
        repository: Option<&Repository>,
    ) -> Result<Vec<(Digest, Records)>, CacheError> {
        let Some(repository) = repository else { return Err(CacheError::NoCache) };
        let tags = self.client.tags(repository).await.map_err(crate::error::ReadError::from)?;
        let tags: Vec<String> = tags.into_iter().filter(|tag| tag.starts_with(PREFIX)).collect();
        if tags.is_empty() {
            return Err(CacheError::NoCache);
        }
        let reads = tags.into_iter().map(|tag| async move {
            match read_manifest(&self.client, &reference_of(repository, &tag)?).await {
                // Another thing that begins alike, or a record of another version.
                Err(CacheError::Read(error)) => Err(CacheError::Read(error)),
                Err(error) => {
                    tracing::debug!(tag, %error, "the tag is not of the cache");
                    Ok(None)
                }
                Ok(found) => Ok(found),
            }
        });
        let found: Vec<Option<(Digest, Records)>> =
            stream::iter(reads).buffer_unordered(PARALLEL).try_collect().await?;
        let mut seen = BTreeSet::new();
        Ok(found.into_iter().flatten().filter(|(digest, _)| seen.insert(*digest)).collect())
    }
}

fn reference_of(repository: &Repository, tag: &str) -> Result<strata_oci::Reference, CacheError> {
    // A registry's list may hold anything.
    match strata_oci::Tag::parse(tag) {
        Ok(_) => Ok(reference(repository, tag)),
        Err(_) => Err(CacheError::NoCache),
    }
}

/// The repository of a cache that may be one of tags.
pub(super) fn tags_of(source: &CacheSource) -> Option<&Repository> {
    match source {
        CacheSource::Tags(repository) => Some(repository),
        CacheSource::Registry(name) => Some(name.repository()),
        CacheSource::Directory { .. } => None,
    }
}

fn contents(name: String, records: &Records) -> Contents {
    let row = |(key, record): (&StepKey, &Record)| StepRow {
        key: *key,
        does: record.recipe.as_ref().and_then(told),
        layer: record.layer.digest,
        size: record.layer.size,
        ran: record.ran(),
        used: record.used,
    };
    let mut steps: Vec<StepRow> = records.results().map(row).collect();
    steps.sort_by_key(|row| (std::cmp::Reverse(row.used), row.key));
    let mounts = records.mounts.values().map(|mount| MountRow {
        id: mount.id.clone(),
        size: mount.size,
        compressed: mount.pieces.iter().map(|piece| piece.blob.size).sum(),
        used: mount.used,
    });
    Contents {
        name,
        size: records.blobs().iter().map(|blob| blob.size).sum(),
        steps,
        indexes: records.indexes.len(),
        mounts: mounts.collect(),
    }
}

/// What a step does, in the words of its recipe.
fn told(recipe: &StoredRecipe) -> Option<String> {
    let StoredRecipe::Inline(value) = recipe else { return None };
    let recipe: Recipe = serde_json::from_value(value.clone()).ok()?;
    let mut words = vec![match recipe.op {
        OpKind::Run => "RUN".to_owned(),
        OpKind::Copy => "COPY".to_owned(),
        OpKind::Workdir => "WORKDIR".to_owned(),
    }];
    let mut destination = None;
    for ingredient in &recipe.ingredients {
        match ingredient {
            Ingredient::Command(command) => words.extend(command.iter().cloned()),
            Ingredient::Source(source) => words.push(source.clone()),
            Ingredient::Destination(path) => destination = Some(path.clone()),
            Ingredient::Directory(path) if recipe.op == OpKind::Workdir => words.push(path.clone()),
            _ => {}
        }
    }
    words.extend(destination);
    Some(words.join(" "))
}
