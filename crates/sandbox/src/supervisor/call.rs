//! What a notification asks for, whichever of several calls it came by.

use rustix::fs::{AtFlags, FileType, OFlags};
use strata_sys::seccomp::{Notification, number};

use super::credentials::{Change, Which};
use crate::ownership::Device;

/// The directory that relative paths start from where none is given.
pub(super) const AT_FDCWD: i32 = -100;
pub(super) const AT_EMPTY_PATH: i32 = AtFlags::EMPTY_PATH.bits().cast_signed();
const AT_SYMLINK_NOFOLLOW: i32 = AtFlags::SYMLINK_NOFOLLOW.bits().cast_signed();
const O_NOFOLLOW: i32 = OFlags::NOFOLLOW.bits().cast_signed();
pub(super) const O_CREAT: i32 = OFlags::CREATE.bits().cast_signed();
pub(super) const O_EXCL: i32 = OFlags::EXCL.bits().cast_signed();
const TMPFILE: i32 = OFlags::TMPFILE.bits().cast_signed();
pub(super) const PR_SET_KEEPCAPS: u32 = 8;
/// What `creat` is short for.
const CREAT: i32 = OFlags::CREATE.union(OFlags::WRONLY).union(OFlags::TRUNC).bits().cast_signed();

/// One call that may be the supervisor's to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Something with a path.
    Path(PathCall),
    /// Something about the caller's own ids.
    Ids(Ids),
    /// The process ends.
    End,
}

/// A call about the caller's own ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ids {
    Get(Which, Part),
    GetThree(Which, [u64; 3]),
    GetGroups {
        count: i32,
        list: u64,
    },
    SetGroups {
        count: i32,
        list: u64,
    },
    Change(Which, Change),
    /// Whether capabilities are to stay when the user stops being root.
    KeepCapabilities(bool),
}

/// One of the ids of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Real,
    Effective,
}

/// A file to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Create {
    /// By opening it.
    File {
        flags: i32,
        mode: u32,
    },
    Directory {
        mode: u32,
    },
    /// A symbolic link, to what is at this address.
    Link {
        target: u64,
    },
    Node {
        mode: u32,
        device: u64,
    },
}

impl Create {
    /// Whether it is a file without a name, in a directory.
    pub(super) fn is_nameless(self) -> bool {
        matches!(self, Self::File { flags, .. } if flags & TMPFILE == TMPFILE)
    }

    /// Whether opening may make a file.
    pub(super) fn makes_something(self) -> bool {
        match self {
            Self::File { flags, .. } => flags & O_CREAT != 0 || self.is_nameless(),
            Self::Directory { .. } | Self::Link { .. } | Self::Node { .. } => true,
        }
    }

    /// The device that it is to be, if it is one.
    pub(super) fn device(self) -> Option<Device> {
        let Self::Node { mode, device } = self else {
            return None;
        };
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        match FileType::from_raw_mode(mode) {
            FileType::CharacterDevice => Some(Device::Character { major, minor }),
            FileType::BlockDevice => Some(Device::Block { major, minor }),
            _ => None,
        }
    }
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
    /// Extended attributes, which places that are served do not have.
    Attributes,
    SetOwner {
        uid: u32,
        gid: u32,
        flags: i32,
    },
    Execute {
        flags: i32,
    },
    Create(Create),
}

impl Ask {
    /// Whether it is about the entry itself, should that be a symbolic link.
    pub(super) fn is_about_link(&self) -> bool {
        match *self {
            Self::Open { flags, .. } => flags & O_NOFOLLOW != 0,
            Self::Stat { flags, .. }
            | Self::Statx { flags, .. }
            | Self::SetOwner { flags, .. }
            | Self::Execute { flags } => flags & AT_SYMLINK_NOFOLLOW != 0,
            Self::Readlink { .. } | Self::Create(_) => true,
            Self::OpenHow { .. } | Self::Access { .. } | Self::Chdir | Self::Attributes => false,
        }
    }

