//! What the engine asks of the world. The engine owns these traits; crates at the rim implement them.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use strata_layer::Index;
use strata_oci::{
    Descriptor, DiffId, Digest, ImageConfig, LayerRef, MediaType, Platform, Reference, Timestamp,
};
use strata_plan::StepKey;

use crate::event::StepNumber;
use crate::kept_mount::CacheMount;

/// Where an image is to be looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ImageSource {
    /// A name: the local store if it has it (and fresh images are not demanded), else its registry.
    Named(Reference),
    /// An OCI layout directory, by the context's name and an optional tag in its index.
    Layout {
        /// The directory, as text of the command line.
        directory: std::path::PathBuf,
        /// The tag, digest or nothing for the only image.
        selector: Option<String>,
    },
}

/// An image as far as planning needs it: everything but the bytes of its layers.
#[derive(Clone, Debug)]
pub struct ResolvedImage {
    /// The manifest that was chosen for the platform.
    pub manifest: Descriptor,
    /// Its configuration.
    pub config: ImageConfig,
    /// Its layers, lowest first, each with its blob and its diff id.
    pub layers: Vec<LayerRef>,
    /// Where its layers can be mounted from.
    pub reference: Option<Reference>,
}

/// A failure behind a port. The engine adds the place in the Dockerfile; `cli` asks for class and advice.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// What could not be done with which thing, as one line.
    pub message: String,
    /// What kind of failure it is.
    pub class: PortErrorClass,
    /// What the user can do, if anything is known.
    pub hint: Option<String>,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of failure that a person is told apart by exit code and advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortErrorClass {
    /// The thing does not exist.
    NotFound,
    /// A registry refused, or the network failed.
    Registry,
    /// The bytes are not what their digest says.
    Corrupt,
    /// The local disk failed or is full.
    Storage,
}

/// Images and their layers, lazily: nothing moves before somebody asks for it.
pub trait Images: Send + Sync + Debug {
    /// Finds an image and reads its manifest and configuration.
    fn resolve<'a>(
        &'a self,
        source: &'a ImageSource,
        platform: &'a Platform,
    ) -> BoxFuture<'a, Result<ResolvedImage, PortError>>;

    /// What is inside a layer: from the local store if known, else by one pass over the blob. Remembered.
    fn index<'a>(&'a self, layer: &'a LayerRef) -> BoxFuture<'a, Result<Arc<Index>, PortError>>;

    /// Makes a layer's blob readable here, fetching it if need be. Cheap when it is already local.
    fn fetch<'a>(&'a self, layer: &'a LayerRef) -> BoxFuture<'a, Result<(), PortError>>;

    /// Makes a layer readable while it still arrives.
    fn arrive<'a>(&'a self, layer: &'a LayerRef) -> Arriving<'a>;

    /// The uncompressed archive of a layer that was fetched. Blocking; a reader that comes to its end has
    /// seen the bytes that the blob's digest promises, or fails.
    fn open(&self, layer: &LayerRef) -> std::io::Result<Box<dyn Read + Send>>;

    /// Remembers what is inside a layer that was just unpacked or sealed.
    fn remember_index(&self, diff_id: DiffId, index: Index);

    /// The bytes of a small file of a layer, at this offset in its archive, if they are known without the layer.
    fn small_file(&self, _diff_id: DiffId, _offset: u64) -> Option<Vec<u8>> {
        None
    }

    /// Remembers the bytes of a small file that was read: who a base's users are is asked by every build on it.
    fn remember_small_file(&self, _diff_id: DiffId, _offset: u64, _bytes: &[u8]) {}
}

/// A layer on its way, in two halves: one moves the bytes, the other reads them.
pub struct Arriving<'a> {
    /// [`Images::fetch`]. Dropped before its end, it lets `open`, and what that gave, fail.
    pub whole: BoxFuture<'a, Result<(), PortError>>,
    /// Opens the uncompressed archive; blocks until the first bytes are there, for which somebody has to poll
    /// `whole`. The reader ends well only if all bytes of the blob came and are those that its digest promises;
    /// what they unpack to is for the caller to verify.
    pub open: Box<dyn FnOnce() -> std::io::Result<Box<dyn Read + Send>> + Send>,
}

impl Debug for Arriving<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arriving").finish_non_exhaustive()
    }
}

/// A blob on its way into the store. Dropped without `commit`, it leaves nothing behind.
pub trait BlobWriter: Write + Send + Debug {
    /// Takes the blob into the store under the digest of what was written, and describes it.
    fn commit(self: Box<Self>, media_type: MediaType) -> std::io::Result<Descriptor>;
}

/// Where sealed layers go. Blocking.
pub trait Blobs: Send + Sync + Debug {
    /// Begins a blob. `ships` says which step makes it if it is certain to be part of the result: it may be sent
    /// on its way while it is written, as [`Uploads::begin`] does with what is complete.
    fn writer(&self, ships: Option<StepNumber>) -> std::io::Result<Box<dyn BlobWriter>>;
}

/// Takes layers on their way before the image is complete.
pub trait Uploads: Send + Sync + Debug {
    /// A layer is certainly part of the result. Told again, it changes nothing; does not block.
    fn begin(&self, layer: &LayerRef);
}

/// A file that was downloaded for ADD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many there are.
    pub size: u64,
    /// `Last-Modified` as seconds since 1970, if the server said so.
    pub last_modified: Option<i64>,
}

/// Fetches files by address.
pub trait Downloads: Send + Sync + Debug {
    /// Downloads `url` into a new file at `into`. A status other than success is an error; nothing is left of a
    /// download that fails. `authorization` is a header for the address's own server and no other.
    fn download<'a>(
        &'a self,
        url: &'a str,
        authorization: Option<&'a str>,
        into: &'a std::path::Path,
    ) -> BoxFuture<'a, Result<Downloaded, PortError>>;
}

/// What a step's execution came to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StepResult {
    /// The layer it made.
    pub layer: LayerRef,
    /// When it was made, for the history of images that use it again.
    pub created: Timestamp,
}

/// The answer of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The result is there and can be used.
    Hit(Box<StepResult>),
    /// It is not; `closest` is the recipe of an earlier execution of the same step, if one is known.
    Miss {
        /// Canonical bytes of that recipe.
        closest: Option<Vec<u8>>,
    },
}

/// Results of earlier steps.
pub trait StepCache: Send + Sync + Debug {
    /// Looks a step up. A cache that cannot be read is a miss. A key without a recipe is another key of the same
    /// step, by content.
    fn lookup<'a>(&'a self, key: &'a StepKey, recipe: &'a Bytes) -> BoxFuture<'a, Lookup>;

    /// Remembers a step. A cache that cannot be written costs a later build time, not this one its result.
    fn store<'a>(
        &'a self,
        key: &'a StepKey,
        recipe: &'a Bytes,
        result: &'a StepResult,
    ) -> BoxFuture<'a, ()>;

    /// Puts what is kept of a cache mount into its slot, if something is. What cannot be had costs the command
    /// time.
    fn fill_mount<'a>(&'a self, _mount: &'a CacheMount) -> BoxFuture<'a, ()> {
        futures_util::future::ready(()).boxed()
    }

    /// Takes note that a command uses a cache mount, which may then be kept.
    fn use_mount(&self, _mount: CacheMount) {}

    /// Stops believing that the layer of a hit can be had. Whether steps that had it now miss.
    fn retract(&self, _layer: &LayerRef) -> bool {
        false
    }
}
