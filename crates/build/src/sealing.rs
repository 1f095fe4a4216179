//! Layers that are written while their stage goes on.
//!
//! ```text
//! stage     RUN one ──► RUN two ───────► COPY ──► …
//!                 │            │              │
//! sealing         └─ layer 1 ──┼─► layer 2 ───┼─► layer 3
//! registry                     └─ upload 1 …  └─ upload 2 …
//! ```
//!
//! What a command changed is sealed beside the next command where the snapshotter keeps it as it was. A layer is told
//! of, remembered and sent once those below it were: the second key of its step is made of them.

use std::sync::Arc;

use bytes::Bytes;
use strata_layer::{Content, encode};
use strata_oci::LayerRef;
use strata_plan::{Recipe, StageId, Step};
use strata_rootfs::Workspace;
use strata_tree::ChangeSet;
use tokio::task::JoinHandle;

use crate::blocking::blocking;
use crate::content_key;
use crate::engine::Session;
use crate::error::{BuildError, ErrorKind};
use crate::event::{Event, StepNumber};
use crate::ports::StepResult;
use crate::stage::StageLayer;

/// Changes that become a layer.
pub(crate) struct Unsealed {
    pub(crate) stage: StageId,
    pub(crate) index: usize,
    pub(crate) changes: ChangeSet<Content>,
    /// What the second key of the step is made of, but for the layers below it.
    pub(crate) content: Option<Recipe>,
    /// Whose files the changes are: they stay as long as this does.
    pub(crate) files: Option<Box<dyn Workspace>>,
    /// Whether the layer is part of the result, and those below it are on their way already.
    pub(crate) ships: bool,
}

/// The layers of a stage so far.
#[derive(Debug)]
pub(crate) enum Layers {
    Sealed(Vec<StageLayer>),
    /// The last one is still at work, as those below it may be.
    AtWork(JoinHandle<Result<Vec<StageLayer>, Arc<BuildError>>>),
}

impl Default for Layers {
    fn default() -> Self {
        Self::Sealed(Vec::new())
    }
}

impl Layers {
    /// Waits until all are sealed.
    pub(crate) async fn settle(&mut self) -> Result<(), Arc<BuildError>> {
        let layers = std::mem::take(self).all().await?;
        *self = Self::Sealed(layers);
        Ok(())
    }

    async fn all(self) -> Result<Vec<StageLayer>, Arc<BuildError>> {
        match self {
            Self::Sealed(layers) => Ok(layers),
            Self::AtWork(task) => match task.await {
                Ok(layers) => layers,
                Err(error) => {
                    let kind = ErrorKind::Worker { message: error.to_string() };
                    Err(Arc::new(kind.into()))
                }
            },
        }
    }

    /// Whether some may still be at work.
    pub(crate) fn are_at_work(&self) -> bool {
        matches!(self, Self::AtWork(_))
    }

    /// All of them after [`settle`](Self::settle), and none while some are at work.
    pub(crate) fn sealed(&self) -> &[StageLayer] {
        match self {
            Self::Sealed(layers) => layers,
            Self::AtWork(_) => &[],
        }
    }

    /// Puts one on top that is there already, once all below it are sealed.
    pub(crate) async fn push(&mut self, layer: StageLayer) -> Result<(), Arc<BuildError>> {
        let mut layers = std::mem::take(self).all().await?;
        layers.push(layer);
        *self = Self::Sealed(layers);
        Ok(())
    }

    /// Begins to seal one on top.
    pub(crate) fn seal(&mut self, session: &Arc<Session>, step: &Step, unsealed: Unsealed) {
        let below = std::mem::take(self);
        let (session, step) = (Arc::clone(session), step.clone());
        // A task of its own, so that it goes on whatever its stage waits for.
        *self = Self::AtWork(tokio::spawn(async move {
            let Unsealed { stage, index, changes, content, files, ships } = unsealed;
            let sent = if ships { session.number(stage, index) } else { None };
            let (sealed, below) = tokio::join!(write(&session, changes, sent), below.all());
            // What is below failed first, and says so itself.
            let mut layers = below?;
            let sealed = sealed.map_err(|kind| session.failure(stage, index, &step, kind))?;
            let layer = keep(&session, (stage, index), content, sealed, &layers).await;
            if ships {
                session.ports.uploads.begin(&layer.layer);
            }
            // Whoever is the last to let go of a directory deletes it.
            let let_go = move || {
                drop(files);
                Ok(())
            };
            blocking(let_go).await.map_err(|kind| session.failure(stage, index, &step, kind))?;
            layers.push(layer);
            Ok(layers)
        }));
    }
}

/// A layer in the store.
pub(crate) struct Sealed {
    pub(crate) layer: LayerRef,
    /// The length of its archive.
    pub(crate) uncompressed_size: u64,
}

/// Encodes changes into the store. `ships` is for [`Blobs::writer`](crate::ports::Blobs::writer).
pub(crate) async fn write(
    session: &Arc<Session>,
    changes: ChangeSet<Content>,
    ships: Option<StepNumber>,
) -> Result<Sealed, ErrorKind> {
    let permit = session.sealing.acquire().await.map_err(|_| ErrorKind::Cancelled)?;
    let working = Arc::clone(session);
    let sealed = blocking(move || {
        let failed = |source| ErrorKind::Io {
            action: "write",
            what: "a layer to the store".to_owned(),
            source,
        };
        let mut writer = working.ports.blobs.writer(ships).map_err(failed)?;
        let encoded = encode(&changes, &*working.contents, &working.settings.encode, &mut writer)?;
        let blob = writer.commit(encoded.media_type).map_err(failed)?;
        working.ports.images.remember_index(encoded.diff_id, encoded.index);
        let layer = LayerRef { blob, diff_id: encoded.diff_id };
        Ok(Sealed { layer, uncompressed_size: encoded.uncompressed_size })
    })
    .await;
    drop(permit);
    sealed
}

/// Tells of a layer and remembers it as the result of its step.
async fn keep(
    session: &Arc<Session>,
    (stage, index): (StageId, usize),
    content: Option<Recipe>,
    sealed: Sealed,
    below: &[StageLayer],
) -> StageLayer {
    let layer = sealed.layer;
    session.know_layer(&layer);
    if let Some(step) = session.number(stage, index) {
        session.emit(Event::LayerSealed {
            step,
            digest: layer.blob.digest,
            diff_id: layer.diff_id,
            size: layer.blob.size,
            uncompressed: sealed.uncompressed_size,
        });
    }
    let created = session.settings.now.clone();
    if let Some(recipe) = session.key(stage, index) {
        let result = StepResult { layer: layer.clone(), created: created.clone() };
        session.ports.cache.store(&recipe.key, &recipe.to_bytes(), &result).await;
        let content = content.and_then(|content| content_key::on(content, below, recipe));
        if let Some(content) = content {
            session.ports.cache.store(&content, &Bytes::new(), &result).await;
        }
    }
    StageLayer { layer, created: Some(created) }
}
