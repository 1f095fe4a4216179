//! A root file system in a directory.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strata_layer::Content;
use strata_oci::DiffId;
use strata_sys::{Errno, Kind, Node as Special, PathError, Root, Time};
use strata_tree::{Leaf, LeafKind, Metadata, Node, Tree, TreePath};
use tempfile::TempDir;

use super::{Bodies, Body, Owners, Squash};
use crate::aside::parent;
use crate::error::WriteError;
use crate::stream::blocking;

/// Writes a root file system into a directory, and returns what could not be written as it is: one line each.
///
/// Everything is written aside and moved into place at the end. A directory that exists is added to: what the
/// image also has is replaced, file by file; a directory never gives way to a file, nor the other way round.
pub(crate) async fn write(
    squash: &Squash,
    directory: &Path,
    owners: Owners,
) -> Result<Vec<String>, WriteError> {
    let stage = {
        let (tree, directory) = (squash.tree().clone(), directory.to_owned());
        blocking(move || Stage::prepare(tree, &directory, owners)).await?
    };
    let stage = squash.read(stage).await?;
    blocking(move || stage.finish()).await
}

/// The names of one file, with its metadata.
type Names = Vec<(TreePath, Arc<Leaf<Content>>)>;

/// A root file system on its way.
#[derive(Debug)]
struct Stage {
    tree: Tree<Content>,
    owners: Owners,
    destination: PathBuf,
    /// Everything that is not in place yet; removed when dropped.
    aside: TempDir,
    root: Root,
    /// Names of each body that is still to come, the first of which becomes the file.
    missing: HashMap<Body, Names>,
    complaints: Complaints,
}

/// What could not be kept: counted, not listed, since an image has it a thousand times or not at all.
#[derive(Debug, Default)]
struct Complaints {
    devices: usize,
    attributes: usize,
}

