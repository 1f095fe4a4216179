//! Images that exist: pushed, copied, looked at.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use strata_build::event::Transfer;
use strata_oci::{
    AnyManifest, Descriptor, DiffId, Digest, Document, ImageConfig, Manifest, MediaType, Platform,
    Reference,
};

use crate::error::{ReadError, WriteError};
use crate::images::resolve::{choose_manifest, read_config};
use crate::location::Location;
use crate::origin::archive::Archive;
use crate::origin::layout::Layout;
use crate::origin::registry::{Remote, fetch};
use crate::origin::{Bundle, Origin};
use crate::output::{Progress, archive, layout, registry, store};
use crate::publish::{Destination, Publisher};
use crate::stream::blocking;

/// Moves images between places, byte by byte as they are.
#[derive(Clone, Debug)]
pub struct Transport {
    publisher: Publisher,
}

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// The manifest or index, the same at its source and its destination.
    pub descriptor: Descriptor,
}

/// Everything that is known of an image without unpacking it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspected {
    /// What was asked for.
    pub name: String,
    /// What the name means: a manifest, or the index that the manifest below was chosen from.
    pub descriptor: Descriptor,
    /// The platforms of an index; empty without one.
    pub platforms: Vec<Platform>,
    /// The manifest's digest.
    pub digest: Digest,
    /// The manifest.
    pub manifest: Manifest,
    /// The config, with the history.
    pub config: ImageConfig,
    /// The layers, lowest first.
    pub layers: Vec<InspectedLayer>,
    /// The bytes of all layers as they are transferred.
    pub size: u64,
}

/// A layer of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InspectedLayer {
    /// The blob.
    pub digest: Digest,
    /// What it unpacks to.
    pub diff_id: DiffId,
    /// What it is.
    pub media_type: MediaType,
    /// Its bytes as they are transferred.
    pub size: u64,
    /// The instruction that made it, if the history has one row for each layer.
    pub created_by: Option<String>,
}

/// What a location holds, before anything was chosen.
struct Found {
    root: AnyManifest,
    origin: Arc<dyn Origin>,
    remote: bool,
}

impl Transport {
    /// Uses what a publisher uses.
    pub fn new(publisher: Publisher) -> Self {
        Self { publisher }
    }

    /// Reads the manifests of an image: all that an index has, or the one for `platform`.
    pub async fn open(
        &self,
        source: &Location,
        platform: Option<&Platform>,
    ) -> Result<Bundle, ReadError> {
        let found = self.find(source).await?;
        bundle(found, &source.to_string(), platform).await
    }

    /// Pushes an image under every reference. No tag moves before everything is everywhere.
    pub async fn push(
        &self,
        source: &Location,
        references: &[Reference],
        platform: Option<&Platform>,
    ) -> Result<Copied, WriteError> {
        let bundle = self.open(source, platform).await?;
        let references: Vec<_> = references.iter().cloned().map(Reference::or_latest).collect();
        registry::push(&self.publisher, &bundle, &references).await?;
        Ok(Copied { descriptor: bundle.root().descriptor() })
    }

    /// Copies an image, with all of its platforms unless one is asked for.
    ///
    /// Within a registry, blobs are mounted; between registries they are piped. A Docker archive holds one platform.
    pub async fn copy(
        &self,
        source: &Location,
        destination: &Location,
        platform: Option<&Platform>,
    ) -> Result<Copied, WriteError> {
        let found = self.find(source).await?;
        let transfer = found.remote.then_some(Transfer::Download);
        let bundle = bundle(found, &source.to_string(), platform).await?;
        let progress = Progress::new(Arc::clone(&self.publisher.events), transfer);
        self.write(&bundle, destination, &progress).await?;
        Ok(Copied { descriptor: bundle.root().descriptor() })
    }

    /// Looks at the image for a platform.
    pub async fn inspect(
        &self,
        image: &Location,
        platform: &Platform,
    ) -> Result<Inspected, ReadError> {
        let name = image.to_string();
        let Found { root, origin, .. } = self.find(image).await?;
        let descriptor = root.descriptor();
        let platforms = match &root {
            AnyManifest::Index(index) => index.value().platforms().cloned().collect(),
            AnyManifest::Manifest(_) => Vec::new(),
        };
        let manifest = choose_manifest(&*origin, root, &name, platform).await?;
        let config = read_config(&*origin, &manifest, &name).await?;
        inspected(name, descriptor, platforms, manifest, config)
    }

