//! Everything that a command sees besides its root's own files, put into the root and taken out again.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use strata_sys::{Dir, Node, PathError, Root};

use super::cover::{Cover, Piece};
use crate::mount_points::{MountPoints, Want};
use crate::{Cancel, Command, Mount, RunError, hosts};

/// Devices that a container has, all harmless, with their numbers.
pub(crate) const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Links that programs expect in `/dev`, to places that are served.
const DEVICE_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// The name under which a piece waits to be moved in.
const OURS: &str = "ours";

/// How long a build sleeps between two looks at a cache that another one has moved away: a lock
/// cannot be waited for together with a request to stop.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// Tells the directories of commands that run at once apart.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// What the builder may do with files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    /// All that root can.
    Root,
    /// What their owner can: they stay its own, and usable for it. A supervisor lets them seem others'.
    Owner,
}

impl Power {
    /// The mode for what is to have that mode.
    fn mode(self, mode: u32, needed: u32) -> u32 {
        match self {
            Self::Root => mode,
            Self::Owner => mode & 0o1777 | needed,
        }
    }
}

/// What has been put into one root.
#[derive(Debug)]
pub(crate) struct Layout<'a> {
    /// The isolation it is for.
    isolation: &'static str,
    power: Power,
    root: &'a Root,
    /// The directory that the root lies in.
    beside: Dir,
    /// Of the directory in it that takes what is moved away.
    name: String,
    aside: Dir,
    laid: Vec<Laid<'a>>,
    /// Keep a cache from being moved into two roots at once.
    locks: Vec<File>,
}

#[derive(Debug)]
struct Laid<'a> {
    path: Vec<u8>,
    cover: Option<Cover>,
    points: MountPoints<'a>,
    /// It lies in another piece, and not in the root.
    is_nested: bool,
}

