//! Calls that only a supervisor answers which translates paths; the others leave them to the kernel.

use strata_sys::seccomp::{Notification, number};

use super::place::Way;
use crate::supervisor::call::{AT_FDCWD, At, int, word};

/// With it, `unlinkat` is `rmdir`.
const REMOVE_DIRECTORY: u32 = rustix::fs::AtFlags::REMOVEDIR.bits();

/// One such call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Remove { at: At, kind: Removed },
    Rename { from: At, to: At, flags: u32 },
    Link { from: At, to: At, flags: i32 },
    SetMode { at: At, mode: u32, way: Way },
    SetTimes { at: At, times: Times, way: Way },
    Truncate { at: At, length: u64 },
    FileSystem { at: At, record: u64 },
    Attribute { at: At, way: Way, what: Attribute },
    WorkingDirectory { buffer: u64, size: u64 },
    ChangeRoot { at: At },
    GetCapabilities { header: u64, data: u64 },
    SetCapabilities,
}

/// What is to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removed {
    Directory,
    Other,
}

/// Where the new times of a file are; none are where the address is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    /// Two numbers of seconds.
    Seconds(u64),
    /// Twice seconds and microseconds.
    Microseconds(u64),
    /// Twice seconds and nanoseconds, which may say "now" and "as it is".
    Nanoseconds(u64),
}

/// What is asked about extended attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    Get { name: u64, value: u64, size: u64 },
    Set { name: u64, value: u64, size: u64, flags: u32 },
    List { list: u64, size: u64 },
    Remove { name: u64 },
}

impl Operation {
    pub(super) fn decode(notification: &Notification) -> Option<Self> {
        let [one, two, three, four, five, _] = notification.arguments;
        let here = At { dir: AT_FDCWD, path: one };
        let there = At { dir: int(one), path: two };
        let open = At { dir: int(one), path: 0 };
        let follow = Way::FOLLOW;
        Some(match notification.number {
            number::UNLINK => Self::Remove { at: here, kind: Removed::Other },
            number::RMDIR => Self::Remove { at: here, kind: Removed::Directory },
            number::UNLINKAT => {
                let directory = word(three) & REMOVE_DIRECTORY != 0;
                let kind = if directory { Removed::Directory } else { Removed::Other };
                Self::Remove { at: there, kind }
            }
            number::RENAME => {
                Self::Rename { from: here, to: At { dir: AT_FDCWD, path: two }, flags: 0 }
            }
            number::RENAMEAT => {
                Self::Rename { from: there, to: At { dir: int(three), path: four }, flags: 0 }
            }
            number::RENAMEAT2 => Self::Rename {
                from: there,
                to: At { dir: int(three), path: four },
                flags: word(five),
            },
            number::LINK => {
                Self::Link { from: here, to: At { dir: AT_FDCWD, path: two }, flags: 0 }
            }
            number::LINKAT => {
                Self::Link { from: there, to: At { dir: int(three), path: four }, flags: int(five) }
            }
            number::CHMOD => Self::SetMode { at: here, mode: word(two), way: follow },
            number::FCHMOD => Self::SetMode { at: open, mode: word(two), way: Way::DESCRIPTOR },
            number::FCHMODAT => Self::SetMode { at: there, mode: word(three), way: follow },
            number::FCHMODAT2 => {
                Self::SetMode { at: there, mode: word(three), way: Way::of_flags(int(four)) }
            }
            number::UTIME => Self::SetTimes { at: here, times: Times::Seconds(two), way: follow },
            number::UTIMES => {
                Self::SetTimes { at: here, times: Times::Microseconds(two), way: follow }
            }
            number::FUTIMESAT => Self::SetTimes {
                at: there,
                times: Times::Microseconds(three),
                way: Way { descriptor: two == 0, ..follow },
            },
            number::UTIMENSAT => {
                let way = Way::of_flags(int(four));
                let way = Way { descriptor: way.descriptor || two == 0, ..way };
                Self::SetTimes { at: there, times: Times::Nanoseconds(three), way }
            }
            number::TRUNCATE => Self::Truncate { at: here, length: two },
            number::STATFS => Self::FileSystem { at: here, record: two },
            number::GETCWD => Self::WorkingDirectory { buffer: one, size: two },
            number::CHROOT => Self::ChangeRoot { at: here },
            number::CAPGET => Self::GetCapabilities { header: one, data: two },
            number::CAPSET => Self::SetCapabilities,
            _ => return Self::of_attributes(notification),
        })
    }

    fn of_attributes(notification: &Notification) -> Option<Self> {
        let [one, two, three, four, five, _] = notification.arguments;
        let get = Attribute::Get { name: two, value: three, size: four };
        let set = Attribute::Set { name: two, value: three, size: four, flags: word(five) };
        let list = Attribute::List { list: two, size: three };
        let remove = Attribute::Remove { name: two };
        let (way, what) = match notification.number {
            number::GETXATTR => (Way::FOLLOW, get),
            number::LGETXATTR => (Way::ENTRY, get),
            number::FGETXATTR => (Way::DESCRIPTOR, get),
            number::SETXATTR => (Way::FOLLOW, set),
            number::LSETXATTR => (Way::ENTRY, set),
            number::FSETXATTR => (Way::DESCRIPTOR, set),
            number::LISTXATTR => (Way::FOLLOW, list),
            number::LLISTXATTR => (Way::ENTRY, list),
            number::FLISTXATTR => (Way::DESCRIPTOR, list),
            number::REMOVEXATTR => (Way::FOLLOW, remove),
            number::LREMOVEXATTR => (Way::ENTRY, remove),
            number::FREMOVEXATTR => (Way::DESCRIPTOR, remove),
            _ => return None,
        };
        let at = match way {
            Way::DESCRIPTOR => At { dir: int(one), path: 0 },
            _ => At { dir: AT_FDCWD, path: one },
        };
        Some(Self::Attribute { at, way, what })
    }
}
