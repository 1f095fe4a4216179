//! The thread whose call it is: its memory, and as whom its files are looked at.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Pid, getegid, geteuid};
use strata_sys::memory;
use strata_sys::process::as_file_user;

/// The longest path that the kernel takes, with its end.
const LONGEST_PATH: usize = 4096;

/// Most paths end before this, and reading more than is needed costs.
const MOST_PATHS: usize = 256;

const PAGE: u64 = 4096;

/// Open memories are few, since they are those of processes that changed their user; they go all at
/// once when there are this many.
const MOST_MEMORIES: usize = 256;

/// Memories of processes that have another user than the supervisor.
///
/// The kernel lets nobody into the memory of another user's process without a capability that an
/// ordinary container lacks, and not even that user if the process changed its ids and executed
/// nothing since. But one that was opened before stays open, until the process executes a program.
#[derive(Debug)]
pub(super) struct Memories {
    procfs: OwnedFd,
    open: HashMap<Pid, File>,
}

/// A thread that waits for an answer.
#[derive(Debug)]
pub(super) struct Caller<'a> {
    pub(super) thread: Pid,
    /// Whose rights it has on files; `None` if they are the supervisor's own.
    user: Option<(u32, u32)>,
    memories: &'a mut Memories,
}

impl Memories {
    /// Finds memories in a procfs that numbers threads as this process does.
    pub(super) fn new(procfs: OwnedFd) -> Self {
        Self { procfs, open: HashMap::new() }
    }

    fn put(&mut self, thread: Pid, file: File) {
        if self.open.len() >= MOST_MEMORIES {
            self.open.clear();
        }
        self.open.insert(thread, file);
    }

    /// The thread that a call is from.
    pub(super) fn caller(&mut self, thread: Pid) -> Caller<'_> {
        Caller { thread, user: None, memories: self }
    }
}

impl Caller<'_> {
    /// Reads a path, or another string that is as short.
    pub(super) fn string(&mut self, address: u64) -> Result<Vec<u8>, Errno> {
        let mut string = Vec::new();
        let mut chunk = [0; LONGEST_PATH];
        while string.len() < LONGEST_PATH {
            let from = address.checked_add(string.len() as u64).ok_or(Errno::FAULT)?;
            // Not over the end of a page: what is behind it may not be there.
            let to_end = usize::try_from(PAGE - from % PAGE).map_err(|_| Errno::FAULT)?;
            let most = if string.is_empty() { MOST_PATHS } else { LONGEST_PATH - string.len() };
            let part = &mut chunk[..to_end.min(most)];
            let length = self.read(from, part)?;
            let part = &part[..length];
            if let Some(end) = part.iter().position(|&byte| byte == 0) {
                string.extend_from_slice(&part[..end]);
                return Ok(string);
            }
            if part.is_empty() {
                return Err(Errno::FAULT);
            }
            string.extend_from_slice(part);
        }
        Err(Errno::NAMETOOLONG)
    }

    /// Copies from the caller's memory, as much as there is up to the next page that is missing.
    pub(super) fn read(&mut self, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        match memory::read(self.thread, address, buffer) {
            Err(Errno::PERM) => self.through_file(|file| match file.read_at(buffer, address) {
                Ok(length) => Ok(length),
                Err(error) => Err(crate::errno::of(&error)),
            }),
            other => other,
        }
    }

    /// Copies into the caller's memory.
    pub(super) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        match memory::write(self.thread, address, bytes) {
            Err(Errno::PERM) => self.write_through_file(address, bytes),
            other => other,
        }
    }

    /// The same, also where the caller itself may only read.
    pub(super) fn overwrite(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        match self.write(address, bytes) {
            Err(Errno::FAULT) => self.write_through_file(address, bytes),
            other => other,
        }
    }

    fn write_through_file(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let written = self.through_file(|file| match file.write_at(bytes, address) {
            Ok(length) => Ok(length),
            Err(error) => Err(crate::errno::of(&error)),
        })?;
        if written == bytes.len() { Ok(()) } else { Err(Errno::FAULT) }
    }

    /// Opens its memory, which may be out of reach later.
    pub(super) fn keep_memory(&mut self) {
        let procfs = &self.memories.procfs;
        if let Ok(file) = open(procfs, self.thread, user(procfs, self.thread)) {
            self.memories.put(self.thread, file);
        }
    }

    /// Finds out as whom the caller's files are looked at, before anything is done for it.
    pub(super) fn identify(&mut self) {
        self.user = user(&self.memories.procfs, self.thread);
    }

    /// Does something as the caller's user.
    pub(super) fn act<T>(&self, act: impl FnOnce() -> T) -> T {
        match self.user {
            Some((uid, gid)) => as_file_user(uid, gid, act),
            None => act(),
        }
    }

    fn through_file(
        &mut self,
        mut copy: impl FnMut(&File) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        self.user = user(&self.memories.procfs, self.thread);
        if let Some(file) = self.memories.open.get(&self.thread) {
            match copy(file) {
                // The program that it belonged to has been replaced.
                Ok(0) | Err(Errno::IO) => {}
                other => return other,
            }
        }
        self.memories.open.remove(&self.thread);
        let file = open(&self.memories.procfs, self.thread, self.user)?;
        let result = copy(&file);
        self.memories.put(self.thread, file);
        result
    }
}

fn open(procfs: &OwnedFd, thread: Pid, user: Option<(u32, u32)>) -> Result<File, Errno> {
    let path = format!("{}/mem", thread.as_raw_nonzero());
    let open = || openat(procfs, path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let opened = match user {
        Some((uid, gid)) => as_file_user(uid, gid, open),
        None => open(),
    };
    opened.map(File::from)
}

/// As whom a thread's files are looked at, unless as this process's own user.
///
/// Not by the owner of its directory in procfs: that is root for a process that hides.
fn user(procfs: &OwnedFd, thread: Pid) -> Option<(u32, u32)> {
    let path = format!("{}/status", thread.as_raw_nonzero());
    let status = openat(procfs, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let status = std::io::read_to_string(File::from(status)).ok()?;
    let id = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        // Real, effective, saved, and for files.
        line.split_whitespace().nth(3)?.parse().ok()
    };
    let ids: (u32, u32) = (id("Uid:")?, id("Gid:")?);
    let own = (geteuid().as_raw(), getegid().as_raw());
    Some(ids).filter(|ids| *ids != own)
}
