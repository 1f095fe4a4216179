//! Results of builds, written where they are wanted.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strata_build::event::{Event, Events};
use strata_build::ports::Images;
use strata_oci::{
    AnyManifest, Descriptor, Digest, Document, Image, Index, MediaTypes, Platform, Reference,
};
use strata_registry::Client;
use strata_tree::TreePath;

use crate::error::WriteError;
use crate::images::LazyImages;
use crate::local::Local;
use crate::origin::{Bundle, Origin, WithInline};
use crate::output::rootfs::{self, Owners, Squash};
use crate::output::{Progress, Sink, archive, layout, registry, store};
use crate::stream::blocking;
use crate::uploads::Uploads;

/// Where an image goes and in which form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// To the registries of its names.
    Registry,
    /// Into the local store.
    Store,
    /// An OCI layout as a tar.
    OciArchive(Destination),
    /// An OCI layout as a directory.
    OciLayout(PathBuf),
    /// A tar that `docker load` takes. Its media types are Docker's.
    DockerArchive(Destination),
    /// The root file system in a directory; one directory for each platform, if there are several.
    RootDirectory(PathBuf),
    /// The root file system as a tar.
    RootArchive(Destination),
}

/// Where one file goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A file by its path.
    File(PathBuf),
    /// The publisher's [`Stdout`].
    Stdout,
}

/// Opens what stands for standard output; only `cli` writes there itself.
pub type Stdout = Arc<dyn Fn() -> Box<dyn Write + Send> + Send + Sync>;

/// What an image came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The manifest, or the index of several platforms.
    pub descriptor: Descriptor,
    /// The configs, one for each image, in their order.
    pub configs: Vec<Digest>,
}

/// What becomes of a push to a tag that exists and that the registry does not move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImmutableTags {
    /// The push fails.
    #[default]
    Fail,
    /// The tag stays what it was, with a warning, and all else is pushed.
    Keep,
}

/// Writes the results of builds.
#[derive(Clone)]
pub struct Publisher {
    /// Where layers come from: what the build used.
    pub images: LazyImages,
    /// Registries.
    pub client: Client,
    /// The local store.
    pub local: Local,
    /// Layers of builds that are on their way already.
    pub uploads: Uploads,
    /// What becomes of a tag that a registry does not move.
    pub immutable_tags: ImmutableTags,
    /// Who is told what happens.
    pub events: Arc<dyn Events>,
    /// A directory for large temporary files.
    pub scratch: PathBuf,
    /// Who owns the files of an [`Output::RootDirectory`].
    pub owners: Owners,
    /// What [`Destination::Stdout`] writes to.
    pub stdout: Stdout,
}

impl Publisher {
    /// Makes the manifests of images, an index if there are several. The same images give the same bytes.
    ///
    /// Manifest annotations go to every manifest; what the images have of their own wins.
    pub fn assemble(
        &self,
        images: &[Image],
        media_types: MediaTypes,
        annotations: &BTreeMap<String, String>,
    ) -> Bundle {
        let mut manifests = Vec::new();
        let mut configs = Vec::new();
        let mut rows = Vec::new();
        for image in images {
            let mut image = image.clone();
            for (key, value) in annotations {
                image.annotations.entry(key.clone()).or_insert_with(|| value.clone());
            }
            let (manifest, config) = image.write(media_types);
            let descriptor = manifest.descriptor(media_types.manifest());
            rows.push(descriptor.with_platform(image.config.platform()));
            configs.push(bytes::Bytes::copy_from_slice(config.bytes()));
            manifests.push(AnyManifest::Manifest(manifest));
        }
        let root = match manifests.pop() {
            Some(only) if manifests.is_empty() => only,
            last => {
                manifests.extend(last);
                let index = Index::new(media_types.index(), rows);
                AnyManifest::Index(Document::write(index))
            }
        };
        let origin: Arc<dyn Origin> = Arc::new(self.images.clone());
        Bundle::new(manifests, root, Arc::new(WithInline::new(configs, origin)))
    }

