//! A look at everything in a directory, with several threads.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use strata_sys::{Dir, Kind, PathError, Time};
use strata_tree::TreePath;

use super::index::{Index, Record};
use crate::descent::{Descent, Obstacle};
use crate::error::SnapshotError;

/// More threads than this wait for each other and the kernel's locks.
const THREADS: usize = 4;

/// Takes the index of a directory. `probe` is a directory beside it, on the same file system, to learn from
/// what time its changes get.
pub(super) fn scan(directory: &Path, probe: &Path) -> Result<Index, SnapshotError> {
    let root = TreePath::root();
    let taken = clock(probe).map_err(disk(probe, &root))?;
    let dir = Dir::open(directory).map_err(disk(directory, &root))?;
    let inode = dir.metadata(b".").map_err(disk(directory, &root))?;
    let walk = Walk {
        directory,
        queue: Mutex::new(Queue { pending: vec![root.clone()], busy: 0, failure: None }),
        changed: Condvar::new(),
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    let mut records = thread::scope(|scope| {
        let workers: Vec<_> = (1..threads)
            .map_while(|number| {
                let worker = thread::Builder::new().name(format!("walk-{number}"));
                worker.spawn_scoped(scope, || walk.work()).ok()
            })
            .collect();
        let mut records = walk.work();
        for worker in workers {
            match worker.join() {
                Ok(found) => records.extend(found),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        records
    });
    if let Some(failure) = walk.lock().failure.take() {
        return Err(failure);
    }
    records.push((root, Record::new(&inode)));
    Ok(Index { records: records.into_iter().collect::<HashMap<_, _>>(), taken })
}

/// The time that the file system gives to what changes now.
fn clock(probe: &Path) -> Result<Time, PathError> {
    let dir = Dir::open(probe)?;
    drop(dir.create_file("clock", 0o600)?);
    let now = dir.metadata("clock")?.changed;
    dir.unlink("clock")?;
    Ok(now)
}

struct Walk<'a> {
    directory: &'a Path,
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    pending: Vec<TreePath>,
    /// Threads that may still find directories.
    busy: usize,
    failure: Option<SnapshotError>,
}

impl Walk<'_> {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) -> Vec<(TreePath, Record)> {
        let mut records = Vec::new();
        let result = Dir::open(self.directory)
            .map_err(disk(self.directory, &TreePath::root()))
            .and_then(|root| self.directories(&mut Descent::new(root), &mut records));
        if let Err(failure) = result {
            let mut queue = self.lock();
            queue.pending.clear();
            queue.failure.get_or_insert(failure);
            self.changed.notify_all();
        }
        records
    }

    fn directories(
        &self,
        descent: &mut Descent,
        records: &mut Vec<(TreePath, Record)>,
    ) -> Result<(), SnapshotError> {
        while let Some(path) = self.next() {
            let mut below = Vec::new();
            let result = list(self.directory, &path, descent, records, &mut below);
            let mut queue = self.lock();
            queue.busy -= 1;
            queue.pending.append(&mut below);
            drop(queue);
            self.changed.notify_all();
            result?;
        }
        Ok(())
    }

    /// The next directory, or nothing when no thread can find another.
    fn next(&self) -> Option<TreePath> {
        let mut queue = self.lock();
        loop {
            if queue.failure.is_some() {
                return None;
            }
            if let Some(path) = queue.pending.pop() {
                queue.busy += 1;
                return Some(path);
            }
            if queue.busy == 0 {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn list(
    directory: &Path,
    path: &TreePath,
    descent: &mut Descent,
    records: &mut Vec<(TreePath, Record)>,
    below: &mut Vec<TreePath>,
) -> Result<(), SnapshotError> {
    let dir = descent.directory(path, Obstacle::Fail).map_err(disk(directory, path))?;
    for entry in dir.entries().map_err(disk(directory, path))? {
        let child = path
            .join(&entry.name)
            .map_err(|source| SnapshotError::Name { directory: path.clone(), source })?;
        let inode = dir.metadata(&entry.name).map_err(disk(directory, &child))?;
        match inode.kind {
            // In no layer, and so in no tree.
            Kind::Socket => continue,
            Kind::Dir => below.push(child.clone()),
            Kind::File | Kind::Symlink | Kind::Fifo | Kind::CharDevice | Kind::BlockDevice => {}
        }
        records.push((child, Record::new(&inode)));
    }
    Ok(())
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
