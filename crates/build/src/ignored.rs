//! Paths of which nothing that a command writes gets into the image.

use std::collections::HashMap;

use strata_layer::Content;
use strata_tree::{Change, ChangeSet, Entry, TreePath};

/// Leaves out the changes at and below `paths`; nothing if there are none. A file that has another name elsewhere is
/// kept under that one.
pub(crate) fn without(
    changes: &ChangeSet<Content>,
    paths: &[TreePath],
) -> Option<ChangeSet<Content>> {
    let is_ignored = |path: &TreePath| paths.iter().any(|ignored| path.starts_with(ignored));
    if !changes.iter().any(|change| is_ignored(change.path())) {
        return None;
    }
    let mut files: HashMap<&TreePath, &Entry<Content>> = HashMap::new();
    // Where a file went that had its first name among the ignored.
    let mut moved: HashMap<TreePath, TreePath> = HashMap::new();
    let mut kept = Vec::new();
    for change in changes {
        match change {
            Change::Put { path, entry } if is_ignored(path) => _ = files.insert(path, entry),
            change if is_ignored(change.path()) => {}
            Change::Link { path, target } if is_ignored(target) => match moved.get(target) {
                Some(first) => {
                    kept.push(Change::Link { path: path.clone(), target: first.clone() });
                }
                None => {
                    moved.insert(target.clone(), path.clone());
                    let entry = files.get(target).map(|entry| (*entry).clone());
                    kept.extend(entry.map(|entry| Change::Put { path: path.clone(), entry }));
                }
            },
            change => kept.push(change.clone()),
        }
    }
    Some(ChangeSet::new(kept))
}

#[cfg(test)]
mod tests {
    use strata_tree::{Leaf, LeafKind, Metadata};

    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::clean(text).expect("is a path")
    }

    fn file(name: &str) -> Change<Content> {
        let content = Content::Inline(b"x".as_slice().into());
        let kind = LeafKind::File { content, size: 1 };
        let entry = Entry::Leaf(Leaf { metadata: Metadata::default(), kind });
        Change::Put { path: path(name), entry }
    }

    fn link(name: &str, target: &str) -> Change<Content> {
        Change::Link { path: path(name), target: path(target) }
    }

    #[test]
    fn what_is_ignored_leaves_the_rest_whole() {
        let remove = |name: &str| Change::Remove { path: path(name) };
        let ignored = [path("var/spool"), path("product")];
        for (changes, expected) in [
            (vec![file("a"), file("var/spoolx")], None),
            (vec![file("a"), file("product")], Some(vec![file("a")])),
            (vec![remove("var/spool/b"), file("var/spool/c/d"), file("z")], Some(vec![file("z")])),
            (
                vec![file("product"), link("x", "product"), link("y", "product")],
                Some(vec![file("x"), link("y", "x")]),
            ),
            (vec![file("a"), link("product", "a")], Some(vec![file("a")])),
        ] {
            let found = without(&ChangeSet::new(changes.clone()), &ignored);
            assert_eq!(found, expected.map(ChangeSet::new), "{changes:?}");
        }
    }
}
