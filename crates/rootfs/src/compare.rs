//! From what stands on disk to a change set.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use strata_layer::Content;
use strata_sys::{Dir, Errno};
use strata_tree::{
    Change, ChangeSet, Directory, Entry, Leaf, LeafKind, Metadata, Node, Tree, TreePath,
};

use crate::changes::{located, place};
use crate::descent::{Descent, Obstacle};
use crate::entry::{self, Identity};
use crate::error::SnapshotError;
use crate::medium::{Medium, Shape, Standing};
use crate::owners::{self, Owners};

/// Collects what a snapshotter saw of a directory and concludes what changed. Both snapshotters end here,
/// so that they cannot disagree about what a change is.
pub(crate) struct Comparison<'a> {
    tree: &'a Tree<Content>,
    medium: &'a Medium,
    owners: Option<&'a Owners>,
    seen: Vec<Seen>,
    gone: Vec<TreePath>,
}

struct Seen {
    path: TreePath,
    standing: Standing,
    /// Where it has other names, which file it is.
    shared: Option<Identity>,
}

/// What changed, and what is to be done to the disk so that it shows the new tree.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) changes: ChangeSet<Content>,
    pub(crate) tree: Tree<Content>,
    /// Stubs that the sandbox left, deepest first.
    discard: Vec<TreePath>,
    /// Directories whose time is not what the tree says.
    restore: BTreeSet<TreePath>,
}

/// What is still to be decided about one path.
enum Verdict {
    Same,
    Changed(Change<Content>),
    /// A directory of which only the time changed.
    Time(Change<Content>),
}

/// Compares the bytes of the file at a path with those it had.
pub(crate) type SameBytes<'a> = dyn FnMut(&TreePath, &Content) -> Result<bool, SnapshotError> + 'a;

impl<'a> Comparison<'a> {
    pub(crate) fn new(
        tree: &'a Tree<Content>,
        medium: &'a Medium,
        owners: Option<&'a Owners>,
    ) -> Self {
        Self { tree, medium, owners, seen: Vec::new(), gone: Vec::new() }
    }

    /// Something stands at `path` that may be new or changed. If it is a file with several names, all of
    /// those that are on the same disk must be told.
    pub(crate) fn stands(&mut self, path: TreePath, standing: Standing, shared: Option<Identity>) {
        self.seen.push(Seen { path, standing, shared });
    }

    /// Nothing stands at `path` any more.
    pub(crate) fn gone(&mut self, path: TreePath) {
        self.gone.push(path);
    }

    /// These are all names in the directory at `path`: what else the tree has there is gone.
    pub(crate) fn complete(&mut self, path: &TreePath, names: &BTreeSet<&[u8]>) {
        let before = self.tree.get(path).and_then(Node::as_directory);
        for (name, _) in before.into_iter().flat_map(Directory::children) {
            if !names.contains(name)
                && let Ok(path) = path.join(name)
            {
                self.gone.push(path);
            }
        }
    }

    /// Decides. New files are found at `location`.
    pub(crate) fn conclude(
        mut self,
        ignore: &[TreePath],
        location: &Arc<Path>,
        same_bytes: &mut SameBytes<'_>,
    ) -> Result<Outcome, SnapshotError> {
        self.seen.sort_by(|a, b| a.path.cmp(&b.path));
        let ignored: BTreeSet<&TreePath> = ignore.iter().collect();
        let mut open = Open::default();
        let mut working = Vec::new();
        let mut groups: Vec<(Identity, Vec<&Seen>)> = Vec::new();
        let mut group_of: HashMap<Identity, usize> = HashMap::new();
        for seen in &self.seen {
            if ignored.contains(&seen.path) {
                match (self.tree.get(&seen.path), &seen.standing.shape) {
                    (Some(_), _) => {}
                    (None, Shape::Directory) => open.stubs.push(seen),
                    (None, Shape::Leaf(_)) => open.discard.push(seen.path.clone()),
                }
                continue;
            }
            if let Some(identity) = seen.shared {
                let at = *group_of.entry(identity).or_insert_with(|| {
                    groups.push((identity, Vec::new()));
                    groups.len() - 1
                });
                groups[at].1.push(seen);
                continue;
            }
            match self.verdict(seen, same_bytes)? {
                Verdict::Same => {}
                Verdict::Changed(change) => working.push(change),
                Verdict::Time(change) => open.times.push(change),
            }
        }
        for (_, names) in &groups {
            self.group(names, &mut working, same_bytes)?;
        }
        for path in &self.gone {
            if ignored.contains(path) {
                open.discard.push(path.clone());
            } else if self.tree.get(path).is_some() {
                working.push(Change::Remove { path: path.clone() });
            }
        }
        let settled = open.settle(&working, &ignored);
        working.extend(settled.changes);
        self.outcome(working, settled.discard, settled.restore, location)
    }

