//! Names of images: `registry/repository:tag@digest`, with Docker's abbreviations.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Digest, DigestError};

mod grammar;

/// The registry that is meant when a name has none.
pub(crate) const DEFAULT_REGISTRY: &str = "docker.io";
/// The namespace that is meant when a name at the default registry has none.
const OFFICIAL: &str = "library/";

/// Names a repository: a registry (`host[:port]`) and a path within it, both complete.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    registry: String,
    path: String,
}

/// Is a tag: at most 128 letters, digits, `_`, `.` and `-`, not beginning with `.` or `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

/// Names an image, or several versions of one: a repository with a tag, a digest, both or neither.
///
/// Displays in full (`docker.io/library/alpine:3.20`); see [`Reference::familiar`] for the short form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    repository: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

/// Says which piece of a text keeps it from being a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The text, or the repository in it, is empty.
    #[error("image reference `{text}` names no repository")]
    NoRepository {
        /// The whole text.
        text: String,
    },
    /// 64 hexadecimal digits, which Docker would take for an image id.
    #[error("`{text}` is an image id, not an image reference")]
    ImageId {
        /// The whole text.
        text: String,
    },
    /// A registry that is no `host[:port]`.
    #[error(
        "registry `{registry}` in image reference `{text}` is not a host name with an optional port"
    )]
    Registry {
        /// The registry.
        registry: String,
        /// The whole text.
        text: String,
    },
    /// A repository with capitals.
    #[error("repository `{repository}` in image reference `{text}` must be lower case")]
    UpperCase {
        /// The repository.
        repository: String,
        /// The whole text.
        text: String,
    },
    /// A component of a repository that breaks the grammar.
    #[error(
        "`{component}` in image reference `{text}` is not a repository component: lower-case letters and digits, separated by `.`, `_`, `__` or dashes"
    )]
    Component {
        /// The component.
        component: String,
        /// The whole text.
        text: String,
    },
    /// A repository longer than any registry accepts.
    #[error("repository of {length} characters in an image reference exceeds the limit of 255")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// A tag that breaks the grammar.
    #[error(
        "tag `{tag}` in image reference `{text}` is not up to 128 letters, digits, `_`, `.` and `-`, or begins with `.` or `-`"
    )]
    Tag {
        /// The tag.
        tag: String,
        /// The whole text.
        text: String,
    },
    /// A digest that cannot be read.
    #[error("cannot read the digest in image reference `{text}`")]
    Digest {
        /// The whole text.
        text: String,
        /// Why.
        #[source]
        source: DigestError,
    },
}

impl Repository {
    /// Makes a repository of a registry and a complete path; nothing is abbreviated or filled in.
    pub fn new(registry: &str, path: &str) -> Result<Self, ReferenceError> {
        let text = format!("{registry}/{path}");
        grammar::check_registry(registry, &text)?;
        grammar::check_path(path, &text)?;
        Ok(Self { registry: registry.to_owned(), path: path.to_owned() })
    }

    /// Is the registry as `host[:port]`, `docker.io` for Docker Hub.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Is the path within the registry, without a leading slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Names what the tag points to.
    pub fn tagged(&self, tag: Tag) -> Reference {
        Reference { repository: self.clone(), tag: Some(tag), digest: None }
    }

    /// Names one manifest.
    pub fn pinned(&self, digest: Digest) -> Reference {
        Reference { repository: self.clone(), tag: None, digest: Some(digest) }
    }

    fn familiar_name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return self.to_string();
        }
        match self.path.strip_prefix(OFFICIAL) {
            Some(rest) if !rest.contains('/') => rest.to_owned(),
            Some(_) | None => self.path.clone(),
        }
    }
}

impl Tag {
    /// Reads a tag.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        grammar::check_tag(text, text)?;
        Ok(Self(text.to_owned()))
    }

    /// Is the tag that is meant when a name has neither tag nor digest.
    pub fn latest() -> Self {
        Self("latest".to_owned())
    }

    /// Borrows the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Reference {
    /// Reads a reference. A missing registry and namespace are filled in, a missing tag is not.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        grammar::parse(text)
    }

    /// Is the repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Is the registry as `host[:port]`.
    pub fn registry(&self) -> &str {
        &self.repository.registry
    }

    /// Is the tag, if one is said.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// Is the digest, if one is said. It decides: a tag beside it is for people.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Adds `latest` where neither tag nor digest is said.
    #[must_use]
    pub fn or_latest(self) -> Self {
        match (&self.tag, self.digest) {
            (None, None) => Self { tag: Some(Tag::latest()), ..self },
            _ => self,
        }
    }

    /// Replaces the tag.
    #[must_use]
    pub fn with_tag(self, tag: Tag) -> Self {
        Self { tag: Some(tag), ..self }
    }

    /// Replaces the digest and keeps the tag.
    #[must_use]
    pub fn with_digest(self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self }
    }

    /// Is what the distribution protocol puts into a manifest's URL: the digest, else the tag, else `latest`.
    pub fn target(&self) -> String {
        match (self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.0.clone(),
            (None, None) => Tag::latest().0,
        }
    }

    /// Displays as people write it: without `docker.io/` and `library/`.
    pub fn familiar(&self) -> Familiar<'_> {
        Familiar(self)
    }
}

/// Displays a [`Reference`] as people write it.
#[derive(Debug, Clone, Copy)]
pub struct Familiar<'a>(&'a Reference);

fn join(name: &str, reference: &Reference) -> String {
    let mut text = name.to_owned();
    if let Some(tag) = &reference.tag {
        text.push(':');
        text.push_str(&tag.0);
    }
    if let Some(digest) = &reference.digest {
        text.push('@');
        text.push_str(&digest.to_string());
    }
    text
}

impl fmt::Display for Familiar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&join(&self.0.repository.familiar_name(), self.0))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&join(&self.repository.to_string(), self))
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.registry, self.path))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repository({self})")
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
