//! Parsed values that keep the bytes they came from.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Descriptor, Digest, DigestError, ImageConfig, Index, Manifest, MediaType, go_json};

/// Is how a document is laid out when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// On one line, as `BuildKit` writes configs.
    Compact,
    /// Indented by two spaces, as `BuildKit` writes manifests.
    Indented,
}

/// Is a kind of JSON document: its name for messages, its greatest size, its layout.
pub trait Format: Clone + Serialize + DeserializeOwned {
    /// What messages call it.
    const NAME: &'static str;
    /// The most bytes that are read as one. Registries limit manifests to 4 MiB; configs may hold a cache.
    const LIMIT: usize;
    /// The layout when written.
    const STYLE: Style;

    /// Refuses a value that another reader may understand as something else.
    fn check(&self) -> Result<(), DocumentError> {
        Ok(())
    }
}

/// Says why bytes are not a document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// More bytes than are ever read.
    #[error("{name} of {size} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// The kind of document.
        name: &'static str,
        /// Its size.
        size: usize,
        /// The most that is read.
        limit: usize,
    },
    /// Not JSON, or not of the document's shape.
    #[error("cannot parse {name}")]
    Syntax {
        /// The kind of document.
        name: &'static str,
        /// What is wrong, and where.
        #[source]
        source: serde_json::Error,
    },
    /// The bytes are not those that the digest names.
    #[error("{name} has digest `{actual}`, not the expected `{expected}`")]
    DigestMismatch {
        /// The kind of document.
        name: &'static str,
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of the bytes.
        actual: Digest,
    },
    /// The document has fields of another kind of document (CVE-2021-41190), or calls itself another.
    #[error("{name} is ambiguous: it has `{field}`")]
    Ambiguous {
        /// The kind of document.
        name: &'static str,
        /// The field, or field and value, that does not belong.
        field: String,
    },
    /// A manifest that says it is something else than it was said to be.
    #[error("manifest calls itself `{own}` but was served as `{told}`")]
    MediaTypeMismatch {
        /// What the document says.
        own: MediaType,
        /// What the registry or descriptor said.
        told: MediaType,
    },
    /// A manifest of a kind that is not read here.
    #[error("manifest of media type `{media_type}` is not supported")]
    UnsupportedMediaType {
        /// The media type.
        media_type: MediaType,
    },
    /// A manifest of a schema version other than 2.
    #[error("manifest of schema version {version} is not supported: only 2 is")]
    UnsupportedSchemaVersion {
        /// The version.
        version: u64,
    },
    /// A digest in the document that cannot be read.
    #[error("cannot read a digest")]
    Digest(#[from] DigestError),
}

/// Is a value together with the exact bytes it was read from, and their digest.
///
/// Cloning is cheap: value and bytes are shared. The value is read-only: to change it, take it out and [`Document::write`] it anew,
/// which gives another digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document<T> {
    value: Arc<T>,
    bytes: Arc<[u8]>,
    digest: Digest,
}

impl<T: Format> Document<T> {
    /// Reads bytes of at most [`Format::LIMIT`].
    pub fn parse(bytes: impl Into<Arc<[u8]>>) -> Result<Self, DocumentError> {
        let bytes = bytes.into();
        if bytes.len() > T::LIMIT {
            return Err(DocumentError::TooLarge {
                name: T::NAME,
                size: bytes.len(),
                limit: T::LIMIT,
            });
        }
        let value: T = serde_json::from_slice(&bytes)
            .map_err(|source| DocumentError::Syntax { name: T::NAME, source })?;
        value.check()?;
        let digest = Digest::of(&bytes);
        Ok(Self { value: Arc::new(value), bytes, digest })
    }

    /// Reads bytes that must have the given digest. The digest is compared before anything is parsed.
    pub fn parse_verified(
        bytes: impl Into<Arc<[u8]>>,
        expected: Digest,
    ) -> Result<Self, DocumentError> {
        let bytes = bytes.into();
        let actual = Digest::of(&bytes);
        if actual != expected {
            return Err(DocumentError::DigestMismatch { name: T::NAME, expected, actual });
        }
        Self::parse(bytes)
    }

    /// Writes a value in the layout of its kind.
    pub fn write(value: T) -> Self {
        let bytes: Arc<[u8]> = match T::STYLE {
            Style::Compact => go_json::compact(&value),
            Style::Indented => go_json::indented(&value),
        }
        .into();
        let digest = Digest::of(&bytes);
        Self { value: Arc::new(value), bytes, digest }
    }
}

impl<T> Document<T> {
    /// Borrows the value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Takes the value and forgets the bytes.
    pub fn into_value(self) -> T
    where
        T: Clone,
    {
        Arc::unwrap_or_clone(self.value)
    }

    /// Borrows the bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Shares the bytes.
    pub fn shared_bytes(&self) -> Arc<[u8]> {
        Arc::clone(&self.bytes)
    }

    /// Is the digest of the bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Counts the bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Describes the bytes as content of the given type.
    pub fn descriptor(&self, media_type: MediaType) -> Descriptor {
        Descriptor::new(media_type, self.digest, self.size())
    }
}

