//! Answers about places that a root without mounts lacks.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    Access, AtFlags, Mode, OFlags, ResolveFlags, accessat, fcntl_setfl, open, openat, openat2,
    readlinkat,
};
use rustix::io::Errno;
use strata_sys::Dir;
use strata_sys::record::{Stat, Statx};
use strata_sys::seccomp::CloseOnExec;

use super::alias::Aliases;
use super::call::{AT_EMPTY_PATH, AT_FDCWD, Ask, PathCall};
use super::caller::Caller;
use super::listing::Listing;
use super::place::{self, Place, Whose};
use super::process::{Process, below, split};
use super::{Answer, link_to};

/// What is served, and what was found out about it.
#[derive(Debug)]
pub(super) struct Served {
    procfs: OwnedFd,
    /// The root's path as the kernel shows it to this process: what is cut off links of procfs.
    prefix: Vec<u8>,
    devices: Devices,
    listing: Option<Listing>,
    aliases: Option<Aliases>,
    /// Numbers of terminals that the command has made: others are not its business.
    terminals: HashSet<u32>,
    /// Somebody has gone into `/proc`, and so relative paths are worth a look.
    has_wandered: bool,
}

/// Where devices are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Devices {
    /// In the root itself.
    Own,
    /// Outside of it, where none can be made.
    Served,
}

/// How procfs shows memory that is open as a file. What else has no path does not begin with a slash.
const WITHOUT_PATH: [&[u8]; 2] = [b"/memfd:", b"/anon_hugepage"];

/// An entry as a location, itself if it is a link.
const LOCATION: OFlags = OFlags::PATH;

impl Served {
    pub(super) fn new(root: &Dir) -> Result<Self, Errno> {
        let procfs = super::procfs()?;
        let mut prefix = readlinkat(&procfs, link_to(root), Vec::new())?.into_bytes();
        if prefix == b"/" {
            prefix.clear();
        }
        let null = openat(root, "dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        let is_device = |null: OwnedFd| {
            let mode = rustix::fs::fstat(null).map_or(0, |stat| stat.st_mode);
            rustix::fs::FileType::from_raw_mode(mode).is_char_device()
        };
        let devices = if null.is_ok_and(is_device) { Devices::Own } else { Devices::Served };
        // Without one, which takes a strange root, `/proc` seems empty.
        let listing = Listing::new(root).ok();
        let aliases = Aliases::new(root).ok();
        Ok(Self {
            procfs,
            prefix,
            devices,
            listing,
            aliases,
            terminals: HashSet::new(),
            has_wandered: false,
        })
    }

    /// The root's path as the kernel shows it.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Whether the call is about a place that is served, and which.
    pub(super) fn find(
        &mut self,
        caller: &Caller<'_>,
        call: &PathCall,
        path: &[u8],
    ) -> Option<Place> {
        let link = call.ask.is_about_link();
        let place = if path.starts_with(b"/") {
            if !place::may_be_served(path) {
                return None;
            }
            place::find(path, link)?
        } else if self.has_wandered && call.at.dir == AT_FDCWD && !path.is_empty() {
            let mut whole = self.working_directory(caller)?;
            whole.push(b'/');
            whole.extend_from_slice(path);
            place::find(&whole, link)?
        } else {
            return None;
        };
        match place {
            // The root has a directory there, which is empty but can be gone into.
            _ if call.ask == Ask::Chdir => {
                self.has_wandered |= place == Place::Processes;
                None
            }
            Place::Device { .. } if self.devices == Devices::Own => None,
            place => Some(place),
        }
    }

    fn working_directory(&self, caller: &Caller<'_>) -> Option<Vec<u8>> {
        let link = format!("{}/cwd", caller.thread.as_raw_nonzero());
        let path = caller.act(|| readlinkat(&self.procfs, link, Vec::new())).ok()?;
        Some(self.inside(path.into_bytes()))
    }

    /// A path as the command would write it.
    fn inside(&self, path: Vec<u8>) -> Vec<u8> {
        match path.strip_prefix(self.prefix.as_slice()) {
            Some(b"") => b"/".to_vec(),
            Some(rest) if rest.starts_with(b"/") => rest.to_vec(),
            _ => path,
        }
    }

