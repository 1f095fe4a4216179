//! Images in a tar: OCI layouts, and what `docker save` wrote before it wrote those too.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use strata_layer::{ArchiveCompression, MAGIC_LENGTH, decompress_archive};
use strata_oci::{
    AnyManifest, Compression, Descriptor, Digest, Document, Format, Hasher, ImageConfig, Index,
    Manifest, MediaType, MediaTypes, Repository,
};
use strata_registry::BlobSource;

use super::layout::{IMAGE_NAME, open_regular, parse_manifest, select};
use super::{Origin, PushSource};
use crate::error::ReadError;
use crate::stream::{ByteStream, Verified, from_reader};

const EXPECTED: &str = "an image archive";
/// A registry takes no image with more than a few hundred blobs.
const MAX_ENTRIES: usize = 1 << 16;
/// `manifest.json` has a line for each layer.
const MAX_DOCKER_MANIFEST: u64 = 4 << 20;

/// A tar with images.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    file: Arc<File>,
    index: Index,
    blobs: HashMap<Digest, Place>,
    /// Manifests that were made up for images that have none.
    manifests: HashMap<Digest, Document<Manifest>>,
}

/// Where in the tar a file is.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    size: u64,
}

/// What a name in the tar stands for.
#[derive(Clone, Debug)]
enum Entry {
    File(Place),
    Symlink(String),
}

impl Archive {
    /// Opens an archive and finds what is in it. A compressed one is decompressed into an unnamed temporary file
    /// in `scratch`. Blocking; reads the archive's headers, and compressed layers of old Docker archives whole.
    pub fn open(path: &Path, scratch: &Path) -> Result<Self, ReadError> {
        let fail = |source| ReadError::File { path: path.to_owned(), source };
        let file = Arc::new(uncompressed(open_regular(path)?, scratch).map_err(fail)?);
        let mut reader = Reader { path, entries: entries(path, &file)?, file };
        if reader.entries.contains_key("index.json") {
            reader.layout()
        } else if reader.entries.contains_key("manifest.json") {
            reader.docker()
        } else {
            let problem = "it has neither `index.json` nor `manifest.json`".to_owned();
            Err(reader.format(problem))
        }
    }

    /// The index of the archive; for an old Docker archive one that was made up.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Finds an image by tag, full name or digest; with no selector, the only one or the one tagged `latest`.
    pub fn select(&self, selector: Option<&str>) -> Result<Descriptor, ReadError> {
        select(&self.path, &self.index, selector)
    }

    fn place(&self, digest: Digest) -> Result<&Place, ReadError> {
        self.blobs.get(&digest).ok_or(ReadError::Unplaced { digest })
    }

    fn section(&self, digest: Digest) -> Result<Section, ReadError> {
        Ok(Section::new(&self.file, *self.place(digest)?))
    }
}

impl Origin for Archive {
    fn manifest<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<AnyManifest, ReadError>> {
        let read = || {
            if let Some(made_up) = self.manifests.get(&descriptor.digest) {
                return Ok(AnyManifest::Manifest(made_up.clone()));
            }
            let section = self.section(descriptor.digest)?;
            let fail = |source| ReadError::File { path: self.path.clone(), source };
            let bytes = section.bounded(Manifest::LIMIT as u64).map_err(fail)?;
            parse_manifest(bytes, descriptor)
        };
        futures_util::future::ready(read()).boxed()
    }

    fn blob<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<ByteStream, ReadError>> {
        let path = self.path.clone();
        let stream = self.section(descriptor.digest).map(|section| {
            let reader = Verified::new(section, descriptor);
            from_reader(reader, |source| ReadError::File { path, source })
        });
        futures_util::future::ready(stream).boxed()
    }

    fn repository(&self, _digest: Digest) -> Option<Repository> {
        None
    }

    fn push_source<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<PushSource, ReadError>> {
        let source = self.place(descriptor.digest).map(|place| {
            let (file, place) = (Arc::clone(&self.file), *place);
            let open = move || Ok(Box::new(Section::new(&file, place)) as Box<dyn Read + Send>);
            PushSource::Local(BlobSource::reader(open))
        });
        futures_util::future::ready(source).boxed()
    }
}

