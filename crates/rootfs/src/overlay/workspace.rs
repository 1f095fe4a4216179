//! A stack of directories and the tree that they show.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use strata_layer::{Content, OpenContent};
use strata_sys::mount::{MountError, detach};
use strata_sys::{Dir, Errno};
use strata_tree::{ApplyError, ChangeSet, Tree, TreePath};

use super::base::Base;
use super::layer::Layer;
use super::stack::Stack;
use super::{mount, scan};
use crate::body;
use crate::changes::{applicable, located, place};
use crate::compare::Comparison;
use crate::contents::{DiskContents, open_file};
use crate::entry;
use crate::error::SnapshotError;
use crate::medium::Standing;
use crate::owners::{self, Owners};
use crate::scratch::Scratch;
use crate::snapshotter::Workspace;
use crate::state::State;

/// The kernel stacks 500 (`OVL_MAX_STACK`); a few are left for the layers of one step.
const MOST_LOWERS: usize = 480;

#[derive(Debug)]
pub(super) struct OverlayWorkspace {
    state: Arc<State>,
    base: Arc<Base>,
    /// What came on top of the base.
    own: Stack,
    tree: Tree<Content>,
    running: Option<Running>,
}

/// A root that is mounted.
#[derive(Debug)]
struct Running {
    merged: PathBuf,
    upper: Arc<Path>,
    scratch: Option<Scratch>,
    mounted: bool,
}

impl Running {
    fn unmount(&mut self) -> Result<(), MountError> {
        if std::mem::take(&mut self.mounted) { detach(&self.merged) } else { Ok(()) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Before the directories go, which are the fields' business.
        if let Err(error) = self.unmount() {
            tracing::debug!(path = %self.merged.display(), %error, "a root was not mounted any more");
        }
    }
}

impl OverlayWorkspace {
    pub(super) fn new(state: Arc<State>, base: Arc<Base>) -> Self {
        let tree = base.tree.clone();
        Self { state, base, own: Stack::on(&tree), tree, running: None }
    }

    fn start(&mut self) -> Result<Running, SnapshotError> {
        let scratch = Scratch::new(self.state.work(), "layer-")?;
        let upper: Arc<Path> = scratch.directory("fs")?.into();
        let work = scratch.directory("work")?;
        let merged = scratch.directory("merged")?;
        // The root of an overlay looks as the upper directory does.
        let root = self.tree.get(&TreePath::root()).map(Standing::of);
        if let Some(root) = root {
            let root = self.state.medium().project(&root);
            Dir::open(&upper)
                .and_then(|dir| entry::dress(&dir, b".", &root))
                .map_err(disk(&upper))?;
        }
        let layers = self.own.newest_first().chain(self.base.layers.iter().rev());
        let mut lowers: Vec<_> = layers.map(|layer| layer.directory.to_path_buf()).collect();
        if lowers.is_empty() {
            lowers.push(scratch.directory("empty")?);
        }
        mount(lowers, &upper, &work, &merged).map_err(SnapshotError::Mount)?;
        Ok(Running { merged, upper, scratch: Some(scratch), mounted: true })
    }

    /// Replaces the stack by one directory that holds everything: slow, and right.
    fn flatten(&mut self) -> Result<(), SnapshotError> {
        let whole = Tree::default().diff(&self.tree);
        let (layer, _) = Layer::write(&self.state, &whole, &DiskContents, &self.tree)?;
        let moved = place(whole, |path, _| located(&layer.directory, path));
        let mut tree = Tree::default();
        tree.apply(&moved).map_err(|source| SnapshotError::Apply {
            layer: "the flattened stack".to_owned(),
            source,
        })?;
        self.tree = tree.clone();
        self.own = Stack::on(&tree);
        self.base = Arc::new(Base { layers: vec![layer], tree });
        Ok(())
    }
}

impl Workspace for OverlayWorkspace {
    fn tree(&self) -> &Tree<Content> {
        &self.tree
    }

