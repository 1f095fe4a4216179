//! Into a registry, beside others that write there too.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use strata_oci::{AnyManifest, Digest, Reference, Repository};
use strata_registry::{ErrorKind, RegistryError};

use super::{Batch, Exported, manifest};
use crate::cache::Caches;
use crate::cache::error::CacheError;
use crate::cache::records::Records;
use crate::cache::source::{is_cache, records_of};
use crate::cache::steps::CachedSteps;
use crate::error::{ReadError, WriteError};
use crate::origin::registry::{Remote, fetch};
use crate::origin::{Origin, WithInline};
use crate::output::registry::{BlobTransfer, PARALLEL};

/// How often a cache is merged anew because somebody else was faster.
const ATTEMPTS: u32 = 5;

impl Caches {
    /// Registries have no compare-and-swap. The tag is looked at again just before it is written, which leaves the
    /// time of one request in which another job's records can get lost; they cost that job's successor a rebuild.
    pub(in crate::cache) async fn to_registry(
        &self,
        reference: &Reference,
        unused: Duration,
        batch: Batch,
        steps: Option<&CachedSteps>,
        pushed: &[Repository],
    ) -> Result<Exported, CacheError> {
        let reference = reference.clone().or_latest();
        let merged = |current: &Records| {
            let mut merged = current.clone();
            merged.merge(&batch.records);
            merged.prune(self.now, unused);
            merged
        };
        // What was read when the build began will do to see that there is nothing to say.
        if let Some(known) = steps.and_then(|steps| steps.imported(&reference))
            && merged(known) == *known
        {
            return Ok(Exported::Unchanged);
        }
        let images: Arc<dyn Origin> = Arc::new(self.images.clone());
        let small = WithInline::new(batch.small.iter().cloned(), Arc::clone(&images));
        let to = reference.repository();
        let mut sent = BTreeSet::new();
        for _ in 0..ATTEMPTS {
            let (before, current) = self.current(&reference).await?;
            let records = merged(&current);
            if before.is_some() && records == current {
                return Ok(Exported::Unchanged);
            }
            let there: BTreeSet<Digest> = current
                .blobs()
                .iter()
                .map(|blob| blob.digest)
                .filter(|digest| steps.is_none_or(|steps| !steps.is_retracted(*digest)))
                .collect();
            let missing: Vec<_> = records
                .blobs()
                .into_iter()
                .filter(|blob| !there.contains(&blob.digest) && !sent.contains(&blob.digest))
                .collect();
            let transfer = |origin| BlobTransfer {
                client: &self.client,
                origin,
                to,
                mount_from: pushed,
                events: &self.events,
            };
            let pushes = missing.into_iter().map(|blob| {
                let transfer = transfer(&small as &dyn Origin);
                async move { transfer.push(&blob).await.map(|()| blob.digest) }
            });
            let done: Vec<Digest> =
                stream::iter(pushes).buffer_unordered(PARALLEL).try_collect().await?;
            sent.extend(done);
            let (document, config) = manifest(&records);
            let config = WithInline::new([config], Arc::clone(&images));
            transfer(&config as &dyn Origin).push(&document.value().config).await?;
            if self.digest_of(&reference).await? != before {
                tracing::debug!(%reference, "another job wrote the cache: merging again");
                continue;
            }
            let (digest, bytes) = (document.digest(), document.bytes().to_vec());
            let root = AnyManifest::Manifest(document);
            self.client
                .push_manifest(&reference, bytes, &root.media_type())
                .await
                .map_err(WriteError::from)?;
            return Ok(Exported::Written { manifest: Some(digest), steps: records.steps.len() });
        }
        Err(CacheError::Contended { attempts: ATTEMPTS })
    }

    /// What the cache is now. One that is damaged is as good as none: it is written anew.
    async fn current(
        &self,
        reference: &Reference,
    ) -> Result<(Option<Digest>, Records), CacheError> {
        let root = match fetch(&self.client, reference).await {
            Ok(root) => root,
            Err(ReadError::Registry(error)) if is_missing(&error) => {
                return Ok((None, Records::default()));
            }
            Err(error) => return Err(error.into()),
        };
        let digest = Some(root.digest());
        let AnyManifest::Manifest(manifest) = &root else { return Err(CacheError::InTheWay) };
        if !is_cache(manifest) {
            return Err(CacheError::InTheWay);
        }
        let origin = Remote::new(self.client.clone(), reference.repository().clone());
        match records_of(&origin, manifest).await {
            Ok(records) => Ok((digest, records)),
            Err(error @ CacheError::Version { .. }) => Err(error),
            Err(error) => {
                tracing::warn!(%reference, error = error.chain(), "the cache is written anew");
                Ok((digest, Records::default()))
            }
        }
    }

    async fn digest_of(&self, reference: &Reference) -> Result<Option<Digest>, CacheError> {
        match self.client.resolve(reference).await {
            Ok(resolved) => Ok(Some(resolved.descriptor.digest)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(ReadError::from(error).into()),
        }
    }
}

pub(in crate::cache) fn is_missing(error: &RegistryError) -> bool {
    matches!(*error.kind, ErrorKind::NotFound { .. })
}
