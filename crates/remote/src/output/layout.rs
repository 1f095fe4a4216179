//! Writes OCI image layouts into directories.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use strata_oci::{AnyManifest, Descriptor, Digest, Document, Index, MediaType};
use tempfile::{NamedTempFile, TempDir};

use super::Progress;
use crate::aside::{Aside, parent};
use crate::error::WriteError;
use crate::origin::Bundle;
use crate::origin::layout::{IMAGE_NAME, LAYOUT, Layout, REF_NAME, blob_path};
use crate::stream::{blocking, consume};

/// Writes a bundle into a layout directory.
///
/// A directory that does not exist yet appears whole or not at all. Into a layout that exists the image is added;
/// rows of its index that carry one of the names are replaced, everything else stays.
pub(crate) async fn write(
    bundle: &Bundle,
    names: &[String],
    directory: &Path,
    progress: &Progress,
) -> Result<(), WriteError> {
    let place = {
        let directory = directory.to_owned();
        blocking(move || Place::prepare(&directory)).await?
    };
    let (mut place, index) = place;
    let blobs = bundle.blobs();
    bundle.origin().prepare(&blobs).await?;
    for blob in &blobs {
        if place.has(blob) {
            continue;
        }
        let stream = bundle.origin().blob(blob).await?;
        let writer = place.blob_writer(blob.digest)?;
        let path =
            consume(stream, progress.of_blob(blob), move |mut feed| writer.fill(&mut feed)).await?;
        place.added.push(path);
    }
    let (root, manifests, names) =
        (bundle.root().clone(), bundle.manifests().to_vec(), names.to_vec());
    blocking(move || {
        for manifest in manifests.iter().chain([&root]) {
            let descriptor = manifest.descriptor();
            if !place.has(&descriptor) {
                let path = place.blob_writer(descriptor.digest)?.fill(&mut manifest.bytes())?;
                place.added.push(path);
            }
        }
        let index = Document::write(with_image(index, &root, &names));
        place.finish(&index)
    })
    .await
}

/// The index of a layout or archive once it has the image: one row for each name, or one row without a name.
pub(crate) fn with_image(index: Option<Index>, root: &AnyManifest, names: &[String]) -> Index {
    let mut index = index.unwrap_or_else(|| Index::new(MediaType::OciIndex, Vec::new()));
    let rows = rows(root, names);
    let taken: BTreeSet<_> = rows.iter().filter_map(name_of).collect();
    index.manifests.retain(|row| match name_of(row) {
        Some(name) => !taken.contains(&name),
        None => row.digest != root.digest(),
    });
    index.manifests.extend(rows);
    index
}

fn rows(root: &AnyManifest, names: &[String]) -> Vec<Descriptor> {
    let mut descriptor = root.descriptor();
    if let AnyManifest::Manifest(manifest) = root {
        descriptor.annotations.extend(
            manifest
                .value()
                .annotations
                .iter()
                .filter(|(key, _)| *key == "org.opencontainers.image.created")
                .map(|(key, value)| (key.clone(), value.clone())),
        );
    }
    if names.is_empty() {
        return vec![descriptor];
    }
    let named = |name: &String| {
        let mut row = descriptor.clone();
        match strata_oci::Reference::parse(name) {
            Ok(reference) => {
                let reference = reference.or_latest();
                if let Some(tag) = reference.tag() {
                    row.annotations.insert(REF_NAME.to_owned(), tag.as_str().to_owned());
                }
                row.annotations.insert(IMAGE_NAME.to_owned(), reference.to_string());
            }
            Err(_) => {
                row.annotations.insert(REF_NAME.to_owned(), name.clone());
            }
        }
        row
    };
    names.iter().map(named).collect()
}

/// What makes a row *the* row of a name. Two full names may share a tag; a bare tag is a name of its own.
fn name_of(row: &Descriptor) -> Option<String> {
    row.annotations.get(IMAGE_NAME).or_else(|| row.annotations.get(REF_NAME)).cloned()
}