    /// Does what the kernel would, if the place were there.
    pub(super) fn answer(
        &mut self,
        caller: &mut Caller<'_>,
        call: &PathCall,
        place: &Place,
    ) -> Result<Answer, Errno> {
        match call.ask {
            Ask::Open { flags, .. } => self.open(caller, place, flags),
            Ask::OpenHow { how, size } => {
                let flags = open_how(caller, how, size)?;
                self.open(caller, place, flags)
            }
            Ask::Stat { record, .. } => {
                let found = self.locate(caller, call, place)?;
                let stat = Stat::at(found.as_fd(), b"", AT_EMPTY_PATH)?;
                caller.write(record, stat.as_bytes()).map(|()| Answer::Value(0))
            }
            Ask::Statx { record, mask, .. } => {
                let found = self.locate(caller, call, place)?;
                let statx = Statx::at(found.as_fd(), b"", AT_EMPTY_PATH, mask)?;
                caller.write(record, statx.as_bytes()).map(|()| Answer::Value(0))
            }
            Ask::Access { mode } => {
                let found = self.locate(caller, call, place)?;
                let access = Access::from_bits_retain(mode);
                if access.contains(Access::WRITE_OK) && is_read_only(place) {
                    return Err(Errno::ROFS);
                }
                let flags = AtFlags::EMPTY_PATH | AtFlags::EACCESS;
                caller.act(|| accessat(&found, "", access, flags)).map(|()| Answer::Value(0))
            }
            Ask::Readlink { buffer, size } => {
                let text = self.link_text(caller, call, place)?;
                let size = usize::try_from(size).map_err(|_| Errno::INVAL)?;
                let text = text.get(..size).unwrap_or(&text);
                caller.write(buffer, text)?;
                i64::try_from(text.len()).map(Answer::Value).map_err(|_| Errno::INVAL)
            }
            Ask::Attributes => Err(Errno::OPNOTSUPP),
            Ask::Execute { .. } => {
                if let Err(error) = self.point_to_program(caller, call, place) {
                    tracing::debug!(%error, ?place, "a program cannot be named otherwise");
                }
                Ok(Answer::Continue)
            }
            Ask::Chdir | Ask::SetOwner { .. } | Ask::Create(_) => Ok(Answer::Continue),
        }
    }

    fn locate(
        &mut self,
        caller: &Caller<'_>,
        call: &PathCall,
        place: &Place,
    ) -> Result<OwnedFd, Errno> {
        let link = if call.ask.is_about_link() { OFlags::NOFOLLOW } else { OFlags::empty() };
        self.obtain(caller, place, LOCATION | link)
    }

    fn open(&mut self, caller: &Caller<'_>, place: &Place, flags: i32) -> Result<Answer, Errno> {
        let asked = OFlags::from_bits_retain(flags.cast_unsigned());
        let close_on_exec =
            if asked.contains(OFlags::CLOEXEC) { CloseOnExec::Yes } else { CloseOnExec::No };
        if *place == Place::Processes {
            if let Some(Err(error)) = self.listing.as_mut().map(Listing::refresh) {
                tracing::debug!(%error, "the command has changed its `/proc`");
            }
            return Ok(Answer::Continue);
        }
        if asked.contains(OFlags::CREATE | OFlags::EXCL) {
            return Err(match self.obtain(caller, place, LOCATION | OFlags::NOFOLLOW) {
                Ok(_) => Errno::EXIST,
                Err(errno) => errno,
            });
        }
        // All these places exist, or cannot be made.
        let mut flags = asked - OFlags::CREATE - OFlags::CLOEXEC;
        if asked.contains(OFlags::PATH) {
            // A location cannot be handed over; an open file serves as one.
            flags = asked & (OFlags::DIRECTORY | OFlags::NOFOLLOW);
        }
        let writes = flags.intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::TRUNC);
        if writes && is_read_only(place) {
            return Err(Errno::ROFS);
        }
        // What would make the caller wait must not make the supervisor wait.
        let waits = !flags.contains(OFlags::NONBLOCK);
        let file = self.obtain(caller, place, flags | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        if waits {
            fcntl_setfl(&file, flags & (OFlags::APPEND | OFlags::DIRECT | OFlags::NOATIME))?;
        }
        if *place == Place::TerminalMaker {
            self.remember_terminal(&file);
        }
        Ok(Answer::Open(file, close_on_exec))
    }

