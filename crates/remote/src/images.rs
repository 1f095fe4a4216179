//! Images and their layers, as late as possible.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use strata_build::event::{Event, Events, Transfer};
use strata_build::ports::{Arriving, ImageSource, Images, PortError, ResolvedImage};
use strata_layer::{Index, Limits, decode, decompress, read_ahead};
use strata_oci::{AnyManifest, Descriptor, DiffId, Digest, LayerRef, Platform, Repository};
use strata_registry::{BlobSource, Client};
use tokio::sync::Semaphore;

use crate::cache::Tags;
use crate::error::ReadError;
use crate::local::Local;
use crate::origin::layout::Layout;
use crate::origin::registry::stream;
use crate::origin::{Origin, PushSource};
use crate::stream::{ByteStream, blocking, from_reader};

mod arrivals;
mod cached;
mod flights;
pub(crate) mod resolve;
mod transfer;
mod verify;

use arrivals::Arrivals;
use flights::Flights;

/// Transfers at one time. More only share the line, and registries count connections.
const TRANSFERS: usize = 4;

/// The longest file that is kept beside the index of its layer: a few times what users and groups of large images
/// take.
const SMALL_FILE: usize = 32 << 10;

/// Whether a name may mean what the local store has under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// What the store has will do.
    Stored,
    /// The registry is asked (`--pull`).
    Registry,
}

/// Images of registries, layouts and the local store, of which only what is asked for moves, once.
///
/// Cloning shares everything.
#[derive(Clone)]
pub struct LazyImages(Arc<Inner>);

struct Inner {
    client: Client,
    local: Local,
    events: Arc<dyn Events>,
    freshness: Freshness,
    /// Layouts that are looked into before a blob is downloaded.
    preferred: Mutex<Vec<Arc<Layout>>>,
    /// Where blobs that are not here can be had.
    places: Mutex<HashMap<Digest, Place>>,
    indexes: Mutex<HashMap<DiffId, Arc<Index>>>,
    /// Indexes that caches have.
    published: Mutex<HashMap<DiffId, Descriptor>>,
    /// Small files of layers that were read or that caches have, by their offsets.
    small_files: Mutex<HashMap<DiffId, BTreeMap<u64, String>>>,
    /// Caches that are asked for an index when it is needed.
    tagged: Mutex<Vec<Tags>>,
    downloads: Flights<Digest>,
    arrivals: Arrivals,
    passes: Flights<DiffId>,
    slots: Semaphore,
    /// Decompression is bound by processors.
    processors: Semaphore,
}

/// A place of blobs.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Repository(Repository),
    Layout(Arc<Layout>),
}

