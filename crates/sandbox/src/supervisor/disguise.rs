//! Answers about ids where there is only one: files that seem others', processes that seem to be
//! others.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, mkdirat, mknodat, openat,
    openat2, symlinkat,
};
use rustix::io::Errno;
use rustix::process::Pid;
use strata_sys::record::{Disguise as Record, Stat, Statx};
use strata_sys::seccomp::CloseOnExec;
use strata_sys::{Identity, Metadata, Root};

use super::Answer;
use super::call::{AT_EMPTY_PATH, AT_FDCWD, Ask, At, Create, Ids, Part, PathCall};
use super::caller::Caller;
use super::credentials::{Credentials, KEEP};
use super::journal::Journal;
use super::population::{Population, umask};
use crate::ownership::{Device, Entry, Ownership, Seeming};

/// The kernel's own limit.
const MOST_GROUPS: usize = 65536;

const SET_UID: u32 = 0o4000;
const SET_GID: u32 = 0o2000;
const PERMISSIONS: u32 = 0o7777;

/// What processes and files of one command seem.
#[derive(Debug)]
pub(super) struct Disguise {
    procfs: OwnedFd,
    journal: Journal,
    population: Population,
}

/// What a file is made as, and where.
struct New<'a> {
    parent: OwnedFd,
    name: &'a [u8],
    seems: Seeming,
}

impl Disguise {
    /// Begins with a program that seems to be `first`, in a root that is this process's own.
    pub(super) fn new(
        procfs: OwnedFd,
        first: Credentials,
        owners: &[Ownership],
    ) -> Result<Self, Errno> {
        let root = Root::open(std::path::Path::new("/")).map_err(|error| error.source)?;
        let journal = Journal::of(&root, owners);
        Ok(Self::with(procfs, first, journal))
    }

    /// Begins with a program that seems to be `first`, and files that are known.
    pub(super) fn with(procfs: OwnedFd, first: Credentials, journal: Journal) -> Self {
        Self { procfs, journal, population: Population::new(first) }
    }

    /// What a file seems, if it is not what it is.
    pub(super) fn seeming(&self, file: &Identity) -> Option<Seeming> {
        self.journal.get(file)
    }

    /// Lets a file seem something.
    pub(super) fn put(&mut self, file: Identity, seems: Seeming) {
        self.journal.put(file, seems);
    }

    /// Whether all files are what they are.
    pub(super) fn knows_nothing(&self) -> bool {
        self.journal.is_empty()
    }

    /// Whether a new file in some directory may get that directory's group.
    pub(super) fn passes_groups_on(&self) -> bool {
        self.journal.has_groups()
    }

    /// A program is executed that gives these ids; who the process is then.
    pub(super) fn executed(
        &mut self,
        thread: Pid,
        set_ids: (Option<u32>, Option<u32>),
    ) -> Result<Credentials, Errno> {
        let credentials = self.credentials(thread)?;
        if credentials.user.effective != 0 || !credentials.is_settled() {
            self.population.settle(&self.procfs, thread);
            self.credentials(thread)?.execute(set_ids.0, set_ids.1);
        }
        self.credentials(thread).cloned()
    }

    pub(super) fn journal(&self) -> Vec<Entry> {
        self.journal.entries()
    }

    pub(super) fn credentials(&mut self, thread: Pid) -> Result<&mut Credentials, Errno> {
        self.population.credentials(&self.procfs, thread)
    }

    pub(super) fn end(&mut self, thread: Pid) -> Answer {
        self.population.end(&self.procfs, thread);
        Answer::Continue
    }