/// The file itself if it is a plain tar, else its bytes in a file that has no name.
fn uncompressed(mut file: File, scratch: &Path) -> io::Result<File> {
    let mut start = Vec::new();
    file.by_ref().take(MAGIC_LENGTH as u64).read_to_end(&mut start)?;
    file.rewind()?;
    if ArchiveCompression::detect(&start) == ArchiveCompression::None {
        return Ok(file);
    }
    let mut plain = tempfile::tempfile_in(scratch)?;
    io::copy(&mut decompress_archive(file)?, &mut plain)?;
    Ok(plain)
}

fn entries(path: &Path, file: &Arc<File>) -> Result<BTreeMap<String, Entry>, ReadError> {
    let fail = |source| ReadError::File { path: path.to_owned(), source };
    let mut found = BTreeMap::new();
    let mut from_start = Section::new(file, Place { offset: 0, size: u64::MAX });
    let mut archive = tar::Archive::new(&mut from_start);
    for entry in archive.entries_with_seek().map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if found.len() == MAX_ENTRIES {
            let problem = format!("it has more than {MAX_ENTRIES} files");
            return Err(ReadError::Format { path: path.to_owned(), expected: EXPECTED, problem });
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = name.trim_start_matches("./").to_owned();
        let kind = entry.header().entry_type();
        if kind.is_file() {
            let place = Place { offset: entry.raw_file_position(), size: entry.size() };
            found.insert(name, Entry::File(place));
        } else if let (true, Some(target)) = (kind.is_symlink(), entry.link_name_bytes()) {
            found.insert(name, Entry::Symlink(String::from_utf8_lossy(&target).into_owned()));
        }
    }
    Ok(found)
}

struct Reader<'a> {
    path: &'a Path,
    file: Arc<File>,
    entries: BTreeMap<String, Entry>,
}

/// One image of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerRow {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

