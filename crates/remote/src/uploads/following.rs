//! A layer that is sent while it is written.
//!
//! ```text
//! encoder   ──► file of the store ──────────────────► digest
//!                  │ follows, never holds it up          │
//! registry         └─► POST, PATCH … … … … … … … … … ────┴─► PUT ?digest=
//! ```
//!
//! A network that is slower than the encoder catches up afterwards, and the push waits for it as for any layer that
//! was sent ahead.

use std::fmt;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use strata_build::event::{self, Event, Events, StepNumber};
use strata_oci::{Descriptor, Repository};
use strata_registry::BlobSource;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::JoinHandle;

use super::{Inner, Means, Transfer};
use crate::error::WriteError;
use crate::growing::{Follow, Growing};

/// A layer on its way to every repository while it is written. Dropped without [`complete`](Self::complete), the
/// registries are told to forget it.
pub(crate) struct Following {
    growing: Growing,
    inner: Arc<Inner>,
    told: Arc<Told>,
    to: Vec<Sending>,
}

/// The way to one repository.
struct Sending {
    to: Repository,
    named: oneshot::Sender<Descriptor>,
    task: JoinHandle<Result<(), WriteError>>,
}

/// What is told of the bytes that went out.
struct Told {
    step: StepNumber,
    events: Arc<dyn Events>,
    sent: AtomicU64,
    blob: OnceLock<Descriptor>,
}

impl Following {
    /// Begins to follow `file`, which a step's layer is written to; nothing where no repository may be sent to now.
    pub(super) fn begin(inner: &Arc<Inner>, step: StepNumber, file: File) -> Option<Self> {
        let growing = Growing::new(file);
        let events = Arc::clone(&inner.means.events);
        let told = Arc::new(Told { step, events, sent: AtomicU64::new(0), blob: OnceLock::new() });
        let mut to = Vec::new();
        for repository in &inner.to {
            if inner.means.refusing().contains(repository) {
                continue;
            }
            // Never waited for: an encoder that waits for a network is what this is there to avoid.
            let Ok(slot) = Arc::clone(&inner.following).try_acquire_owned() else { break };
            let (named, name) = oneshot::channel();
            let way = Way { means: Arc::clone(&inner.means), to: repository.clone(), slot };
            // One tells for all: they send the same bytes.
            let told = to.is_empty().then(|| Arc::clone(&told));
            let task = inner.runtime.spawn(way.send(growing.follow(), told, name));
            to.push(Sending { to: repository.clone(), named, task });
        }
        (!to.is_empty()).then(|| Self { growing, inner: Arc::clone(inner), told, to })
    }

    /// This many bytes are written by now.
    pub(crate) fn reached(&self, length: u64) {
        self.growing.reached(length);
    }

    /// All of it is in the store, as this blob. Whoever pushes it waits for it from now on.
    pub(crate) fn complete(self, blob: &Descriptor) {
        let Self { growing, inner, told, to } = self;
        growing.reached(blob.size);
        growing.complete();
        let _once = told.blob.set(blob.clone());
        let mut transfers = inner.transfers();
        for Sending { to, named, task } in to {
            // What another stage made just so is on its way already: without its name, this one is given up.
            transfers.entry((to, blob.digest)).or_insert_with(|| {
                let _it_listens = named.send(blob.clone());
                Transfer(task)
            });
        }
    }
}

/// The way to one repository, as its task has it.
struct Way {
    means: Arc<Means>,
    to: Repository,
    slot: OwnedSemaphorePermit,
}

impl Way {
    /// Sends a layer as it grows, and names it at the end. Where that fails it is sent again, like any other.
    async fn send(
        self,
        follow: Follow,
        told: Option<Arc<Told>>,
        named: oneshot::Receiver<Descriptor>,
    ) -> Result<(), WriteError> {
        let Self { means, to, slot } = self;
        let source = BlobSource::reader(move || Ok(Box::new(follow.clone())));
        let reporter = told.map(|told| -> Arc<dyn Fn(u64) + Send + Sync> {
            Arc::new(move |more| told.tell(more))
        });
        let streamed = means.client.stream_blob(&to, source, reporter).await;
        // What is left is one small request: others may follow meanwhile.
        drop(slot);
        let Ok(blob) = named.await else {
            // Nobody will ask for it.
            if let Ok(nameless) = streamed {
                nameless.abandon().await;
            }
            return Ok(());
        };
        let finished = match streamed {
            Ok(nameless) => nameless.finish(blob.digest).await,
            Err(error) => Err(error),
        };
        let Err(error) = finished else {
            let (digest, transfer) = (blob.digest, event::Transfer::Upload);
            let (current, total) = (blob.size, Some(blob.size));
            means.events.emit(Event::Blob { digest, transfer, current, total });
            return Ok(());
        };
        // A registry that would not take one so will hardly take the next.
        tracing::debug!(%error, digest = %blob.digest, "a layer is sent again, as a whole");
        means.refusing().insert(to.clone());
        means.push(&to, &blob).await
    }
}

impl Told {
    /// Adds up what was sent, and tells of it once a megabyte: of the step's layer as long as it has no name.
    fn tell(&self, more: u64) {
        const STEP: u64 = 1 << 20;
        let before = self.sent.fetch_add(more, Ordering::Relaxed);
        let current = before + more;
        if before / STEP == current / STEP {
            return;
        }
        let event = match self.blob.get() {
            None => Event::LayerUploading { step: self.step, current },
            Some(blob) if current < blob.size => Event::Blob {
                digest: blob.digest,
                transfer: event::Transfer::Upload,
                current,
                total: Some(blob.size),
            },
            // Completion is told once the registry has confirmed it, and what is sent again not at all.
            Some(_) => return,
        };
        self.events.emit(event);
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to: Vec<&Repository> = self.to.iter().map(|sending| &sending.to).collect();
        f.debug_struct("Following").field("to", &to).finish_non_exhaustive()
    }
}
