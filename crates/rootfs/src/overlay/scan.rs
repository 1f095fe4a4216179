//! What an upper directory says.

use std::collections::BTreeSet;
use std::path::Path;

use strata_layer::Content;
use strata_sys::{Dir, Kind};
use strata_tree::{Node, Tree, TreePath};

use crate::compare::Comparison;
use crate::descent::{Descent, Obstacle};
use crate::entry;
use crate::error::SnapshotError;
use crate::writer::OPAQUE;

/// Tells a comparison everything in an upper directory, which is not mounted any more.
pub(super) fn scan(
    upper: &Path,
    tree: &Tree<Content>,
    comparison: &mut Comparison<'_>,
) -> Result<(), SnapshotError> {
    let root = TreePath::root();
    let dir = Dir::open(upper).map_err(disk(upper, &root))?;
    let own = dir
        .metadata(b".")
        .and_then(|inode| entry::read(&dir, b".", &inode))
        .map_err(disk(upper, &root))?;
    if let Some(standing) = own {
        comparison.stands(root.clone(), standing, None);
    }
    let mut descent = Descent::new(dir);
    // With each directory, whether nothing of the lower ones shows in it.
    let mut pending = vec![(root, false)];
    while let Some((path, whole)) = pending.pop() {
        let dir = descent.directory(&path, Obstacle::Fail).map_err(disk(upper, &path))?;
        let entries = dir.entries().map_err(disk(upper, &path))?;
        let mut names = BTreeSet::new();
        for found in &entries {
            let name = found.name.as_slice();
            let child = path
                .join(name)
                .map_err(|source| SnapshotError::Name { directory: path.clone(), source })?;
            let inode = dir.metadata(name).map_err(disk(upper, &child))?;
            if inode.kind == Kind::CharDevice && inode.node == (0, 0) {
                comparison.gone(child);
                continue;
            }
            let Some(standing) = entry::read(dir, name, &inode).map_err(disk(upper, &child))?
            else {
                // A socket is in no layer, but what it took the place of is gone.
                comparison.gone(child);
                continue;
            };
            names.insert(name);
            if inode.kind == Kind::Dir {
                let mark = dir.xattr(name, OPAQUE).map_err(disk(upper, &child))?;
                let whole = whole || mark.as_deref() == Some(b"y");
                comparison.stands(child.clone(), standing, None);
                // What stands below a directory that is new is told all the same.
                let new = !matches!(tree.get(&child), Some(Node::Directory(_)));
                pending.push((child, whole || new));
            } else {
                let shared = (inode.links > 1).then(|| entry::identity(&inode));
                comparison.stands(child, standing, shared);
            }
        }
        if whole {
            comparison.complete(&path, &names);
        }
    }
    Ok(())
}

fn disk<'a>(
    upper: &'a Path,
    path: &'a TreePath,
) -> impl FnOnce(strata_sys::PathError) -> SnapshotError + use<'a> {
    move |source| SnapshotError::Disk { directory: upper.to_owned(), path: path.clone(), source }
}