impl Reader<'_> {
    fn format(&self, problem: String) -> ReadError {
        ReadError::Format { path: self.path.to_owned(), expected: EXPECTED, problem }
    }

    fn document(&self, name: &str) -> impl FnOnce(strata_oci::DocumentError) -> ReadError {
        let what = format!("`{name}` in `{}`", self.path.display());
        move |source| ReadError::Document { what, source }
    }

    fn place(&self, name: &str) -> Result<Place, ReadError> {
        let missing = || self.format(format!("it has no file `{name}`"));
        match self.entries.get(name).ok_or_else(missing)? {
            Entry::File(place) => Ok(*place),
            // `docker save` linked a layer that several images share, one link deep.
            Entry::Symlink(target) => match self.entries.get(&beside(name, target)) {
                Some(Entry::File(place)) => Ok(*place),
                Some(Entry::Symlink(_)) | None => Err(missing()),
            },
        }
    }

    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, ReadError> {
        let section = Section::new(&self.file, self.place(name)?);
        section
            .bounded(limit)
            .map_err(|source| ReadError::File { path: self.path.to_owned(), source })
    }

    fn layout(&mut self) -> Result<Archive, ReadError> {
        let index = Document::parse(self.read("index.json", Index::LIMIT as u64)?)
            .map_err(self.document("index.json"))?;
        let blobs = self.entries.iter().filter_map(|(name, entry)| {
            let digest = Digest::parse_hex(name.strip_prefix("blobs/sha256/")?).ok()?;
            match entry {
                Entry::File(place) => Some((digest, *place)),
                Entry::Symlink(_) => None,
            }
        });
        let (blobs, manifests) = (blobs.collect(), HashMap::new());
        Ok(self.archive(index.into_value(), blobs, manifests))
    }

    fn docker(&mut self) -> Result<Archive, ReadError> {
        let rows: Vec<DockerRow> =
            serde_json::from_slice(&self.read("manifest.json", MAX_DOCKER_MANIFEST)?)
                .map_err(|error| self.format(format!("`manifest.json` does not parse: {error}")))?;
        let mut index = Index::new(MediaType::OciIndex, Vec::new());
        let (mut blobs, mut manifests) = (HashMap::new(), HashMap::new());
        for row in rows {
            let manifest = self.manifest(&row, &mut blobs)?;
            let descriptor = manifest.descriptor(MediaType::DockerManifest);
            let names = row.repo_tags.unwrap_or_default();
            if names.is_empty() {
                index.manifests.push(descriptor.clone());
            }
            for name in names {
                let mut row = descriptor.clone();
                row.annotations.insert(IMAGE_NAME.to_owned(), name);
                index.manifests.push(row);
            }
            manifests.insert(descriptor.digest, manifest);
        }
        Ok(self.archive(index, blobs, manifests))
    }

    fn manifest(
        &self,
        row: &DockerRow,
        blobs: &mut HashMap<Digest, Place>,
    ) -> Result<Document<Manifest>, ReadError> {
        let bytes = self.read(&row.config, ImageConfig::LIMIT as u64)?;
        let config: Document<ImageConfig> =
            Document::parse(bytes).map_err(self.document(&row.config))?;
        blobs.insert(config.digest(), self.place(&row.config)?);
        let names = row.layers.as_deref().unwrap_or_default();
        let diff_ids = &config.value().rootfs.diff_ids;
        if names.len() != diff_ids.len() {
            let (layers, diff_ids) = (names.len(), diff_ids.len());
            let source = strata_oci::ImageError::LayerCount { layers, diff_ids };
            return Err(ReadError::NotAnImage { image: self.path.display().to_string(), source });
        }
        let mut layers = Vec::new();
        for (name, diff_id) in names.iter().zip(diff_ids) {
            let place = self.place(name)?;
            let (compression, digest) = self
                .layer(place)
                .map_err(|source| ReadError::File { path: self.path.to_owned(), source })?;
            let digest = digest.unwrap_or(diff_id.0);
            blobs.insert(digest, place);
            let media_type = MediaTypes::Docker.compressed_layer(compression);
            layers.push(Descriptor::new(media_type, digest, place.size));
        }
        let config = config.descriptor(MediaType::DockerConfig);
        Ok(Document::write(Manifest::new(MediaType::DockerManifest, config, layers)))
    }

    /// The compression of a layer, and the digest of a compressed one. That of a plain one is its diff id.
    fn layer(&self, place: Place) -> io::Result<(Compression, Option<Digest>)> {
        let mut section = Section::new(&self.file, place);
        let mut start = Vec::new();
        section.by_ref().take(MAGIC_LENGTH as u64).read_to_end(&mut start)?;
        let compression = match ArchiveCompression::detect(&start) {
            ArchiveCompression::None => return Ok((Compression::None, None)),
            ArchiveCompression::Gzip => Compression::Gzip,
            ArchiveCompression::Zstd => Compression::Zstd,
            ArchiveCompression::Bzip2 | ArchiveCompression::Xz => {
                let problem = "a layer is compressed in a way that no image has";
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
        };
        let mut hasher = Hasher::new();
        io::copy(&mut Section::new(&self.file, place), &mut hasher)?;
        Ok((compression, Some(hasher.finish())))
    }

    fn archive(
        &self,
        index: Index,
        blobs: HashMap<Digest, Place>,
        manifests: HashMap<Digest, Document<Manifest>>,
    ) -> Archive {
        let (path, file) = (self.path.to_owned(), Arc::clone(&self.file));
        Archive { path, file, index, blobs, manifests }
    }
}

/// The name that a symbolic link at `name` means; it may go up, but not out.
fn beside(name: &str, target: &str) -> String {
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A part of a file as a reader with a position of its own, so that several can read at once.
#[derive(Debug)]
struct Section {
    file: Arc<File>,
    start: u64,
    position: u64,
    end: u64,
}

impl Section {
    fn new(file: &Arc<File>, place: Place) -> Self {
        let end = place.offset.saturating_add(place.size);
        Self { file: Arc::clone(file), start: place.offset, position: place.offset, end }
    }

    fn bounded(self, limit: u64) -> io::Result<Vec<u8>> {
        let size = self.end - self.start;
        if size > limit {
            let message = format!("a document of {size} bytes exceeds the limit of {limit}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let mut bytes = Vec::new();
        self.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let count = self.file.read_at(&mut buffer[..length], self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Section {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let target = match to {
            io::SeekFrom::Start(offset) => self.start.checked_add(offset),
            io::SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            io::SeekFrom::End(offset) => self.end.checked_add_signed(offset),
        };
        let inside = target.filter(|target| (self.start..=self.end).contains(target));
        self.position = inside.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position - self.start)
    }
}
