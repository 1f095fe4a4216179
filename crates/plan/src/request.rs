//! What is asked of the planner, and what it asks for.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use strata_dockerfile::{Dockerfile, PatternSet, Source, Span};
use strata_oci::{Descriptor, ImageConfig, LayerRef, Platform, Reference};

use crate::op::Network;

/// A build context by number; the caller knows which is which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ContextId(pub u32);

impl ContextId {
    /// The context of the build itself.
    pub const MAIN: Self = Self(0);
}

/// What a name stands for that was given with `--build-context`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedContext {
    /// A tree of files, from wherever.
    Directory(ContextId),
    /// An image of a registry or of the store.
    Image(Reference),
    /// An image of an OCI layout; the caller knows which layout that number is.
    Layout(ContextId),
}

/// Everything that a plan depends on, but for the base images.
#[derive(Clone, Debug)]
pub struct Request {
    /// The text, for texts of spans; its index must be 0.
    pub source: Source,
    /// The same text parsed.
    pub dockerfile: Dockerfile,
    /// `--build-arg`s, with values.
    pub build_args: BTreeMap<String, String>,
    /// `--target`: a name in any case, or a number.
    pub target: Option<String>,
    /// Stages that are built besides it, by name or number: the build fails if one of them does.
    pub more_targets: Vec<String>,
    /// Whether every stage is looked at, not only those that the target needs: for a check.
    pub all_stages: bool,
    /// What is left out of the main context, so that instructions that name it can be warned of.
    pub ignore: PatternSet,
    /// The times of contexts that have one: the commit of a repository, or what an archive and its server say.
    pub context_epochs: BTreeMap<ContextId, i64>,
    /// What is built for.
    pub target_platform: Platform,
    /// What is built on.
    pub build_platform: Platform,
    /// Whether `target_platform` was asked for, or is only a default. A default one lets the base image's
    /// own platform stand in the result's config.
    pub platform_requested: bool,
    /// `--build-context`s by name.
    pub named_contexts: BTreeMap<String, NamedContext>,
    /// `--label`s; they win over LABEL.
    pub labels: BTreeMap<String, String>,
    /// `SOURCE_DATE_EPOCH` of option or environment; a build argument of that name wins.
    pub source_date_epoch: Option<i64>,
    /// `--network`: the network of a RUN that names none.
    pub network: Network,
    /// `--add-host`: names with addresses.
    pub hosts: Vec<(String, String)>,
    /// Paths of which nothing that RUNs write gets into the image.
    pub ignored_paths: Vec<String>,
    /// The host name of RUNs.
    pub hostname: Option<String>,
    /// `--no-cache`.
    pub no_cache: bool,
    /// `--no-cache-filter`: stages, by name.
    pub no_cache_stages: Vec<String>,
}

impl Request {
    /// A request with nothing optional, for a platform that is also that of the builder.
    pub fn new(source: Source, dockerfile: Dockerfile, platform: Platform) -> Self {
        Self {
            source,
            dockerfile,
            build_args: BTreeMap::new(),
            target: None,
            more_targets: Vec::new(),
            all_stages: false,
            ignore: PatternSet::default(),
            context_epochs: BTreeMap::new(),
            target_platform: platform.clone(),
            build_platform: platform,
            platform_requested: false,
            named_contexts: BTreeMap::new(),
            labels: BTreeMap::new(),
            source_date_epoch: None,
            network: Network::Default,
            hosts: Vec::new(),
            ignored_paths: Vec::new(),
            hostname: None,
            no_cache: false,
            no_cache_stages: Vec::new(),
        }
    }
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageSource {
    /// A registry, or the store.
    Reference(Reference),
    /// An OCI layout; see [`NamedContext::Layout`].
    Layout(ContextId),
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference(reference) => reference.fmt(f),
            Self::Layout(context) => write!(f, "oci-layout {}", context.0),
        }
    }
}

/// An image the planner has to know before it can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseRequest {
    /// Which.
    pub image: ImageSource,
    /// Which of it, if it is for several platforms.
    pub platform: Platform,
    /// The place that first asks for it.
    pub span: Span,
    /// As it is written there, for messages.
    pub written: String,
    /// What may have been meant, should there be no such image: a stage with a name that is nearly this one.
    pub help: Option<String>,
}

/// An image as the planner has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseImage {
    /// The manifest of the platform that was asked for.
    pub manifest: Descriptor,
    /// Its config.
    pub config: ImageConfig,
    /// Its layers, lowest first.
    pub layers: Vec<LayerRef>,
}
