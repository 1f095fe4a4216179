//! Calls that the caller does itself, with paths of the host in place of its own.

use rustix::fs::{FileType, OFlags, fstat};
use rustix::io::Errno;
use strata_sys::ptrace::Registers;
use strata_sys::seccomp::number;

use super::Translated;
use super::exec::Executable;
use super::place::{Target, Way};
use crate::supervisor::call::{AT_FDCWD, At, int, word};
use crate::supervisor::caller::Caller;
use crate::supervisor::place::Place;

const AF_UNIX: u16 = 1;

/// The longest address of a socket: a family, and a path.
const LONGEST_ADDRESS: usize = 110;
const IN_DONT_FOLLOW: u32 = 0x0200_0000;

/// What a call becomes.
#[derive(Debug)]
pub(super) enum Rewritten {
    /// What it was.
    Unchanged,
    /// These bytes are what an argument points to, with their length as another one.
    Pointed { argument: usize, bytes: Vec<u8>, length: Option<usize> },
    /// Another program.
    Executed(Box<Executable>),
}

impl Translated {
    /// What a call becomes, or what it fails with.
    pub(super) fn rewritten(
        &mut self,
        caller: &mut Caller<'_>,
        registers: &Registers,
    ) -> Result<Rewritten, Errno> {
        let [one, two, three, _, five, _] = registers.arguments();
        let here = At { dir: AT_FDCWD, path: one };
        let there = At { dir: int(one), path: two };
        match u32::try_from(registers.call()).map_err(|_| Errno::NOSYS)? {
            number::EXECVE => self.executable(caller, here, Way::FOLLOW).map(executed),
            number::EXECVEAT => {
                let way = Way::of_flags(int(five));
                self.executable(caller, there, way).map(executed)
            }
            number::CHDIR => self.directory(caller, here),
            number::OPEN => self.location(caller, here, word(two), 0),
            number::OPENAT => self.location(caller, there, word(three), 1),
            number::INOTIFY_ADD_WATCH => {
                let at = At { dir: AT_FDCWD, path: two };
                let link = word(three) & IN_DONT_FOLLOW != 0;
                self.pointed(caller, at, Way { link, descriptor: false }, 1)
            }
            number::BIND => self.address(caller, (two, three), Purpose::Bind),
            number::CONNECT => self.address(caller, (two, three), Purpose::Connect),
            _ => Err(Errno::NOSYS),
        }
    }

    fn directory(&mut self, caller: &mut Caller<'_>, at: At) -> Result<Rewritten, Errno> {
        let target = match self.target(caller, at, Way::FOLLOW)? {
            // A directory of the root itself: procfs would show other processes.
            Target::Served(Place::Processes) => Target::Image(b"/proc".to_vec()),
            other => other,
        };
        let found = self.locate_target(caller, target, Way::FOLLOW)?;
        if FileType::from_raw_mode(fstat(&found)?.st_mode) != FileType::Directory {
            return Err(Errno::NOTDIR);
        }
        Ok(pointed(self.host_path(&found)?, 0))
    }

    /// A descriptor that only names a place.
    fn location(
        &mut self,
        caller: &mut Caller<'_>,
        at: At,
        flags: u32,
        argument: usize,
    ) -> Result<Rewritten, Errno> {
        let flags = OFlags::from_bits_retain(flags);
        let way = Way { link: flags.contains(OFlags::NOFOLLOW), descriptor: false };
        self.pointed(caller, at, way, argument)
    }

    fn pointed(
        &mut self,
        caller: &mut Caller<'_>,
        at: At,
        way: Way,
        argument: usize,
    ) -> Result<Rewritten, Errno> {
        let target = match self.target(caller, at, way)? {
            Target::Served(Place::Processes) => Target::Image(b"/proc".to_vec()),
            other => other,
        };
        let served = matches!(target, Target::Served(_));
        let found = self.locate_target(caller, target, way)?;
        match self.image_path(&found)? {
            Some(_) => Ok(pointed(self.host_path(&found)?, argument)),
            // What has no name is reached by the link of procfs that was asked for.
            None if served => Ok(Rewritten::Unchanged),
            None => Err(Errno::NOENT),
        }
    }

    fn address(
        &mut self,
        caller: &mut Caller<'_>,
        (address, length): (u64, u64),
        purpose: Purpose,
    ) -> Result<Rewritten, Errno> {
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(LONGEST_ADDRESS);
        let mut bytes = vec![0; length];
        // A bad address is the kernel's to refuse.
        let Ok(read) = caller.read(address, &mut bytes) else {
            return Ok(Rewritten::Unchanged);
        };
        let family = bytes[..read].first_chunk().map(|&family| u16::from_ne_bytes(family));
        let path = bytes.get(2..read).unwrap_or_default();
        let path = path.split(|&byte| byte == 0).next().unwrap_or_default().to_vec();
        // Sockets of networks, and those with names outside of file systems.
        if family != Some(AF_UNIX) || path.is_empty() {
            return Ok(Rewritten::Unchanged);
        }
        let host = match purpose {
            Purpose::Connect => {
                let target = self.target_of(caller.thread, AT_FDCWD, &path, Way::FOLLOW)?;
                let found = self.locate_target(caller, target, Way::FOLLOW)?;
                self.host_path(&found)?
            }
            Purpose::Bind => {
                let whole = self.whole(caller.thread, AT_FDCWD, &path)?;
                let name = self.name_of(&whole)?;
                [&self.host_path(&name.parent)?, b"/".as_slice(), &name.name].concat()
            }
        };
        let bytes = [&AF_UNIX.to_ne_bytes(), host.as_slice()].concat();
        if bytes.len() > LONGEST_ADDRESS {
            return Err(Errno::NAMETOOLONG);
        }
        Ok(Rewritten::Pointed { argument: 1, length: Some(2), bytes })
    }
}

fn executed(executable: Executable) -> Rewritten {
    Rewritten::Executed(Box::new(executable))
}

fn pointed(path: Vec<u8>, argument: usize) -> Rewritten {
    Rewritten::Pointed { argument, bytes: [path, vec![0]].concat(), length: None }
}

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Bind,
    Connect,
}