    /// Answers about the ids of the caller itself.
    pub(super) fn ids(&mut self, caller: &mut Caller<'_>, call: Ids) -> Result<Answer, Errno> {
        let thread = caller.thread;
        match call {
            Ids::Get(which, part) => {
                let credentials = self.credentials(thread)?;
                let ids = credentials.of_kind(which);
                let id = match part {
                    Part::Real => ids.real,
                    Part::Effective => ids.effective,
                };
                Ok(Answer::Value(id.into()))
            }
            Ids::GetThree(which, places) => {
                let ids = *self.credentials(thread)?.of_kind(which);
                for (place, id) in places.into_iter().zip([ids.real, ids.effective, ids.saved]) {
                    caller.write(place, &id.to_ne_bytes())?;
                }
                Ok(Answer::Value(0))
            }
            Ids::GetGroups { count, list } => {
                let groups = self.credentials(thread)?.groups.clone();
                let length = groups.len();
                if count != 0 {
                    if usize::try_from(count).is_ok_and(|count| count < length) || count < 0 {
                        return Err(Errno::INVAL);
                    }
                    let bytes: Vec<u8> = groups.iter().flat_map(|id| id.to_ne_bytes()).collect();
                    caller.write(list, &bytes)?;
                }
                i64::try_from(length).map(Answer::Value).map_err(|_| Errno::INVAL)
            }
            Ids::SetGroups { count, list } => {
                if !self.credentials(thread)?.is_privileged() {
                    return Err(Errno::PERM);
                }
                let count = usize::try_from(count).ok().filter(|&count| count <= MOST_GROUPS);
                let mut bytes = vec![0; 4 * count.ok_or(Errno::INVAL)?];
                if !bytes.is_empty() && caller.read(list, &mut bytes)? < bytes.len() {
                    return Err(Errno::FAULT);
                }
                let id = |bytes: &[u8]| bytes.try_into().map(u32::from_ne_bytes).ok();
                let groups = bytes.chunks_exact(4).filter_map(id).collect();
                self.population.settle(&self.procfs, thread);
                self.credentials(thread)?.groups = groups;
                Ok(Answer::Value(0))
            }
            Ids::KeepCapabilities(keeps) => {
                self.credentials(thread)?.keep_capabilities(keeps);
                // The kernel's own mark means nothing to what is faked, but can be asked for.
                Ok(Answer::Continue)
            }
            Ids::Change(which, change) => {
                let mut changed = self.credentials(thread)?.clone();
                let result = changed.change(which, change)?;
                if *self.credentials(thread)? != changed {
                    self.population.settle(&self.procfs, thread);
                    *self.credentials(thread)? = changed;
                }
                Ok(Answer::Value(result))
            }
        }
    }

    /// Answers about a file, or lets the kernel do so where it is what it seems.
    pub(super) fn path(
        &mut self,
        caller: &mut Caller<'_>,
        call: &PathCall,
        path: &[u8],
    ) -> Result<Answer, Errno> {
        let thread = caller.thread;
        match call.ask {
            Ask::Stat { .. } | Ask::Statx { .. } if self.journal.is_empty() => Ok(Answer::Continue),
            Ask::Stat { record, .. } => {
                let Some((found, seems)) = self.disguised(thread, call, path) else {
                    return Ok(Answer::Continue);
                };
                let mut stat = Stat::at(found.as_fd(), b"", AT_EMPTY_PATH)?;
                stat.disguise(&seems.into());
                caller.write(record, stat.as_bytes()).map(|()| Answer::Value(0))
            }
            Ask::Statx { record, mask, .. } => {
                let Some((found, seems)) = self.disguised(thread, call, path) else {
                    return Ok(Answer::Continue);
                };
                let mut statx = Statx::at(found.as_fd(), b"", AT_EMPTY_PATH, mask)?;
                statx.disguise(&seems.into());
                caller.write(record, statx.as_bytes()).map(|()| Answer::Value(0))
            }
            Ask::SetOwner { uid, gid, .. } => {
                // Links of procfs, and what is wrong with the path, are the kernel's business.
                let Ok(found) = self.locate(thread, call, path) else {
                    return Ok(Answer::Continue);
                };
                self.set_owner(thread, &found, uid, gid)
            }
            Ask::Execute { .. } => {
                let credentials = self.credentials(thread)?;
                if credentials.user.effective != 0 || !credentials.is_settled() {
                    let set_ids = self.set_ids_of(thread, call, path);
                    self.executed(thread, set_ids)?;
                }
                Ok(Answer::Continue)
            }
            Ask::Open { flags, mode } => {
                self.create(caller, call.at, path, Create::File { flags, mode })
            }
            Ask::OpenHow { how, size } => match open_how(caller, how, size)? {
                Some(create) => self.create(caller, call.at, path, create),
                None => Ok(Answer::Continue),
            },
            Ask::Create(create) => self.create(caller, call.at, path, create),
            Ask::Readlink { .. } | Ask::Access { .. } | Ask::Chdir | Ask::Attributes => {
                Ok(Answer::Continue)
            }
        }
    }

    /// A file that seems something else than it is.
    fn disguised(&self, thread: Pid, call: &PathCall, path: &[u8]) -> Option<(OwnedFd, Seeming)> {
        let found = self.locate(thread, call, path).ok()?;
        let metadata = Root::metadata_of(found.as_fd()).ok()?;
        let seems = self.journal.get(&metadata.identity())?;
        Some((found, seems))
    }

