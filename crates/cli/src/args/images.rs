//! Commands on images that exist: in registries, layouts, archives and the local store.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};
use strata_oci::Reference;
use strata_remote::{CacheSource, Location};

use super::registry::RegistryArgs;
use super::{ProgressArgs, StateArgs};
use crate::value::{cache, duration, image};

/// Pushes an image of the local store, an OCI layout or an archive
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  strata push example.com/app:1.2
  strata push example.com/app:1.2 example.com/app:latest
  strata push ./layout example.com/app:1.2
  strata push oci-archive:app.tar example.com/app:1.2")]
pub(crate) struct PushArgs {
    /// The image: a name of the local store, `oci:DIR[:TAG]`, `oci-archive:FILE` or
    /// `docker-archive:FILE`
    #[arg(value_name = "SRC", value_parser = image::parse)]
    pub(crate) source: Location,
    /// Where to; without it, to the name of the image in the store
    #[arg(value_name = "REF", value_parser = Reference::parse)]
    pub(crate) destinations: Vec<Reference>,
    /// Write the digest of the manifest to a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) digest_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

/// Copies an image between registries, layouts and archives without unpacking it
///
/// The manifest keeps its bytes, and so the image its digest. Blobs that are there already are not
/// sent; within a registry they do not leave it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  strata copy example.com/app:1.2 example.com/app:stable
  strata copy example.com/app:1.2 oci:layout:1.2
  strata copy oci-archive:app.tar other.example.com/app:1.2")]
pub(crate) struct CopyArgs {
    /// The image: REF, `oci:DIR[:TAG]`, `oci-archive:FILE` or `store:REF`
    #[arg(value_name = "SRC", value_parser = image::parse)]
    pub(crate) source: Location,
    /// Where to, in the same forms
    #[arg(value_name = "DST", value_parser = image::parse)]
    pub(crate) destination: Location,
    /// Copy this platform out of an index; default is everything
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

/// Shows manifest, config, history and layers of an image anywhere
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  strata inspect docker.io/library/alpine:3.20
  strata inspect --json example.com/app:1.2 | jq .config.config.Env
  strata inspect oci:layout")]
pub(crate) struct InspectArgs {
    /// The image: REF (local store, then registry), `docker://REF`, `store:REF`, `oci:DIR[:TAG]` or
    /// `oci-archive:FILE`
    #[arg(value_name = "REF", value_parser = image::parse)]
    pub(crate) image: Location,
    /// Print JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Show this platform of an index; default is the host's
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Lists the images of the local store
#[derive(Debug, Args)]
pub(crate) struct ImagesArgs {
    /// Print JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Removes names from the local store
///
/// What no other name needs is freed by the next `strata prune`.
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// The names
    #[arg(value_name = "REF", value_parser = Reference::parse, required = true)]
    pub(crate) references: Vec<Reference>,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Frees what no image of the local store needs
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Free the build cache too, whatever its age
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Commands on caches.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    Inspect(CacheInspectArgs),
    Prune(CachePruneArgs),
}

/// Shows what a cache holds
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  strata cache inspect example.com/app/cache:main
  strata cache inspect --json type=local,src=.cache | jq '.steps[].does'")]
pub(crate) struct CacheInspectArgs {
    /// The cache, as `build --cache-from` takes it
    #[arg(value_name = "REF", value_parser = cache::parse_from)]
    pub(crate) cache: CacheSource,
    /// Print JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Drops what builds have not used for long
///
/// Of a repository with a tag for each step, whole manifests are deleted, which the registry has to allow. A
/// registry frees the space when it collects its garbage.
#[derive(Debug, Args)]
pub(crate) struct CachePruneArgs {
    /// The cache, as `build --cache-from` takes it
    #[arg(value_name = "REF", value_parser = cache::parse_from)]
    pub(crate) cache: CacheSource,
    /// Drop what was not used for so long; `0s` drops everything
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "14d")]
    pub(crate) unused: Duration,
    /// Print JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}
