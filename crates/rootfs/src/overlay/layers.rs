//! Base layers, unpacked in parallel and shared.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use strata_layer::{Content, Extent, Index};
use strata_oci::DiffId;
use strata_sys::Dir;
use strata_tree::{Change, ChangeSet, Entry, Tree, TreePath};

use crate::changes::{located, place};
use crate::error::SnapshotError;
use crate::scratch::Scratch;
use crate::snapshotter::BaseLayer;
use crate::space;
use crate::state::State;
use crate::unpack::unpack;
use crate::writer::{Form, WriteError, Writer};

/// A layer that stands unpacked in a directory of its own.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) diff_id: DiffId,
    pub(super) directory: Arc<Path>,
    pub(super) changes: ChangeSet<Content>,
    /// Where the directory may not show what the tree has: see `patch`.
    pub(super) loose: Vec<TreePath>,
}

/// Unpacking is a pipe of decompression, hashing and small writes; more threads than this only seek.
const THREADS: usize = 8;

/// Unpacks what does not stand yet, several layers at a time, and gives all in their order.
pub(super) fn unpack_all(
    state: &State,
    base: Vec<BaseLayer>,
) -> Result<Vec<Unpacked>, SnapshotError> {
    let missing = base.iter().filter(|layer| !at(state, layer.diff_id).exists());
    space::require(state.unpacked(), missing.map(|layer| layer.size).sum())?;
    let count = base.len();
    let available = thread::available_parallelism().map_or(1, usize::from);
    let threads = count.min(available.min(THREADS));
    let queue: Mutex<VecDeque<(usize, BaseLayer)>> =
        Mutex::new(base.into_iter().enumerate().collect());
    let results = Mutex::new(Vec::with_capacity(count));
    let work = || {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some((position, layer)) = next else { return };
            let result = provide(state, layer);
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            if result.is_err() {
                // The build ends here; what others have begun is still finished, and is of use next time.
                queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
            }
            results.push((position, result));
        }
    };
    thread::scope(|scope| {
        for number in 1..threads {
            let worker = thread::Builder::new().name(format!("unpack-{number}"));
            // Without a further thread the ones there are do all the work.
            if worker.spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(position, _)| *position);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Where a layer stands, or is to.
fn at(state: &State, diff_id: DiffId) -> PathBuf {
    state.unpacked().join(diff_id.0.to_hex())
}

/// Finds a layer, or unpacks it aside and moves it into place. Whoever comes second waits for the first.
fn provide(state: &State, layer: BaseLayer) -> Result<Unpacked, SnapshotError> {
    let diff_id = layer.diff_id;
    let place = at(state, diff_id);
    if let Some(found) = open(&place, diff_id) {
        return Ok(found);
    }
    let lock = state.unpacked().join(format!("{}.lock", diff_id.0.to_hex()));
    let fail = |source| SnapshotError::State { path: lock.clone(), source };
    let mut options = OpenOptions::new();
    let held = options.create(true).truncate(false).write(true).open(&lock).map_err(fail)?;
    held.lock().map_err(fail)?;
    if let Some(found) = open(&place, diff_id) {
        return Ok(found);
    }
    let scratch = Scratch::new(state.unpacked(), ".partial-")?;
    let directory = scratch.directory("fs")?;
    let disk = |source| SnapshotError::Disk {
        directory: directory.clone(),
        path: TreePath::root(),
        source,
    };
    let root = Dir::open(&directory).map_err(disk)?;
    let mut writer = Writer::new(root, state.medium(), Form::Overlay, None);
    let changes = unpack(layer, &mut writer)?;
    let none: Option<&Tree<Extent>> = None;
    writer
        .finish(&changes, none)
        .map_err(|error: WriteError| error.into_snapshot_error(&directory))?;
    let index = scratch.path().join("index");
    fs::write(&index, Index::new(changes.clone()).to_bytes())
        .map_err(|source| SnapshotError::State { path: index, source })?;
    scratch.keep_as(&place)?;
    Ok(described(&place, diff_id, changes))
}

/// A layer that stands complete. One whose index another version wrote is as good as missing.
fn open(place: &Path, diff_id: DiffId) -> Option<Unpacked> {
    let read = fs::read(place.join("index"));
    let index = match read {
        Ok(bytes) => Index::from_bytes(&bytes).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => Err(error),
    };
    match index {
        Ok(index) => Some(described(place, diff_id, index.changes().clone())),
        Err(error) => {
            tracing::debug!(%diff_id, %error, "an unpacked layer is unpacked again");
            None
        }
    }
}

fn described(at: &Path, diff_id: DiffId, changes: ChangeSet<Extent>) -> Unpacked {
    let directory: Arc<Path> = at.join("fs").into();
    let loose = loose(&changes);
    let changes = place(changes, |path, _| located(&directory, path));
    Unpacked { diff_id, directory, changes, loose }
}

/// Directories that the layer has no entry for, and links to files of other layers.
fn loose(changes: &ChangeSet<Extent>) -> Vec<TreePath> {
    let mut put = BTreeSet::new();
    let mut above = BTreeSet::new();
    let mut links = Vec::new();
    for change in changes {
        match change {
            Change::Put { path, entry: Entry::Directory(_) | Entry::Leaf(_) } => {
                put.insert(path.clone());
            }
            Change::Link { path, target } => links.push((path.clone(), target.clone())),
            Change::Opaque { path } => {
                above.insert(path.clone());
            }
            Change::Remove { .. } => {}
        }
        let mut parent = change.path().parent();
        while let Some(path) = parent.filter(|path| !path.is_root()) {
            parent = path.parent();
            if !above.insert(path) {
                break;
            }
        }
    }
    let mut loose: Vec<_> = above.into_iter().filter(|path| !put.contains(path)).collect();
    loose.extend(links.into_iter().filter(|(_, to)| !put.contains(to)).map(|(path, _)| path));
    loose
}