impl Stage {
    fn prepare(
        tree: Tree<Content>,
        destination: &Path,
        owners: Owners,
    ) -> Result<Self, WriteError> {
        let fail = |source| WriteError::File { path: destination.to_owned(), source };
        // Beside a new directory, inside an old one: it may be a mount point, and a move must stay on one device.
        let place = match fs::metadata(destination) {
            Ok(found) if found.is_dir() => destination,
            Ok(_) => {
                let problem = "it is not a directory";
                return Err(WriteError::InTheWay { path: destination.to_owned(), problem });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => parent(destination),
            Err(error) => return Err(fail(error)),
        };
        let aside = tempfile::Builder::new().prefix(".strata-").tempdir_in(place).map_err(fail)?;
        let path = |source| WriteError::Path { directory: destination.to_owned(), source };
        let root = Root::open(aside.path()).map_err(path)?;
        let mut stage = Self {
            tree,
            owners,
            destination: destination.to_owned(),
            aside,
            root,
            missing: HashMap::new(),
            complaints: Complaints::default(),
        };
        stage.skeleton().map_err(path)?;
        Ok(stage)
    }

    /// Makes everything that has no body. Directories are the caller's alone until they are full.
    fn skeleton(&mut self) -> Result<(), PathError> {
        let mut first_names: HashMap<*const Leaf<Content>, TreePath> = HashMap::new();
        for (path, node) in self.tree.walk() {
            let leaf = match node {
                Node::Directory(_) => {
                    self.root.mkdir(path.as_bytes(), 0o700)?;
                    continue;
                }
                Node::Leaf(leaf) => leaf,
            };
            match &leaf.kind {
                LeafKind::File { content: Content::Layer { diff_id, offset }, .. } => {
                    self.missing.entry((*diff_id, *offset)).or_default().push((path, leaf));
                    continue;
                }
                // A tree that came out of layers has its files in layers.
                LeafKind::File { .. } => continue,
                _ => {}
            }
            if let Some(first) = first_names.get(&Arc::as_ptr(&leaf)) {
                self.root.link(first.as_bytes(), path.as_bytes())?;
                continue;
            }
            if self.special(&path, &leaf)? {
                first_names.insert(Arc::as_ptr(&leaf), path);
            }
        }
        Ok(())
    }

    /// Makes a link, pipe or device; without the privilege for a device, it is left out and counted.
    fn special(&mut self, path: &TreePath, leaf: &Leaf<Content>) -> Result<bool, PathError> {
        let name = path.as_bytes();
        let made = match &leaf.kind {
            LeafKind::Symlink { target } => self.root.symlink(target, name),
            LeafKind::Fifo => self.root.mknod(name, Special::Fifo, 0o600),
            LeafKind::CharDevice { major, minor } => {
                self.root.mknod(name, Special::CharDevice(*major, *minor), 0o600)
            }
            LeafKind::BlockDevice { major, minor } => {
                self.root.mknod(name, Special::BlockDevice(*major, *minor), 0o600)
            }
            LeafKind::File { .. } => return Ok(false),
        };
        match made {
            Ok(()) => {}
            Err(error) if is_device(&leaf.kind) && error.source == Errno::PERM => {
                self.complaints.devices += 1;
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        let symlink = matches!(leaf.kind, LeafKind::Symlink { .. });
        self.complaints.attributes +=
            dress(&self.root, path, &leaf.metadata, symlink, self.owners)?;
        Ok(true)
    }

    fn file(
        &mut self,
        names: &[(TreePath, Arc<Leaf<Content>>)],
        bytes: &mut dyn Read,
    ) -> io::Result<()> {
        let Some(((first, leaf), others)) = names.split_first() else { return Ok(()) };
        let mut file = self.root.create_file(first.as_bytes(), 0o600).map_err(io_error)?;
        io::copy(bytes, &mut file)?;
        drop(file);
        self.complaints.attributes +=
            dress(&self.root, first, &leaf.metadata, false, self.owners).map_err(io_error)?;
        for (other, _) in others {
            self.root.link(first.as_bytes(), other.as_bytes()).map_err(io_error)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<String>, WriteError> {
        if let Some((path, _)) = self.missing.values().flatten().next() {
            let message = format!("no layer has the content of `{path}`");
            let source = io::Error::new(io::ErrorKind::InvalidData, message);
            return Err(WriteError::File { path: self.destination, source });
        }
        let destination = self.destination.clone();
        let path = |source| WriteError::Path { directory: destination.clone(), source };
        let inside = self.aside.path().parent() == Some(&*destination);
        let root = if inside {
            let root = Root::open(&destination).map_err(path)?;
            let moves = self.moves(&root)?;
            let stage = self.aside.path().file_name().unwrap_or_default().as_encoded_bytes();
            for name in &moves {
                let from = [stage, b"/", name.as_bytes()].concat();
                root.rename(from, name.as_bytes()).map_err(path)?;
            }
            root
        } else {
            let fail = |source| WriteError::File { path: destination.clone(), source };
            fs::rename(self.aside.path(), &destination).map_err(fail)?;
            // Now its name leads nowhere, and dropping it would remove nothing.
            Root::open(&destination).map_err(path)?
        };
        // Deepest first: a directory that nobody may enter is still to be reached while its children are dressed.
        for (name, node) in self.tree.walk().iter().rev() {
            if let Node::Directory(directory) = node {
                self.complaints.attributes +=
                    dress(&root, name, &directory.metadata, false, self.owners).map_err(path)?;
            }
        }
        if !inside {
            let metadata = &self.tree.root().metadata;
            self.complaints.attributes +=
                dress(&root, &TreePath::root(), metadata, false, self.owners).map_err(path)?;
        }
        Ok(self.complaints.lines())
    }

    /// The highest paths that can be moved whole, after it is clear that all of them can.
    fn moves(&self, destination: &Root) -> Result<Vec<TreePath>, WriteError> {
        let fail = |source| WriteError::Path { directory: self.destination.clone(), source };
        let mut moves: Vec<TreePath> = Vec::new();
        for (path, node) in self.tree.walk() {
            if moves.last().is_some_and(|moved| path.starts_with(moved)) {
                continue;
            }
            let found = match destination.metadata(path.as_bytes()) {
                Ok(found) => found,
                Err(error) if error.is_not_found() => {
                    moves.push(path);
                    continue;
                }
                Err(error) => return Err(fail(error)),
            };
            let host_path =
                || self.destination.join(String::from_utf8_lossy(path.as_bytes()).as_ref());
            match (&node, found.kind) {
                (Node::Directory(_), Kind::Dir) => {}
                (Node::Directory(_), _) => {
                    let problem = "it is not a directory, as it is in the image";
                    return Err(WriteError::InTheWay { path: host_path(), problem });
                }
                (Node::Leaf(_), Kind::Dir) => {
                    let problem = "it is a directory, and a file in the image";
                    return Err(WriteError::InTheWay { path: host_path(), problem });
                }
                (Node::Leaf(leaf), _) if is_device(&leaf.kind) && !self.has(&path) => {}
                (Node::Leaf(_), _) => moves.push(path),
            }
        }
        moves.retain(|path| self.has(path));
        Ok(moves)
    }

    fn has(&self, path: &TreePath) -> bool {
        self.root.metadata(path.as_bytes()).is_ok()
    }
}

impl Bodies for Stage {
    fn wants_layer(&self, layer: DiffId) -> bool {
        self.missing.keys().any(|(diff_id, _)| *diff_id == layer)
    }

    fn destination(&self) -> &Path {
        &self.destination
    }

    fn take(&mut self, body: Body, bytes: &mut dyn Read) -> io::Result<()> {
        match self.missing.remove(&body) {
            Some(names) => self.file(&names, bytes),
            None => Ok(()),
        }
    }
}

impl Complaints {
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.devices > 0 {
            lines.push(format!(
                "{} device nodes were left out: making them needs privilege",
                self.devices
            ));
        }
        if self.attributes > 0 {
            let count = self.attributes;
            lines.push(format!("{count} owners or extended attributes could not be kept"));
        }
        lines
    }
}

fn is_device(kind: &LeafKind<Content>) -> bool {
    matches!(kind, LeafKind::CharDevice { .. } | LeafKind::BlockDevice { .. })
}

/// Gives an entry its metadata; returns how many pieces of it the host does not let it have.
///
/// The order matters: a change of owner takes away set-id bits and capabilities.
fn dress(
    root: &Root,
    path: &TreePath,
    metadata: &Metadata,
    symlink: bool,
    owners: Owners,
) -> Result<usize, PathError> {
    let name = path.as_bytes();
    let mut lost = 0;
    let mut owned = true;
    if owners == Owners::Image {
        owned = allowed(root.set_owner(name, metadata.uid, metadata.gid))?;
        lost += usize::from(!owned);
    }
    if !symlink {
        // A set-id program of somebody else's is not made one of the caller's.
        let kept = owned && owners == Owners::Image;
        let mode = if kept { metadata.mode } else { metadata.mode & 0o1777 };
        root.set_mode(name, mode)?;
    }
    for (attribute, value) in &metadata.xattrs {
        lost += usize::from(!allowed(root.set_xattr(name, attribute, value))?);
    }
    let time = Time { seconds: metadata.mtime.seconds, nanoseconds: metadata.mtime.nanoseconds };
    root.set_times(name, time, time)?;
    Ok(lost)
}

/// False where the host refuses what needs privilege, or has no such thing.
fn allowed(result: Result<(), PathError>) -> Result<bool, PathError> {
    match result {
        Ok(()) => Ok(true),
        Err(error) => match error.source {
            Errno::PERM | Errno::ACCESS | Errno::INVAL | Errno::OPNOTSUPP => Ok(false),
            _ => Err(error),
        },
    }
}

fn io_error(error: PathError) -> io::Error {
    io::Error::new(io::Error::from(error.source).kind(), error)
}
