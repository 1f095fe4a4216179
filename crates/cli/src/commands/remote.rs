//! The local store and registries, opened for a command.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use strata_build::event::Events;
use strata_registry::Client;
use strata_remote::{Freshness, ImmutableTags, LazyImages, Local, Owners, Publisher, Uploads};
use strata_store::Store;

use crate::args::registry::RegistryArgs;
use crate::diagnostic::{Diagnostic, Failure};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::settings::registry;

/// The places below the state directory.
pub(super) struct Places {
    pub(super) store: PathBuf,
    pub(super) snapshots: PathBuf,
    pub(super) scratch: PathBuf,
    pub(super) cache_mounts: PathBuf,
}

impl Places {
    pub(super) fn make(state: &Path) -> Result<Self, Failure> {
        let store = state.join("store");
        let places = Self {
            snapshots: store.join("unpacked"),
            scratch: state.join("scratch"),
            cache_mounts: state.join("cache-mounts"),
            store,
        };
        for directory in [&places.scratch, &places.cache_mounts, &places.snapshots] {
            std::fs::create_dir_all(directory)
                .map_err(|error| Failure::file("make the directory", directory, &error))?;
        }
        Ok(places)
    }

    pub(super) fn open_store(&self) -> Result<Store, Failure> {
        Store::open(&self.store).map_err(|error| Failure::new(Exit::Failed, Diagnostic::of(&error)))
    }
}

/// Images, near and far.
pub(super) struct Remote {
    pub(super) places: Places,
    pub(super) client: Client,
    pub(super) local: Local,
    pub(super) images: LazyImages,
    events: Arc<dyn Events>,
}

impl Remote {
    pub(super) fn open(
        arguments: &RegistryArgs,
        environment: &Environment,
        state: &Path,
        freshness: Freshness,
        events: Arc<dyn Events>,
    ) -> Result<Self, Failure> {
        let client = registry::client(arguments, environment)?;
        let places = Places::make(state)?;
        let local = Local::new(Arc::new(places.open_store()?));
        let images = LazyImages::new(client.clone(), local.clone(), freshness, Arc::clone(&events));
        Ok(Self { places, client, local, images, events })
    }

    /// What writes images.
    pub(super) fn publisher(&self) -> Publisher {
        Publisher {
            images: self.images.clone(),
            client: self.client.clone(),
            local: self.local.clone(),
            uploads: Uploads::none(),
            immutable_tags: ImmutableTags::default(),
            events: Arc::clone(&self.events),
            scratch: self.places.scratch.clone(),
            owners: Owners::Caller,
            stdout: Arc::new(|| Box::new(std::io::stdout())),
        }
    }
}
