//! OCI image layouts: a directory of blobs, and an index of what they are.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use strata_oci::{
    AnyManifest, Descriptor, Digest, Document, Format, Index, Manifest, Reference, Repository,
};
use strata_registry::BlobSource;

use super::{Origin, PushSource};
use crate::error::ReadError;
use crate::stream::{ByteStream, Verified, blocking, from_reader};

/// The annotation that holds a tag: what the specification has.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation that holds a full name: what containerd and Docker read and write.
pub(crate) const IMAGE_NAME: &str = "io.containerd.image.name";
/// The content of the file `oci-layout`.
pub(crate) const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

const EXPECTED: &str = "an OCI image layout";

/// An OCI image layout in a directory.
#[derive(Debug)]
pub struct Layout {
    directory: PathBuf,
    index: Document<Index>,
}

/// The content of `oci-layout`.
#[derive(serde::Deserialize)]
struct Marker {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

impl Layout {
    /// Opens a layout and reads its index. Blocking.
    pub fn open(directory: &Path) -> Result<Self, ReadError> {
        let format = |problem: String| ReadError::Format {
            path: directory.to_owned(),
            expected: EXPECTED,
            problem,
        };
        let marker = read_bounded(&directory.join("oci-layout"), 4096)?;
        let marker: Marker = serde_json::from_slice(&marker)
            .map_err(|_| format("its file `oci-layout` is not JSON with a version".to_owned()))?;
        if !marker.version.starts_with("1.") {
            return Err(format(format!("its version is `{}`, not 1.0.0", marker.version)));
        }
        let path = directory.join("index.json");
        let index = Document::parse(read_bounded(&path, Index::LIMIT)?).map_err(|source| {
            ReadError::Document { what: format!("`{}`", path.display()), source }
        })?;
        Ok(Self { directory: directory.to_owned(), index })
    }

    /// The index of the whole layout.
    pub fn index(&self) -> &Document<Index> {
        &self.index
    }

    /// Finds an image by tag, full name or digest; with no selector, the only one or the one tagged `latest`.
    pub fn select(&self, selector: Option<&str>) -> Result<Descriptor, ReadError> {
        select(&self.directory, self.index.value(), selector)
    }

    /// Whether a blob is there, as far as its size tells; its reader verifies it. Blocking.
    pub(crate) fn has_blob(&self, blob: &Descriptor) -> bool {
        fs::metadata(self.path(blob.digest)).is_ok_and(|found| found.len() == blob.size)
    }

    fn path(&self, digest: Digest) -> PathBuf {
        blob_path(&self.directory, digest)
    }
}

/// Chooses a row of a layout's or archive's index.
pub(crate) fn select(
    path: &Path,
    index: &Index,
    selector: Option<&str>,
) -> Result<Descriptor, ReadError> {
    let rows = &index.manifests;
    let offered = || {
        let names = rows.iter().map(|row| format!("`{}`", row_name(row)));
        names.collect::<Vec<_>>().join(", ")
    };
    let Some(selector) = selector else {
        let latest = || rows.iter().find(|row| is_named(row, "latest"));
        return match rows.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(ReadError::Format {
                path: path.to_owned(),
                expected: EXPECTED,
                problem: "its index is empty".to_owned(),
            }),
            _ => latest().cloned().ok_or_else(|| ReadError::SeveralImages {
                path: path.to_owned(),
                offered: offered(),
            }),
        };
    };
    let found = match selector.parse::<Digest>() {
        Ok(digest) => rows.iter().find(|row| row.digest == digest),
        Err(_) => rows.iter().find(|row| is_named(row, selector)),
    };
    found.cloned().ok_or_else(|| ReadError::NoSelection {
        path: path.to_owned(),
        selector: selector.to_owned(),
        offered: if rows.is_empty() { "none".to_owned() } else { offered() },
    })
}

fn is_named(row: &Descriptor, selector: &str) -> bool {
    let tag = row.annotations.get(REF_NAME);
    let full = row.annotations.get(IMAGE_NAME);
    // Some writers put the full name where the specification has a tag.
    tag.into_iter().chain(full).any(|name| {
        name == selector
            || Reference::parse(name).is_ok_and(|known| {
                known.tag().is_some_and(|tag| tag.as_str() == selector)
                    || Reference::parse(selector).is_ok_and(|wanted| {
                        wanted.registry() == known.registry() && wanted.or_latest() == known
                    })
            })
    })
}

fn row_name(row: &Descriptor) -> String {
    let named = row.annotations.get(REF_NAME).or_else(|| row.annotations.get(IMAGE_NAME));
    named.cloned().unwrap_or_else(|| row.digest.to_string())
}

pub(crate) fn blob_path(directory: &Path, digest: Digest) -> PathBuf {
    directory.join("blobs/sha256").join(digest.to_hex())
}

/// Reads a regular file of at most so many bytes.
pub(crate) fn read_bounded(path: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
    let fail = |source| ReadError::File { path: path.to_owned(), source };
    let file = open_regular(path)?;
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() > limit {
        let problem = format!("it has more than {limit} bytes");
        return Err(ReadError::Format {
            path: path.to_owned(),
            expected: "a file of this size",
            problem,
        });
    }
    Ok(bytes)
}

/// Opens a file that is a file: a fifo would wait forever.
pub(crate) fn open_regular(path: &Path) -> Result<File, ReadError> {
    let fail = |source| ReadError::File { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(fail)?.is_file() {
        return Err(ReadError::Format {
            path: path.to_owned(),
            expected: "a regular file",
            problem: "it is something else".to_owned(),
        });
    }
    File::open(path).map_err(fail)
}

/// Parses a manifest's bytes, which must have the digest of their descriptor.
pub(crate) fn parse_manifest(
    bytes: Vec<u8>,
    descriptor: &Descriptor,
) -> Result<AnyManifest, ReadError> {
    let what = || format!("manifest `{}`", descriptor.digest);
    let actual = Digest::of(&bytes);
    if actual != descriptor.digest {
        let (name, expected) = (Manifest::NAME, descriptor.digest);
        let source = strata_oci::DocumentError::DigestMismatch { name, expected, actual };
        return Err(ReadError::Document { what: what(), source });
    }
    AnyManifest::parse(bytes, Some(&descriptor.media_type)).map_err(|source| match source {
        strata_oci::DocumentError::UnsupportedSchemaVersion { version: 1 } => {
            ReadError::Schema1 { image: descriptor.digest.to_string() }
        }
        source => ReadError::Document { what: what(), source },
    })
}

impl Origin for Layout {
    fn manifest<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<AnyManifest, ReadError>> {
        let (path, descriptor) = (self.path(descriptor.digest), descriptor.clone());
        blocking(move || parse_manifest(read_bounded(&path, Manifest::LIMIT)?, &descriptor)).boxed()
    }

    fn blob<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<ByteStream, ReadError>> {
        let path = self.path(descriptor.digest);
        async move {
            let opened = path.clone();
            let file = blocking(move || open_regular(&opened)).await?;
            let fail = |source| ReadError::File { path, source };
            Ok(from_reader(Verified::new(file, descriptor), fail))
        }
        .boxed()
    }

    fn repository(&self, _digest: Digest) -> Option<Repository> {
        None
    }

    fn push_source<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<PushSource, ReadError>> {
        let source = PushSource::Local(BlobSource::file(self.path(descriptor.digest)));
        futures_util::future::ready(Ok(source)).boxed()
    }
}
