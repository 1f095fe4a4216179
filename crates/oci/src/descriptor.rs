//! References to content by type, digest and size.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::lenient::{base64_bytes, is_default, null_as_default};
use crate::{Digest, MediaType, Platform};

/// Describes content: what it is, which bytes it is, how many.
///
/// Sizes are unsigned: a negative size in a document is an error of reading, not a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// What the content is.
    #[serde(rename = "mediaType")]
    pub media_type: MediaType,
    /// The digest of the content.
    pub digest: Digest,
    /// The length of the content in bytes.
    pub size: u64,
    /// Places the content may be fetched from, used by foreign layers alone.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub urls: Vec<String>,
    /// Remarks of whoever wrote the descriptor.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub annotations: BTreeMap<String, String>,
    /// The content itself, if it is small. It is *not* trusted: check it against the digest.
    #[serde(default, with = "base64_bytes", skip_serializing_if = "Option::is_none")]
    pub data: Option<Vec<u8>>,
    /// In an index: what the manifest is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// In an index: what kind of artifact the manifest is.
    #[serde(
        rename = "artifactType",
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "is_default"
    )]
    pub artifact_type: Option<MediaType>,
    /// Fields this type does not know.
    #[serde(flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
}

impl Descriptor {
    /// Makes a descriptor with nothing optional.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            platform: None,
            artifact_type: None,
            extra: BTreeMap::new(),
        }
    }

    /// Describes `bytes`.
    pub fn of(media_type: MediaType, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// Adds a platform, for a row of an index.
    #[must_use]
    pub fn with_platform(self, platform: Platform) -> Self {
        Self { platform: Some(platform), ..self }
    }
}