    /// Writes images, one for each platform, to one output under these names.
    ///
    /// `media_types` are OCI's unless asked for otherwise; a Docker archive always has Docker's.
    pub async fn publish(
        &self,
        images: &[Image],
        output: &Output,
        names: &[Reference],
        media_types: MediaTypes,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Published, WriteError> {
        let media_types = match output {
            Output::DockerArchive(_) => MediaTypes::Docker,
            _ => media_types,
        };
        let bundle = self.assemble(images, media_types, annotations);
        let configs = bundle.images().map(|image| image.value().config.digest).collect();
        let published = Published { descriptor: bundle.root().descriptor(), configs };
        match output {
            Output::RootDirectory(directory) => self.root_directory(images, directory).await?,
            Output::RootArchive(destination) => self.root_archive(images, destination).await?,
            _ => self.write(&bundle, output, names).await?,
        }
        Ok(published)
    }

    /// Writes a bundle to an output that holds images as they are.
    async fn write(
        &self,
        bundle: &Bundle,
        output: &Output,
        names: &[Reference],
    ) -> Result<(), WriteError> {
        let texts: Vec<String> = names.iter().map(ToString::to_string).collect();
        let progress = Progress::new(Arc::clone(&self.events), None);
        let (kind, destination) = match output {
            Output::Registry => {
                if names.is_empty() {
                    return Err(WriteError::NoName { kind: "registry" });
                }
                return registry::push(self, bundle, names).await;
            }
            Output::Store => {
                store::write(bundle, names, &self.local, &progress).await?;
                let names: Vec<_> = names.iter().map(|name| name.familiar().to_string()).collect();
                ("store", names.join(", "))
            }
            Output::OciLayout(directory) => {
                layout::write(bundle, &texts, directory, &progress).await?;
                ("oci", directory.display().to_string())
            }
            Output::OciArchive(destination) => {
                let sink = self.sink(destination).await?;
                archive::write(bundle, &texts, archive::Kind::Oci, sink, &progress).await?;
                ("oci", destination.to_string())
            }
            Output::DockerArchive(destination) => {
                let sink = self.sink(destination).await?;
                archive::write(bundle, &texts, archive::Kind::Docker, sink, &progress).await?;
                ("docker", destination.to_string())
            }
            Output::RootDirectory(_) | Output::RootArchive(_) => {
                unreachable!("root file systems are made of images, by `publish`")
            }
        };
        self.exported(kind, destination);
        Ok(())
    }

    async fn root_directory(&self, images: &[Image], directory: &Path) -> Result<(), WriteError> {
        for (image, squash) in images.iter().zip(self.squashes(images).await?) {
            let directory = match images {
                [_] => directory.to_owned(),
                _ => {
                    let (parent, fail) = (directory.to_owned(), directory.to_owned());
                    blocking(move || std::fs::create_dir_all(parent))
                        .await
                        .map_err(|source| WriteError::File { path: fail, source })?;
                    directory.join(directory_name(&image.config.platform()))
                }
            };
            for message in rootfs::directory::write(&squash, &directory, self.owners).await? {
                self.events.emit(Event::Warning { message, line: None });
            }
        }
        self.exported("local", directory.display().to_string());
        Ok(())
    }

    async fn root_archive(
        &self,
        images: &[Image],
        destination: &Destination,
    ) -> Result<(), WriteError> {
        let mut roots = Vec::new();
        for (image, squash) in images.iter().zip(self.squashes(images).await?) {
            let name = directory_name(&image.config.platform());
            let prefix = match images {
                [_] => None,
                _ => TreePath::clean(name).ok(),
            };
            roots.push((prefix, squash));
        }
        let sink = self.sink(destination).await?;
        rootfs::archive::write(&roots, &self.scratch, sink).await?;
        self.exported("tar", destination.to_string());
        Ok(())
    }

    async fn squashes(&self, images: &[Image]) -> Result<Vec<Squash>, WriteError> {
        let layers: Arc<dyn Images> = Arc::new(self.images.clone());
        let squashes = images.iter().map(|image| Squash::of(image, Arc::clone(&layers)));
        futures_util::future::try_join_all(squashes).await
    }

    pub(crate) async fn sink(&self, destination: &Destination) -> Result<Sink, WriteError> {
        match destination.clone() {
            Destination::File(path) => blocking(move || Sink::file(&path)).await,
            Destination::Stdout => Ok(Sink::stream((self.stdout)())),
        }
    }

    pub(crate) fn exported(&self, kind: &str, destination: String) {
        self.events.emit(Event::Exported { kind: kind.to_owned(), destination });
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("images", &self.images)
            .field("local", &self.local)
            .field("scratch", &self.scratch)
            .field("owners", &self.owners)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Stdout => f.write_str("-"),
        }
    }
}

/// `linux_arm64_v8`, as other builders name these directories.
fn directory_name(platform: &Platform) -> String {
    platform.to_string().replace('/', "_")
}
