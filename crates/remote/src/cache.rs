//! Results of earlier steps that are kept elsewhere: beside images in registries, in images, in directories.
//!
//! ```text
//! manifest (artifact type `application/vnd.strata.cache.v1`)
//! ├── config   records: key → layer, diff id, times, recipe; diff id → index   (two requests tell everything)
//! └── layers   every layer, index and long recipe that a record names          (so that registries keep them)
//! ```
//!
//! In a repository with a tag for each step, a manifest of each step has its records as an annotation:
//!
//! ```text
//! cache-<key>            what a step with this key made
//! cache-slot-<slot>      the latest step that does the same, to compare a miss with
//! cache-layer-<diff id>  the index of a layer
//! cache-mount-<name>     what a cache mount holds
//! ```
//!
//! `records` is that config as a value; `tags` reads the second kind; `source` reads it from wherever it is; `inline` has the keys that ride in
//! an image's own config; `mounts` keeps what cache mounts hold; [`CachedSteps`] in `steps` is the engine's port; `export` writes; `inspect`
//! shows and `prune` cleans up.

use std::sync::Arc;
use std::time::Duration;

use strata_build::event::Events;
use strata_registry::Client;

use crate::images::LazyImages;
use crate::local::Local;

mod error;
mod export;
mod inline;
mod inspect;
mod location;
mod mounts;
mod prune;
mod records;
mod source;
mod steps;
mod tags;

pub use error::CacheError;
pub use export::{Export, Exported};
pub use inspect::{Contents, MountRow, StepRow};
pub use location::{CachePlace, CacheSource, CacheTarget, Extent};
pub use prune::Dropped;
pub(crate) use records::Records;
pub(crate) use source::{unpack, whole};
pub use steps::CachedSteps;
pub(crate) use tags::Tags;

/// Reads and writes caches.
#[derive(Clone)]
pub struct Caches {
    /// Registries.
    pub client: Client,
    /// What layers come from.
    pub images: LazyImages,
    /// The local store, which is a cache too.
    pub local: Local,
    /// Who is told of what cannot be used.
    pub events: Arc<dyn Events>,
    /// The time, in seconds since 1970.
    pub now: i64,
    /// Results of steps that ran so long ago are not taken.
    pub age_limit: Option<Duration>,
}

impl std::fmt::Debug for Caches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caches").field("images", &self.images).finish_non_exhaustive()
    }
}