    fn owners(&self) -> Owners {
        owners::of(&self.tree, self.state.medium())
    }

    fn root(&mut self) -> Result<PathBuf, SnapshotError> {
        if let Some(running) = &self.running {
            return Ok(running.merged.clone());
        }
        if let Some(tree) = self.own.merge(&self.state, &self.tree)? {
            self.tree = tree;
        }
        if self.base.layers.len() + self.own.len() > MOST_LOWERS {
            self.flatten()?;
        }
        let running = match self.start() {
            // A kernel that takes all names in one page of options.
            Err(SnapshotError::Mount(error)) if error.source == Errno::TOOBIG => {
                self.flatten()?;
                self.start()?
            }
            other => other?,
        };
        let merged = running.merged.clone();
        self.running = Some(running);
        Ok(merged)
    }

    fn apply(
        &mut self,
        changes: &ChangeSet<Content>,
        contents: &dyn OpenContent,
    ) -> Result<(), SnapshotError> {
        if self.running.is_some() {
            return Err(SnapshotError::ChangesPending);
        }
        let changes = applicable(changes, &self.tree);
        if changes.is_empty() {
            return Ok(());
        }
        let fail = |source| SnapshotError::Apply { layer: "the step".to_owned(), source };
        let mut tree = self.tree.clone();
        tree.apply(&changes).map_err(fail)?;
        let (layer, unresolved) = Layer::write(&self.state, &changes, contents, &tree)?;
        if let Some((path, target)) = unresolved.into_iter().next() {
            return Err(fail(ApplyError::BrokenLink { path, target }));
        }
        let changes = place(changes, |path, _| located(&layer.directory, path));
        self.tree.apply(&changes).map_err(fail)?;
        self.own.push(layer, changes.len(), &self.tree);
        Ok(())
    }

    fn take_changes(
        &mut self,
        ignore: &[TreePath],
        owners: Option<&Owners>,
    ) -> Result<ChangeSet<Content>, SnapshotError> {
        let Some(mut running) = self.running.take() else { return Ok(ChangeSet::default()) };
        let (upper, scratch) = (Arc::clone(&running.upper), running.scratch.take());
        running.unmount().map_err(SnapshotError::Mount)?;
        let mut comparison = Comparison::new(&self.tree, self.state.medium(), owners);
        scan::scan(&upper, &self.tree, &mut comparison)?;
        let mut same = |path: &TreePath, before: &Content| same_bytes(&upper, path, before);
        let outcome = comparison.conclude(ignore, &upper, &mut same)?;
        outcome.tidy(&upper, self.state.medium())?;
        if !outcome.changes.is_empty() {
            self.tree = outcome.tree;
            if let Some(scratch) = scratch {
                self.own.push(Layer::own(upper, scratch), outcome.changes.len(), &self.tree);
            }
        }
        Ok(outcome.changes)
    }

    fn keeps_changes(&self) -> bool {
        true
    }

    fn fork(&self) -> Result<Box<dyn Workspace>, SnapshotError> {
        if self.running.is_some() {
            return Err(SnapshotError::ChangesPending);
        }
        Ok(Box::new(Self {
            state: Arc::clone(&self.state),
            base: Arc::clone(&self.base),
            own: self.own.clone(),
            tree: self.tree.clone(),
            running: None,
        }))
    }
}

/// Whether a file was copied up and nothing else.
fn same_bytes(upper: &Path, path: &TreePath, before: &Content) -> Result<bool, SnapshotError> {
    let Content::Disk { directory, path: old_path } = before else { return Ok(false) };
    let compare = || {
        let mut now = open_file(upper, path)?;
        let mut old = open_file(directory, old_path)?;
        body::same_bytes(&mut now, &mut old)
    };
    compare().map_err(|source| SnapshotError::Compare { path: path.clone(), source })
}

fn disk(directory: &Path) -> impl FnOnce(strata_sys::PathError) -> SnapshotError + use<'_> {
    |source| SnapshotError::Disk { directory: directory.to_owned(), path: TreePath::root(), source }
}
