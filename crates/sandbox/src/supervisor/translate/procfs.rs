//! Files of procfs that name paths of the host, or ids that are not what they seem.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, OFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::Pid;

use super::Translated;
use super::place::number;
use crate::supervisor::caller::Caller;
use crate::supervisor::credentials::Credentials;
use crate::supervisor::place::{Place, Whose};

/// Longer files are passed on as they are.
const LONGEST: u64 = 16 << 20;

/// What is to be changed in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edit {
    Paths,
    Ids,
}

impl Translated {
    /// Opens a copy of a file of procfs as the caller is to see it, if that differs from what it is.
    pub(super) fn edited(
        &mut self,
        caller: &Caller<'_>,
        place: &Place,
    ) -> Result<Option<OwnedFd>, Errno> {
        let Place::Process { whose, rest } = place else {
            return Ok(None);
        };
        let edit = match rest.rsplit(|&byte| byte == b'/').next() {
            Some(b"maps" | b"smaps" | b"numa_maps") => Edit::Paths,
            Some(b"status") => Edit::Ids,
            _ => return Ok(None),
        };
        let file = File::from(self.served.obtain(caller, place, OFlags::RDONLY)?);
        let mut content = Vec::new();
        let read = file.take(LONGEST).read_to_end(&mut content);
        read.map_err(|error| crate::errno::of(&error))?;
        let edited = match edit {
            Edit::Paths => replace(&content, &[self.prefix.as_slice(), b"/"].concat()),
            Edit::Ids => {
                let thread = match whose {
                    Whose::Own | Whose::OwnThread => Some(caller.thread),
                    Whose::Number(number) => Pid::from_raw(*number),
                };
                let credentials = self.credentials(thread.ok_or(Errno::SRCH)?)?;
                with_ids(&content, credentials)
            }
        };
        let mut copy = File::from(memfd_create("procfs", MemfdFlags::CLOEXEC)?);
        let written = copy.write_all(&edited).and_then(|()| copy.rewind());
        written.map_err(|error| crate::errno::of(&error))?;
        // As a file to read, like the one that it stands for.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let link = super::link_to(&copy);
        rustix::fs::openat(&self.procfs, link, flags, rustix::fs::Mode::empty()).map(Some)
    }

    /// The number of the process that a place is about.
    pub(super) fn number_in(caller: &Caller<'_>, whose: Whose) -> i32 {
        match whose {
            Whose::Own | Whose::OwnThread => number(caller.thread),
            Whose::Number(number) => number,
        }
    }
}

/// The content with the root's own path cut off all paths.
fn replace(content: &[u8], prefix: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some((&byte, after)) = rest.split_first() {
        match rest.strip_prefix(prefix) {
            Some(below) => {
                replaced.push(b'/');
                rest = below;
            }
            None => {
                replaced.push(byte);
                rest = after;
            }
        }
    }
    replaced
}

/// The lines of `status` that say whose a process is.
fn with_ids(content: &[u8], credentials: &Credentials) -> Vec<u8> {
    let text = String::from_utf8_lossy(content);
    let ids = |name: &str, ids: &crate::supervisor::credentials::Ids| {
        format!("{name}:\t{}\t{}\t{}\t{}", ids.real, ids.effective, ids.saved, ids.file)
    };
    let line = |line: &str| match line.split_once(':') {
        Some(("Uid", _)) => ids("Uid", &credentials.user),
        Some(("Gid", _)) => ids("Gid", &credentials.group),
        Some(("Groups", _)) => {
            let mut groups = Vec::new();
            for group in &credentials.groups {
                groups.push(group.to_string());
            }
            let groups = groups.join(" ");
            format!("Groups:\t{groups}")
        }
        _ => line.to_owned(),
    };
    text.lines().map(|one| line(one) + "\n").collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_ids_are_replaced() {
        let maps = replace(b"1-2 r /a/root/bin/x\n2-3 r /a/rooted\n[heap]", b"/a/root/");
        assert_eq!(maps, b"1-2 r /bin/x\n2-3 r /a/rooted\n[heap]");
        let credentials = Credentials::of(5, 6, vec![6, 7]);
        let status = with_ids(b"Name:\tx\nUid:\t1\t1\t1\t1\nGroups:\t \n", &credentials);
        let expected = "Name:\tx\nUid:\t5\t5\t5\t5\nGroups:\t6 7\n";
        assert_eq!(String::from_utf8_lossy(&status), expected);
    }
}
