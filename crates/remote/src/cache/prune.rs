//! Drops what nobody uses.

use std::time::Duration;

use strata_oci::Platform;

use super::Caches;
use super::error::CacheError;
use super::export::Batch;
use super::inspect::tags_of;
use super::location::CacheSource;
use super::records::{Records, seconds};
use crate::error::WriteError;

/// What was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// How many steps.
    pub steps: usize,
    /// How many cache mounts.
    pub mounts: usize,
}

impl Caches {
    /// Drops what was not used for so long. Blobs of a registry are freed when it collects its garbage.
    pub async fn prune(
        &self,
        source: &CacheSource,
        platform: &Platform,
        unused: Duration,
    ) -> Result<Dropped, CacheError> {
        let Some(import) = self.whole(source, platform).await? else {
            return self.prune_tags(source, unused).await;
        };
        if import.inline {
            return Err(CacheError::InTheWay);
        }
        let mut left = import.records.clone();
        left.prune(self.now, unused);
        let nothing = Batch::default();
        match &import.source {
            CacheSource::Registry(reference) if reference.digest().is_some() => {
                return Err(CacheError::Pinned);
            }
            // Tags have no colon.
            CacheSource::Directory { selector: Some(selector), .. } if selector.contains(':') => {
                return Err(CacheError::Pinned);
            }
            CacheSource::Registry(reference) => {
                self.to_registry(reference, unused, nothing, None, &[]).await?;
            }
            CacheSource::Directory { directory, selector } => {
                let tag = selector.as_deref().unwrap_or(super::source::LATEST);
                self.to_directory(directory, tag, unused, nothing).await?;
            }
            CacheSource::Tags(_) => return Err(CacheError::NoCache),
        }
        Ok(difference(&import.records, &left))
    }

    async fn prune_tags(
        &self,
        source: &CacheSource,
        unused: Duration,
    ) -> Result<Dropped, CacheError> {
        let repository = tags_of(source).ok_or(CacheError::NoCache)?;
        let oldest = self.now.saturating_sub(seconds(unused));
        let mut dropped = Records::default();
        for (digest, records) in self.tagged(Some(repository)).await? {
            if records.last_used() <= oldest {
                self.client.delete_manifest(repository, digest).await.map_err(WriteError::from)?;
                dropped.steps.extend(records.steps);
                dropped.mounts.extend(records.mounts);
            }
        }
        Ok(difference(&dropped, &Records::default()))
    }
}

fn difference(before: &Records, after: &Records) -> Dropped {
    Dropped {
        steps: before.results().count() - after.results().count(),
        mounts: before.mounts.len() - after.mounts.len(),
    }
}
