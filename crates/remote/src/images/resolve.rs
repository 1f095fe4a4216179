//! From a name to a manifest and a config.

use std::path::Path;
use std::sync::Arc;

use strata_build::ports::ResolvedImage;
use strata_oci::{
    AnyManifest, Descriptor, Document, Image, ImageConfig, Index, Manifest, Platform, Reference,
};

use super::{Freshness, LazyImages, Place};
use crate::error::ReadError;
use crate::origin::layout::Layout;
use crate::origin::registry::{failed, fetch};
use crate::origin::{Origin, read_small};
use crate::stream::blocking;

impl LazyImages {
    pub(super) async fn resolve_name(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<ResolvedImage, ReadError> {
        let reference = reference.clone().or_latest();
        if self.0.freshness == Freshness::Stored
            && let Some(stored) = self.resolve_stored(&reference, platform).await?
        {
            return Ok(stored);
        }
        // The digest first: a HEAD is not counted as a pull by registries that count, and then what is here
        // already need not be asked for.
        let digest = match reference.digest() {
            Some(digest) => digest,
            None => {
                let resolved = self.0.client.resolve(&reference).await;
                resolved.map_err(|error| failed(error, &reference))?.descriptor.digest
            }
        };
        let pinned = reference.repository().pinned(digest);
        let root = match self.stored_manifest(&pinned).await? {
            Some(manifest) => manifest,
            None => self.keep_manifest(fetch(&self.0.client, &pinned).await?).await?,
        };
        let name = reference.familiar().to_string();
        let manifest = match root {
            AnyManifest::Manifest(manifest) => manifest,
            AnyManifest::Index(index) => {
                let row = choose(&name, index.value(), platform)?;
                let pinned = reference.repository().pinned(row.digest);
                let chosen = match self.stored_manifest(&pinned).await? {
                    Some(manifest) => manifest,
                    None => self.keep_manifest(fetch(&self.0.client, &pinned).await?).await?,
                };
                only_manifest(&name, chosen)?
            }
        };
        let descriptor = manifest.value().config.clone();
        let config = match self.stored_config(&descriptor).await? {
            Some(config) => config,
            None => {
                let config = self.0.client.config(reference.repository(), &descriptor).await?;
                let (local, bytes) = (self.0.local.clone(), config.shared_bytes());
                blocking(move || local.put_blob(&mut &*bytes, &descriptor)).await?;
                config
            }
        };
        let place = Place::Repository(reference.repository().clone());
        self.image(&name, &manifest, config, Some(reference), Some(&place))
    }

    pub(super) async fn resolve_layout(
        &self,
        directory: &Path,
        selector: Option<&str>,
        platform: &Platform,
    ) -> Result<ResolvedImage, ReadError> {
        let (opened, selector) = (directory.to_owned(), selector.map(str::to_owned));
        let (layout, row) = blocking(move || {
            let layout = Layout::open(&opened)?;
            let row = layout.select(selector.as_deref())?;
            Ok::<_, ReadError>((Arc::new(layout), row))
        })
        .await?;
        let name = directory.display().to_string();
        let manifest =
            choose_manifest(&*layout, layout.manifest(&row).await?, &name, platform).await?;
        let config = read_config(&*layout, &manifest, &name).await?;
        self.image(&name, &manifest, config, None, Some(&Place::Layout(layout)))
    }

    /// The image that the local store has under a name, if it has it whole and for this platform.
    async fn resolve_stored(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<Option<ResolvedImage>, ReadError> {
        let (local, wanted) = (self.0.local.clone(), reference.clone());
        let found = blocking(move || match local.image(&wanted)? {
            Some(descriptor) => local.manifest(&descriptor),
            None => Ok(None),
        });
        let Some(root) = found.await? else { return Ok(None) };
        let name = reference.familiar().to_string();
        let manifest = match choose_manifest(self, root, &name, platform).await {
            Ok(manifest) => manifest,
            // Another platform's, or half of it gone: the registry may do better.
            Err(error @ (ReadError::NoPlatform { .. } | ReadError::Unplaced { .. })) => {
                tracing::debug!(%error, image = %name, "the stored image does not do");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let Some(config) = self.stored_config(&manifest.value().config).await? else {
            return Ok(None);
        };
        if platform.rank(&config.value().platform()).is_none() {
            tracing::debug!(image = %name, "the stored image is of another platform");
            return Ok(None);
        }
        self.image(&name, &manifest, config, None, None).map(Some)
    }

    async fn stored_manifest(
        &self,
        reference: &Reference,
    ) -> Result<Option<AnyManifest>, ReadError> {
        let Some(digest) = reference.digest() else { return Ok(None) };
        let local = self.0.local.clone();
        blocking(move || local.manifest_by_digest(digest)).await
    }

    async fn keep_manifest(&self, manifest: AnyManifest) -> Result<AnyManifest, ReadError> {
        let local = self.0.local.clone();
        blocking(move || {
            local.put_blob(&mut manifest.bytes(), &manifest.descriptor())?;
            Ok(manifest)
        })
        .await
    }

    async fn stored_config(
        &self,
        descriptor: &Descriptor,
    ) -> Result<Option<Document<ImageConfig>>, ReadError> {
        let (local, wanted) = (self.0.local.clone(), descriptor.clone());
        blocking(move || local.config(&wanted)).await
    }

    fn image(
        &self,
        name: &str,
        manifest: &Document<Manifest>,
        config: Document<ImageConfig>,
        reference: Option<Reference>,
        place: Option<&Place>,
    ) -> Result<ResolvedImage, ReadError> {
        let image = Image::read(manifest.value(), config.into_value())
            .map_err(|source| ReadError::NotAnImage { image: name.to_owned(), source })?;
        if let Some(place) = place {
            self.remember_places(&image.layers, place);
        }
        let manifest = AnyManifest::Manifest(manifest.clone()).descriptor();
        Ok(ResolvedImage { manifest, config: image.config, layers: image.layers, reference })
    }
}

/// The manifest for a platform, of whatever a name means.
pub(crate) async fn choose_manifest(
    origin: &dyn Origin,
    root: AnyManifest,
    name: &str,
    platform: &Platform,
) -> Result<Document<Manifest>, ReadError> {
    match root {
        AnyManifest::Manifest(manifest) => Ok(manifest),
        AnyManifest::Index(index) => {
            let chosen = origin.manifest(choose(name, index.value(), platform)?).await?;
            only_manifest(name, chosen)
        }
    }
}

/// Reads the config that a manifest names.
pub(crate) async fn read_config(
    origin: &dyn Origin,
    manifest: &Document<Manifest>,
    name: &str,
) -> Result<Document<ImageConfig>, ReadError> {
    let descriptor = &manifest.value().config;
    let bytes = read_small(origin, descriptor).await?;
    Document::parse_verified(bytes, descriptor.digest)
        .map_err(|source| ReadError::Document { what: format!("config of `{name}`"), source })
}

fn choose<'a>(
    name: &str,
    index: &'a Index,
    platform: &Platform,
) -> Result<&'a Descriptor, ReadError> {
    index.choose(platform).ok_or_else(|| {
        let offered: Vec<_> = index
            .platforms()
            .filter(|platform| platform.os != "unknown")
            .map(|platform| format!("`{platform}`"))
            .collect();
        let offered = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
        ReadError::NoPlatform {
            image: name.to_owned(),
            wanted: Box::new(platform.clone()),
            offered,
        }
    })
}

/// A platform's row that leads to another index is one level more than anybody writes.
fn only_manifest(name: &str, manifest: AnyManifest) -> Result<Document<Manifest>, ReadError> {
    match manifest {
        AnyManifest::Manifest(manifest) => Ok(manifest),
        AnyManifest::Index(_) => Err(ReadError::TooDeep { image: name.to_owned() }),
    }
}