    /// Finds what the caller means, as a location.
    fn locate(&self, thread: Pid, call: &PathCall, path: &[u8]) -> Result<OwnedFd, Errno> {
        let link = if call.ask.is_about_link() { OFlags::NOFOLLOW } else { OFlags::empty() };
        if path.is_empty() {
            if !call.ask.takes_descriptors() {
                return Err(Errno::NOENT);
            }
            return self.start(thread, call.at.dir);
        }
        self.find(thread, call.at.dir, path, link)
    }

    fn find(&self, thread: Pid, dir: i32, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
        let (base, resolve) = if path.starts_with(b"/") {
            let root = format!("{}/root", thread.as_raw_nonzero());
            (self.of_caller(&root)?, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
        } else {
            (self.start(thread, dir)?, ResolveFlags::NO_MAGICLINKS)
        };
        openat2(&base, path, flags, Mode::empty(), resolve)
    }

    /// Where the caller's relative paths start.
    fn start(&self, thread: Pid, dir: i32) -> Result<OwnedFd, Errno> {
        let thread = thread.as_raw_nonzero();
        match dir {
            AT_FDCWD => self.of_caller(&format!("{thread}/cwd")),
            number if number >= 0 => self.of_caller(&format!("{thread}/fd/{number}")),
            _ => Err(Errno::BADF),
        }
    }

    fn of_caller(&self, link: &str) -> Result<OwnedFd, Errno> {
        openat(&self.procfs, link, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
    }

    fn set_owner(
        &mut self,
        thread: Pid,
        found: &OwnedFd,
        uid: u32,
        gid: u32,
    ) -> Result<Answer, Errno> {
        let before = Root::metadata_of(found.as_fd())?;
        let mut seems = self.journal.get(&before.identity()).unwrap_or_default();
        if !self.credentials(thread)?.may_give((seems.uid, seems.gid), uid, gid) {
            return Err(Errno::PERM);
        }
        // Nothing changes on disk but what a change of owner changes besides: set-id bits and
        // capabilities go, the file's time, and an overlay makes its copy.
        let (user, group) = (Some(Uid::ROOT), Some(Gid::ROOT));
        chownat(found, "", user, group, AtFlags::EMPTY_PATH)?;
        if uid != KEEP {
            seems.uid = uid;
        }
        if gid != KEEP {
            seems.gid = gid;
        }
        let after = Root::metadata_of(found.as_fd())?;
        self.journal.put(after.identity(), seems);
        Ok(Answer::Value(0))
    }

    /// The ids that a program gives to whoever executes it.
    fn set_ids_of(&self, thread: Pid, call: &PathCall, path: &[u8]) -> (Option<u32>, Option<u32>) {
        let metadata =
            self.locate(thread, call, path).and_then(|found| Root::metadata_of(found.as_fd()));
        let Ok(metadata) = metadata else {
            return (None, None);
        };
        let seems = self.journal.get(&metadata.identity()).unwrap_or_default();
        let has = |bit| metadata.mode & bit != 0;
        (has(SET_UID).then_some(seems.uid), has(SET_GID).then_some(seems.gid))
    }

    /// Makes a file, if it is to seem somebody else's than root's or cannot be made otherwise.
    fn create(
        &mut self,
        caller: &mut Caller<'_>,
        at: At,
        path: &[u8],
        create: Create,
    ) -> Result<Answer, Errno> {
        let thread = caller.thread;
        let credentials = self.credentials(thread)?;
        let (uid, gid) = (credentials.user.file, credentials.group.file);
        let privileged = credentials.is_privileged();
        let device = create.device();
        if device.is_some() && !privileged {
            return Err(Errno::PERM);
        }
        if (uid, gid) == (0, 0) && device.is_none() && !self.journal.has_groups() {
            return Ok(Answer::Continue);
        }
        let Some(new) = self.place(thread, at, path, create) else {
            return Ok(Answer::Continue);
        };
        let mut seems = Seeming { uid, gid, device, ..Seeming::default() };
        let parent = Root::metadata_of(new.parent.as_fd())?;
        if parent.mode & SET_GID != 0 {
            seems.gid = self.journal.get(&parent.identity()).unwrap_or_default().gid;
        }
        if seems == Seeming::default() {
            return Ok(Answer::Continue);
        }
        let new = New { seems, ..new };
        self.make(caller, &new, create)
    }

    /// The directory of a new file, and its name there.
    fn place<'a>(&self, thread: Pid, at: At, path: &'a [u8], create: Create) -> Option<New<'a>> {
        let seems = Seeming::default();
        if create.is_nameless() {
            let parent = self.find(thread, at.dir, path, OFlags::DIRECTORY);
            return Some(New { parent: parent.ok()?, name: b".", seems });
        }
        let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
        let path = &path[..end];
        let (directory, name) = match path.iter().rposition(|&byte| byte == b'/') {
            Some(0) => (&b"/"[..], &path[1..]),
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b"."[..], path),
        };
        if name.is_empty() || name == b"." || name == b".." {
            return None;
        }
        let parent = self.find(thread, at.dir, directory, OFlags::DIRECTORY);
        Some(New { parent: parent.ok()?, name, seems })
    }

    fn make(
        &mut self,
        caller: &mut Caller<'_>,
        new: &New<'_>,
        create: Create,
    ) -> Result<Answer, Errno> {
        let mask = umask(&self.procfs, caller.thread)?;
        let mode = |mode: u32| Mode::from_raw_mode(mode & PERMISSIONS & !mask);
        let New { parent, name, seems } = new;
        let opened = match create {
            Create::File { flags, mode: wanted } => {
                let asked = OFlags::from_bits_retain(flags.cast_unsigned());
                let mut flags = asked | OFlags::CLOEXEC | OFlags::NOCTTY;
                if !create.is_nameless() {
                    flags |= OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                }
                match openat(parent, *name, flags, mode(wanted)) {
                    // It is there already, and so nobody's new file.
                    Err(Errno::EXIST) => return Ok(Answer::Continue),
                    other => Some((other?, asked)),
                }
            }
            Create::Directory { mode: wanted } => {
                mkdirat(parent, *name, mode(wanted)).map(|()| None)?
            }
            Create::Link { target } => {
                let target = caller.string(target)?;
                symlinkat(target.as_slice(), parent, *name).map(|()| None)?
            }
            Create::Node { mode: wanted, .. } => {
                let kind = match FileType::from_raw_mode(wanted) {
                    kind @ (FileType::Fifo | FileType::Socket) => kind,
                    _ => FileType::RegularFile,
                };
                mknodat(parent, *name, kind, mode(wanted), 0).map(|()| None)?
            }
        };
        let metadata = match &opened {
            Some((file, _)) => Root::metadata_of(file.as_fd())?,
            None => made(parent, name)?,
        };
        self.journal.put(metadata.identity(), *seems);
        Ok(match opened {
            Some((file, asked)) => {
                let close = asked.contains(OFlags::CLOEXEC);
                Answer::Open(file, if close { CloseOnExec::Yes } else { CloseOnExec::No })
            }
            None => Answer::Value(0),
        })
    }
}

