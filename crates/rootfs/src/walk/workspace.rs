//! A directory, the tree that it shows, and what it was like.

use std::collections::{HashMap, HashSet};
use std::hash::RandomState;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strata_layer::{Content, OpenContent};
use strata_sys::{Dir, Kind, PathError};
use strata_tree::{Change, ChangeSet, Entry, Leaf, LeafKind, Node, Tree, TreePath};

use super::index::Index;
use super::scan::scan;
use crate::body::{self, Fingerprint};
use crate::changes::{applicable, located, place};
use crate::compare::Comparison;
use crate::contents::{DiskContents, open_file};
use crate::descent::{Descent, Obstacle};
use crate::entry::{self, Identity};
use crate::error::SnapshotError;
use crate::owners::{self, Owners};
use crate::scratch::Scratch;
use crate::snapshotter::{BaseLayer, Workspace};
use crate::space;
use crate::state::State;
use crate::unpack::{put, unpack};
use crate::writer::{Form, WriteError, Writer};

pub(super) struct WalkWorkspace {
    state: Arc<State>,
    directory: Arc<Path>,
    tree: Tree<Content>,
    /// Of every regular file, taken while its bytes passed by.
    fingerprints: HashMap<TreePath, Fingerprint>,
    keys: RandomState,
    /// What the directory was like when the tree was last known to be right.
    index: Option<Index>,
    running: bool,
    // Last, and so dropped last.
    scratch: Scratch,
}

impl std::fmt::Debug for WalkWorkspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WalkWorkspace").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl WalkWorkspace {
    fn empty(state: Arc<State>, keys: RandomState) -> Result<Self, SnapshotError> {
        let scratch = Scratch::new(state.work(), "walk-")?;
        let directory: Arc<Path> = scratch.directory("root")?.into();
        let fingerprints = HashMap::new();
        let (tree, index) = (Tree::default(), None);
        Ok(Self { state, directory, tree, fingerprints, keys, index, running: false, scratch })
    }

    pub(super) fn new(state: Arc<State>, base: Vec<BaseLayer>) -> Result<Self, SnapshotError> {
        space::require(state.work(), base.iter().map(|layer| layer.size))?;
        let mut workspace = Self::empty(state, RandomState::new())?;
        workspace.commit(&ChangeSet::default(), &DiskContents)?;
        for layer in base {
            let diff_id = layer.diff_id;
            let state = Arc::clone(&workspace.state);
            let mut writer = workspace.writer(&state)?;
            let changes = unpack(layer, &mut writer)?;
            let changes = place(changes, |path, _| located(&workspace.directory, path));
            workspace.settle(writer, &changes, &format!("layer `{diff_id}`"))?;
        }
        Ok(workspace)
    }

    fn writer<'a>(&self, state: &'a State) -> Result<Writer<'a>, SnapshotError> {
        let root = Dir::open(&self.directory).map_err(disk(&self.directory, &TreePath::root()))?;
        Ok(Writer::new(root, state.medium(), Form::Plain, Some(self.keys.clone())))
    }

    /// Writes changes whose files come from elsewhere.
    fn commit(
        &mut self,
        changes: &ChangeSet<Content>,
        contents: &dyn OpenContent,
    ) -> Result<(), SnapshotError> {
        let state = Arc::clone(&self.state);
        let mut writer = self.writer(&state)?;
        put(changes, contents, &mut writer, &self.directory)?;
        let changes = place(changes.clone(), |path, _| located(&self.directory, path));
        self.settle(writer, &changes, "the step")
    }

    /// Finishes what was written, and brings the tree and the fingerprints up to it.
    fn settle(
        &mut self,
        writer: Writer<'_>,
        changes: &ChangeSet<Content>,
        layer: &str,
    ) -> Result<(), SnapshotError> {
        self.index = None;
        self.tree
            .apply(changes)
            .map_err(|source| SnapshotError::Apply { layer: layer.to_owned(), source })?;
        let written = writer
            .finish(changes, Some(&self.tree))
            .map_err(|error: WriteError| error.into_snapshot_error(&self.directory))?;
        self.fingerprints.extend(written.fingerprints);
        self.relocate()
    }

    /// Lets each file's content name a path at which it still stands: the one that a hard-linked file was
    /// known by may be gone, or another file.
    fn relocate(&mut self) -> Result<(), SnapshotError> {
        let mut moved: HashMap<*const Leaf<Content>, TreePath> = HashMap::new();
        let mut changes = Vec::new();
        for (path, node) in self.tree.walk() {
            let Node::Leaf(leaf) = &node else { continue };
            let LeafKind::File { content: Content::Disk { path: known, .. }, .. } = &leaf.kind
            else {
                continue;
            };
            if *known == path || self.tree.get(known).is_some_and(|other| other.is_same_file(&node))
            {
                continue;
            }
            if let Some(target) = moved.get(&Arc::as_ptr(leaf)) {
                changes.push(Change::Link { path, target: target.clone() });
                continue;
            }
            moved.insert(Arc::as_ptr(leaf), path.clone());
            changes.push(Change::Put { path, entry: Entry::Leaf((**leaf).clone()) });
        }
        let changes = place(ChangeSet::new(changes), |path, _| located(&self.directory, path));
        self.tree
            .apply(&changes)
            .map_err(|source| SnapshotError::Apply { layer: "the last command".to_owned(), source })
    }

    /// Tells a comparison what is not certainly as it was.
    fn compare(
        &self,
        before: &Index,
        now: &Index,
        comparison: &mut Comparison<'_>,
    ) -> Result<Vec<(TreePath, Identity)>, SnapshotError> {
        let root = Dir::open(&self.directory).map_err(disk(&self.directory, &TreePath::root()))?;
        let mut descent = Descent::new(root);
        let young: HashSet<Identity> = now
            .records
            .iter()
            .filter(|(path, record)| !before.is_unchanged(path, record))
            .map(|(_, record)| record.identity)
            .collect();
        // By inode, because all names of a file must be told, also those that a renamed directory left behind.
        let mut suspects: Vec<_> =
            now.records.iter().filter(|(_, record)| young.contains(&record.identity)).collect();
        suspects.sort_by(|a, b| a.0.cmp(b.0));
        let mut files = Vec::new();
        for (path, record) in suspects {
            let parent = path.parent().unwrap_or_default();
            let name = path.file_name().unwrap_or(b".");
            let standing = descent
                .directory(&parent, Obstacle::Fail)
                .and_then(|dir| entry::read(dir, name, &dir.metadata(name)?))
                .map_err(disk(&self.directory, path))?;
            let Some(standing) = standing else { continue };
            let shared = record.kind != Kind::Dir && record.links > 1;
            comparison.stands(path.clone(), standing, shared.then_some(record.identity));
            if record.kind == Kind::File {
                files.push((path.clone(), record.identity));
            }
        }
        for path in before.records.keys() {
            if !now.records.contains_key(path) {
                comparison.gone(path.clone());
            }
        }
        Ok(files)
    }

    /// Reads the fingerprints of files that may have changed. Hard links are read once.
    fn read_fingerprints(
        &self,
        files: Vec<(TreePath, Identity)>,
    ) -> Result<HashMap<TreePath, Fingerprint>, SnapshotError> {
        let mut known: HashMap<Identity, Fingerprint> = HashMap::new();
        let mut fingerprints = HashMap::new();
        for (path, identity) in files {
            let fingerprint = match known.get(&identity) {
                Some(fingerprint) => *fingerprint,
                None => open_file(&self.directory, &path)
                    .and_then(|mut file| body::fingerprint(&mut file, &self.keys))
                    .map_err(|source| SnapshotError::Compare { path: path.clone(), source })?,
            };
            known.insert(identity, fingerprint);
            fingerprints.insert(path, fingerprint);
        }
        Ok(fingerprints)
    }
}

