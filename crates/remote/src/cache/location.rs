//! Where caches are.

use std::fmt;
use std::path::PathBuf;

use strata_oci::Reference;

/// Where results of earlier builds are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheSource {
    /// A cache in a registry, or an image with an inline cache: whichever the name turns out to be.
    Registry(Reference),
    /// An OCI layout with a cache.
    Directory {
        /// The layout.
        directory: PathBuf,
        /// Which of several: a tag or digest.
        selector: Option<String>,
    },
}

/// Where the results of a build are put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheTarget {
    /// A manifest in a registry.
    Registry {
        /// Its name.
        reference: Reference,
        /// What is put there.
        extent: Extent,
    },
    /// A manifest in an OCI layout, which is made if there is none.
    Directory {
        /// The layout.
        directory: PathBuf,
        /// The tag it gets.
        tag: String,
        /// What is put there.
        extent: Extent,
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

impl CacheSource {
    pub(super) fn or_latest(self) -> Self {
        match self {
            Self::Registry(reference) => Self::Registry(reference.or_latest()),
            Self::Directory { .. } => self,
        }
    }
}

impl CacheTarget {
    /// What is put there.
    pub fn extent(&self) -> Extent {
        match self {
            Self::Registry { extent, .. } | Self::Directory { extent, .. } => *extent,
        }
    }
}

impl fmt::Display for CacheSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => reference.familiar().fmt(f),
            Self::Directory { directory, .. } => directory.display().fmt(f),
        }
    }
}

impl fmt::Display for CacheTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry { reference, .. } => reference.familiar().fmt(f),
            Self::Directory { directory, .. } => directory.display().fmt(f),
        }
    }
}