    /// Lets a caller that executes a link of procfs, itself in most cases, name the program where the kernel finds it.
    ///
    /// The kernel will read the path from the caller's memory, and so it is changed there: to one that leads to the
    /// program and ends as the link does, as the process is called by that. The string stays another one, for a parent
    /// that shares the memory as well; it still means the same program.
    fn point_to_program(
        &mut self,
        caller: &mut Caller<'_>,
        call: &PathCall,
        place: &Place,
    ) -> Result<(), Errno> {
        let Place::Process { .. } = place else { return Ok(()) };
        let link = self.obtain(caller, place, LOCATION | OFlags::NOFOLLOW)?;
        let text = caller.act(|| readlinkat(&link, "", Vec::new()))?;
        let program = self.inside(text.into_bytes());
        let room = caller.string(call.at.path)?.len();
        let named = self.aliases.as_mut().and_then(|aliases| aliases.path(&program, room));
        let own = (program.len() <= room).then_some(program);
        let mut path = named.or(own).ok_or(Errno::NAMETOOLONG)?;
        path.push(0);
        caller.overwrite(call.at.path, &path)
    }

    fn remember_terminal(&mut self, maker: &OwnedFd) {
        let name = rustix::pty::ptsname(maker, Vec::new()).ok();
        let number: Option<u32> =
            name.as_ref().and_then(|name| name.to_str().ok()?.rsplit('/').next()?.parse().ok());
        self.terminals.extend(number);
    }

    /// Opens a place, with the caller's rights.
    pub(super) fn obtain(
        &self,
        caller: &Caller<'_>,
        place: &Place,
        flags: OFlags,
    ) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC;
        let device =
            |path: String| caller.act(|| open(path, flags | OFlags::NOCTTY, Mode::empty()));
        match place {
            Place::Processes => caller.act(|| openat(&self.procfs, ".", flags, Mode::empty())),
            Place::Link { name } => {
                openat(&self.procfs, *name, flags | OFlags::NOFOLLOW, Mode::empty())
            }
            Place::Global { rest } => {
                // Its links would lead to this process's own directory.
                let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
                let rest = rest.as_slice();
                caller.act(|| openat2(&self.procfs, rest, flags, Mode::empty(), resolve))
            }
            Place::Process { whose, rest } => {
                let (process, rest) = self.process(caller, *whose, rest)?;
                let split = split(&rest);
                caller.act(|| match (split.leads_out, split.beyond) {
                    (false, _) => process.open(split.here, flags),
                    (true, b"") if flags.contains(OFlags::NOFOLLOW) => {
                        openat(&process.directory, split.here, flags, Mode::empty())
                    }
                    (true, beyond) => {
                        let place = process.follow(split.here)?;
                        self.confine(&place)?;
                        match beyond {
                            b"" if flags.contains(OFlags::PATH) => Ok(place),
                            b"" => openat(&self.procfs, link_to(&place), flags, Mode::empty()),
                            beyond => below(&place, beyond, flags),
                        }
                    }
                })
            }
            Place::Device { name } => device(format!("/dev/{name}")),
            Place::TerminalMaker => device("/dev/ptmx".to_owned()),
            Place::Terminal { number } if self.terminals.contains(number) => {
                device(format!("/dev/pts/{number}"))
            }
            Place::Hidden | Place::Terminal { .. } => Err(Errno::NOENT),
        }
    }

    /// Refuses what a descriptor of a command leads to, unless it is in the root, or served, or has no path.
    ///
    /// Commands whose root the kernel does not know can have others: a path that the kernel reads from their memory
    /// can become another one until it does. Such descriptors only name a place, and nothing may come of that.
    pub(super) fn confine(&self, found: &OwnedFd) -> Result<(), Errno> {
        let path = readlinkat(&self.procfs, link_to(found), Vec::new())?;
        if self.may_have(path.as_bytes()) { Ok(()) } else { Err(Errno::ACCESS) }
    }

    fn may_have(&self, path: &[u8]) -> bool {
        if !path.starts_with(b"/") || WITHOUT_PATH.iter().any(|start| path.starts_with(start)) {
            return true;
        }
        let below = path.strip_prefix(self.prefix.as_slice());
        if below.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/")) {
            return true;
        }
        match place::find(path, true) {
            Some(Place::Process { whose: Whose::Number(number), .. }) => {
                Process::of_command(&self.procfs, number).is_ok()
            }
            Some(Place::Terminal { number }) => self.terminals.contains(&number),
            Some(Place::Process { .. } | Place::Hidden) | None => false,
            Some(_) => true,
        }
    }

    fn process(
        &self,
        caller: &Caller<'_>,
        whose: Whose,
        rest: &[u8],
    ) -> Result<(Process, Vec<u8>), Errno> {
        match whose {
            Whose::Own => Ok((Process::of_thread(&self.procfs, caller.thread)?, rest.to_vec())),
            Whose::OwnThread => {
                let thread = format!("task/{}", caller.thread.as_raw_nonzero());
                let parts = [thread.as_bytes(), rest];
                let parts = if rest.is_empty() { &parts[..1] } else { &parts };
                Ok((Process::of_thread(&self.procfs, caller.thread)?, parts.join(&b'/')))
            }
            Whose::Number(number) => {
                Ok((Process::of_command(&self.procfs, number)?, rest.to_vec()))
            }
        }
    }

    fn link_text(
        &mut self,
        caller: &Caller<'_>,
        call: &PathCall,
        place: &Place,
    ) -> Result<Vec<u8>, Errno> {
        let own = || Process::of_thread(&self.procfs, caller.thread).map(|own| own.number);
        match place {
            Place::Link { name: "self" } => Ok(own()?.to_string().into_bytes()),
            Place::Link { name: "thread-self" } => {
                Ok(format!("{}/task/{}", own()?, caller.thread.as_raw_nonzero()).into_bytes())
            }
            Place::Link { name } => Ok(format!("self/{name}").into_bytes()),
            _ => {
                let found = self.locate(caller, call, place)?;
                let text = caller.act(|| readlinkat(&found, "", Vec::new()));
                match text {
                    Ok(text) => Ok(self.inside(text.into_bytes())),
                    // So the kernel says of a location that is no link.
                    Err(Errno::NOENT) => Err(Errno::INVAL),
                    Err(errno) => Err(errno),
                }
            }
        }
    }
}