    fn verdict(
        &self,
        seen: &Seen,
        same_bytes: &mut SameBytes<'_>,
    ) -> Result<Verdict, SnapshotError> {
        let Seen { path, standing, .. } = seen;
        let before = self.tree.get(path);
        let was = before.map(Standing::of);
        let mut now = self.medium.reveal(standing, was.as_ref());
        if let Some(owners) = self.owners {
            owners::decide(owners, self.medium, path, standing, &mut now);
        }
        if path.is_root()
            && let Some(was) = &was
        {
            now.metadata.mtime = was.metadata.mtime;
        }
        if was.as_ref() == Some(&now) {
            let content = match before.and_then(Node::as_leaf).map(|leaf| &leaf.kind) {
                Some(LeafKind::File { content, .. }) => Some(content),
                _ => None,
            };
            let same = match content {
                Some(content) => same_bytes(path, content)?,
                None => true,
            };
            if same {
                return Ok(Verdict::Same);
            }
        }
        let only_time = was.is_some_and(|was| {
            let mtime = now.metadata.mtime;
            let metadata = Metadata { mtime, ..was.metadata };
            now.shape.is_directory() && Standing { shape: was.shape, metadata } == now
        });
        let change = Change::Put { path: path.clone(), entry: entry_of(now) };
        Ok(if only_time { Verdict::Time(change) } else { Verdict::Changed(change) })
    }

    /// Names of one file. A name that is what it was decides what the file is, and so which names the tree
    /// has for it; if all changed, they are put anew.
    fn group(
        &self,
        names: &[&Seen],
        working: &mut Vec<Change<Content>>,
        same_bytes: &mut SameBytes<'_>,
    ) -> Result<(), SnapshotError> {
        let mut kept: Option<&TreePath> = None;
        let mut changed = Vec::new();
        for seen in names {
            match self.verdict(seen, same_bytes)? {
                Verdict::Same => {
                    let same_file = kept.is_none_or(|kept| {
                        let (one, other) = (self.tree.get(kept), self.tree.get(&seen.path));
                        one.zip(other).is_some_and(|(one, other)| one.is_same_file(other))
                    });
                    if same_file {
                        kept.get_or_insert(&seen.path);
                    } else {
                        changed.push((&seen.path, None));
                    }
                }
                Verdict::Changed(change) | Verdict::Time(change) => {
                    changed.push((&seen.path, Some(change)));
                }
            }
        }
        let mut target = kept;
        for (path, change) in changed {
            match (target, change) {
                (Some(target), _) => {
                    working.push(Change::Link { path: path.clone(), target: target.clone() });
                }
                (None, change) => {
                    working.extend(change);
                    target = Some(path);
                }
            }
        }
        Ok(())
    }

    fn outcome(
        self,
        working: Vec<Change<Content>>,
        mut discard: Vec<TreePath>,
        mut restore: BTreeSet<TreePath>,
        location: &Arc<Path>,
    ) -> Result<Outcome, SnapshotError> {
        let fail = |source| SnapshotError::Apply { layer: "the last command".to_owned(), source };
        let mut new = self.tree.clone();
        new.apply(&ChangeSet::new(working)).map_err(fail)?;
        let changes = self.tree.diff(&new).with_parents(&new);
        let changes = place(changes, |path, content| match content {
            Content::Inline(_) => located(location, path),
            content => content,
        });
        let mut tree = self.tree.clone();
        tree.apply(&changes).map_err(fail)?;
        discard.sort_by(|a, b| b.cmp(a));
        restore.extend(discard.iter().filter_map(TreePath::parent));
        Ok(Outcome { changes, tree, discard, restore })
    }
}

