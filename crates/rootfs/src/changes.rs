//! Change sets made to fit: a place for each file, parents for each path.

use std::path::Path;
use std::sync::Arc;

use strata_layer::Content;
use strata_tree::{Change, ChangeSet, Entry, Leaf, Tree, TreePath};

/// The same changes with the content of each file replaced by what belongs to its path.
pub(crate) fn place<C, D>(
    changes: ChangeSet<C>,
    mut convert: impl FnMut(&TreePath, C) -> D,
) -> ChangeSet<D> {
    let placed = changes.into_iter().map(|change| {
        let path = match &change {
            Change::Put { path, entry: Entry::Leaf(Leaf { .. }) } => path.clone(),
            _ => TreePath::root(),
        };
        change.map(|content| convert(&path, content))
    });
    ChangeSet::new(placed.collect())
}

/// The changes with entries for the directories above them, and without removals of what is not there: an
/// overlay would need the directories around such a whiteout.
pub(crate) fn applicable(changes: &ChangeSet<Content>, tree: &Tree<Content>) -> ChangeSet<Content> {
    let needed = |change: &&Change<Content>| match change {
        Change::Remove { path } => tree.get(path).is_some(),
        Change::Opaque { .. } | Change::Put { .. } | Change::Link { .. } => true,
    };
    ChangeSet::new(changes.iter().filter(needed).cloned().collect()).with_parents(tree)
}

/// The file of a layer or workspace directory.
pub(crate) fn located(directory: &Arc<Path>, path: &TreePath) -> Content {
    Content::Disk { directory: Arc::clone(directory), path: path.clone() }
}
