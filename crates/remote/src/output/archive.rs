//! Writes an image as one tar file: an OCI layout, or the same with what `docker load` needs beside it.

use std::io::{self, Read, Write};

use serde::Serialize;
use strata_oci::{AnyManifest, Descriptor, Document, Reference};
use tar::{EntryType, Header};

use super::{Progress, Sink};
use crate::error::WriteError;
use crate::origin::Bundle;
use crate::origin::layout::LAYOUT;
use crate::stream::{blocking, consume};

/// What is written beside the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Oci,
    /// The file `manifest.json`, by which `docker load` and `podman load` find the image.
    Docker,
}

/// Writes a bundle as a tar. Entries come in a fixed order with fixed metadata: the same image gives the same
/// bytes.
pub(crate) async fn write(
    bundle: &Bundle,
    names: &[String],
    kind: Kind,
    sink: Sink,
    progress: &Progress,
) -> Result<(), WriteError> {
    let docker = match kind {
        Kind::Oci => None,
        Kind::Docker => Some(docker_manifest(bundle, names)?),
    };
    let mut blobs = bundle.blobs();
    bundle.origin().prepare(&blobs).await?;
    blobs.sort_by_key(|blob| blob.digest);
    let mut archive = blocking(move || {
        let mut archive = Archive::new(sink);
        archive.directory("blobs/")?;
        archive.directory("blobs/sha256/")?;
        Ok::<_, WriteError>(archive)
    })
    .await?;
    for blob in blobs {
        let stream = bundle.origin().blob(&blob).await?;
        archive = consume(stream, progress.of_blob(&blob), move |mut feed| {
            archive.blob(&blob, &mut feed)?;
            Ok::<_, WriteError>(archive)
        })
        .await?;
    }
    let index = Document::write(super::layout::with_image(None, bundle.root(), names));
    let (root, manifests) = (bundle.root().clone(), bundle.manifests().to_vec());
    blocking(move || {
        for manifest in manifests.iter().chain([&root]) {
            archive.blob(&manifest.descriptor(), &mut manifest.bytes())?;
        }
        archive.file("index.json", index.bytes())?;
        if let Some(docker) = docker {
            archive.file("manifest.json", &docker)?;
        }
        archive.file("oci-layout", LAYOUT)?;
        archive.finish()
    })
    .await
}

/// One image as `docker save` lists it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerRow {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

fn docker_manifest(bundle: &Bundle, names: &[String]) -> Result<Vec<u8>, WriteError> {
    let AnyManifest::Manifest(image) = bundle.root() else {
        let platforms = bundle.images().count();
        return Err(WriteError::SeveralPlatforms { kind: "docker", platforms });
    };
    let path = |blob: &Descriptor| format!("blobs/sha256/{}", blob.digest.to_hex());
    // `docker load` takes names in the short form it shows them in.
    let familiar = |name: &String| match Reference::parse(name) {
        Ok(reference) => reference.or_latest().familiar().to_string(),
        Err(_) => name.clone(),
    };
    let row = DockerRow {
        config: path(&image.value().config),
        repo_tags: names.iter().map(familiar).collect(),
        layers: image.value().layers.iter().map(path).collect(),
    };
    Ok(serde_json::to_vec(&[row]).expect("strings are always JSON"))
}

/// A tar that is written entry by entry. It has an end only if [`Archive::finish`] wrote it.
#[derive(Debug)]
struct Archive {
    sink: Sink,
}

const BLOCK: u64 = 512;

impl Archive {
    fn new(sink: Sink) -> Self {
        Self { sink }
    }

    fn directory(&mut self, name: &str) -> Result<(), WriteError> {
        self.entry(name, EntryType::Directory, 0o755, 0, &mut io::empty())
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        self.entry(name, EntryType::Regular, 0o644, bytes.len() as u64, &mut &*bytes)
    }

    fn blob(&mut self, blob: &Descriptor, body: &mut dyn Read) -> Result<(), WriteError> {
        let name = format!("blobs/sha256/{}", blob.digest.to_hex());
        self.entry(&name, EntryType::Regular, 0o444, blob.size, body)
    }

    fn entry(
        &mut self,
        name: &str,
        kind: EntryType,
        mode: u32,
        size: u64,
        body: &mut dyn Read,
    ) -> Result<(), WriteError> {
        let mut header = Header::new_ustar();
        header.set_path(name).expect("the names of this file are short and relative");
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        let padding = size.next_multiple_of(BLOCK) - size;
        let sink = &mut self.sink;
        let mut write = || {
            sink.write_all(header.as_bytes())?;
            // A blob's stream fails at its end on any other number of bytes.
            io::copy(body, sink)?;
            io::copy(&mut io::repeat(0).take(padding), sink)
        };
        write().map(drop).map_err(|source| self.sink.error(source))
    }

    fn finish(mut self) -> Result<(), WriteError> {
        let end = io::copy(&mut io::repeat(0).take(2 * BLOCK), &mut self.sink);
        end.map_err(|source| self.sink.error(source))?;
        self.sink.finish()
    }
}
