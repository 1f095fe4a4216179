//! Media types of what a registry holds.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Is a compression of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// A plain tar stream.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// Is a media type of the OCI or Docker image formats, or any [`MediaType::Other`].
///
/// `Other` never holds the text of a named variant when it came through [`MediaType::parse`] or serde, so
/// comparison with a variant is enough.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaType {
    /// An OCI image index.
    OciIndex,
    /// An OCI image manifest.
    OciManifest,
    /// An OCI image config.
    OciConfig,
    /// An OCI layer, by its compression.
    OciLayer(Compression),
    /// An OCI layer that may not be redistributed (deprecated), by its compression.
    OciNonDistributableLayer(Compression),
    /// The two bytes `{}`, which stand for "no config" in an OCI artifact.
    OciEmpty,
    /// A Docker manifest list, the counterpart of an index.
    DockerManifestList,
    /// A Docker image manifest, version 2 schema 2.
    DockerManifest,
    /// A Docker image config.
    DockerConfig,
    /// A Docker layer, by its compression (with gzip the common one).
    DockerLayer(Compression),
    /// A Docker layer that is fetched from elsewhere.
    DockerForeignLayer(Compression),
    /// The manifest that Docker stopped writing in 2017; read nowhere here, named for the error's sake.
    DockerManifestSchema1,
    /// Anything else.
    Other(String),
}

use Compression::{Gzip, None as Plain, Zstd};

/// Each known type and its text. Docker's own zstd type is what some writers made of a converted layer.
const KNOWN: &[(MediaType, &str)] = &[
    (MediaType::OciIndex, "application/vnd.oci.image.index.v1+json"),
    (MediaType::OciManifest, "application/vnd.oci.image.manifest.v1+json"),
    (MediaType::OciConfig, "application/vnd.oci.image.config.v1+json"),
    (MediaType::OciLayer(Plain), "application/vnd.oci.image.layer.v1.tar"),
    (MediaType::OciLayer(Gzip), "application/vnd.oci.image.layer.v1.tar+gzip"),
    (MediaType::OciLayer(Zstd), "application/vnd.oci.image.layer.v1.tar+zstd"),
    (
        MediaType::OciNonDistributableLayer(Plain),
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
    ),
    (
        MediaType::OciNonDistributableLayer(Gzip),
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    ),
    (
        MediaType::OciNonDistributableLayer(Zstd),
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    ),
    (MediaType::OciEmpty, "application/vnd.oci.empty.v1+json"),
    (MediaType::DockerManifestList, "application/vnd.docker.distribution.manifest.list.v2+json"),
    (MediaType::DockerManifest, "application/vnd.docker.distribution.manifest.v2+json"),
    (MediaType::DockerConfig, "application/vnd.docker.container.image.v1+json"),
    (MediaType::DockerLayer(Plain), "application/vnd.docker.image.rootfs.diff.tar"),
    (MediaType::DockerLayer(Gzip), "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    (MediaType::DockerLayer(Zstd), "application/vnd.docker.image.rootfs.diff.tar.zstd"),
    (MediaType::DockerForeignLayer(Plain), "application/vnd.docker.image.rootfs.foreign.diff.tar"),
    (
        MediaType::DockerForeignLayer(Gzip),
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ),
    (
        MediaType::DockerForeignLayer(Zstd),
        "application/vnd.docker.image.rootfs.foreign.diff.tar.zstd",
    ),
    (MediaType::DockerManifestSchema1, "application/vnd.docker.distribution.manifest.v1+prettyjws"),
];

impl MediaType {
    /// Reads a media type. Parameters (`; charset=utf-8`) are dropped, as a `Content-Type` may carry them.
    pub fn parse(text: &str) -> Self {
        let essence = text.split(';').next().unwrap_or_default().trim();
        if essence == "application/vnd.docker.distribution.manifest.v1+json" {
            return Self::DockerManifestSchema1;
        }
        KNOWN
            .iter()
            .find(|(_, known)| *known == essence)
            .map_or_else(|| Self::Other(essence.to_owned()), |(media_type, _)| media_type.clone())
    }

    /// Borrows the text.
    pub fn as_str(&self) -> &str {
        if let Self::Other(text) = self {
            return text;
        }
        KNOWN
            .iter()
            .find(|(known, _)| known == self)
            .map(|(_, text)| *text)
            .expect("every variant but `Other` has a row in KNOWN, which a test holds")
    }

    /// Tells the compression of a layer, and `None` for what is no layer.
    pub fn layer_compression(&self) -> Option<Compression> {
        match self {
            Self::OciLayer(compression)
            | Self::OciNonDistributableLayer(compression)
            | Self::DockerLayer(compression)
            | Self::DockerForeignLayer(compression) => Some(*compression),
            Self::OciIndex
            | Self::OciManifest
            | Self::OciConfig
            | Self::OciEmpty
            | Self::DockerManifestList
            | Self::DockerManifest
            | Self::DockerConfig
            | Self::DockerManifestSchema1
            | Self::Other(_) => None,
        }
    }

    /// Is true for a layer of either format.
    pub fn is_layer(&self) -> bool {
        self.layer_compression().is_some()
    }

    /// Is true for a layer whose blob may live outside the registry.
    pub fn is_foreign_layer(&self) -> bool {
        matches!(self, Self::OciNonDistributableLayer(_) | Self::DockerForeignLayer(_))
    }

    /// Is true for an index or manifest list.
    pub fn is_index(&self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerManifestList)
    }

    /// Is true for an image manifest (not an index, not the old schema 1).
    pub fn is_manifest(&self) -> bool {
        matches!(self, Self::OciManifest | Self::DockerManifest)
    }

    /// Is true for an image config.
    pub fn is_config(&self) -> bool {
        matches!(self, Self::OciConfig | Self::DockerConfig)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::parse(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_type_reads_back_as_itself() {
        for (media_type, text) in KNOWN {
            assert_eq!(&MediaType::parse(text), media_type);
            assert_eq!(media_type.as_str(), *text);
        }
    }

    #[test]
    fn every_layer_variant_has_a_text() {
        for compression in [Plain, Gzip, Zstd] {
            for layer in [
                MediaType::OciLayer(compression),
                MediaType::OciNonDistributableLayer(compression),
                MediaType::DockerLayer(compression),
                MediaType::DockerForeignLayer(compression),
            ] {
                assert_eq!(MediaType::parse(layer.as_str()), layer);
                assert_eq!(layer.layer_compression(), Some(compression));
            }
        }
    }

    #[test]
    fn parameters_are_dropped_and_unknown_types_kept() {
        let with_parameter = "application/vnd.oci.image.index.v1+json; charset=utf-8";
        assert_eq!(MediaType::parse(with_parameter), MediaType::OciIndex);
        assert_eq!(MediaType::parse("text/html").as_str(), "text/html");
    }
}
