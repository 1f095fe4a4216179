//! Changes in any order brought into the one order that a layer has.

use std::collections::{BTreeMap, HashMap};

use crate::change::{Change, Entry};
use crate::metadata::Metadata;
use crate::node::Leaf;
use crate::path::TreePath;

/// What changes to one path come to.
#[derive(Default)]
struct Place {
    stands: Option<Stands>,
    // Whether a whiteout or an opaque mark was seen, or a file that a directory replaced later. In each case
    // nothing that the lower tree had below this path stays.
    removed: bool,
    opaque: bool,
}

/// What stands at a path once all changes are made.
enum Stands {
    Directory(Metadata),
    /// One of the change set's own files, by number. Names with one number are hard links of each other.
    File(usize),
    /// A link to a path that held none of the change set's files when the link was met.
    Link(TreePath),
}

/// Sorts changes as [`ChangeSet::new`](crate::ChangeSet::new) promises, in `n log n` steps.
pub(crate) fn sorted<C>(changes: Vec<Change<C>>) -> Vec<Change<C>> {
    let mut places: BTreeMap<TreePath, Place> = BTreeMap::new();
    let mut files = Vec::new();
    for change in changes {
        match change {
            Change::Put { path, entry: Entry::Directory(metadata) } => {
                let place = places.entry(path).or_default();
                if let Some(Stands::File(_) | Stands::Link(_)) = place.stands {
                    place.opaque = true;
                }
                place.stands = Some(Stands::Directory(metadata));
            }
            Change::Put { path, entry: Entry::Leaf(leaf) } => {
                places.entry(path).or_default().stands = Some(Stands::File(files.len()));
                files.push(leaf);
            }
            // A file is its own link already.
            Change::Link { path, target } if path == target => {}
            Change::Link { path, target } => {
                // The link is to the file that stands there now, whatever replaces it later.
                let stands = match places.get(&target) {
                    Some(Place { stands: Some(Stands::File(file)), .. }) => Stands::File(*file),
                    Some(_) | None => Stands::Link(target),
                };
                places.entry(path).or_default().stands = Some(stands);
            }
            Change::Remove { path } => places.entry(path).or_default().removed = true,
            Change::Opaque { path } => places.entry(path).or_default().opaque = true,
        }
    }
    resolve_links(&mut places);
    written(places, files)
}

/// Gives links whose file came after them the file's number; they may lead to it over other links. Links in
/// a circle, and links to what is not here, stay as they are.
fn resolve_links(places: &mut BTreeMap<TreePath, Place>) {
    let links = places.iter().filter_map(|(path, place)| match &place.stands {
        Some(Stands::Link(target)) => Some((path.clone(), target.clone())),
        Some(Stands::Directory(_) | Stands::File(_)) | None => None,
    });
    // Each link is followed once: what was found for it holds for all that lead to it.
    let mut pending: HashMap<TreePath, TreePath> = links.collect();
    while let Some(first) = pending.keys().next().cloned() {
        let mut chain = Vec::new();
        let mut at = first;
        while let Some(target) = pending.remove(&at) {
            chain.push(std::mem::replace(&mut at, target));
        }
        if let Some(Place { stands: Some(Stands::File(file)), .. }) = places.get(&at) {
            let file = *file;
            for path in chain {
                places.entry(path).or_default().stands = Some(Stands::File(file));
            }
        }
    }
}

/// Writes places out in order; the first name of a file gets the file, the others become links to it.
fn written<C>(places: BTreeMap<TreePath, Place>, files: Vec<Leaf<C>>) -> Vec<Change<C>> {
    let mut files: Vec<_> = files.into_iter().map(Ok).collect();
    let mut changes = Vec::with_capacity(places.len());
    for (path, Place { stands, removed, opaque }) in places {
        match stands {
            None if removed => changes.push(Change::Remove { path }),
            None => changes.push(Change::Opaque { path }),
            Some(Stands::Directory(metadata)) => {
                let entry = Entry::Directory(metadata);
                changes.push(Change::Put { path: path.clone(), entry });
                if removed || opaque {
                    changes.push(Change::Opaque { path });
                }
            }
            Some(Stands::File(file)) => {
                changes.push(match std::mem::replace(&mut files[file], Err(path.clone())) {
                    Ok(leaf) => Change::Put { path, entry: Entry::Leaf(leaf) },
                    Err(target) => {
                        files[file] = Err(target.clone());
                        Change::Link { path, target }
                    }
                });
            }
            Some(Stands::Link(target)) => changes.push(Change::Link { path, target }),
        }
    }
    changes
}
