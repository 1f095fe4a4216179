//! What a directory was like when it was last looked at.

use std::collections::HashMap;

use strata_sys::{Kind, Metadata as Inode, Time};
use strata_tree::TreePath;

use crate::entry::{self, Identity};

/// What is kept of one path: enough to see that nothing happened to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) identity: Identity,
    pub(super) kind: Kind,
    pub(super) links: u32,
    changed: Time,
}

impl Record {
    pub(super) fn new(inode: &Inode) -> Self {
        Self {
            identity: entry::identity(inode),
            kind: inode.kind,
            links: inode.links,
            changed: inode.changed,
        }
    }
}

/// All paths of a directory, the root included, and when the look at them began.
///
/// Programs cannot set the time of an inode's last change (ctime), and every change of content, metadata,
/// attributes or the number of names sets it to the kernel's clock. So what has the same inode and the same
/// ctime is what it was, with one exception: the clock may tick as slowly as every 10 ms, and a change within
/// the tick of the look leaves the same ctime. As git does with files that are as young as its index, such
/// *suspects* are compared in full: metadata, attributes, and content by fingerprint. They are few, unless the
/// directory was just written, and reading them costs no disk, for the same reason.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) records: HashMap<TreePath, Record>,
    /// A ctime that the file system gave just before.
    pub(super) taken: Time,
}

/// Twice the longest tick (`CONFIG_HZ=100`).
const TICKS: u32 = 20_000_000;

impl Index {
    /// Whether the path certainly is what it was when the index was taken. A clock that was set back makes
    /// times after `taken`: those are suspects too.
    pub(super) fn is_unchanged(&self, path: &TreePath, now: &Record) -> bool {
        self.records.get(path).is_some_and(|before| {
            before.identity == now.identity
                && before.changed == now.changed
                && before.changed < earlier(self.taken)
        })
    }
}

fn earlier(time: Time) -> Time {
    match time.nanoseconds.checked_sub(TICKS) {
        Some(nanoseconds) => Time { nanoseconds, ..time },
        None => Time {
            seconds: time.seconds - 1,
            nanoseconds: time.nanoseconds + 1_000_000_000 - TICKS,
        },
    }
}
