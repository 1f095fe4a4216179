//! Images against scripted registries: what moves, what is written, and what is left when something fails.

#![allow(clippy::unwrap_used, reason = "a test that fails here is a test that fails")]

#[path = "remote/along.rs"]
mod along;
#[path = "remote/cache.rs"]
mod cache;
#[path = "remote/images.rs"]
mod images;
#[path = "remote/outputs.rs"]
mod outputs;
#[path = "remote/push.rs"]
mod push;
#[path = "remote/real.rs"]
mod real;
#[path = "remote/rootfs.rs"]
mod rootfs;
#[path = "remote/steps.rs"]
mod steps;
#[path = "remote/transport.rs"]
mod transport;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use strata_build::event::{Event, Events};
use strata_build::ports::{ImageSource, Images, PortError, ResolvedImage};
use strata_oci::{Image, MediaTypes, Platform, Reference};
use strata_registry::{Client, Credentials, RetryPolicy, Settings};
use strata_remote::{
    Freshness, LazyImages, Local, Output, Owners, Published, Publisher, Transport, WriteError,
};
use strata_store::Store;
use strata_testkit::{BuiltImage, TestImage, TestRegistry};
use tempfile::TempDir;

/// Everything that a build has besides the engine.
struct World {
    directory: TempDir,
    events: Arc<Recorder>,
    publisher: Publisher,
}

#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Event>>);

impl Events for Recorder {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

fn client() -> Client {
    let retry = RetryPolicy {
        attempts: 3,
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_millis(1),
        longest_wait: Duration::from_secs(1),
    };
    let settings = Settings { retry, ..Settings::default() };
    Client::new(&settings, Credentials::anonymous()).unwrap()
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::new(Arc::new(Store::open(directory.path().join("store")).unwrap()));
        let events = Arc::new(Recorder::default());
        let told: Arc<dyn Events> = events.clone();
        let images = LazyImages::new(client(), local.clone(), Freshness::Stored, Arc::clone(&told));
        let scratch = directory.path().join("scratch");
        std::fs::create_dir(&scratch).unwrap();
        let publisher = Publisher {
            images,
            client: client(),
            local,
            uploads: strata_remote::Uploads::none(),
            immutable_tags: strata_remote::ImmutableTags::default(),
            events: told,
            scratch,
            owners: Owners::Caller,
            stdout: Arc::new(|| Box::new(std::io::sink())),
        };
        Self { directory, events, publisher }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn images(&self) -> &LazyImages {
        &self.publisher.images
    }

    fn transport(&self) -> Transport {
        Transport::new(self.publisher.clone())
    }

    async fn resolve(&self, reference: &str) -> Result<ResolvedImage, PortError> {
        let source = ImageSource::Named(parse(reference));
        self.images().resolve(&source, &amd64()).await
    }

    /// An image as a build without steps makes it.
    async fn image(&self, reference: &str) -> Image {
        let resolved = self.resolve(reference).await.unwrap();
        let (config, layers) = (resolved.config, resolved.layers);
        Image { config, layers, annotations: BTreeMap::new() }
    }

    async fn publish(
        &self,
        image: &Image,
        output: &Output,
        names: &[&str],
    ) -> Result<Published, WriteError> {
        let names: Vec<_> = names.iter().map(|name| parse(name)).collect();
        let images = std::slice::from_ref(image);
        self.publisher.publish(images, output, &names, MediaTypes::Oci, &BTreeMap::new()).await
    }

    /// The names in the world's directory, to see that nothing else is left.
    fn left(&self) -> Vec<String> {
        names(self.directory.path())
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn parse(reference: &str) -> Reference {
    Reference::parse(reference).unwrap()
}

fn amd64() -> Platform {
    Platform::new("linux", "amd64")
}

/// Two layers, the upper of which hides, replaces and links things of the lower.
fn base() -> BuiltImage {
    TestImage::new()
        .layer(
            "/etc/ 0755 0:0
             /etc/os 0644 0:0 file \"one\\n\"
             /etc/gone 0644 0:0 file \"gone\"
             /bin/ 0755 0:0
             /bin/sh 0755 0:0 file \"#!\" mtime=7
             /bin/bash 0755 0:0 hardlink \"bin/sh\"",
        )
        .layer(
            "/etc/ 0700 0:0
             /etc/.wh.gone 0644 0:0 file \"\"
             /etc/os 0644 0:0 file \"two\\n\"
             /etc/link 0777 0:0 symlink \"os\"",
        )
        .build()
}

fn registry_with_base() -> (TestRegistry, String) {
    let registry = TestRegistry::start();
    registry.add_image("base", "1", &base());
    let reference = registry.reference("base:1");
    (registry, reference)
}

/// The log without what went on before and without the ping that finds the scheme.
fn requests(registry: &TestRegistry, part: &str) -> Vec<String> {
    registry.take_log().into_iter().filter(|line| line.contains(part)).collect()
}
