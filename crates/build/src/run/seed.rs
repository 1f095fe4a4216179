//! What a cache directory begins with: `--mount=type=cache,from=…,source=…`.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use strata_layer::{Content, OpenContent};
use strata_oci::{Digest, Hasher};
use strata_plan::{MountFrom, Origin};
use strata_rootfs::{Snapshotter, WalkSnapshotter};
use strata_tree::lookup::Last;
use strata_tree::{Change, ChangeSet, Entry, Leaf, LeafKind, Node, Resolved, Tree};

use crate::blocking::blocking;
use crate::contents::Contents;
use crate::copy::{Copier, CopyError, CopyOptions, Destination, Owner};
use crate::error::ErrorKind;
use crate::kept_mount;
use crate::spool;
use crate::stage::Running;

/// The files, and whose they are: a directory that began with others is another directory.
#[derive(Debug, Clone)]
pub(super) struct Seed {
    pub(super) identity: Digest,
    files: ChangeSet<Content>,
    contents: Arc<Contents>,
}

/// Finds out what a cache directory begins with. Fetches no bytes of layers.
pub(super) async fn prepare(running: &Running, from: &MountFrom) -> Result<Seed, ErrorKind> {
    let tree = running.origin_tree(from.origin).await?;
    let files = select(&tree, from)?;
    let contents = Arc::clone(&running.session.contents);
    let layers = match from.origin {
        Origin::Stage(id) => {
            let output = running.stage(id).await.map_err(|_| ErrorKind::Cancelled)?;
            Some(output.layers.iter().map(|layer| layer.layer.diff_id).collect())
        }
        Origin::Image(id) => {
            let layers = running.session.plan.image(id).layers().iter();
            Some(layers.map(|layer| layer.diff_id).collect())
        }
        Origin::Scratch => Some(Vec::new()),
        Origin::Context(_) => None,
    };
    let written = from.path.clone();
    blocking(move || {
        let mut hasher = Hasher::new();
        hasher.update(written.as_bytes());
        match layers {
            Some(layers) => layers.iter().for_each(|layer| hasher.update(layer.0.as_bytes())),
            None => hash_files(&mut hasher, &files, &contents).map_err(|source| {
                let what = format!("`{written}` for a cache mount");
                ErrorKind::Io { action: "read", what, source }
            })?,
        }
        Ok(Seed { identity: hasher.finish(), files, contents })
    })
    .await
}

fn select(tree: &Tree<Content>, from: &MountFrom) -> Result<ChangeSet<Content>, ErrorKind> {
    let found = tree.resolve(&from.path, Last::Follow).map_err(CopyError::Lookup)?;
    let Resolved::Found { path, node: Node::Directory(_) } = found else {
        let origin = "the source of the cache mount".to_owned();
        return Err(ErrorKind::MountSourceMissing { path: from.path.clone(), origin });
    };
    let owner = match from.origin {
        // Files of a context belong to root, whoever owns them on the host.
        Origin::Context(_) => Some(Owner { uid: 0, gid: 0 }),
        Origin::Stage(_) | Origin::Image(_) | Origin::Scratch => None,
    };
    let mut copier = Copier::new(&Tree::default());
    let options = CopyOptions { owner, ..CopyOptions::default() };
    copier.copy(tree, &path, Destination(b"/"), &options)?;
    Ok(copier.finish())
}

fn hash_files(
    hasher: &mut Hasher,
    files: &ChangeSet<Content>,
    contents: &Contents,
) -> io::Result<()> {
    for change in files {
        hasher.update(change.path().as_bytes());
        hasher.update(&[0]);
        let Change::Put { entry, .. } = change else { continue };
        hasher.update(&entry.metadata().mode.to_be_bytes());
        let Entry::Leaf(Leaf { kind: LeafKind::File { content, size }, .. }) = entry else {
            continue;
        };
        hasher.update(&size.to_be_bytes());
        let mut reader = contents.open(content, *size)?;
        let mut buffer = vec![0; 128 << 10];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

impl Seed {
    /// Makes the bytes readable that lie inside layers.
    pub(super) async fn gather(self, running: &Running) -> Result<Self, ErrorKind> {
        let files = spool::gather(&running.session, self.files).await?;
        Ok(Self { files, ..self })
    }

    /// Makes `data` in a slot, which has none. Whoever is stopped on the way leaves no half of it.
    pub(super) fn plant(&self, slot: &Path) -> Result<(), ErrorKind> {
        let nursery = kept_mount::nursery(slot)?;
        let mut workspace = WalkSnapshotter::open(nursery.path())?.create(Vec::new())?;
        workspace.apply(&self.files, &*self.contents)?;
        kept_mount::settle(slot, workspace)
    }
}

#[cfg(test)]
mod tests {
    use strata_tree::{Metadata, TreePath};

    use super::*;

    #[test]
    fn slot_is_filled_at_once() {
        let slot = tempfile::tempdir().expect("a temporary directory can be made");
        let path = |text: &str| TreePath::parse(text).expect("is a path");
        let content = Content::Inline(Arc::from(&b"x"[..]));
        let kind = LeafKind::File { size: 1, content };
        let metadata = Metadata { mode: 0o640, ..Metadata::default() };
        let files = ChangeSet::new(vec![
            Change::Put {
                path: path("d"),
                entry: Entry::Directory(Metadata { mode: 0o750, ..Metadata::default() }),
            },
            Change::Put { path: path("d/f"), entry: Entry::Leaf(Leaf { metadata, kind }) },
        ]);
        let seed =
            Seed { identity: Digest::of(b""), files, contents: Arc::new(Contents::default()) };
        seed.plant(slot.path()).expect("is empty");
        let text = std::fs::read_to_string(slot.path().join("data/d/f")).expect("was written");
        assert_eq!(text, "x");
        let left: Vec<_> = std::fs::read_dir(slot.path())
            .expect("is a directory")
            .map(|entry| entry.expect("can be listed").file_name())
            .collect();
        assert_eq!(left, ["data"]);
    }
}