const MANIFEST_LIMIT: usize = 4 << 20;

impl Format for ImageConfig {
    const NAME: &'static str = "image config";
    const LIMIT: usize = 16 << 20;
    const STYLE: Style = Style::Compact;
}

impl Format for Manifest {
    const NAME: &'static str = "image manifest";
    const LIMIT: usize = MANIFEST_LIMIT;
    const STYLE: Style = Style::Indented;

    fn check(&self) -> Result<(), DocumentError> {
        check_schema(self.schema_version)?;
        let foreign = ["manifests", "fsLayers"].into_iter().find(|f| self.extra.contains_key(*f));
        refuse_field(Self::NAME, foreign)?;
        refuse_type(Self::NAME, self.media_type.as_ref(), MediaType::is_manifest)
    }
}

impl Format for Index {
    const NAME: &'static str = "image index";
    const LIMIT: usize = MANIFEST_LIMIT;
    const STYLE: Style = Style::Indented;

    fn check(&self) -> Result<(), DocumentError> {
        check_schema(self.schema_version)?;
        let foreign =
            ["layers", "config", "fsLayers"].into_iter().find(|f| self.extra.contains_key(*f));
        refuse_field(Self::NAME, foreign)?;
        refuse_type(Self::NAME, self.media_type.as_ref(), MediaType::is_index)
    }
}

fn check_schema(version: u32) -> Result<(), DocumentError> {
    match version {
        2 => Ok(()),
        other => Err(DocumentError::UnsupportedSchemaVersion { version: other.into() }),
    }
}

fn refuse_field(name: &'static str, field: Option<&str>) -> Result<(), DocumentError> {
    match field {
        Some(field) => Err(DocumentError::Ambiguous { name, field: field.to_owned() }),
        None => Ok(()),
    }
}

fn refuse_type(
    name: &'static str,
    media_type: Option<&MediaType>,
    fits: fn(&MediaType) -> bool,
) -> Result<(), DocumentError> {
    match media_type {
        Some(other) if !fits(other) => {
            Err(DocumentError::Ambiguous { name, field: format!("\"mediaType\": \"{other}\"") })
        }
        Some(_) | None => Ok(()),
    }
}

/// Is what a tag may point to: a manifest or an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyManifest {
    /// One image.
    Manifest(Document<Manifest>),
    /// Several, by platform.
    Index(Document<Index>),
}

/// The fields that tell a manifest from an index.
#[derive(serde::Deserialize)]
struct Shape {
    #[serde(rename = "schemaVersion", default)]
    schema_version: u64,
    #[serde(rename = "mediaType", default)]
    media_type: Option<MediaType>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
}

impl AnyManifest {
    /// Reads bytes whose type a registry or descriptor may have told.
    ///
    /// The type told, the type the document gives itself, and its fields must not contradict each other. A type
    /// that says nothing (`application/json`, as careless servers send) is as good as none.
    pub fn parse(
        bytes: impl Into<Arc<[u8]>>,
        told: Option<&MediaType>,
    ) -> Result<Self, DocumentError> {
        const NAME: &str = "manifest";
        let bytes = bytes.into();
        if bytes.len() > MANIFEST_LIMIT {
            let (size, limit) = (bytes.len(), MANIFEST_LIMIT);
            return Err(DocumentError::TooLarge { name: NAME, size, limit });
        }
        let shape: Shape = serde_json::from_slice(&bytes)
            .map_err(|source| DocumentError::Syntax { name: NAME, source })?;
        if shape.schema_version == 1 {
            return Err(DocumentError::UnsupportedSchemaVersion { version: 1 });
        }
        let told = told.filter(|told| !matches!(told, MediaType::Other(_)));
        let kind = match (told, shape.media_type) {
            (Some(told), Some(own)) if *told != own => {
                let told = told.clone();
                return Err(DocumentError::MediaTypeMismatch { own, told });
            }
            (Some(told), _) => told.clone(),
            (None, Some(own)) => own,
            (None, None) if shape.manifests.is_some() => MediaType::OciIndex,
            (None, None) => MediaType::OciManifest,
        };
        if kind.is_index() {
            Document::parse(bytes).map(Self::Index)
        } else if kind.is_manifest() {
            Document::parse(bytes).map(Self::Manifest)
        } else {
            Err(DocumentError::UnsupportedMediaType { media_type: kind })
        }
    }

    /// Is the digest of the bytes.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Manifest(document) => document.digest(),
            Self::Index(document) => document.digest(),
        }
    }

    /// Borrows the bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Manifest(document) => document.bytes(),
            Self::Index(document) => document.bytes(),
        }
    }

    /// Is the type the document gives itself, else the OCI type of its kind.
    pub fn media_type(&self) -> MediaType {
        match self {
            Self::Manifest(document) => {
                document.value().media_type.clone().unwrap_or(MediaType::OciManifest)
            }
            Self::Index(document) => {
                document.value().media_type.clone().unwrap_or(MediaType::OciIndex)
            }
        }
    }

    /// Describes the bytes.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type(), self.digest(), self.bytes().len() as u64)
    }
}