impl LazyImages {
    /// Images as `client` and `local` have them.
    pub fn new(
        client: Client,
        local: Local,
        freshness: Freshness,
        events: Arc<dyn Events>,
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Inner {
            client,
            local,
            events,
            freshness,
            preferred: Mutex::default(),
            places: Mutex::default(),
            indexes: Mutex::default(),
            published: Mutex::default(),
            small_files: Mutex::default(),
            tagged: Mutex::default(),
            downloads: Flights::default(),
            arrivals: Arrivals::default(),
            passes: Flights::default(),
            slots: Semaphore::new(TRANSFERS),
            processors: Semaphore::new(processors),
        }))
    }

    /// Takes blobs from an OCI layout, where it has them, before they are downloaded. Blocking.
    pub fn prefer_layout(&self, directory: &Path) -> Result<(), ReadError> {
        let layout = Arc::new(Layout::open(directory)?);
        self.0.preferred.lock().unwrap_or_else(PoisonError::into_inner).push(layout);
        Ok(())
    }

    fn preferred(&self, blob: &Descriptor) -> Option<Arc<Layout>> {
        let preferred = self.0.preferred.lock().unwrap_or_else(PoisonError::into_inner);
        preferred.iter().find(|layout| layout.has_blob(blob)).cloned()
    }

    fn place(&self, digest: Digest) -> Option<Place> {
        let places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(&digest).cloned()
    }

    fn remember_places<'a>(&self, layers: impl IntoIterator<Item = &'a LayerRef>, place: &Place) {
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        for layer in layers {
            // The first place is as good as the second, and may have been mounted from already.
            places.entry(layer.blob.digest).or_insert_with(|| place.clone());
        }
    }

    async fn is_local(&self, blob: &Descriptor) -> Result<bool, ReadError> {
        let (local, blob) = (self.0.local.clone(), blob.clone());
        blocking(move || local.has_blob(&blob)).await
    }

    pub(crate) async fn remote_stream(&self, blob: &Descriptor) -> Result<ByteStream, ReadError> {
        let (images, wanted) = (self.clone(), blob.clone());
        if let Some(layout) = blocking(move || images.preferred(&wanted)).await {
            return layout.blob(blob).await;
        }
        match self.place(blob.digest) {
            Some(Place::Repository(repository)) => Ok(stream(&self.0.client, &repository, blob)),
            Some(Place::Layout(layout)) => layout.blob(blob).await,
            None => Err(ReadError::Unplaced { digest: blob.digest }),
        }
    }

    async fn layer_index(&self, layer: &LayerRef) -> Result<Arc<Index>, ReadError> {
        let _flight = self.0.passes.enter(layer.diff_id).await;
        if let Some(index) = self.known_index(layer.diff_id).await {
            return Ok(index);
        }
        // A layer that is here needs no index from elsewhere.
        if !self.is_local(&layer.blob).await?
            && let Some(index) = self.published_index(layer.diff_id).await
        {
            return Ok(self.share_index(layer.diff_id, index));
        }
        let index = self.read_arriving(layer, read_index).await?;
        let (digest, size) = (layer.blob.digest, layer.blob.size);
        let transfer = Transfer::Index;
        self.0.events.emit(Event::Blob { digest, transfer, current: size, total: Some(size) });
        let images = self.clone();
        let diff_id = layer.diff_id;
        Ok(blocking(move || images.keep_index(diff_id, index)).await)
    }

    async fn known_index(&self, diff_id: DiffId) -> Option<Arc<Index>> {
        let known = {
            let indexes = self.0.indexes.lock().unwrap_or_else(PoisonError::into_inner);
            indexes.get(&diff_id).cloned()
        };
        if known.is_some() {
            return known;
        }
        let local = self.0.local.clone();
        let index = Arc::new(blocking(move || local.index(diff_id)).await?);
        let mut indexes = self.0.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(indexes.entry(diff_id).or_insert(index)))
    }

    fn keep_index(&self, diff_id: DiffId, index: Index) -> Arc<Index> {
        self.0.local.put_index(diff_id, &index);
        self.share_index(diff_id, index)
    }

    fn share_index(&self, diff_id: DiffId, index: Index) -> Arc<Index> {
        let index = Arc::new(index);
        let mut indexes = self.0.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        indexes.insert(diff_id, Arc::clone(&index));
        index
    }

    /// Reads a layer from its first bytes on, while it still arrives if it is not here.
    async fn read_arriving<T: Send + 'static>(
        &self,
        layer: &LayerRef,
        read: impl FnOnce(&LayerRef, Box<dyn Read + Send>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let (whole, open) = self.arrive(&layer.blob);
        let wanted = layer.clone();
        let reading = async {
            let _processor =
                self.0.processors.acquire().await.expect("the semaphore is never closed");
            let digest = wanted.blob.digest;
            blocking(move || {
                let reader = open().map_err(|source| ReadError::Layer { digest, source })?;
                read(&wanted, reader)
            })
            .await
        };
        // A transfer that fails is why reading does.
        let (moved, result) = tokio::join!(whole, reading);
        moved.and(result)
    }

    fn open_layer(&self, layer: &LayerRef) -> io::Result<Box<dyn Read + Send>> {
        let file = self.0.local.open_blob(layer.blob.digest)?;
        // By the first bytes: media types are wrong more often than a tar begins like a compressed file.
        let layer = verify::VerifiedLayer::new(decompress(file, None)?, layer.diff_id);
        Ok(Box::new(read_ahead(layer)?))
    }
}