    async fn find(&self, location: &Location) -> Result<Found, ReadError> {
        match location {
            Location::Named(name) => match self.stored(name).await? {
                Some(found) => Ok(found),
                None => self.registry(name).await,
            },
            Location::Registry(name) => self.registry(name).await,
            Location::Store(name) => self
                .stored(name)
                .await?
                .ok_or_else(|| ReadError::NotStored { image: name.familiar().to_string() }),
            Location::Layout { directory, selector } => {
                let (directory, selector) = (directory.clone(), selector.clone());
                let (layout, row) = blocking(move || {
                    let layout = Layout::open(&directory)?;
                    let row = layout.select(selector.as_deref())?;
                    Ok::<_, ReadError>((layout, row))
                })
                .await?;
                let root = layout.manifest(&row).await?;
                Ok(Found { root, origin: Arc::new(layout), remote: false })
            }
            Location::Archive { file, selector } | Location::DockerArchive { file, selector } => {
                let (file, selector) = (file.clone(), selector.clone());
                let scratch = self.publisher.scratch.clone();
                let (archive, row) = blocking(move || {
                    let archive = Archive::open(&file, &scratch)?;
                    let row = archive.select(selector.as_deref())?;
                    Ok::<_, ReadError>((archive, row))
                })
                .await?;
                let root = archive.manifest(&row).await?;
                Ok(Found { root, origin: Arc::new(archive), remote: false })
            }
        }
    }

    async fn registry(&self, name: &Reference) -> Result<Found, ReadError> {
        let name = name.clone().or_latest();
        let client = self.publisher.client.clone();
        let root = fetch(&client, &name).await?;
        let origin = Arc::new(Remote::new(client, name.repository().clone()));
        Ok(Found { root, origin, remote: true })
    }

    async fn stored(&self, name: &Reference) -> Result<Option<Found>, ReadError> {
        let (local, name) = (self.publisher.local.clone(), name.clone().or_latest());
        let root = blocking(move || match local.image(&name)? {
            Some(descriptor) => local.manifest(&descriptor),
            None => Ok(None),
        });
        let origin: Arc<dyn Origin> = Arc::new(self.publisher.images.clone());
        Ok(root.await?.map(|root| Found { root, origin, remote: false }))
    }

    async fn write(
        &self,
        bundle: &Bundle,
        destination: &Location,
        progress: &Progress,
    ) -> Result<(), WriteError> {
        let local = &self.publisher.local;
        let kind = match destination {
            Location::Named(name) | Location::Registry(name) => {
                let name = [name.clone().or_latest()];
                return registry::push(&self.publisher, bundle, &name).await;
            }
            Location::Store(name) => {
                store::write(bundle, &[name.clone().or_latest()], local, progress).await?;
                "store"
            }
            Location::Layout { directory, selector } => {
                layout::write(bundle, selector.as_slice(), directory, progress).await?;
                "oci"
            }
            Location::Archive { file, selector } => {
                let (kind, sink) = (archive::Kind::Oci, self.file(file).await?);
                archive::write(bundle, selector.as_slice(), kind, sink, progress).await?;
                "oci"
            }
            Location::DockerArchive { file, selector } => {
                let (kind, sink) = (archive::Kind::Docker, self.file(file).await?);
                archive::write(bundle, selector.as_slice(), kind, sink, progress).await?;
                "docker"
            }
        };
        self.publisher.exported(kind, destination.to_string());
        Ok(())
    }

    async fn file(&self, path: &Path) -> Result<crate::output::Sink, WriteError> {
        self.publisher.sink(&Destination::File(path.to_owned())).await
    }
}

async fn bundle(
    found: Found,
    name: &str,
    platform: Option<&Platform>,
) -> Result<Bundle, ReadError> {
    let Found { root, origin, .. } = found;
    match platform {
        None => Bundle::load(root, origin, name).await,
        Some(platform) => {
            let manifest = choose_manifest(&*origin, root, name, platform).await?;
            Ok(Bundle::new(Vec::new(), AnyManifest::Manifest(manifest), origin))
        }
    }
}

fn inspected(
    name: String,
    descriptor: Descriptor,
    platforms: Vec<Platform>,
    manifest: Document<Manifest>,
    config: Document<ImageConfig>,
) -> Result<Inspected, ReadError> {
    let digest = manifest.digest();
    let (manifest, config) = (manifest.into_value(), config.into_value());
    let image = strata_oci::Image::read(&manifest, config)
        .map_err(|source| ReadError::NotAnImage { image: name.clone(), source })?;
    let made: Vec<_> = image.config.history.iter().filter(|row| !row.empty_layer).collect();
    let fits = made.len() == image.layers.len();
    let layers: Vec<_> = image
        .layers
        .iter()
        .enumerate()
        .map(|(position, layer)| InspectedLayer {
            digest: layer.blob.digest,
            diff_id: layer.diff_id,
            media_type: layer.blob.media_type.clone(),
            size: layer.blob.size,
            created_by: fits.then(|| made[position].created_by.clone()),
        })
        .collect();
    let size = layers.iter().map(|layer| layer.size).sum();
    let config = image.config;
    Ok(Inspected { name, descriptor, platforms, digest, manifest, config, layers, size })
}
