//! Where the parts of images come from, and images as wholes that can go anywhere.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use strata_oci::{AnyManifest, Descriptor, Digest, Document, ImageConfig, Repository};
use strata_registry::BlobSource;

use crate::error::ReadError;
use crate::stream::{ByteStream, from_bytes};

pub(crate) mod archive;
pub(crate) mod layout;
pub(crate) mod registry;

/// A place that holds content by digest: a repository, a layout, an archive, the local store.
pub trait Origin: Send + Sync + Debug {
    /// Reads a manifest or index, verified.
    fn manifest<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<AnyManifest, ReadError>>;

    /// Begins to read a blob. Verification is the stream's: it ends well only on the right bytes.
    fn blob<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<ByteStream, ReadError>>;

    /// The repository that has the blob, if it is one: another one of the same registry can mount it from there.
    fn repository(&self, digest: Digest) -> Option<Repository>;

    /// A blob as something that can be pushed, and read from its start again if the push fails.
    fn push_source<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<PushSource, ReadError>>;

    /// Brings blobs near that are going to be read one after the other, in parallel where that helps.
    fn prepare<'a>(&'a self, _blobs: &'a [Descriptor]) -> BoxFuture<'a, Result<(), ReadError>> {
        futures_util::future::ready(Ok(())).boxed()
    }
}

/// Where a pushed blob comes from.
#[derive(Debug)]
pub enum PushSource {
    /// From here.
    Local(BlobSource),
    /// From another repository, piped if it cannot be mounted.
    Repository(Repository),
}

/// An origin with some small blobs at hand that are nowhere else yet: the configs of fresh images.
#[derive(Debug)]
pub struct WithInline {
    inline: HashMap<Digest, Bytes>,
    rest: Arc<dyn Origin>,
}

impl WithInline {
    /// Puts blobs in front of an origin.
    pub fn new(inline: impl IntoIterator<Item = Bytes>, rest: Arc<dyn Origin>) -> Self {
        let inline = inline.into_iter().map(|bytes| (Digest::of(&bytes), bytes)).collect();
        Self { inline, rest }
    }
}

impl Origin for WithInline {
    fn manifest<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<AnyManifest, ReadError>> {
        self.rest.manifest(descriptor)
    }

    fn blob<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<ByteStream, ReadError>> {
        match self.inline.get(&descriptor.digest) {
            Some(bytes) => futures_util::future::ready(Ok(from_bytes(bytes.clone()))).boxed(),
            None => self.rest.blob(descriptor),
        }
    }

    fn repository(&self, digest: Digest) -> Option<Repository> {
        if self.inline.contains_key(&digest) { None } else { self.rest.repository(digest) }
    }

    fn push_source<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<PushSource, ReadError>> {
        match self.inline.get(&descriptor.digest) {
            Some(bytes) => {
                let source = PushSource::Local(BlobSource::bytes(bytes.clone()));
                futures_util::future::ready(Ok(source)).boxed()
            }
            None => self.rest.push_source(descriptor),
        }
    }

    fn prepare<'a>(&'a self, blobs: &'a [Descriptor]) -> BoxFuture<'a, Result<(), ReadError>> {
        async move {
            let rest: Vec<_> = blobs
                .iter()
                .filter(|blob| !self.inline.contains_key(&blob.digest))
                .cloned()
                .collect();
            self.rest.prepare(&rest).await
        }
        .boxed()
    }
}

/// An image, or an index with all its images: manifests in memory, blobs behind an origin.
#[derive(Debug, Clone)]
pub struct Bundle {
    manifests: Vec<AnyManifest>,
    root: AnyManifest,
    origin: Arc<dyn Origin>,
}

/// An index of indexes exists in theory; deeper is an attack or a mistake.
const MAX_DEPTH: u32 = 3;
/// The largest official images have a few dozen, attestations included.
const MAX_MANIFESTS: usize = 1024;