impl Workspace for WalkWorkspace {
    fn tree(&self) -> &Tree<Content> {
        &self.tree
    }

    fn owners(&self) -> Owners {
        owners::of(&self.tree, self.state.medium())
    }

    fn root(&mut self) -> Result<PathBuf, SnapshotError> {
        if self.index.is_none() {
            self.index = Some(scan(&self.directory, self.scratch.path())?);
        }
        self.running = true;
        Ok(self.directory.to_path_buf())
    }

    fn apply(
        &mut self,
        changes: &ChangeSet<Content>,
        contents: &dyn OpenContent,
    ) -> Result<(), SnapshotError> {
        if self.running {
            return Err(SnapshotError::ChangesPending);
        }
        let changes = applicable(changes, &self.tree);
        if changes.is_empty() { Ok(()) } else { self.commit(&changes, contents) }
    }

    fn take_changes(
        &mut self,
        ignore: &[TreePath],
        owners: Option<&Owners>,
    ) -> Result<ChangeSet<Content>, SnapshotError> {
        let before = match self.index.take() {
            Some(index) if std::mem::take(&mut self.running) => index,
            index => {
                self.index = index;
                return Ok(ChangeSet::default());
            }
        };
        let now = scan(&self.directory, self.scratch.path())?;
        let mut comparison = Comparison::new(&self.tree, self.state.medium(), owners);
        let files = self.compare(&before, &now, &mut comparison)?;
        let fresh = self.read_fingerprints(files)?;
        let mut same = |path: &TreePath, _: &Content| {
            let (old, new) = (self.fingerprints.get(path), fresh.get(path));
            Ok(old.is_some() && old == new)
        };
        let outcome = comparison.conclude(ignore, &self.directory, &mut same)?;
        outcome.tidy(&self.directory, self.state.medium())?;
        self.tree = outcome.tree;
        self.fingerprints.retain(|path, _| now.records.contains_key(path));
        self.fingerprints.extend(fresh);
        self.index = Some(now);
        self.relocate()?;
        Ok(outcome.changes)
    }

    fn keeps_changes(&self) -> bool {
        false
    }

    fn fork(&self) -> Result<Box<dyn Workspace>, SnapshotError> {
        if self.running {
            return Err(SnapshotError::ChangesPending);
        }
        let mut fork = Self::empty(Arc::clone(&self.state), self.keys.clone())?;
        let whole = Tree::default().diff(&self.tree);
        fork.commit(&whole, &DiskContents)?;
        Ok(Box::new(fork))
    }
}

fn disk<'a>(
    directory: &'a Path,
    path: &'a TreePath,
) -> impl FnOnce(PathError) -> SnapshotError + use<'a> {
    move |source| SnapshotError::Disk {
        directory: directory.to_owned(),
        path: path.clone(),
        source,
    }
}
