//! Opening files, and making them by opening.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;
use strata_sys::Root;
use strata_sys::seccomp::CloseOnExec;

use super::place::{Target, Way};
use super::{Translated, link_to, usable_mode};
use crate::ownership::Seeming;
use crate::supervisor::call::{Ask, At, PathCall};
use crate::supervisor::caller::Caller;
use crate::supervisor::{Answer, Waiting};

const SET_GROUP: u32 = 0o2000;
const PERMISSIONS: u32 = 0o7777;

/// What is to be opened, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    asked: OFlags,
    mode: u32,
}

impl Wish {
    pub(super) fn new(flags: i32, mode: u32) -> Self {
        Self { asked: OFlags::from_bits_retain(flags.cast_unsigned()), mode }
    }

    fn close_on_exec(self) -> CloseOnExec {
        if self.asked.contains(OFlags::CLOEXEC) { CloseOnExec::Yes } else { CloseOnExec::No }
    }

    fn makes(self) -> bool {
        self.asked.contains(OFlags::CREATE) || self.is_nameless()
    }

    fn is_nameless(self) -> bool {
        self.asked.contains(OFlags::TMPFILE)
    }

    fn is_exclusive(self) -> bool {
        self.asked.contains(OFlags::CREATE | OFlags::EXCL)
    }

    fn writes(self) -> bool {
        self.asked.intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::TRUNC)
    }

    /// Whether a link at the end is not followed.
    fn is_about_link(self) -> bool {
        self.asked.contains(OFlags::NOFOLLOW) || self.is_exclusive()
    }

    /// The flags for a file that has been found.
    fn of_found(self) -> OFlags {
        let asked = self.asked - OFlags::CREATE - OFlags::EXCL - OFlags::NOFOLLOW - OFlags::PATH;
        asked | OFlags::CLOEXEC | OFlags::NOCTTY
    }
}

impl Translated {
    pub(super) fn open(
        &mut self,
        caller: &mut Caller<'_>,
        at: At,
        wish: Wish,
    ) -> Result<Answer, Errno> {
        let way = Way { link: wish.is_about_link(), descriptor: false };
        let target = self.target(caller, at, way)?;
        self.open_target(caller, target, wish)
    }

    fn open_target(
        &mut self,
        caller: &mut Caller<'_>,
        target: Target,
        wish: Wish,
    ) -> Result<Answer, Errno> {
        let path = match target {
            Target::Served(place) => {
                if !wish.writes()
                    && let Some(file) = self.edited(caller, &place)?
                {
                    return Ok(Answer::Open(file, wish.close_on_exec()));
                }
                let at = At { dir: 0, path: 0 };
                let flags = wish.asked.bits().cast_signed();
                let call = PathCall { at, ask: Ask::Open { flags, mode: wish.mode } };
                match self.served.answer(caller, &call, &place)? {
                    // It is a directory of the root itself, filled for those who list it.
                    Answer::Continue => b"/proc".to_vec(),
                    other => return Ok(other),
                }
            }
            Target::Image(path) => path,
            Target::Descriptor(_) => return Err(Errno::NOENT),
        };
        if wish.is_nameless() {
            return self.make_file(caller, &path, wish);
        }
        let way = Way { link: wish.is_about_link(), descriptor: false };
        let link = if way.link { OFlags::NOFOLLOW } else { OFlags::empty() };
        match self.open_in_root(&path, OFlags::PATH | link, Mode::empty()) {
            Ok(found) => self.open_found(found, wish),
            Err(Errno::NOENT) => {
                if !way.link
                    && let Some(target) = self.beyond_link(caller.thread, &path)?
                {
                    return self.open_target(caller, target, wish);
                }
                if wish.makes() { self.make_file(caller, &path, wish) } else { Err(Errno::NOENT) }
            }
            Err(errno) => Err(errno),
        }
    }

    fn open_found(&self, found: OwnedFd, wish: Wish) -> Result<Answer, Errno> {
        if wish.is_exclusive() {
            return Err(Errno::EXIST);
        }
        match FileType::from_raw_mode(fstat(&found)?.st_mode) {
            FileType::Symlink => return Err(Errno::LOOP),
            FileType::Directory if wish.writes() || wish.makes() => return Err(Errno::ISDIR),
            FileType::Directory => {}
            _ if wish.asked.contains(OFlags::DIRECTORY) => return Err(Errno::NOTDIR),
            FileType::Socket => return Err(Errno::NXIO),
            FileType::Fifo if !wish.asked.contains(OFlags::NONBLOCK) => {
                let both = wish.asked.contains(OFlags::RDWR);
                // Somebody has to come to the other end, and must be answered meanwhile.
                if !both {
                    let (flags, close_on_exec) = (wish.of_found(), wish.close_on_exec());
                    return Ok(Answer::Wait(Waiting { fifo: found, flags, close_on_exec }));
                }
            }
            _ => {}
        }
        let file = openat(&self.procfs, link_to(&found), wish.of_found(), Mode::empty())?;
        Ok(Answer::Open(file, wish.close_on_exec()))
    }

