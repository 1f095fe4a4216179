//! Where caches are.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use strata_oci::{Reference, Repository};

/// Where results of earlier builds are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheSource {
    /// A cache in a registry, or an image with an inline cache: whichever the name turns out to be. Without a tag it
    /// is what `latest` turns out to be, and then the tags of steps.
    Registry(Reference),
    /// A repository with a tag for each step.
    Tags(Repository),
    /// An OCI layout with a cache.
    Directory {
        /// The layout.
        directory: PathBuf,
        /// Which of several: a tag or digest.
        selector: Option<String>,
    },
}

/// Where the results of a build are put, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheTarget {
    /// Where.
    pub place: CachePlace,
    /// What is put there.
    pub extent: Extent,
    /// What was not used for so long goes when the cache is written.
    pub unused: Duration,
    /// How many bytes of cache mounts are put there too, if any.
    pub mounts: Option<u64>,
}

/// Where results are put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CachePlace {
    /// One manifest in a registry.
    Registry(Reference),
    /// A tag for each step. What nobody uses is for the registry's own rules to drop: all tags begin with
    /// `cache-`.
    Tags(Repository),
    /// A manifest in an OCI layout, which is made if there is none.
    Directory {
        /// The layout.
        directory: PathBuf,
        /// The tag it gets.
        tag: String,
    },
}

/// How much of a build is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// The layers of the result.
    #[default]
    Result,
    /// The layers of all stages.
    Everything,
}

impl CacheTarget {
    /// How long entries stay without being used, if nothing else is said.
    pub const UNUSED: Duration = Duration::from_hours(14 * 24);

    /// How many bytes of cache mounts are kept, if nothing else is said.
    pub const MOUNTS: u64 = 2 << 30;

    /// The layers of the result and no cache mounts, in this place.
    pub fn new(place: CachePlace) -> Self {
        Self { place, extent: Extent::default(), unused: Self::UNUSED, mounts: None }
    }
}

impl CacheSource {
    pub(super) fn or_latest(self) -> Self {
        match self {
            Self::Registry(reference) => Self::Registry(reference.or_latest()),
            Self::Tags(_) | Self::Directory { .. } => self,
        }
    }
}

impl fmt::Display for CacheSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => reference.familiar().fmt(f),
            Self::Tags(repository) => repository.fmt(f),
            Self::Directory { directory, .. } => directory.display().fmt(f),
        }
    }
}

impl fmt::Display for CacheTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            CachePlace::Registry(reference) => reference.familiar().fmt(f),
            CachePlace::Tags(repository) => repository.fmt(f),
            CachePlace::Directory { directory, .. } => directory.display().fmt(f),
        }
    }
}
