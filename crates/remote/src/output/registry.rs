//! Pushes images: every blob first, then the manifests, then the tags.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{TryStreamExt, stream};
use strata_build::event::{Event, Events, Transfer};
use strata_oci::{AnyManifest, Descriptor, Reference, Repository};
use strata_registry::{BlobPush, Client, Pushed};

use crate::error::WriteError;
use crate::origin::{Bundle, Origin, PushSource};
use crate::publish::{ImmutableTags, Publisher};

/// Blobs on their way at one time, over all registries.
pub(crate) const PARALLEL: usize = 4;

/// Pushes a bundle under every reference.
///
/// No tag moves, in no registry, before all blobs and all manifests are at every one of them. A reference without a
/// tag is pushed by digest. Blobs that were sent ahead are waited for.
pub(crate) async fn push(
    with: &Publisher,
    bundle: &Bundle,
    references: &[Reference],
) -> Result<(), WriteError> {
    let Publisher { client, uploads: ahead, immutable_tags, events, .. } = with;
    let mut repositories: BTreeSet<&Repository> =
        references.iter().map(Reference::repository).collect();
    // A registry that has the manifest has all that it names: one question instead of one for each blob.
    for to in repositories.clone() {
        if client.has_manifest(to, bundle.root().digest()).await.unwrap_or(false) {
            repositories.remove(to);
        }
    }
    let blobs = bundle.blobs();
    let transfers =
        repositories.iter().flat_map(|to| blobs.iter().map(move |blob| (*to, blob.clone())));
    // An index of all pairs, so that the stream borrows nothing of the closure that makes it.
    let transfers: Vec<(&Repository, Descriptor)> = transfers.collect();
    stream::iter(transfers.into_iter().map(Ok::<_, WriteError>))
        .try_for_each_concurrent(PARALLEL, |(to, blob)| async move {
            if ahead.arrived(to, &blob).await {
                return Ok(());
            }
            let origin = &**bundle.origin();
            BlobTransfer { client, origin, to, mount_from: &[], events }.push(&blob).await
        })
        .await?;
    // A tag in the only repository is put in one request with its manifest.
    let by_digest = repositories.len() > 1 || references.iter().any(|name| name.tag().is_none());
    let root = by_digest.then_some(bundle.root());
    for to in &repositories {
        for manifest in bundle.manifests().iter().chain(root) {
            put(client, &to.pinned(manifest.digest()), manifest).await?;
        }
    }
    for reference in references {
        if reference.tag().is_some() {
            match put(client, reference, bundle.root()).await {
                Err(WriteError::Registry(error))
                    if *immutable_tags == ImmutableTags::Keep && error.is_immutable_tag() =>
                {
                    tracing::debug!(%error, "a tag is kept");
                    let message = format!("`{reference}` is immutable: it stays what it was");
                    events.emit(Event::Warning { message, line: None });
                    continue;
                }
                put => put?,
            }
        }
        events.emit(Event::Pushed {
            reference: reference.to_string(),
            digest: bundle.root().digest(),
        });
    }
    Ok(())
}

async fn put(
    client: &Client,
    reference: &Reference,
    manifest: &AnyManifest,
) -> Result<(), WriteError> {
    let bytes = manifest.bytes().to_vec();
    client.push_manifest(reference, bytes, &manifest.media_type()).await?;
    Ok(())
}

/// Brings blobs of an origin into one repository.
#[derive(Clone, Copy)]
pub(crate) struct BlobTransfer<'a> {
    pub(crate) client: &'a Client,
    pub(crate) origin: &'a dyn Origin,
    pub(crate) to: &'a Repository,
    /// Repositories that may have the blobs, besides those that the origin knows.
    pub(crate) mount_from: &'a [Repository],
    pub(crate) events: &'a Arc<dyn Events>,
}

impl BlobTransfer<'_> {
    pub(crate) async fn push(&self, blob: &Descriptor) -> Result<(), WriteError> {
        let Self { client, origin, to, mount_from, events } = *self;
        let pushed = match origin.push_source(blob).await? {
            PushSource::Repository(from) => client.copy_blob(&from, to, blob).await?,
            PushSource::Local(source) => {
                let mut push = BlobPush::new(blob.clone(), source);
                push.mount_from.extend(origin.repository(blob.digest));
                push.mount_from.extend_from_slice(mount_from);
                push.sent = Some(reporter(blob, events));
                client.push_blob(to, &push).await?
            }
        };
        let transfer = match pushed {
            Pushed::Uploaded => Transfer::Upload,
            Pushed::AlreadyThere => Transfer::AlreadyThere,
            Pushed::Mounted => Transfer::Mount,
        };
        let (digest, size) = (blob.digest, blob.size);
        events.emit(Event::Blob { digest, transfer, current: size, total: Some(size) });
        Ok(())
    }
}

/// Adds up what was sent, and tells of it once a megabyte. Whatever a repeated upload adds is not shown.
fn reporter(blob: &Descriptor, events: &Arc<dyn Events>) -> Arc<dyn Fn(u64) + Send + Sync> {
    const STEP: u64 = 1 << 20;
    let (digest, size, events) = (blob.digest, blob.size, Arc::clone(events));
    let sent = AtomicU64::new(0);
    Arc::new(move |more| {
        let before = sent.fetch_add(more, Ordering::Relaxed);
        let current = before + more;
        // Completion is told once the registry has confirmed it.
        if before / STEP != current / STEP && current < size {
            let transfer = Transfer::Upload;
            events.emit(Event::Blob { digest, transfer, current, total: Some(size) });
        }
    })
}