fn made(parent: &OwnedFd, name: &[u8]) -> Result<Metadata, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(parent, name, flags, Mode::empty())?;
    Root::metadata_of(made.as_fd())
}

impl From<Seeming> for Record {
    fn from(seems: Seeming) -> Self {
        let Seeming { uid, gid, device, mode, .. } = seems;
        let kind = |kind: FileType| kind.as_raw_mode();
        let device = device.map(|device| match device {
            Device::Character { major, minor } => (kind(FileType::CharacterDevice), major, minor),
            Device::Block { major, minor } => (kind(FileType::BlockDevice), major, minor),
        });
        Self { uid, gid, device, mode }
    }
}

/// What a `struct open_how` asks to make, unless it restricts the way there: then the kernel goes it.
fn open_how(caller: &mut Caller<'_>, address: u64, size: u64) -> Result<Option<Create>, Errno> {
    let mut how = [0; 24];
    if size < how.len() as u64 {
        return Err(Errno::INVAL);
    }
    if caller.read(address, &mut how)? < how.len() {
        return Err(Errno::FAULT);
    }
    let field = |index: usize| {
        let bytes = how[8 * index..][..8].try_into().unwrap_or_default();
        u64::from_ne_bytes(bytes)
    };
    let (flags, mode, resolve) = (field(0), field(1), field(2));
    let create = i32::try_from(flags).ok().zip(u32::try_from(mode).ok());
    let create = create.map(|(flags, mode)| Create::File { flags, mode });
    Ok(create.filter(|create| resolve == 0 && create.makes_something()))
}
