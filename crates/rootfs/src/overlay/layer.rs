//! One directory of a stack.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use strata_layer::{Content, OpenContent};
use strata_sys::Dir;
use strata_tree::{ChangeSet, Tree, TreePath};

use crate::error::SnapshotError;
use crate::scratch::Scratch;
use crate::state::State;
use crate::unpack::{link, put};
use crate::writer::{Form, WriteError, Writer};

/// A directory that others are stacked on. One of a workspace's own goes when nobody stacks it any more.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) directory: Arc<Path>,
    own: Option<Arc<Scratch>>,
}

impl Layer {
    /// A directory that stays.
    pub(super) fn shared(directory: Arc<Path>) -> Self {
        Self { directory, own: None }
    }

    /// A directory somewhere in `scratch`.
    pub(super) fn own(directory: Arc<Path>, scratch: Scratch) -> Self {
        Self { directory, own: Some(Arc::new(scratch)) }
    }

    /// Whether it stays when whoever asks lets go of it.
    pub(super) fn is_held(&self) -> bool {
        self.own.as_ref().is_none_or(|own| Arc::strong_count(own) > 1)
    }

    /// Writes changes as a directory. `tree` is what stands when they are applied. Gives the hard links, too, whose
    /// files are not among the changes.
    pub(super) fn write(
        state: &State,
        changes: &ChangeSet<Content>,
        contents: &dyn OpenContent,
        tree: &Tree<Content>,
    ) -> Result<(Self, Vec<(TreePath, TreePath)>), SnapshotError> {
        Self::made(state, changes, tree, |writer, directory| {
            put(changes, contents, writer, directory)
        })
    }

    /// [`write`](Self::write) with files that all stand somewhere: those in the directories `own` are linked, as they
    /// stand there with all that the changes say of them, and the others copied. The directories are to go away then:
    /// as long as a file has both names, a command sees two links.
    pub(super) fn gather(
        state: &State,
        changes: &ChangeSet<Content>,
        own: &HashSet<Arc<Path>>,
        tree: &Tree<Content>,
    ) -> Result<Self, SnapshotError> {
        let made = Self::made(state, changes, tree, |writer, directory| {
            link(changes, own, writer, directory)
        });
        // A difference holds the file of each link.
        made.map(|(layer, _)| layer)
    }

    fn made(
        state: &State,
        changes: &ChangeSet<Content>,
        tree: &Tree<Content>,
        fill: impl FnOnce(&mut Writer<'_>, &Path) -> Result<(), SnapshotError>,
    ) -> Result<(Self, Vec<(TreePath, TreePath)>), SnapshotError> {
        let scratch = Scratch::new(state.work(), "layer-")?;
        let directory: Arc<Path> = scratch.directory("fs")?.into();
        let root = Dir::open(&directory).map_err(|source| SnapshotError::Disk {
            directory: directory.to_path_buf(),
            path: TreePath::root(),
            source,
        })?;
        let mut writer = Writer::new(root, state.medium(), Form::Overlay, None);
        fill(&mut writer, &directory)?;
        let written = writer
            .finish(changes, Some(tree))
            .map_err(|error: WriteError| error.into_snapshot_error(&directory))?;
        Ok((Self::own(directory, scratch), written.unresolved))
    }
}