/// Until the whole is known, a new file's content is a placeholder that equals nothing in a tree: all files
/// there are [`Content::Disk`], and a file that changed in its place is at the same one as before.
fn entry_of(standing: Standing) -> Entry<Content> {
    match standing.shape {
        Shape::Directory => Entry::Directory(standing.metadata),
        Shape::Leaf(kind) => Entry::Leaf(Leaf {
            metadata: standing.metadata,
            kind: kind.map(|()| Content::Inline(Arc::from([]))),
        }),
    }
}

/// What cannot be decided path by path.
#[derive(Default)]
struct Open<'a> {
    /// Directories that the sandbox made, in which something of the image may have appeared.
    stubs: Vec<&'a Seen>,
    /// Directories of which the time changed, which a stub in them may have caused.
    times: Vec<Change<Content>>,
    /// Stubs that are certainly nothing else.
    discard: Vec<TreePath>,
}

struct Settled {
    changes: Vec<Change<Content>>,
    discard: Vec<TreePath>,
    restore: BTreeSet<TreePath>,
}

impl Open<'_> {
    fn settle(self, working: &[Change<Content>], ignored: &BTreeSet<&TreePath>) -> Settled {
        let changed: BTreeSet<&TreePath> = working.iter().map(Change::path).collect();
        let changed_in: BTreeSet<_> =
            working.iter().filter_map(|change| change.path().parent()).collect();
        let stubs_in: BTreeSet<_> = ignored.iter().filter_map(|path| path.parent()).collect();
        let (mut changes, mut discard) = (Vec::new(), self.discard);
        for stub in self.stubs {
            let after = (Bound::Excluded(&stub.path), Bound::Unbounded);
            let next = changed.range::<TreePath, _>(after).next();
            if next.is_some_and(|next| next.starts_with(&stub.path)) {
                let (path, entry) = (stub.path.clone(), entry_of(stub.standing.clone()));
                changes.push(Change::Put { path, entry });
            } else {
                discard.push(stub.path.clone());
            }
        }
        let mut restore = BTreeSet::new();
        for change in self.times {
            let path = change.path();
            if stubs_in.contains(path) && !changed_in.contains(path) {
                restore.insert(path.clone());
            } else {
                changes.push(change);
            }
        }
        Settled { changes, discard, restore }
    }
}

impl Outcome {
    /// Lets the directory that was compared show the new tree.
    pub(crate) fn tidy(&self, directory: &Path, medium: &Medium) -> Result<(), SnapshotError> {
        let fail = |path: &TreePath| {
            let (directory, path) = (directory.to_owned(), path.clone());
            move |source| SnapshotError::Disk { directory, path, source }
        };
        let root = Dir::open(directory).map_err(fail(&TreePath::root()))?;
        let mut descent = Descent::new(root);
        for path in &self.discard {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
            let removed =
                descent.directory(&parent, Obstacle::Fail).and_then(|dir| dir.remove_all(name));
            match removed {
                Err(error) if matches!(error.source, Errno::NOENT | Errno::NOTDIR) => {}
                other => other.map_err(fail(path))?,
            }
            descent.forget(path);
        }
        for path in &self.restore {
            let Some(node @ Node::Directory(_)) = self.tree.get(path) else { continue };
            let mtime = entry::time(medium.project(&Standing::of(node)).metadata.mtime);
            let restored = descent
                .directory(path, Obstacle::Fail)
                .and_then(|dir| dir.set_times(b".", mtime, mtime));
            match restored {
                Err(error) if error.is_not_found() => {}
                other => other.map_err(fail(path))?,
            }
        }
        Ok(())
    }
}
