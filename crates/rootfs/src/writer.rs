//! From changes to the disk.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::RandomState;
use std::io;
use std::ops::Bound;
use std::path::Path;

use strata_sys::{Dir, Errno, Kind, Node as SpecialFile, PathError};
use strata_tree::{Change, ChangeSet, Entry, Leaf, LeafKind, Metadata, Node, Tree, TreePath};

use crate::body::{self, Body, Fingerprint};
use crate::descent::{Descent, Obstacle};
use crate::entry;
use crate::error::SnapshotError;
use crate::medium::{Medium, Shape, Standing};

/// How removed files are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As an overlay's lower directory: whiteouts are 0/0 devices, opaque directories have a mark.
    Overlay,
    /// They are removed: the directory holds the whole file system.
    Plain,
}

/// An overlay's mark of a directory in which nothing of the lower ones shows.
pub(crate) const OPAQUE: &[u8] = b"user.overlay.opaque";

/// Why a change cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("cannot write `{path}`")]
    Disk {
        path: TreePath,
        #[source]
        source: PathError,
    },
    #[error("cannot write the content of `{path}`")]
    Body {
        path: TreePath,
        #[source]
        source: io::Error,
    },
}

impl WriteError {
    pub(crate) fn into_snapshot_error(self, directory: &Path) -> SnapshotError {
        match self {
            Self::Disk { path, source } => {
                SnapshotError::Disk { directory: directory.to_owned(), path, source }
            }
            Self::Body { path, source } => SnapshotError::Content { path, source },
        }
    }
}

/// What a change set left behind.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Of each regular file, if keys were given.
    pub(crate) fingerprints: HashMap<TreePath, Fingerprint>,
    /// Hard links to files that are not in this directory.
    pub(crate) unresolved: Vec<(TreePath, TreePath)>,
}

