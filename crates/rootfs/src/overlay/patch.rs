//! What a stack of layers shows wrongly, put right by one thin layer on top.
//!
//! A layer is unpacked without knowing what lies below it, so that it can be shared. Where it has no entry
//! for a directory above its files, the directory was made with mode 0755, owned by root, and would hide the
//! true metadata of the one below; where only whiteouts are in such a directory and there is none below, it
//! would appear out of nothing; and a hard link into another layer cannot be made at all.

use std::collections::BTreeSet;

use strata_layer::Content;
use strata_tree::{Change, ChangeSet, Entry, Metadata, Node, Tree, TreePath};

use crate::medium::{Medium, Shape, Standing};

/// Directories in which a layer removes what no layer below has.
///
/// The kernel looks for whiteouts only where it merges two directories. In one that stands in a single layer
/// it would list the whiteout's name, and then find nothing there.
pub(super) fn stray(changes: &ChangeSet<Content>, below: &Tree<Content>) -> Vec<TreePath> {
    let stray = |change: &Change<Content>| match change {
        Change::Remove { path } if below.get(path).is_none() => path.parent(),
        _ => None,
    };
    changes.iter().filter_map(stray).collect()
}

/// The changes that make the places in `loose` show what `tree` has, and that let directories in `stray` be
/// merged with something.
pub(super) fn patch<'a>(
    loose: impl Iterator<Item = &'a TreePath>,
    stray: &'a BTreeSet<TreePath>,
    tree: &Tree<Content>,
    medium: &Medium,
) -> ChangeSet<Content> {
    let made = Standing { shape: Shape::Directory, metadata: Metadata::with_mode(0o755) };
    let loose: BTreeSet<&TreePath> = loose.chain(stray).collect();
    let mut changes = Vec::new();
    for &path in &loose {
        match tree.get(path) {
            Some(node @ Node::Directory(directory)) => {
                if stray.contains(path) || medium.project(&Standing::of(node)) != made {
                    let entry = Entry::Directory(directory.metadata.clone());
                    changes.push(Change::Put { path: path.clone(), entry });
                }
            }
            Some(Node::Leaf(leaf)) => {
                let entry = Entry::Leaf((**leaf).clone());
                changes.push(Change::Put { path: path.clone(), entry });
            }
            None => {
                let mut chain = path.ancestors();
                chain.push(path.clone());
                if let Some(path) = chain.into_iter().find(|path| tree.get(path).is_none()) {
                    // Below a file there is nothing to remove; the file itself is put, if it has to be.
                    let below_directory = path
                        .parent()
                        .and_then(|parent| tree.get(&parent))
                        .is_some_and(|parent| parent.as_directory().is_some());
                    if below_directory {
                        changes.push(Change::Remove { path });
                    }
                }
            }
        }
    }
    ChangeSet::new(changes).with_parents(tree)
}