/// What every process of the machine shares is not the command's to change.
fn is_read_only(place: &Place) -> bool {
    matches!(place, Place::Processes | Place::Global { .. } | Place::Link { .. })
}

/// The flags of a `struct open_how`, which begins with them. What else it has restricts the way to a
/// place, and the way to these has been found by its text.
fn open_how(caller: &mut Caller<'_>, address: u64, size: u64) -> Result<i32, Errno> {
    let mut flags = [0; 8];
    if size < flags.len() as u64 {
        return Err(Errno::INVAL);
    }
    if caller.read(address, &mut flags)? < flags.len() {
        return Err(Errno::FAULT);
    }
    i32::try_from(u64::from_ne_bytes(flags)).map_err(|_| Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_descriptors_may_lead_to_is_decided_by_path() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = Dir::open(directory.path()).expect("it is there");
        let served = Served::new(&root).expect("there is a procfs");
        let root = String::from_utf8_lossy(served.prefix()).into_owned();
        let cases = [
            (root.clone(), true),
            (format!("{root}/etc/passwd"), true),
            (format!("{root}/gone (deleted)"), true),
            (format!("{root}ed/file"), false),
            ("/".to_owned(), false),
            ("/etc/passwd".to_owned(), false),
            ("pipe:[17]".to_owned(), true),
            ("/memfd:name (deleted)".to_owned(), true),
            ("/proc".to_owned(), true),
            ("/proc/cpuinfo".to_owned(), true),
            ("/proc/kcore".to_owned(), false),
            ("/proc/1/environ".to_owned(), false),
            ("/dev/null".to_owned(), true),
            ("/dev/sda".to_owned(), false),
            ("/dev/pts/7".to_owned(), false),
        ];
        for (path, expected) in cases {
            assert_eq!(served.may_have(path.as_bytes()), expected, "{path}");
        }
    }
}
