//! From layers to a directory.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::sync::Arc;

use futures_util::future::try_join_all;
use strata_oci::LayerRef;
use strata_rootfs::{BaseLayer, Workspace};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::blocking::blocking;
use crate::engine::Session;
use crate::error::ErrorKind;

/// A workspace that holds what layers make. All of them arrive at the same time, and each is unpacked from its
/// first bytes on.
pub(crate) async fn materialise(
    session: &Arc<Session>,
    layers: Vec<LayerRef>,
) -> Result<Box<dyn Workspace>, ErrorKind> {
    materialise_unless(session, layers, pending()).await
}

/// [`materialise`], stopped where its layers still arrive once `unwanted` is ready.
async fn materialise_unless(
    session: &Arc<Session>,
    layers: Vec<LayerRef>,
    unwanted: impl Future<Output = ()>,
) -> Result<Box<dyn Workspace>, ErrorKind> {
    let (mut arrivals, mut base) = (Vec::new(), Vec::new());
    for layer in &layers {
        let arriving = session.ports.images.arrive(layer);
        arrivals.push(session.arrived(layer, arriving.whole));
        // Hardly anything gets larger by compression.
        let (diff_id, size) = (layer.diff_id, layer.blob.size);
        base.push(BaseLayer { diff_id, size, open: arriving.open });
    }
    let working = Arc::clone(session);
    let unpacking = blocking(move || Ok(working.ports.snapshotter.create(base)?));
    let arriving = async {
        tokio::select! {
            arrived = try_join_all(arrivals) => arrived,
            () = unwanted => Err(ErrorKind::Cancelled),
        }
    };
    tokio::pin!(unpacking, arriving);
    tokio::select! {
        biased;
        unpacked = &mut unpacking => match unpacked {
            // What stood unpacked is wanted no more from elsewhere.
            Ok(workspace) => Ok(workspace),
            // A transfer that fails is why unpacking does.
            Err(error) => arriving.await.and(Err(error)),
        },
        arrived = &mut arriving => match arrived {
            Ok(_) => unpacking.await,
            Err(error) => {
                // Its readers fail now, and what they leave behind is removed. That is waited for.
                let _consequence = unpacking.await;
                Err(error)
            }
        },
    }
}

/// A workspace that is made before anybody asks for it, because somebody will.
#[derive(Debug)]
pub(crate) struct Early {
    /// How many layers are in it.
    layers: usize,
    // Dropped, it stops what still arrives.
    wanted: oneshot::Sender<Infallible>,
    task: JoinHandle<Result<Box<dyn Workspace>, ErrorKind>>,
}

impl Early {
    /// Begins to make it. Whoever does not [`take`](Self::take) it has to [`discard`](Self::discard) it.
    pub(crate) fn begin(session: &Arc<Session>, layers: Vec<LayerRef>) -> Self {
        let (wanted, unwanted) = oneshot::channel::<Infallible>();
        let (session, count) = (Arc::clone(session), layers.len());
        let task = tokio::spawn(async move {
            let unwanted = async { drop(unwanted.await) };
            materialise_unless(&session, layers, unwanted).await
        });
        Self { layers: count, wanted, task }
    }

    /// How many layers are in it.
    pub(crate) fn layers(&self) -> usize {
        self.layers
    }

    /// Waits for it.
    pub(crate) async fn take(self) -> Result<Box<dyn Workspace>, ErrorKind> {
        let Self { wanted: _wanted, task, .. } = self;
        match task.await {
            Ok(workspace) => workspace,
            Err(error) => Err(ErrorKind::Worker { message: error.to_string() }),
        }
    }

    /// Stops and waits until nothing of it is left but layers that stand unpacked.
    pub(crate) async fn discard(self) {
        let Self { wanted, task, .. } = self;
        drop(wanted);
        // Whatever it came to is nobody's concern.
        drop(task.await);
    }
}