impl Images for LazyImages {
    fn resolve<'a>(
        &'a self,
        source: &'a ImageSource,
        platform: &'a Platform,
    ) -> BoxFuture<'a, Result<ResolvedImage, PortError>> {
        async move {
            match source {
                ImageSource::Named(reference) => self.resolve_name(reference, platform).await,
                ImageSource::Layout { directory, selector } => {
                    self.resolve_layout(directory, selector.as_deref(), platform).await
                }
            }
            .map_err(PortError::from)
        }
        .boxed()
    }

    fn index<'a>(&'a self, layer: &'a LayerRef) -> BoxFuture<'a, Result<Arc<Index>, PortError>> {
        async move { self.layer_index(layer).await.map_err(PortError::from) }.boxed()
    }

    fn fetch<'a>(&'a self, layer: &'a LayerRef) -> BoxFuture<'a, Result<(), PortError>> {
        async move { self.fetch_blob(&layer.blob).await.map_err(PortError::from) }.boxed()
    }

    fn arrive<'a>(&'a self, layer: &'a LayerRef) -> Arriving<'a> {
        let (whole, open) = self.arrive(&layer.blob);
        Arriving { whole: async move { whole.await.map_err(PortError::from) }.boxed(), open }
    }

    fn open(&self, layer: &LayerRef) -> io::Result<Box<dyn Read + Send>> {
        self.open_layer(layer)
    }

    fn remember_index(&self, diff_id: DiffId, index: Index) {
        self.keep_index(diff_id, index);
    }

    fn small_file(&self, diff_id: DiffId, offset: u64) -> Option<Vec<u8>> {
        self.small_files(diff_id).get(&offset).map(|text| text.as_bytes().to_vec())
    }

    fn remember_small_file(&self, diff_id: DiffId, offset: u64, bytes: &[u8]) {
        if let Ok(text) = std::str::from_utf8(bytes)
            && bytes.len() <= SMALL_FILE
        {
            self.remember_small_files(diff_id, &BTreeMap::from([(offset, text.to_owned())]));
        }
    }
}

impl Origin for LazyImages {
    fn manifest<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<AnyManifest, ReadError>> {
        let (local, wanted) = (self.0.local.clone(), descriptor.clone());
        blocking(move || {
            local.manifest(&wanted)?.ok_or(ReadError::Unplaced { digest: wanted.digest })
        })
        .boxed()
    }

    fn blob<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<ByteStream, ReadError>> {
        async move {
            if !self.is_local(descriptor).await? {
                return self.remote_stream(descriptor).await;
            }
            let (local, wanted) = (self.0.local.clone(), descriptor.clone());
            let digest = descriptor.digest;
            let fail = move |source| ReadError::Layer { digest, source };
            let reader = blocking(move || local.verified_blob(&wanted)).await.map_err(fail)?;
            Ok(from_reader(reader, fail))
        }
        .boxed()
    }

    fn repository(&self, digest: Digest) -> Option<Repository> {
        match self.place(digest)? {
            Place::Repository(repository) => Some(repository),
            Place::Layout(_) => None,
        }
    }

    fn push_source<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<PushSource, ReadError>> {
        async move {
            if self.is_local(descriptor).await? {
                let path = self.0.local.blob_path(descriptor.digest);
                return Ok(PushSource::Local(BlobSource::file(path)));
            }
            match self.place(descriptor.digest) {
                Some(Place::Repository(repository)) => Ok(PushSource::Repository(repository)),
                Some(Place::Layout(layout)) => layout.push_source(descriptor).await,
                None => Err(ReadError::Unplaced { digest: descriptor.digest }),
            }
        }
        .boxed()
    }

    fn prepare<'a>(&'a self, blobs: &'a [Descriptor]) -> BoxFuture<'a, Result<(), ReadError>> {
        async move {
            let fetches = blobs.iter().map(|blob| self.fetch_blob(blob));
            futures_util::future::try_join_all(fetches).await.map(drop)
        }
        .boxed()
    }
}

impl fmt::Debug for LazyImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyImages")
            .field("local", &self.0.local)
            .field("freshness", &self.0.freshness)
            .finish_non_exhaustive()
    }
}

/// One pass over a layer.
fn read_index(layer: &LayerRef, reader: Box<dyn Read + Send>) -> Result<Index, ReadError> {
    let fail = |source| ReadError::Layer { digest: layer.blob.digest, source };
    let mut changes = Changes::default();
    let decoded = decode(reader, &mut changes, &Limits::default())
        .map_err(|error| fail(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    if decoded.diff_id != layer.diff_id {
        return Err(fail(verify::wrong_diff_id(decoded.diff_id)));
    }
    Ok(Index::new(strata_tree::ChangeSet::new(changes.0)))
}

/// Keeps what a layer says and lets its bytes pass.
#[derive(Default)]
struct Changes(Vec<strata_tree::Change<strata_layer::Extent>>);

impl strata_layer::Sink for Changes {
    fn change(
        &mut self,
        change: strata_tree::Change<strata_layer::Extent>,
        _body: &mut dyn Read,
    ) -> io::Result<()> {
        self.0.push(change);
        Ok(())
    }
}
