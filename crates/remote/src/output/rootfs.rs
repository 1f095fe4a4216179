//! The root file system of an image: what its layers come to, in a directory or as one tar.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use strata_build::ports::Images;
use strata_layer::{Content, DecodeError, Extent, Limits, decode};
use strata_oci::{DiffId, Image, LayerRef};
use strata_tree::{Change, Tree};

use crate::error::{ReadError, WriteError};
use crate::stream::blocking;

pub(crate) mod archive;
pub(crate) mod directory;

/// Who owns the files of a root file system that is written into a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// Whoever owns them in the image; needs privilege over those ids.
    Image,
    /// Whoever runs the build, as with other builders.
    Caller,
}

/// A file's bytes: in which layer, and where.
pub(crate) type Body = (DiffId, u64);

/// What the layers of an image come to, and the layers.
#[derive(Debug)]
pub(crate) struct Squash {
    tree: Tree<Content>,
    layers: Vec<LayerRef>,
    images: Arc<dyn Images>,
}

/// Takes the bodies of files as layers are read.
pub(crate) trait Bodies: Send {
    /// Whether anything of this layer is missing.
    fn wants_layer(&self, layer: DiffId) -> bool;
    /// Where they go, for messages.
    fn destination(&self) -> &Path;
    /// Takes a body if it is one that is missing.
    fn take(&mut self, body: Body, bytes: &mut dyn Read) -> io::Result<()>;
}

impl Squash {
    pub(crate) async fn of(image: &Image, images: Arc<dyn Images>) -> Result<Self, WriteError> {
        let fetches = image.layers.iter().map(|layer| images.fetch(layer));
        futures_util::future::try_join_all(fetches).await?;
        let mut tree = Tree::default();
        for layer in &image.layers {
            let index = images.index(layer).await?;
            tree.apply(&(*index).clone().into_contents(layer.diff_id))?;
        }
        Ok(Self { tree, layers: image.layers.clone(), images })
    }

    pub(crate) fn tree(&self) -> &Tree<Content> {
        &self.tree
    }

    /// Reads every layer that holds something wanted, once, lowest first.
    pub(crate) async fn read<B: Bodies + 'static>(&self, mut bodies: B) -> Result<B, WriteError> {
        for layer in &self.layers {
            if bodies.wants_layer(layer.diff_id) {
                let (images, layer) = (Arc::clone(&self.images), layer.clone());
                bodies = blocking(move || read_layer(&*images, &layer, bodies)).await?;
            }
        }
        Ok(bodies)
    }
}

struct Sink<B> {
    layer: DiffId,
    bodies: B,
}

impl<B: Bodies> strata_layer::Sink for Sink<B> {
    fn change(&mut self, change: Change<Extent>, body: &mut dyn Read) -> io::Result<()> {
        use strata_tree::{Entry, LeafKind};
        if let Change::Put { entry: Entry::Leaf(leaf), .. } = change
            && let LeafKind::File { content, .. } = leaf.kind
        {
            return self.bodies.take((self.layer, content.offset), body);
        }
        Ok(())
    }
}

fn read_layer<B: Bodies>(
    images: &dyn Images,
    layer: &LayerRef,
    bodies: B,
) -> Result<B, WriteError> {
    let fail = |source| WriteError::Read(ReadError::Layer { digest: layer.blob.digest, source });
    let reader = images.open(layer).map_err(fail)?;
    let mut sink = Sink { layer: layer.diff_id, bodies };
    match decode(reader, &mut sink, &Limits::default()) {
        Ok(decoded) if decoded.diff_id == layer.diff_id => Ok(sink.bodies),
        Ok(decoded) => {
            let message = format!("layer has diff id `{}`", decoded.diff_id);
            Err(fail(io::Error::new(io::ErrorKind::InvalidData, message)))
        }
        Err(DecodeError::Read(source)) => Err(fail(source)),
        Err(DecodeError::Sink { source, .. }) => {
            Err(WriteError::File { path: sink.bodies.destination().to_owned(), source })
        }
        Err(error) => Err(fail(io::Error::new(io::ErrorKind::InvalidData, error))),
    }
}
