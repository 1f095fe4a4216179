//! What a build is told besides its plan.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use strata_agent::Agent;
use strata_context::Git;
use strata_layer::EncodeOptions;
use strata_oci::{Platform, Timestamp};
use strata_sandbox::{Isolation, Ulimit};

use crate::event::Events;
use crate::ports::{Blobs, Downloads, Images, StepCache, Uploads};
use strata_rootfs::Snapshotter;

/// The bytes of a `--secret`. Shown nowhere, not even while debugging.
#[derive(Clone)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// Takes the bytes.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What the engine asks for things.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Base images.
    pub images: Arc<dyn Images>,
    /// Where new layers go.
    pub blobs: Arc<dyn Blobs>,
    /// Who sends layers of the result while the rest is built.
    pub uploads: Arc<dyn Uploads>,
    /// Files of ADD that are elsewhere.
    pub downloads: Arc<dyn Downloads>,
    /// Results of earlier builds.
    pub cache: Arc<dyn StepCache>,
    /// Who is told what happens.
    pub events: Arc<dyn Events>,
    /// Makes the directories that commands run in.
    pub snapshotter: Arc<dyn Snapshotter>,
    /// Runs commands; or why nothing can, one reason for each way.
    pub isolation: Result<Arc<dyn Isolation>, Vec<String>>,
}

/// How a build is done.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How layers are written. The clamp is set from the plan's source date epoch.
    pub encode: EncodeOptions,
    /// A directory for what lives as long as the build.
    pub scratch: PathBuf,
    /// A directory that keeps cache mounts between builds.
    pub cache_mounts: PathBuf,
    /// Secrets by id.
    pub secrets: BTreeMap<String, Secret>,
    /// Agents for ssh mounts, by id.
    pub ssh: BTreeMap<String, Agent>,
    /// Fetches repositories.
    pub git: Git,
    /// The platform of this machine.
    pub host: Platform,
    /// The content of `/etc/resolv.conf` for commands.
    pub resolver_configuration: Option<Vec<u8>>,
    /// Limits of commands.
    pub ulimits: Vec<Ulimit>,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: u64,
    /// The time of what is made now, unless the plan has a source date epoch.
    pub now: Timestamp,
}