/// Puts the entries of one layer into one directory, in whatever order they come, so that it ends up as
/// [`Tree::apply`] has it: whatever entries a path has, its last counts; a directory with entries in it wins
/// over a file of the same name; removals never touch what the layer itself puts.
///
/// So entries are put as they come, and what depends on the whole layer waits for [`finish`](Self::finish):
/// removals, opaque marks, and the metadata of directories, whose times every new entry would change.
pub(crate) struct Writer<'a> {
    descent: Descent,
    medium: &'a Medium,
    form: Form,
    keys: Option<RandomState>,
    /// What this layer put.
    own: BTreeSet<TreePath>,
    /// Directories that get their metadata at the end.
    touched: BTreeSet<TreePath>,
    /// Directories that stand where something else stood: nothing below them shows.
    replaced: BTreeSet<TreePath>,
    /// Links whose target was not there when they came, and all of them if a file was put twice.
    relink: bool,
    fingerprints: HashMap<TreePath, Fingerprint>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(
        root: Dir,
        medium: &'a Medium,
        form: Form,
        keys: Option<RandomState>,
    ) -> Self {
        // Where there are no layers below, nobody else gives the root its metadata.
        let touched = (form == Form::Plain).then(TreePath::root).into_iter().collect();
        Self {
            descent: Descent::new(root),
            medium,
            form,
            keys,
            own: BTreeSet::new(),
            touched,
            replaced: BTreeSet::new(),
            relink: false,
            fingerprints: HashMap::new(),
        }
    }

    /// Puts one entry. Removals and opaque marks are left to [`finish`](Self::finish).
    pub(crate) fn write<C: Clone>(
        &mut self,
        change: &Change<C>,
        body: Body<'_>,
    ) -> Result<(), WriteError> {
        match change {
            Change::Put { path, entry: Entry::Directory(_) } => {
                self.directory(path).map_err(disk(path))
            }
            Change::Put { path, entry: Entry::Leaf(leaf) } => self.leaf(path, leaf, body),
            Change::Link { path, target } => self.link(path, target).map_err(disk(path)),
            Change::Remove { .. } | Change::Opaque { .. } => Ok(()),
        }
    }

    fn directory(&mut self, path: &TreePath) -> Result<(), PathError> {
        self.open(path)?;
        self.touched.insert(path.clone());
        self.touched.extend(path.parent());
        self.own.insert(path.clone());
        Ok(())
    }

    /// Opens a directory, and makes it and those above it where they are missing.
    fn open(&mut self, path: &TreePath) -> Result<&Dir, PathError> {
        let (touched, replaced) = (&mut self.touched, &mut self.replaced);
        let mut told = |made: TreePath, stood: Option<Kind>| {
            if stood.is_some() {
                replaced.insert(made.clone());
            }
            touched.extend(made.parent());
            touched.insert(made);
        };
        self.descent.directory(path, Obstacle::Clear(&mut told))
    }

    fn leaf<C: Clone>(
        &mut self,
        path: &TreePath,
        leaf: &Leaf<C>,
        body: Body<'_>,
    ) -> Result<(), WriteError> {
        let standing = self.medium.project(&Standing::of_leaf(&leaf.kind, &leaf.metadata));
        let (parent, name) = split(path).map_err(disk(path))?;
        if !self.clear(path, &parent, name).map_err(disk(path))? {
            return Ok(());
        }
        let keys = self.keys.clone();
        let dir = self.open(&parent).map_err(disk(path))?;
        let mut fingerprint = None;
        if let Shape::Leaf(LeafKind::File { size, .. }) = standing.shape {
            let file = dir.create_file(name, 0o600).map_err(disk(path))?;
            // A device that became an empty file has no fingerprint, but then it has no bytes either.
            fingerprint = body::write(body, size, &file, keys.as_ref())
                .map_err(|source| WriteError::Body { path: path.clone(), source })?;
        } else {
            make(dir, name, &standing.shape).map_err(disk(path))?;
        }
        entry::dress(dir, name, &standing).map_err(disk(path))?;
        if let Some(fingerprint) = fingerprint {
            self.fingerprints.insert(path.clone(), fingerprint);
        }
        self.touched.insert(parent);
        self.own.insert(path.clone());
        Ok(())
    }

    /// Puts a file that stands in another directory, with all that there is to say of it, as another name of the same.
    /// It changes for nobody: what stands in layers is never written to.
    pub(crate) fn adopt(
        &mut self,
        path: &TreePath,
        from: &Dir,
        from_name: &[u8],
    ) -> Result<(), WriteError> {
        let (parent, name) = split(path).map_err(disk(path))?;
        if self.clear(path, &parent, name).map_err(disk(path))? {
            let dir = self.open(&parent).map_err(disk(path))?;
            from.link(from_name, dir, name).map_err(disk(path))?;
            self.touched.insert(parent);
            self.own.insert(path.clone());
        }
        Ok(())
    }

    fn link(&mut self, path: &TreePath, target: &TreePath) -> Result<(), PathError> {
        let (parent, name) = split(path)?;
        let (target_parent, target_name) = split(target)?;
        if self.own.contains(path) && path == target {
            return Ok(());
        }
        // A name that will be linked at the end keeps its place in the layer's order.
        let from = match self.descent.directory(&target_parent, Obstacle::Fail) {
            Ok(dir) => dir.try_clone()?,
            Err(error) if absent(&error) => {
                self.relink = true;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if !from.metadata(target_name).is_ok_and(|found| found.kind != Kind::Dir) {
            self.relink = true;
            return Ok(());
        }
        if !self.clear(path, &parent, name)? {
            return Ok(());
        }
        from.link(target_name, self.open(&parent)?, name)?;
        if let Some(fingerprint) = self.fingerprints.get(target).copied() {
            self.fingerprints.insert(path.clone(), fingerprint);
        }
        self.touched.insert(parent);
        self.own.insert(path.clone());
        Ok(())
    }

    /// Makes room for a leaf, unless the layer has entries below it: then the directory stays.
    fn clear(
        &mut self,
        path: &TreePath,
        parent: &TreePath,
        name: &[u8],
    ) -> Result<bool, PathError> {
        let dir = self.open(parent)?;
        let stands = match dir.metadata(name) {
            Ok(found) => found.kind,
            Err(error) if error.is_not_found() => return Ok(true),
            Err(error) => return Err(error),
        };
        if stands != Kind::Dir {
            dir.unlink(name)?;
            self.relink |= self.own.contains(path);
            return Ok(true);
        }
        self.touched.insert(path.clone());
        if self.has_own_below(path) {
            self.replaced.insert(path.clone());
            return Ok(false);
        }
        self.open(parent)?.remove_all(name)?;
        self.descent.forget(path);
        self.touched.remove(path);
        Ok(true)
    }

    fn has_own_below(&self, path: &TreePath) -> bool {
        let mut after = self.own.range((Bound::Excluded(path), Bound::Unbounded));
        after.next().is_some_and(|next| next.starts_with(path))
    }

    /// Does what needs to know the whole layer. `changes` are all of it, canonical; `tree` is what they lead
    /// to, if that is known: it has the metadata of directories that the layer has no entry for.
    pub(crate) fn finish<C: Clone>(
        mut self,
        changes: &ChangeSet<C>,
        tree: Option<&Tree<C>>,
    ) -> Result<Written, WriteError> {
        let mut directories: HashMap<&TreePath, &Metadata> = HashMap::new();
        let mut unresolved = Vec::new();
        let opaque: HashSet<&TreePath> = changes
            .iter()
            .filter(|change| matches!(change, Change::Opaque { .. }))
            .map(Change::path)
            .collect();
        for change in changes {
            match change {
                Change::Put { path, entry: Entry::Directory(metadata) } => {
                    directories.insert(path, metadata);
                }
                Change::Link { path, target } if self.relink => {
                    if !self.link_again(path, target).map_err(disk(path))? {
                        unresolved.push((path.clone(), target.clone()));
                    }
                }
                Change::Put { .. } | Change::Link { .. } => {}
                // A whiteout in a directory that hides all below anyway would be seen itself.
                Change::Remove { path } if path.ancestors().iter().any(|p| opaque.contains(p)) => {}
                Change::Remove { path } => self.remove(path).map_err(disk(path))?,
                Change::Opaque { path } => self.hide_lower(path).map_err(disk(path))?,
            }
        }
        for path in std::mem::take(&mut self.replaced) {
            if !directories.contains_key(&path) {
                self.hide_lower(&path).map_err(disk(&path))?;
            }
        }
        // Deepest first, for directories that forbid to enter them.
        for path in self.touched.iter().rev() {
            let metadata = match tree.and_then(|tree| tree.get(path)) {
                Some(Node::Directory(directory)) => directory.metadata.clone(),
                _ => directories
                    .get(path)
                    .map_or_else(|| Metadata::with_mode(0o755), |&metadata| metadata.clone()),
            };
            let standing = Standing { shape: Shape::Directory, metadata };
            let standing = self.medium.project(&standing);
            let result = self.descent.directory(path, Obstacle::Fail).and_then(|dir| {
                if self.form == Form::Plain {
                    entry::strip(dir, b".", &standing.metadata.xattrs)?;
                }
                entry::dress(dir, b".", &standing)
            });
            match result {
                // Something of the layer took its place later.
                Err(error) if absent(&error) => {}
                other => other.map_err(disk(path))?,
            }
        }
        Ok(Written { fingerprints: self.fingerprints, unresolved })
    }

    /// Whether the link stands, now that everything that could be its target does.
    fn link_again(&mut self, path: &TreePath, target: &TreePath) -> Result<bool, PathError> {
        let identity = |writer: &mut Self, path: &TreePath| -> Result<_, PathError> {
            let (parent, name) = split(path)?;
            let found = writer.descent.directory(&parent, Obstacle::Fail);
            match found.and_then(|dir| dir.metadata(name)) {
                Ok(found) if found.kind != Kind::Dir => Ok(Some(entry::identity(&found))),
                Ok(_) => Ok(None),
                Err(error) if absent(&error) => Ok(None),
                Err(error) => Err(error),
            }
        };
        match (identity(self, path)?, identity(self, target)?) {
            (_, None) if !self.own.contains(path) => return Ok(false),
            // The canonical order gave the file the other name.
            (Some(_), None) => self.link(target, path)?,
            (one, other) if one != other => self.link(path, target)?,
            _ => {}
        }
        Ok(true)
    }

    fn remove(&mut self, path: &TreePath) -> Result<(), PathError> {
        let (parent, name) = split(path)?;
        if self.has_own_below(path) {
            return self.hide_lower(path);
        }
        match self.form {
            Form::Overlay => {
                if self.is_blocked(&parent)? {
                    return Ok(());
                }
                self.open(&parent)?.mknod(name, SpecialFile::CharDevice(0, 0), 0o600)?;
                self.touched.insert(parent);
                Ok(())
            }
            Form::Plain => self.remove_foreign(path, &parent, name),
        }
    }

    /// Whether something other than a directory stands at `path` or above it: a file that the layer puts
    /// there, or a whiteout, and so nothing of the layers below shows anyway.
    fn is_blocked(&mut self, path: &TreePath) -> Result<bool, PathError> {
        match self.descent.directory(path, Obstacle::Fail) {
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) if absent(&error) => Ok(true),
            other => other.map(|_| false),
        }
    }

    /// Lets nothing of the lower layers show in a directory.
    fn hide_lower(&mut self, path: &TreePath) -> Result<(), PathError> {
        match self.form {
            Form::Overlay => {
                if self.is_blocked(path)? {
                    return Ok(());
                }
                self.touched.insert(path.clone());
                self.open(path)?.set_xattr(b".", OPAQUE, b"y")
            }
            Form::Plain => {
                let entries = match self.descent.directory(path, Obstacle::Fail) {
                    Ok(dir) => dir.entries()?,
                    Err(error) if absent(&error) => return Ok(()),
                    Err(error) => return Err(error),
                };
                for entry in entries {
                    let Ok(child) = path.join(&entry.name) else { continue };
                    self.remove_foreign(&child, path, &entry.name)?;
                }
                Ok(())
            }
        }
    }

    /// Removes what was there before this layer.
    fn remove_foreign(
        &mut self,
        path: &TreePath,
        parent: &TreePath,
        name: &[u8],
    ) -> Result<(), PathError> {
        if self.has_own_below(path) {
            return self.hide_lower(path);
        }
        if self.own.contains(path) {
            // A directory of the layer's own, but with nothing of its own in it.
            let dir = self.descent.directory(parent, Obstacle::Fail)?;
            let is_directory = dir.metadata(name)?.kind == Kind::Dir;
            return if is_directory { self.hide_lower(path) } else { Ok(()) };
        }
        let removed =
            self.descent.directory(parent, Obstacle::Fail).and_then(|dir| dir.remove_all(name));
        match removed {
            Err(error) if absent(&error) => return Ok(()),
            other => other?,
        }
        self.descent.forget(path);
        self.fingerprints.remove(path);
        self.touched.insert(parent.clone());
        Ok(())
    }
}

