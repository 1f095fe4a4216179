//! The two traits that the engine sees.

use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;

use strata_layer::{Content, OpenContent};
use strata_oci::DiffId;
use strata_tree::{ChangeSet, Tree, TreePath};

use crate::error::SnapshotError;
use crate::owners::Owners;

/// A layer to start from, with a way to get its bytes if they are needed.
pub struct BaseLayer {
    /// What the uncompressed bytes must hash to.
    pub diff_id: DiffId,
    /// How many bytes it takes at least when it is unpacked; 0 where nobody knows.
    pub size: u64,
    /// Yields the *uncompressed* tar. Called at most once, on a worker thread, and not at all if the layer
    /// stands unpacked already.
    pub open: Box<dyn FnOnce() -> io::Result<Box<dyn Read + Send>> + Send>,
}

impl fmt::Debug for BaseLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaseLayer").field("diff_id", &self.diff_id).finish_non_exhaustive()
    }
}

/// A way to keep the file systems of stages.
pub trait Snapshotter: fmt::Debug + Send + Sync {
    /// A short name for messages (`overlay`, `walk`).
    fn name(&self) -> &'static str;

    /// Unpacks the layers, lowest first, and verifies each against its diff id.
    ///
    /// Blocks until all of them stand on disk; several calls may run at the same time.
    fn create(&self, base: Vec<BaseLayer>) -> Result<Box<dyn Workspace>, SnapshotError>;
}

/// The file system of one stage.
///
/// A [`Content::Disk`] that comes from a workspace (in its tree, or in a change set it gave) can be opened
/// through [`DiskContents`](crate::DiskContents) until the next call of `root` or `apply`; afterwards the
/// file may have changed. Dropping the workspace unmounts and deletes what is its own.
pub trait Workspace: fmt::Debug + Send + Sync {
    /// What stands there: the base, everything applied and every change taken. Files are [`Content::Disk`].
    fn tree(&self) -> &Tree<Content>;

    /// What files are to seem to commands that have owners and devices faked: everything that is not root's, and
    /// what the disk cannot show.
    fn owners(&self) -> Owners;

    /// A directory to use as the root of the next command. The path is valid until the next call of `apply`,
    /// `take_changes` or drop; asking again before gives the same one.
    fn root(&mut self) -> Result<PathBuf, SnapshotError>;

    /// Puts changes on top, as a COPY does.
    ///
    /// A command's changes must have been taken before; they would be lost otherwise, and so this is
    /// [`SnapshotError::ChangesPending`] between `root` and `take_changes`.
    fn apply(
        &mut self,
        changes: &ChangeSet<Content>,
        contents: &dyn OpenContent,
    ) -> Result<(), SnapshotError>;

    /// What changed since `root`, canonical and with the parents of every change; from now on part of the
    /// tree. Without a `root` before, nothing changed. No process may use the root any more.
    ///
    /// `ignore` lists what the sandbox made as places to mount on, parents included. Such a path does not
    /// count and is removed again, unless it is a directory in which something else appeared; neither
    /// does the time that its making left on the directory above.
    ///
    /// The root directory's own time never counts: hardly any image has an entry for its root.
    ///
    /// `owners` says what files seemed to the command, where it saw other owners and devices than there are
    /// on disk: then it decides, for every path. Otherwise a file that still has the owner that stands for
    /// another one has kept that other one.
    fn take_changes(
        &mut self,
        ignore: &[TreePath],
        owners: Option<&Owners>,
    ) -> Result<ChangeSet<Content>, SnapshotError>;

    /// Whether files of changes that were taken stay as they are while the next command runs. They stay as long as a
    /// fork does that was made before it.
    fn keeps_changes(&self) -> bool;

    /// A workspace of its own with the same content, for a child stage. A command's changes must have been
    /// taken before ([`SnapshotError::ChangesPending`]).
    fn fork(&self) -> Result<Box<dyn Workspace>, SnapshotError>;
}
