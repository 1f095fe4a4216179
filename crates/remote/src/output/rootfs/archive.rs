//! A root file system as one tar.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strata_layer::{Content, EncodeOptions, OpenContent, encode};
use strata_oci::{Compression, DiffId};
use strata_tree::{ApplyError, Change, ChangeSet, Entry, LeafKind, Tree, TreePath};

use super::{Bodies, Body, Squash};
use crate::error::WriteError;
use crate::output::Sink;
use crate::stream::blocking;

/// Writes root file systems, each below its own directory if it has one, as one tar.
///
/// The tar is in the order of a walk, whatever layer a file came from, so that squashing equal trees gives equal
/// bytes. Layers can be read front to back only: the bodies that survived are collected in one unnamed file in
/// `scratch`, in the order in which the layers have them.
pub(crate) async fn write(
    roots: &[(Option<TreePath>, Squash)],
    scratch: &Path,
    sink: Sink,
) -> Result<(), WriteError> {
    let path = sink.path().to_owned();
    let mut spool = {
        let (scratch, path) = (scratch.to_owned(), path.clone());
        blocking(move || Spool::new(&scratch, path)).await?
    };
    let mut changes = Vec::new();
    for (prefix, squash) in roots {
        spool.want(squash.tree());
        spool = squash.read(spool).await?;
        changes.extend(rows(squash.tree(), prefix.as_ref())?);
    }
    let changes = ChangeSet::new(changes);
    blocking(move || {
        let mut sink = sink;
        let options = EncodeOptions { compression: Compression::None, ..EncodeOptions::default() };
        encode(&changes, &spool, &options, &mut sink)
            .map_err(|source| WriteError::Encode { path, source })?;
        sink.finish()
    })
    .await
}

/// The whole tree as changes to nothing, below `prefix`.
fn rows(
    tree: &Tree<Content>,
    prefix: Option<&TreePath>,
) -> Result<Vec<Change<Content>>, ApplyError> {
    let whole = Tree::default().diff(tree);
    let Some(prefix) = prefix else { return Ok(whole.into_iter().collect()) };
    let below = |path: &TreePath| {
        prefix
            .append(path)
            .map_err(|_| ApplyError::BrokenLink { path: path.clone(), target: prefix.clone() })
    };
    let root = Entry::Directory(tree.root().metadata.clone());
    let mut rows = vec![Change::Put { path: prefix.clone(), entry: root }];
    for change in whole {
        rows.push(match change {
            Change::Put { path, .. } if path.is_root() => continue,
            Change::Put { path, entry } => Change::Put { path: below(&path)?, entry },
            Change::Link { path, target } => {
                Change::Link { path: below(&path)?, target: below(&target)? }
            }
            Change::Remove { path } => Change::Remove { path: below(&path)? },
            Change::Opaque { path } => Change::Opaque { path: below(&path)? },
        });
    }
    Ok(rows)
}

/// File bodies one after the other.
#[derive(Debug)]
struct Spool {
    file: Arc<File>,
    end: u64,
    /// Where each wanted body begins, once it is there.
    places: HashMap<Body, Option<u64>>,
    destination: PathBuf,
}

impl Spool {
    fn new(scratch: &Path, destination: PathBuf) -> Result<Self, WriteError> {
        let fail = |source| WriteError::File { path: scratch.to_owned(), source };
        let file = Arc::new(tempfile::tempfile_in(scratch).map_err(fail)?);
        Ok(Self { file, end: 0, places: HashMap::new(), destination })
    }

    fn want(&mut self, tree: &Tree<Content>) {
        for (_, node) in tree.walk() {
            if let Some(leaf) = node.as_leaf()
                && let LeafKind::File { content: Content::Layer { diff_id, offset }, .. } =
                    leaf.kind
            {
                self.places.entry((diff_id, offset)).or_default();
            }
        }
    }
}

impl Bodies for Spool {
    fn wants_layer(&self, layer: DiffId) -> bool {
        self.places.iter().any(|((diff_id, _), place)| *diff_id == layer && place.is_none())
    }

    fn destination(&self) -> &Path {
        &self.destination
    }

    fn take(&mut self, body: Body, bytes: &mut dyn Read) -> io::Result<()> {
        if let Some(place @ None) = self.places.get_mut(&body) {
            *place = Some(self.end);
            self.end += io::copy(bytes, &mut &*self.file)?;
        }
        Ok(())
    }
}

impl OpenContent for Spool {
    fn open(&self, content: &Content, size: u64) -> io::Result<Box<dyn Read + Send>> {
        let Content::Layer { diff_id, offset } = content else {
            return Err(io::Error::other("a layer's file is not in a layer"));
        };
        let place = self.places.get(&(*diff_id, *offset)).copied().flatten();
        let position = place.ok_or_else(|| {
            let message = "the layer's index names a file that the layer does not have";
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        Ok(Box::new(Slice { file: Arc::clone(&self.file), position, left: size }))
    }
}

struct Slice {
    file: Arc<File>,
    position: u64,
    left: u64,
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..length], self.position)?;
        self.position += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
