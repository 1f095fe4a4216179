//! Images: a config and layers. An image is a value; only its blobs live elsewhere.

use std::collections::BTreeMap;

use crate::{
    Compression, Descriptor, DiffId, Document, ImageConfig, Manifest, MediaType, Platform, RootFs,
};

/// Is a layer under both of its digests.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LayerRef {
    /// The blob, as a manifest lists it.
    pub blob: Descriptor,
    /// What it unpacks to, as a config lists it.
    pub diff_id: DiffId,
}

/// Is an image for one platform.
///
/// `config.rootfs` is derived from `layers` on writing; [`Image::read`] has checked that they agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The config.
    pub config: ImageConfig,
    /// The layers, lowest first.
    pub layers: Vec<LayerRef>,
    /// The annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
}

/// Is the family of media types an image is written with; layers keep their compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaTypes {
    /// `application/vnd.oci.…`.
    Oci,
    /// `application/vnd.docker.…`, for tools that know nothing else.
    Docker,
}

/// Says why a manifest and a config are not an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The config's layers are not the manifest's.
    #[error("manifest lists {layers} layers but the config lists {diff_ids} diff ids")]
    LayerCount {
        /// Layers in the manifest.
        layers: usize,
        /// Diff ids in the config.
        diff_ids: usize,
    },
    /// The manifest is of an artifact that is no image.
    #[error("manifest is not of an image: its config has media type `{media_type}`")]
    NotAnImage {
        /// The type of the config.
        media_type: MediaType,
    },
    /// A layer of a type that nothing here can unpack.
    #[error("layer {position} has the unsupported media type `{media_type}`")]
    LayerType {
        /// Counted from 0, lowest first.
        position: usize,
        /// The type.
        media_type: MediaType,
    },
}

impl Image {
    /// Makes an image with no layers.
    pub fn empty(platform: &Platform) -> Self {
        Self {
            config: ImageConfig::empty(platform),
            layers: Vec::new(),
            annotations: BTreeMap::new(),
        }
    }

    /// Puts a manifest and its config together.
    pub fn read(manifest: &Manifest, config: ImageConfig) -> Result<Self, ImageError> {
        // Some writers leave the config's type generic; a config that names layers is one.
        let media_type = &manifest.config.media_type;
        if !media_type.is_config()
            && *media_type != MediaType::Other("application/octet-stream".to_owned())
        {
            return Err(ImageError::NotAnImage { media_type: media_type.clone() });
        }
        let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != diff_ids {
            return Err(ImageError::LayerCount { layers, diff_ids });
        }
        if let Some((position, layer)) =
            manifest.layers.iter().enumerate().find(|(_, layer)| !layer.media_type.is_layer())
        {
            return Err(ImageError::LayerType { position, media_type: layer.media_type.clone() });
        }
        let layers = manifest.layers.iter().zip(&config.rootfs.diff_ids);
        let layers = layers
            .map(|(blob, diff_id)| LayerRef { blob: blob.clone(), diff_id: *diff_id })
            .collect();
        let annotations = manifest.annotations.clone();
        Ok(Self { config, layers, annotations })
    }

    /// Writes the config and the manifest that names it.
    pub fn write(&self, media_types: MediaTypes) -> (Document<Manifest>, Document<ImageConfig>) {
        let mut config = self.config.clone();
        let diff_ids = self.layers.iter().map(|layer| layer.diff_id).collect();
        config.rootfs = RootFs { diff_ids, ..RootFs::default() };
        let config = Document::write(config);
        let layers = self.layers.iter().map(|layer| Descriptor {
            media_type: media_types.layer(&layer.blob.media_type),
            ..layer.blob.clone()
        });
        let manifest = Manifest {
            annotations: self.annotations.clone(),
            ..Manifest::new(
                media_types.manifest(),
                config.descriptor(media_types.config()),
                layers.collect(),
            )
        };
        (Document::write(manifest), config)
    }
}

impl MediaTypes {
    /// Is the type of a manifest.
    pub fn manifest(self) -> MediaType {
        match self {
            Self::Oci => MediaType::OciManifest,
            Self::Docker => MediaType::DockerManifest,
        }
    }

    /// Is the type of an index.
    pub fn index(self) -> MediaType {
        match self {
            Self::Oci => MediaType::OciIndex,
            Self::Docker => MediaType::DockerManifestList,
        }
    }

    /// Is the type of a config.
    pub fn config(self) -> MediaType {
        match self {
            Self::Oci => MediaType::OciConfig,
            Self::Docker => MediaType::DockerConfig,
        }
    }

    /// Is the type of a layer of the given compression. Docker has no zstd type that other tools read, so the
    /// OCI one is used there, as `BuildKit` does.
    pub fn compressed_layer(self, compression: Compression) -> MediaType {
        match (self, compression) {
            (Self::Docker, Compression::None | Compression::Gzip) => {
                MediaType::DockerLayer(compression)
            }
            (Self::Docker, Compression::Zstd) | (Self::Oci, _) => MediaType::OciLayer(compression),
        }
    }

    /// Translates a layer's type into this family; foreign layers and what is no layer stay as they are.
    pub fn layer(self, media_type: &MediaType) -> MediaType {
        match media_type.layer_compression() {
            Some(compression) if !media_type.is_foreign_layer() => {
                self.compressed_layer(compression)
            }
            Some(_) | None => media_type.clone(),
        }
    }
}