impl<'a> Layout<'a> {
    pub(crate) fn new(
        (isolation, power): (&'static str, Power),
        root: &'a Root,
        command: &Command,
    ) -> Result<Self, RunError> {
        let failed = |error: PathError| RunError::Setup {
            operation: "make a directory beside the root".into(),
            source: error.source,
        };
        let parent = command.root.parent().unwrap_or(Path::new("/"));
        let beside = Dir::open(parent).map_err(failed)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!(".aside-{}-{number}", std::process::id());
        beside.mkdir(&name, 0o700).map_err(failed)?;
        let aside = beside.dir(&name).map_err(failed)?;
        Ok(Self {
            isolation,
            power,
            root,
            beside,
            name,
            aside,
            laid: Vec::new(),
            locks: Vec::new(),
        })
    }

    pub(crate) fn build(&mut self, command: &Command, cancel: &Cancel) -> Result<(), RunError> {
        self.lock(command, cancel)?;
        for name in ["proc", "sys"] {
            let slot = self.slot(name.as_bytes())?;
            directory(&slot, self.power.mode(0o555, 0o700))
                .map_err(|error| place(name.as_bytes(), &error))?;
            self.cover(name.as_bytes(), Want::PlainDirectory, slot)?;
        }
        let slot = self.slot(b"dev")?;
        devices(&slot).map_err(|error| place(b"dev", &error))?;
        self.cover(b"dev", Want::PlainDirectory, slot)?;
        let names = hosts::hosts_file(&command.hostname, &command.extra_hosts);
        self.file(b"etc/hosts", &names, 0o644, (0, 0))?;
        let hostname = format!("{}\n", command.hostname);
        self.file(b"etc/hostname", hostname.as_bytes(), 0o644, (0, 0))?;
        if let Some(content) = &command.resolver_configuration {
            self.file(b"etc/resolv.conf", content, 0o644, (0, 0))?;
        }
        command.mounts.iter().try_for_each(|mount| self.mount(mount))
    }

    fn mount(&mut self, mount: &Mount) -> Result<(), RunError> {
        match mount {
            Mount::File { target, content, mode, uid, gid } => {
                self.file(target, content, *mode, (*uid, *gid))
            }
            // Without a mount there is nothing that a limit on its size could be set on.
            Mount::Tmpfs { size: Some(_), target, .. } => {
                Err(self.unsupported("tmpfs with a limit", target))
            }
            Mount::Tmpfs { target, size: None, mode } => {
                let slot = self.slot(target)?;
                directory(&slot, self.power.mode(*mode, 0o700))
                    .map_err(|error| place(target, &error))?;
                self.cover(target, Want::Directory, slot)
            }
            Mount::Bind { source, target, .. } => self.bind(source, target),
        }
    }

    /// Waits until no other command has anything moved away from where this one takes it. In one order
    /// for all commands, so that no two wait for each other.
    fn lock(&mut self, command: &Command, cancel: &Cancel) -> Result<(), RunError> {
        let sources = command.mounts.iter().filter_map(|mount| match mount {
            Mount::Bind { source, .. } => source.parent(),
            Mount::Tmpfs { .. } | Mount::File { .. } => None,
        });
        let parents: BTreeSet<&Path> = sources.collect();
        for parent in parents {
            let failed = |source| RunError::Setup {
                operation: format!("lock `{}`", parent.display()),
                source,
            };
            let lock = File::open(parent).map_err(|error| failed(crate::errno::of(&error)))?;
            wait_for(&lock, cancel)?.map_err(failed)?;
            self.locks.push(lock);
        }
        Ok(())
    }

    /// Moves a directory or file of the builder's own into the root.
    fn bind(&mut self, source: &Path, target: &[u8]) -> Result<(), RunError> {
        let refused = |source_error| RunError::Mount {
            what: source.display().to_string(),
            target: target.escape_ascii().to_string(),
            source: source_error,
        };
        let (Some(parent), Some(name)) = (source.parent(), source.file_name()) else {
            return Err(refused(Errno::BUSY));
        };
        let dir = Dir::open(parent).map_err(|error| refused(error.source))?;
        let metadata =
            fs::symlink_metadata(source).map_err(|error| refused(crate::errno::of(&error)))?;
        let want = if metadata.is_dir() { Want::Directory } else { Want::File };
        let piece = Piece { dir, name: name.as_bytes().to_vec(), keep: true };
        let aside = self.slot(target)?;
        self.lay(&source.display().to_string(), target, want, piece, aside)
    }

    fn file(
        &mut self,
        target: &[u8],
        content: &[u8],
        mode: u32,
        (uid, gid): (u32, u32),
    ) -> Result<(), RunError> {
        let failed = |error: PathError| place(target, &error);
        let slot = self.slot(target)?;
        let mut file = slot.create_file(OURS, 0o600).map_err(failed)?;
        file.write_all(content).map_err(|error| RunError::Setup {
            operation: "write a file of the run".into(),
            source: crate::errno::of(&error),
        })?;
        drop(file);
        if self.power == Power::Root {
            slot.set_owner(OURS, uid, gid).map_err(failed)?;
        }
        slot.set_mode(OURS, self.power.mode(mode, 0o600)).map_err(failed)?;
        self.cover(target, Want::File, slot)
    }

    fn unsupported(&self, what: &str, target: &[u8]) -> RunError {
        RunError::MountUnsupported {
            isolation: self.isolation.into(),
            what: what.into(),
            target: target.escape_ascii().to_string(),
        }
    }

    /// A directory for one piece and what it covers.
    fn slot(&self, target: &[u8]) -> Result<Dir, RunError> {
        let name = self.laid.len().to_string();
        self.aside
            .mkdir(&name, 0o700)
            .and_then(|()| self.aside.dir(&name))
            .map_err(|error| place(target, &error))
    }

    fn cover(&mut self, target: &[u8], want: Want, slot: Dir) -> Result<(), RunError> {
        let dir = slot.try_clone().map_err(|error| place(target, &error))?;
        let piece = Piece { dir, name: OURS.into(), keep: false };
        self.lay("what exists for the run", target, want, piece, slot)
    }

    fn lay(
        &mut self,
        what: &str,
        target: &[u8],
        want: Want,
        piece: Piece,
        aside: Dir,
    ) -> Result<(), RunError> {
        let mut points = MountPoints::new(self.root);
        let path = points.ensure(target, want)?;
        let is_nested = self.laid.iter().any(|laid| is_below(&path, &laid.path));
        let cover =
            Cover::put(self.root, &path, piece, aside).map_err(|error| RunError::Mount {
                what: what.to_owned(),
                target: target.escape_ascii().to_string(),
                source: error.source,
            })?;
        self.laid.push(Laid { path, cover: Some(cover), points, is_nested });
        Ok(())
    }

    /// Relative image paths of everything that was created in the root itself, parents first.
    pub(crate) fn mount_points(&self) -> Vec<Vec<u8>> {
        let laid = self.laid.iter().filter(|laid| !laid.is_nested);
        laid.flat_map(|laid| laid.points.paths()).collect()
    }

    /// Takes everything out again, last first, and tells the first thing that went wrong.
    pub(crate) fn undo(&mut self) -> Result<(), RunError> {
        let mut result = Ok(());
        while let Some(mut laid) = self.laid.pop() {
            let Some(cover) = laid.cover.take() else {
                continue;
            };
            if let Err(error) = cover.take_away() {
                let target = laid.path.escape_ascii().to_string();
                result = result.and(Err(RunError::Restore { target, source: error.source }));
            }
        }
        match self.beside.remove_all(&self.name) {
            Err(error) if !error.is_not_found() => result.and(Err(RunError::Setup {
                operation: "remove the directory beside the root".into(),
                source: error.source,
            })),
            _ => result,
        }
    }
}

impl Drop for Layout<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.undo() {
            tracing::debug!(%error, "the root stays as the run left it");
        }
    }
}

fn directory(slot: &Dir, mode: u32) -> Result<(), PathError> {
    slot.mkdir(OURS, 0o700)?;
    slot.set_mode(OURS, mode)
}

fn devices(slot: &Dir) -> Result<(), PathError> {
    directory(slot, 0o755)?;
    let dev = slot.dir(OURS)?;
    for (name, major, minor) in DEVICES {
        match dev.mknod(name, Node::CharDevice(major, minor), 0o600) {
            // The supervisor serves the outer ones, and what is listed here is the name.
            Err(error) if error.source == Errno::PERM => drop(dev.create_file(name, 0o600)?),
            other => other?,
        }
        dev.set_mode(name, 0o666)?;
    }
    for (name, target) in DEVICE_LINKS {
        dev.symlink(target, name)?;
    }
    dev.mkdir("pts", 0o755)?;
    dev.mkdir("shm", 0o700)?;
    dev.set_mode("shm", 0o1777)
}

/// Waits until nobody else has anything of a directory moved away; the outer error is for giving up.
fn wait_for(directory: &File, cancel: &Cancel) -> Result<Result<(), Errno>, RunError> {
    loop {
        match flock(directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {}
            other => return Ok(other),
        }
        let mut waiting = [PollFd::new(cancel, PollFlags::IN)];
        match poll(&mut waiting, Some(&PATIENCE)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Err(RunError::Cancelled),
            Err(errno) => return Ok(Err(errno)),
        }
    }
}

fn is_below(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with(b"/"))
}

fn place(target: &[u8], error: &PathError) -> RunError {
    RunError::MountPoint { target: target.escape_ascii().to_string(), source: error.source }
}