/// Where a layout is written, with what has been written so far; undone when dropped unfinished.
#[derive(Debug)]
struct Place {
    /// Where blobs go now.
    directory: PathBuf,
    /// The new directory, to be moved to its destination.
    aside: Option<(TempDir, PathBuf)>,
    /// Blobs that an existing layout did not have before.
    added: Vec<PathBuf>,
    finished: bool,
}

impl Place {
    fn prepare(destination: &Path) -> Result<(Self, Option<Index>), WriteError> {
        let fail = |source| WriteError::File { path: destination.to_owned(), source };
        let in_the_way = |problem| WriteError::InTheWay { path: destination.to_owned(), problem };
        let in_place = |directory: &Path| Self {
            directory: directory.to_owned(),
            aside: None,
            added: Vec::new(),
            finished: false,
        };
        match fs::metadata(destination) {
            Ok(found) if !found.is_dir() => Err(in_the_way("it is not a directory")),
            Ok(_) if destination.join("oci-layout").exists() => {
                let index = Layout::open(destination)?.index().value().clone();
                Ok((in_place(destination), Some(index)))
            }
            Ok(_) if fs::read_dir(destination).map_err(fail)?.next().is_some() => {
                Err(in_the_way("it is a directory with something other than an OCI image layout"))
            }
            // An empty directory may be a mount point, which nothing can be renamed to.
            Ok(_) => Ok((in_place(destination), None)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let aside = tempfile::Builder::new()
                    .prefix(".strata-")
                    .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777))
                    .tempdir_in(parent(destination))
                    .map_err(fail)?;
                let mut place = in_place(aside.path());
                place.aside = Some((aside, destination.to_owned()));
                Ok((place, None))
            }
            Err(error) => Err(fail(error)),
        }
    }

    fn has(&self, blob: &Descriptor) -> bool {
        let found = fs::metadata(blob_path(&self.directory, blob.digest));
        found.is_ok_and(|found| found.is_file() && found.len() == blob.size)
    }

    fn blob_writer(&self, digest: Digest) -> Result<BlobFile, WriteError> {
        let path = blob_path(&self.directory, digest);
        let fail = |source| WriteError::File { path: path.clone(), source };
        let directory = parent(&path);
        fs::create_dir_all(directory).map_err(fail)?;
        let file = tempfile::Builder::new()
            .prefix(".strata-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .tempfile_in(directory)
            .map_err(fail)?;
        Ok(BlobFile { file, path })
    }

    fn finish(mut self, index: &Document<Index>) -> Result<(), WriteError> {
        write_whole(&self.directory.join("oci-layout"), LAYOUT)?;
        // Last: until now the layout is the one it was.
        write_whole(&self.directory.join("index.json"), index.bytes())?;
        self.finished = true;
        if let Some((aside, destination)) = self.aside.take() {
            let fail = |source| WriteError::File { path: destination.clone(), source };
            fs::rename(aside.path(), &destination).map_err(fail)?;
            // Its name is gone: there is nothing left to remove.
            let _ = aside.keep();
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.finished || self.aside.is_some() {
            return;
        }
        for path in &self.added {
            if let Err(error) = fs::remove_file(path) {
                tracing::debug!(path = %path.display(), %error, "an unused blob stays behind");
            }
        }
        // Not empty unless this output made them.
        for made in ["blobs/sha256", "blobs"] {
            let _ = fs::remove_dir(self.directory.join(made));
        }
    }
}

/// A blob of a layout that is not yet under its name.
#[derive(Debug)]
struct BlobFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl BlobFile {
    fn fill(mut self, reader: &mut dyn io::Read) -> Result<PathBuf, WriteError> {
        let path = self.path;
        let fail = |source| WriteError::File { path: path.clone(), source };
        io::copy(reader, self.file.as_file_mut()).map_err(fail)?;
        self.file.persist(&path).map_err(|error| fail(error.error))?;
        Ok(path)
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let mut file = Aside::create(path)?;
    file.write_all(bytes).map_err(|source| WriteError::File { path: path.to_owned(), source })?;
    file.finish()
}
