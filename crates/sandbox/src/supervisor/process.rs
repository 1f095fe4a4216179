//! Directories of procfs, one for each process.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use rustix::process::{Pid, getpid};

/// How far up a process's parents are followed: more than that many generations are no one's.
const MOST_PARENTS: usize = 1024;

/// A process that belongs to the command, and its directory: what is opened below it is that
/// process's, or nothing at all if it has ended and its number is another's by now.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) directory: OwnedFd,
    /// Its number.
    pub(super) number: i32,
}

/// A path below a process's directory, split at the first component that is a link which leads out
/// of procfs: to its root, its working directory, its program or one of its open files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split<'a> {
    /// Up to and with the link, or all of the path.
    pub(super) here: &'a [u8],
    /// Whether `here` ends with such a link.
    pub(super) leads_out: bool,
    /// Below what the link leads to.
    pub(super) beyond: &'a [u8],
}

impl Process {
    /// The caller, as whose thread it is.
    pub(super) fn of_thread(procfs: &OwnedFd, thread: Pid) -> Result<Self, Errno> {
        let thread = thread.as_raw_nonzero().get();
        let status = read(procfs, &format!("{thread}/status"))?;
        let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
        let number = group.and_then(|number| number.trim().parse().ok()).ok_or(Errno::SRCH)?;
        Ok(Self { directory: open(procfs, number)?, number })
    }

    /// Another process, if it is a descendant of this one: all of a command's are, and nothing else.
    pub(super) fn of_command(procfs: &OwnedFd, number: i32) -> Result<Self, Errno> {
        let directory = open(procfs, number)?;
        let own = getpid().as_raw_nonzero().get();
        let mut above = parent(&read(&directory, "stat")?)?;
        for _ in 0..MOST_PARENTS {
            if above == own {
                return Ok(Self { directory, number });
            }
            if above <= 1 {
                break;
            }
            above = parent(&read(procfs, &format!("{above}/stat"))?)?;
        }
        Err(Errno::NOENT)
    }

    /// Opens something below the directory that is no link out of it.
    pub(super) fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        below(&self.directory, path, flags)
    }

    /// What a link leads to, as a location.
    pub(super) fn follow(&self, link: &[u8]) -> Result<OwnedFd, Errno> {
        openat(&self.directory, link, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
    }
}

/// Opens without leaving a directory. Links that lead out of it, absolute ones too, are not followed.
pub(super) fn below(directory: &impl AsFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b".".as_slice() } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match openat2(directory, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
        Err(Errno::XDEV) => Err(Errno::ACCESS),
        other => other,
    }
}

pub(super) fn split(path: &[u8]) -> Split<'_> {
    let mut ends = Vec::new();
    let mut parts = Vec::new();
    let mut from = 0;
    for part in path.split(|&byte| byte == b'/') {
        ends.push(from + part.len());
        from += part.len() + 1;
        parts.push(part);
    }
    // A thread's directory has the same links as a process's.
    let skipped = if parts.first() == Some(&b"task".as_slice()) { 2 } else { 0 };
    let link = match parts.get(skipped..).unwrap_or_default() {
        [b"root" | b"cwd" | b"exe", ..] => Some(skipped),
        [b"fd" | b"ns" | b"map_files", _, ..] => Some(skipped + 1),
        _ => None,
    };
    match link {
        Some(index) => {
            let end = ends[index];
            let beyond = path.get(end + 1..).unwrap_or_default();
            Split { here: &path[..end], leads_out: true, beyond }
        }
        None => Split { here: path, leads_out: false, beyond: b"" },
    }
}

fn open(procfs: &OwnedFd, number: i32) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(procfs, number.to_string(), flags, Mode::empty())
}

fn read(directory: &OwnedFd, path: &str) -> Result<String, Errno> {
    let file = openat(directory, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    std::io::read_to_string(std::fs::File::from(file)).map_err(|error| crate::errno::of(&error))
}

/// The fourth field of `stat`; the second may hold anything, in parentheses.
fn parent(stat: &str) -> Result<i32, Errno> {
    let after_name = stat.rfind(')').and_then(|end| stat.get(end + 1..));
    let parent = after_name.and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
    parent.ok_or(Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_where_they_leave_procfs() {
        let cases: [(&str, &str, bool, &str); 9] = [
            ("", "", false, ""),
            ("status", "status", false, ""),
            ("fd", "fd", false, ""),
            ("fd/3", "fd/3", true, ""),
            ("root", "root", true, ""),
            ("root/etc/passwd", "root", true, "etc/passwd"),
            ("task/7/cwd/x", "task/7/cwd", true, "x"),
            ("task/7", "task/7", false, ""),
            ("net/dev", "net/dev", false, ""),
        ];
        for (path, here, leads_out, beyond) in cases {
            let (here, beyond) = (here.as_bytes(), beyond.as_bytes());
            assert_eq!(split(path.as_bytes()), Split { here, leads_out, beyond }, "{path}");
        }
    }
}
