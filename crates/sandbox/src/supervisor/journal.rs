//! What files seem, by which file it is.

use std::collections::HashMap;

use strata_sys::{Identity, Root};

use crate::ownership::{Entry, Ownership, Seeming};

const SET_GROUP: u32 = 0o2000;

/// Files that seem something else than the disk says: not root's own.
///
/// A file is known by device and inode number, which it keeps when it is renamed and when an overlay
/// copies it up. Numbers of deleted files are used again, so the time at which it was made counts
/// too, unless the file has been there before the command: its number is not used again, because a
/// lower layer never changes, but a copy of it in the upper one is younger.
#[derive(Debug, Default)]
pub(super) struct Journal {
    files: HashMap<((u32, u32), u64), Line>,
    /// How many have a group other than root's, or pass theirs on.
    groups: usize,
}

#[derive(Debug)]
struct Line {
    identity: Identity,
    was_there: bool,
    seems: Seeming,
}

impl Journal {
    /// Begins with what is known about files of a root whose lower layers never change.
    pub(super) fn of(root: &Root, owners: &[Ownership]) -> Self {
        Self::begin(root, owners, true)
    }

    /// Begins with what is known about files of a root in which numbers of deleted files are used again.
    pub(super) fn of_changing(root: &Root, owners: &[Ownership]) -> Self {
        Self::begin(root, owners, false)
    }

    fn begin(root: &Root, owners: &[Ownership], was_there: bool) -> Self {
        let mut journal = Self::default();
        for owner in owners {
            // What is not there any more, or covered by a mount, has no owner to show.
            if owner.seems != Seeming::default()
                && let Ok(metadata) = root.metadata(&owner.path)
            {
                journal.insert(metadata.identity(), owner.seems, was_there);
            }
        }
        journal
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether a new file in some directory may get that directory's group.
    pub(super) fn has_groups(&self) -> bool {
        self.groups > 0
    }

    pub(super) fn get(&self, identity: &Identity) -> Option<Seeming> {
        let line = self.files.get(&(identity.device, identity.inode))?;
        (line.was_there || line.identity == *identity).then_some(line.seems)
    }

    /// Lets a file seem something.
    pub(super) fn put(&mut self, identity: Identity, seems: Seeming) {
        let key = (identity.device, identity.inode);
        let was_there = self.get(&identity).is_some() && self.files[&key].was_there;
        if seems == Seeming::default() {
            if let Some(line) = self.files.remove(&key) {
                self.groups -= usize::from(has_group(&line.seems));
            }
        } else {
            self.insert(identity, seems, was_there);
        }
    }

    fn insert(&mut self, identity: Identity, seems: Seeming, was_there: bool) {
        let line = Line { identity, was_there, seems };
        let before = self.files.insert((identity.device, identity.inode), line);
        self.groups -= usize::from(before.is_some_and(|line| has_group(&line.seems)));
        self.groups += usize::from(has_group(&seems));
    }

    /// All of it, for a look through the root after the command.
    pub(super) fn entries(&self) -> Vec<Entry> {
        // What was there may have been copied up, and be younger than it was.
        let entry = |line: &Line| {
            let born = if line.was_there { None } else { line.identity.born };
            Entry::new(Identity { born, ..line.identity }, line.seems)
        };
        self.files.values().map(entry).collect()
    }
}

/// Whether a directory that seems so may pass a group on, or that it passes one on.
fn has_group(seems: &Seeming) -> bool {
    seems.gid != 0 || seems.mode.is_some_and(|mode| mode & SET_GROUP != 0)
}

#[cfg(test)]
mod tests {
    use strata_sys::Time;

    use super::*;

    fn file(inode: u64, born: i64) -> Identity {
        Identity { device: (8, 1), inode, born: Some(Time { seconds: born, nanoseconds: 0 }) }
    }

    fn owned(uid: u32, gid: u32) -> Seeming {
        Seeming { uid, gid, ..Seeming::default() }
    }

    #[test]
    fn a_number_that_is_used_again_has_no_owner() {
        let mut journal = Journal::default();
        journal.put(file(7, 1), owned(33, 34));
        assert_eq!(journal.get(&file(7, 1)), Some(owned(33, 34)));
        assert_eq!(journal.get(&file(7, 2)), None);
        journal.put(file(7, 2), owned(5, 0));
        assert_eq!(journal.get(&file(7, 2)), Some(owned(5, 0)));
        assert!(!journal.has_groups());
    }

    #[test]
    fn a_file_of_a_lower_layer_stays_known_when_it_is_copied() {
        let mut journal = Journal::default();
        journal.insert(file(7, 1), owned(33, 34), true);
        assert_eq!(journal.get(&file(7, 9)), Some(owned(33, 34)));
        journal.put(file(7, 9), owned(0, 5));
        assert_eq!(journal.get(&file(7, 10)), Some(owned(0, 5)));
        assert!(journal.has_groups());
    }

    #[test]
    fn root_again_is_no_line() {
        let mut journal = Journal::default();
        journal.put(file(7, 1), owned(33, 34));
        journal.put(file(7, 1), owned(0, 0));
        assert!(journal.is_empty() && !journal.has_groups());
    }
}