    fn make_file(
        &mut self,
        caller: &mut Caller<'_>,
        path: &[u8],
        wish: Wish,
    ) -> Result<Answer, Errno> {
        let mode = self.masked(caller, wish.mode)?;
        let flags = wish.asked | OFlags::CLOEXEC | OFlags::NOCTTY;
        let usable = usable_mode(mode, false);
        let file = self.open_in_root(path, flags, Mode::from_raw_mode(usable))?;
        let parent = if self.disguise.passes_groups_on() {
            let directory = if wish.is_nameless() {
                self.open_in_root(path, OFlags::PATH, Mode::empty())?
            } else {
                self.name_of(path)?.parent
            };
            Some(directory)
        } else {
            None
        };
        let seems = Seeming { mode: (mode != usable).then_some(mode), ..Seeming::default() };
        self.note(caller, &file, parent.as_ref(), seems)?;
        Ok(Answer::Open(file, wish.close_on_exec()))
    }

    /// The permissions of a new file.
    pub(super) fn masked(&mut self, caller: &Caller<'_>, mode: u32) -> Result<u32, Errno> {
        let mask = crate::supervisor::population::umask(&self.procfs, caller.thread)?;
        Ok(mode & PERMISSIONS & !mask)
    }

    /// Remembers whose a new file is: its maker's, with the group of a directory that passes it on.
    pub(super) fn note(
        &mut self,
        caller: &Caller<'_>,
        made: &impl AsFd,
        parent: Option<&OwnedFd>,
        mut seems: Seeming,
    ) -> Result<(), Errno> {
        let credentials = self.credentials(caller.thread)?;
        (seems.uid, seems.gid) = (credentials.user.file, credentials.group.file);
        if let Some(parent) = parent {
            let parent = Root::metadata_of(parent.as_fd())?;
            let of_parent = self.seeming(&parent);
            if of_parent.mode.unwrap_or(parent.mode) & SET_GROUP != 0 {
                seems.gid = of_parent.gid;
            }
        }
        if seems != Seeming::default() {
            let metadata = Root::metadata_of(made.as_fd())?;
            self.disguise.put(metadata.identity(), seems);
        }
        Ok(())
    }

    /// Opens as `openat2` does. What restricts the way there restricts it to what the image has.
    pub(super) fn open_how(
        &mut self,
        caller: &mut Caller<'_>,
        at: At,
        how: u64,
        size: u64,
    ) -> Result<Answer, Errno> {
        let mut fields = [0; 24];
        if size < fields.len() as u64 {
            return Err(Errno::INVAL);
        }
        if caller.read(how, &mut fields)? < fields.len() {
            return Err(Errno::FAULT);
        }
        let field = |index: usize| {
            u64::from_ne_bytes(fields[8 * index..][..8].try_into().unwrap_or_default())
        };
        let flags = i32::try_from(field(0)).map_err(|_| Errno::INVAL)?;
        let mode = u32::try_from(field(1)).map_err(|_| Errno::INVAL)?;
        let resolve = ResolveFlags::from_bits(field(2)).ok_or(Errno::INVAL)?;
        let wish = Wish::new(flags, mode);
        if resolve.is_empty() {
            return self.open(caller, at, wish);
        }
        if !resolve.intersects(ResolveFlags::BENEATH | ResolveFlags::IN_ROOT) {
            // The other flags forbid links or other file systems, which the image need not have.
            return self.open(caller, at, wish);
        }
        let path = caller.string(at.path)?;
        let base = self.base(caller.thread, at.dir)?;
        let location = OFlags::PATH | OFlags::DIRECTORY;
        let base = self.open_in_root(&base, location, Mode::empty())?;
        let resolve = resolve | ResolveFlags::NO_MAGICLINKS;
        let flags = wish.asked - OFlags::PATH;
        let usable = usable_mode(mode & PERMISSIONS, false);
        let mode = if wish.makes() { Mode::from_raw_mode(usable) } else { Mode::empty() };
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = openat2(&base, path, flags, mode, resolve)?;
        Ok(Answer::Open(file, wish.close_on_exec()))
    }
}
