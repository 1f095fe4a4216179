//! Layers that are on their way to registries while the build goes on.

mod following;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strata_build::event::{Events, StepNumber};
use strata_build::ports;
use strata_oci::{Descriptor, Digest, LayerRef, Repository};
use strata_registry::Client;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::error::WriteError;
use crate::images::LazyImages;
use crate::output::registry::{BlobTransfer, PARALLEL};

pub(crate) use following::Following;

/// Sends layers of a result ahead of its manifest, large ones while they are written. Cloning shares the transfers;
/// once nobody has them any more, what still runs is stopped.
///
/// A transfer that fails is told by nobody: the push, which asks for it, sends the layer again and fails for itself.
#[derive(Clone, Default)]
pub struct Uploads(Option<Arc<Inner>>);

struct Inner {
    runtime: Handle,
    means: Arc<Means>,
    to: Vec<Repository>,
    /// For layers that are still written: those that are must not wait for each other.
    following: Arc<Semaphore>,
    transfers: Mutex<HashMap<(Repository, Digest), Transfer>>,
}

/// What a transfer needs.
struct Means {
    images: LazyImages,
    client: Client,
    events: Arc<dyn Events>,
    slots: Semaphore,
    /// Those that did not take a layer of which the end was not known.
    refusing: Mutex<BTreeSet<Repository>>,
}

/// One layer on its way to one repository; stopped when it is dropped.
struct Transfer(JoinHandle<Result<(), WriteError>>);

impl Drop for Transfer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Uploads {
    /// Sends nothing ahead.
    pub fn none() -> Self {
        Self(None)
    }

    /// Sends layers to these repositories. To be called on the runtime that is to do it.
    pub fn new(
        images: LazyImages,
        client: Client,
        events: Arc<dyn Events>,
        to: impl IntoIterator<Item = Repository>,
    ) -> Self {
        let mut to: Vec<Repository> = to.into_iter().collect();
        to.sort();
        to.dedup();
        Self(Some(Arc::new(Inner {
            runtime: Handle::current(),
            means: Arc::new(Means {
                images,
                client,
                events,
                slots: Semaphore::new(PARALLEL),
                refusing: Mutex::default(),
            }),
            to,
            following: Arc::new(Semaphore::new(PARALLEL)),
            transfers: Mutex::default(),
        })))
    }

    /// Sends what a step's layer has in `file`, and what will be added there; nothing where nobody wants it.
    pub(crate) fn follow(&self, step: StepNumber, file: File) -> Option<Following> {
        Following::begin(self.0.as_ref()?, step, file)
    }

    /// Waits for a blob that was sent ahead; says whether it arrived.
    pub(crate) async fn arrived(&self, to: &Repository, blob: &Descriptor) -> bool {
        let Some(inner) = &self.0 else { return false };
        let transfer = inner.transfers().remove(&(to.clone(), blob.digest));
        let Some(mut transfer) = transfer else { return false };
        match (&mut transfer.0).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::debug!(%error, digest = %blob.digest, "a layer is sent again");
                false
            }
            Err(error) => {
                tracing::debug!(%error, digest = %blob.digest, "a layer is sent again");
                false
            }
        }
    }
}

impl Inner {
    fn transfers(&self) -> MutexGuard<'_, HashMap<(Repository, Digest), Transfer>> {
        self.transfers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn transfer(&self, to: &Repository, blob: &Descriptor) -> Transfer {
        let (means, to, blob) = (Arc::clone(&self.means), to.clone(), blob.clone());
        Transfer(self.runtime.spawn(async move { means.push(&to, &blob).await }))
    }
}

impl Means {
    async fn push(&self, to: &Repository, blob: &Descriptor) -> Result<(), WriteError> {
        let Self { images, client, events, slots, .. } = self;
        let _slot = slots.acquire().await.expect("the semaphore is never closed");
        BlobTransfer { client, origin: images, to, mount_from: &[], events }.push(blob).await
    }

    fn refusing(&self) -> MutexGuard<'_, BTreeSet<Repository>> {
        self.refusing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ports::Uploads for Uploads {
    fn begin(&self, layer: &LayerRef) {
        let Some(inner) = &self.0 else { return };
        // No registry takes a layer that lives elsewhere by design.
        if layer.blob.media_type.is_foreign_layer() {
            return;
        }
        let mut transfers = inner.transfers();
        for to in &inner.to {
            transfers
                .entry((to.clone(), layer.blob.digest))
                .or_insert_with(|| inner.transfer(to, &layer.blob));
        }
    }
}

impl fmt::Debug for Uploads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = self.0.as_ref().map_or(&[][..], |inner| &inner.to);
        f.debug_struct("Uploads").field("to", &to).finish_non_exhaustive()
    }
}
