//! What the kernel knows about an entry.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, Timespec, makedev, statx};
use rustix::io::Errno;

/// What kind of entry a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl Kind {
    pub(crate) fn from_file_type(kind: FileType) -> Option<Self> {
        match kind {
            FileType::RegularFile => Some(Self::File),
            FileType::Directory => Some(Self::Dir),
            FileType::Symlink => Some(Self::Symlink),
            FileType::Fifo => Some(Self::Fifo),
            FileType::Socket => Some(Self::Socket),
            FileType::CharacterDevice => Some(Self::CharDevice),
            FileType::BlockDevice => Some(Self::BlockDevice),
            FileType::Unknown => None,
        }
    }
}

/// A special file to create.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Node {
    /// A named pipe.
    Fifo,
    /// A socket that nothing listens on.
    Socket,
    /// A character device with its major and minor number; 0/0 is overlayfs's whiteout, the only
    /// device that needs no privilege.
    CharDevice(u32, u32),
    /// A block device with its major and minor number.
    BlockDevice(u32, u32),
}

impl Node {
    pub(crate) fn parts(self) -> (FileType, u64) {
        match self {
            Self::Fifo => (FileType::Fifo, 0),
            Self::Socket => (FileType::Socket, 0),
            Self::CharDevice(major, minor) => (FileType::CharacterDevice, makedev(major, minor)),
            Self::BlockDevice(major, minor) => (FileType::BlockDevice, makedev(major, minor)),
        }
    }
}

/// A point in time as file systems keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    /// Seconds since 1970, negative before.
    pub seconds: i64,
    /// Nanoseconds within the second, less than 1 000 000 000.
    pub nanoseconds: u32,
}

impl Time {
    pub(crate) fn to_timespec(self) -> Timespec {
        Timespec { tv_sec: self.seconds, tv_nsec: self.nanoseconds.into() }
    }
}

/// One entry's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// Permission, set-id and sticky bits (`0o7777`).
    pub mode: u32,
    /// Owner, as the caller's user namespace sees it.
    pub uid: u32,
    /// Group, as the caller's user namespace sees it.
    pub gid: u32,
    /// Bytes of a file, length of a symbolic link's target.
    pub size: u64,
    /// How many names it has.
    pub links: u32,
    /// The number that identifies it within [`device`](Self::device).
    pub inode: u64,
    /// The file system it lies on, as major and minor number.
    pub device: (u32, u32),
    /// Which device it is, if it is one.
    pub node: (u32, u32),
    /// When the content last changed; programs can set it.
    pub modified: Time,
    /// When anything about it last changed; programs cannot set it.
    pub changed: Time,
    /// When it was last read.
    pub accessed: Time,
    /// When it was made, where the file system keeps that.
    pub born: Option<Time>,
}

/// Which file it is, also after others had its inode number before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The file system it lies on, as major and minor number.
    pub device: (u32, u32),
    /// Its number there.
    pub inode: u64,
    /// When it was made, where the file system keeps that.
    pub born: Option<Time>,
}

impl Metadata {
    /// Which file it is.
    pub fn identity(&self) -> Identity {
        Identity { device: self.device, inode: self.inode, born: self.born }
    }
}

pub(crate) fn of_fd(fd: BorrowedFd<'_>) -> Result<Metadata, Errno> {
    at(fd, b"", AtFlags::EMPTY_PATH)
}

pub(crate) fn at(dir: BorrowedFd<'_>, name: &[u8], flags: AtFlags) -> Result<Metadata, Errno> {
    let statx = statx(
        dir,
        name,
        flags | AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT,
        StatxFlags::BASIC_STATS | StatxFlags::BTIME,
    )?;
    from_statx(&statx)
}

fn from_statx(statx: &Statx) -> Result<Metadata, Errno> {
    let time =
        |at: rustix::fs::StatxTimestamp| Time { seconds: at.tv_sec, nanoseconds: at.tv_nsec };
    let mode = u32::from(statx.stx_mode);
    Ok(Metadata {
        kind: Kind::from_file_type(FileType::from_raw_mode(mode)).ok_or(Errno::INVAL)?,
        mode: mode & 0o7777,
        uid: statx.stx_uid,
        gid: statx.stx_gid,
        size: statx.stx_size,
        links: statx.stx_nlink,
        inode: statx.stx_ino,
        device: (statx.stx_dev_major, statx.stx_dev_minor),
        node: (statx.stx_rdev_major, statx.stx_rdev_minor),
        modified: time(statx.stx_mtime),
        changed: time(statx.stx_ctime),
        accessed: time(statx.stx_atime),
        born: (statx.stx_mask & StatxFlags::BTIME.bits() != 0).then(|| time(statx.stx_btime)),
    })
}