fn make(dir: &Dir, name: &[u8], shape: &Shape) -> Result<(), PathError> {
    match shape {
        Shape::Directory => dir.mkdir(name, 0o700),
        Shape::Leaf(LeafKind::File { .. }) => dir.create_file(name, 0o600).map(drop),
        Shape::Leaf(LeafKind::Symlink { target }) => dir.symlink(target, name),
        Shape::Leaf(LeafKind::Fifo) => dir.mknod(name, SpecialFile::Fifo, 0o600),
        Shape::Leaf(LeafKind::CharDevice { major, minor }) => {
            dir.mknod(name, SpecialFile::CharDevice(*major, *minor), 0o600)
        }
        Shape::Leaf(LeafKind::BlockDevice { major, minor }) => {
            dir.mknod(name, SpecialFile::BlockDevice(*major, *minor), 0o600)
        }
    }
}

/// The parent and the last name; the root has neither and can only be a directory.
fn split(path: &TreePath) -> Result<(TreePath, &[u8]), PathError> {
    path.parent().zip(path.file_name()).ok_or(PathError {
        operation: "replace",
        path: b"/".to_vec(),
        source: Errno::ISDIR,
    })
}

fn absent(error: &PathError) -> bool {
    matches!(error.source, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

fn disk(path: &TreePath) -> impl FnOnce(PathError) -> WriteError {
    let path = path.clone();
    move |source| WriteError::Disk { path, source }
}
