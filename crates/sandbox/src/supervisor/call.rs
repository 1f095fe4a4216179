//! What a notification asks for, whichever of several calls it came by.

use rustix::fs::{AtFlags, OFlags};
use strata_sys::seccomp::{Notification, number};

/// The directory that relative paths start from where none is given.
pub(super) const AT_FDCWD: i32 = -100;
pub(super) const AT_EMPTY_PATH: i32 = AtFlags::EMPTY_PATH.bits().cast_signed();
const AT_SYMLINK_NOFOLLOW: i32 = AtFlags::SYMLINK_NOFOLLOW.bits().cast_signed();
const O_NOFOLLOW: i32 = OFlags::NOFOLLOW.bits().cast_signed();
/// What `creat` is short for.
const CREAT: i32 = OFlags::CREATE.union(OFlags::WRONLY).union(OFlags::TRUNC).bits().cast_signed();

/// One call that may be the supervisor's to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Something with a path.
    Path(PathCall),
    /// The thread will have other ids.
    ChangeIds,
}

/// A call about what is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PathCall {
    pub(super) at: At,
    pub(super) ask: Ask,
}

/// A path, by its address, and the directory that it starts from if it is relative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) dir: i32,
    pub(super) path: u64,
}

/// What is asked about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Open {
        flags: i32,
        mode: u32,
    },
    /// With flags and mode in memory.
    OpenHow {
        how: u64,
        size: u64,
    },
    Stat {
        record: u64,
        flags: i32,
    },
    Statx {
        record: u64,
        flags: i32,
        mask: u32,
    },
    Readlink {
        buffer: u64,
        size: u64,
    },
    Access {
        mode: u32,
    },
    Chdir,
}

impl Ask {
    /// Whether it is about the entry itself, should that be a symbolic link.
    pub(super) fn is_about_link(&self) -> bool {
        match *self {
            Self::Open { flags, .. } => flags & O_NOFOLLOW != 0,
            Self::Stat { flags, .. } | Self::Statx { flags, .. } => {
                flags & AT_SYMLINK_NOFOLLOW != 0
            }
            Self::Readlink { .. } => true,
            Self::OpenHow { .. } | Self::Access { .. } | Self::Chdir => false,
        }
    }
}

impl Call {
    pub(super) fn decode(notification: &Notification) -> Option<Self> {
        let [one, two, three, four, five, _] = notification.arguments;
        let here = At { dir: AT_FDCWD, path: one };
        let there = At { dir: int(one), path: two };
        let (at, ask) = match notification.number {
            number::OPEN => (here, Ask::Open { flags: int(two), mode: word(three) }),
            number::CREAT => (here, Ask::Open { flags: CREAT, mode: word(two) }),
            number::OPENAT => (there, Ask::Open { flags: int(three), mode: word(four) }),
            number::OPENAT2 => (there, Ask::OpenHow { how: three, size: four }),
            number::STAT => (here, Ask::Stat { record: two, flags: 0 }),
            number::LSTAT => (here, Ask::Stat { record: two, flags: AT_SYMLINK_NOFOLLOW }),
            number::NEWFSTATAT => (there, Ask::Stat { record: three, flags: int(four) }),
            number::STATX => {
                (there, Ask::Statx { record: five, flags: int(three), mask: word(four) })
            }
            number::READLINK => (here, Ask::Readlink { buffer: two, size: three }),
            number::READLINKAT => (there, Ask::Readlink { buffer: three, size: four }),
            number::ACCESS => (here, Ask::Access { mode: word(two) }),
            number::FACCESSAT | number::FACCESSAT2 => (there, Ask::Access { mode: word(three) }),
            number::CHDIR => (here, Ask::Chdir),
            number::SETUID
            | number::SETGID
            | number::SETREUID
            | number::SETREGID
            | number::SETRESUID
            | number::SETRESGID => return Some(Self::ChangeIds),
            _ => return None,
        };
        Some(Self::Path(PathCall { at, ask }))
    }
}

/// The kernel looks at the lower half of what is an `int` to it.
fn int(argument: u64) -> i32 {
    word(argument).cast_signed()
}

#[expect(clippy::cast_possible_truncation, reason = "the upper half means nothing")]
fn word(argument: u64) -> u32 {
    argument as u32
}