    /// Whether an empty path means the descriptor itself.
    pub(super) fn takes_descriptors(&self) -> bool {
        match *self {
            Self::Stat { flags, .. }
            | Self::Statx { flags, .. }
            | Self::SetOwner { flags, .. }
            | Self::Execute { flags } => flags & AT_EMPTY_PATH != 0,
            Self::Open { .. }
            | Self::OpenHow { .. }
            | Self::Readlink { .. }
            | Self::Access { .. }
            | Self::Chdir
            | Self::Attributes
            | Self::Create(_) => false,
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
            number::GETXATTR | number::LGETXATTR | number::LISTXATTR | number::LLISTXATTR => {
                (here, Ask::Attributes)
            }
            number::FSTAT => {
                (At { dir: int(one), path: 0 }, Ask::Stat { record: two, flags: AT_EMPTY_PATH })
            }
            number::CHOWN => (here, set_owner(two, three, 0)),
            number::LCHOWN => (here, set_owner(two, three, AT_SYMLINK_NOFOLLOW)),
            number::FCHOWN => (At { dir: int(one), path: 0 }, set_owner(two, three, AT_EMPTY_PATH)),
            number::FCHOWNAT => (there, set_owner(three, four, int(five))),
            number::EXECVE => (here, Ask::Execute { flags: 0 }),
            number::EXECVEAT => (there, Ask::Execute { flags: int(five) }),
            number::MKDIR => (here, Ask::Create(Create::Directory { mode: word(two) })),
            number::MKDIRAT => (there, Ask::Create(Create::Directory { mode: word(three) })),
            number::SYMLINK => {
                let at = At { dir: AT_FDCWD, path: two };
                (at, Ask::Create(Create::Link { target: one }))
            }
            number::SYMLINKAT => {
                let at = At { dir: int(two), path: three };
                (at, Ask::Create(Create::Link { target: one }))
            }
            number::MKNOD => {
                (here, Ask::Create(Create::Node { mode: word(two), device: word(three).into() }))
            }
            number::MKNODAT => {
                (there, Ask::Create(Create::Node { mode: word(three), device: word(four).into() }))
            }
            _ => return Self::without_path(notification),
        };
        Some(Self::Path(PathCall { at, ask }))
    }

    fn without_path(notification: &Notification) -> Option<Self> {
        use Part::{Effective, Real};
        use Which::{Group, User};
        let [one, two, three, ..] = notification.arguments;
        let (first, second) = (word(one), word(two));
        let all = [first, second, word(three)];
        let addresses = [one, two, three];
        Some(Self::Ids(match notification.number {
            number::EXIT_GROUP => return Some(Self::End),
            number::GETUID => Ids::Get(User, Real),
            number::GETEUID => Ids::Get(User, Effective),
            number::GETGID => Ids::Get(Group, Real),
            number::GETEGID => Ids::Get(Group, Effective),
            number::GETRESUID => Ids::GetThree(User, addresses),
            number::GETRESGID => Ids::GetThree(Group, addresses),
            number::GETGROUPS => Ids::GetGroups { count: int(one), list: two },
            number::SETGROUPS => Ids::SetGroups { count: int(one), list: two },
            number::SETUID => Ids::Change(User, Change::One(first)),
            number::SETGID => Ids::Change(Group, Change::One(first)),
            number::SETREUID => Ids::Change(User, Change::Two(first, second)),
            number::SETREGID => Ids::Change(Group, Change::Two(first, second)),
            number::SETRESUID => Ids::Change(User, Change::Three(all)),
            number::SETRESGID => Ids::Change(Group, Change::Three(all)),
            number::SETFSUID => Ids::Change(User, Change::File(first)),
            number::SETFSGID => Ids::Change(Group, Change::File(first)),
            number::PRCTL if first == PR_SET_KEEPCAPS => Ids::KeepCapabilities(second == 1),
            _ => return None,
        }))
    }
}

fn set_owner(uid: u64, gid: u64, flags: i32) -> Ask {
    Ask::SetOwner { uid: word(uid), gid: word(gid), flags }
}

/// The kernel looks at the lower half of what is an `int` to it.
pub(super) fn int(argument: u64) -> i32 {
    word(argument).cast_signed()
}

#[expect(clippy::cast_possible_truncation, reason = "the upper half means nothing")]
pub(super) fn word(argument: u64) -> u32 {
    argument as u32
}