impl Bundle {
    /// Takes manifests that are all known: those that `root` names, each after those that it names itself.
    pub fn new(manifests: Vec<AnyManifest>, root: AnyManifest, origin: Arc<dyn Origin>) -> Self {
        Self { manifests, root, origin }
    }

    /// Reads every manifest that `root` names. `image` is what messages call it.
    pub async fn load(
        root: AnyManifest,
        origin: Arc<dyn Origin>,
        image: &str,
    ) -> Result<Self, ReadError> {
        let mut manifests = Vec::new();
        let mut seen = BTreeSet::new();
        collect(&root, &origin, image, MAX_DEPTH, &mut seen, &mut manifests).await?;
        Ok(Self { manifests, root, origin })
    }

    /// The manifest or index that names everything else.
    pub fn root(&self) -> &AnyManifest {
        &self.root
    }

    /// The manifests below the root, each after those that it names itself.
    pub fn manifests(&self) -> &[AnyManifest] {
        &self.manifests
    }

    /// Where the blobs are.
    pub fn origin(&self) -> &Arc<dyn Origin> {
        &self.origin
    }

    /// How many images there are.
    pub fn images(&self) -> impl Iterator<Item = &Document<strata_oci::Manifest>> {
        self.manifests.iter().chain([&self.root]).filter_map(|manifest| match manifest {
            AnyManifest::Manifest(document) => Some(document),
            AnyManifest::Index(_) => None,
        })
    }

    /// Every config and layer once, in the order of the manifests. Layers that live elsewhere by design are left
    /// out: no registry takes them.
    pub fn blobs(&self) -> Vec<Descriptor> {
        let mut seen = BTreeSet::new();
        self.images()
            .flat_map(|image| image.value().layers.iter().chain([&image.value().config]))
            .filter(|blob| !blob.media_type.is_foreign_layer() && seen.insert(blob.digest))
            .cloned()
            .collect()
    }

    /// Reads the config of one image of this bundle.
    pub async fn config(
        &self,
        image: &Document<strata_oci::Manifest>,
    ) -> Result<Document<ImageConfig>, ReadError> {
        let bytes = read_small(&*self.origin, &image.value().config).await?;
        let unusable = |source| ReadError::Document {
            what: format!("config of `{}`", image.digest()),
            source,
        };
        Document::parse_verified(bytes, image.value().config.digest).map_err(unusable)
    }
}

fn collect<'a>(
    manifest: &'a AnyManifest,
    origin: &'a Arc<dyn Origin>,
    image: &'a str,
    depth: u32,
    seen: &'a mut BTreeSet<Digest>,
    found: &'a mut Vec<AnyManifest>,
) -> BoxFuture<'a, Result<(), ReadError>> {
    async move {
        let AnyManifest::Index(index) = manifest else { return Ok(()) };
        for row in &index.value().manifests {
            if !seen.insert(row.digest) {
                continue;
            }
            if depth == 0 || seen.len() > MAX_MANIFESTS {
                return Err(ReadError::TooDeep { image: image.to_owned() });
            }
            let child = origin.manifest(row).await?;
            collect(&child, origin, image, depth - 1, seen, found).await?;
            found.push(child);
        }
        Ok(())
    }
    .boxed()
}

/// Reads a config whole. Configs are the only blobs that are ever held in memory, and bounded.
pub(crate) async fn read_small(
    origin: &dyn Origin,
    descriptor: &Descriptor,
) -> Result<Vec<u8>, ReadError> {
    use futures_util::TryStreamExt;
    use strata_oci::Format;

    let limit = ImageConfig::LIMIT;
    let size = usize::try_from(descriptor.size).unwrap_or(usize::MAX);
    if size > limit {
        let source = strata_oci::DocumentError::TooLarge { name: ImageConfig::NAME, size, limit };
        return Err(ReadError::Document { what: format!("blob `{}`", descriptor.digest), source });
    }
    let stream = origin.blob(descriptor).await?;
    stream
        .try_fold(Vec::with_capacity(size), |mut whole, bytes| async move {
            whole.extend_from_slice(&bytes);
            Ok(whole)
        })
        .await
}
