//! Making, removing and moving entries of directories.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, linkat, mkdirat, mknodat, openat, renameat_with,
    symlinkat, unlinkat,
};
use rustix::io::Errno;
use strata_sys::{Kind, Metadata, Root};

use super::call::Removed;
use super::place::{Name, Way};
use super::{Translated, link_to, usable_mode};
use crate::ownership::Seeming;
use crate::supervisor::Answer;
use crate::supervisor::call::{At, Create};
use crate::supervisor::caller::Caller;

const SET_GROUP: u32 = 0o2000;

impl Translated {
    pub(super) fn make(
        &mut self,
        caller: &mut Caller<'_>,
        at: At,
        create: Create,
    ) -> Result<Answer, Errno> {
        let device = create.device();
        if device.is_some() && !self.credentials(caller.thread)?.is_privileged() {
            return Err(Errno::PERM);
        }
        let Name { parent, name } = self.name(caller, at)?;
        let wanted = match create {
            Create::Directory { mode } | Create::Node { mode, .. } => self.masked(caller, mode)?,
            Create::File { .. } | Create::Link { .. } => 0o777,
        };
        let usable = usable_mode(wanted, matches!(create, Create::Directory { .. }));
        let mode = Mode::from_raw_mode(usable);
        match create {
            Create::Directory { .. } => mkdirat(&parent, name.as_slice(), mode)?,
            Create::Link { target } => {
                let target = caller.string(target)?;
                if target.is_empty() {
                    return Err(Errno::NOENT);
                }
                symlinkat(target.as_slice(), &parent, name.as_slice())?;
            }
            Create::Node { mode: kind, .. } => {
                let kind = match FileType::from_raw_mode(kind) {
                    kind @ (FileType::Fifo | FileType::Socket) => kind,
                    FileType::Directory => return Err(Errno::PERM),
                    _ => FileType::RegularFile,
                };
                mknodat(&parent, name.as_slice(), kind, mode, 0)?;
            }
            Create::File { .. } => return Err(Errno::NOSYS),
        }
        let made = entry(&parent, &name)?;
        let mut seems = Seeming { device, ..Seeming::default() };
        if !matches!(create, Create::Link { .. }) {
            seems.mode = (wanted != usable).then_some(wanted);
        }
        if matches!(create, Create::Directory { .. }) && self.disguise.passes_groups_on() {
            let above = Root::metadata_of(parent.as_fd())?;
            if self.mode(&above) & SET_GROUP != 0 {
                seems.mode = Some(wanted | SET_GROUP);
            }
        }
        self.note(caller, &made, Some(&parent), seems)?;
        Ok(Answer::Value(0))
    }

    pub(super) fn remove(
        &mut self,
        caller: &mut Caller<'_>,
        at: At,
        kind: Removed,
    ) -> Result<Answer, Errno> {
        let Name { parent, name } = self.name(caller, at)?;
        let flags = match kind {
            Removed::Directory => AtFlags::REMOVEDIR,
            Removed::Other => AtFlags::empty(),
        };
        let standing = self.standing(&parent, &name);
        unlinkat(&parent, name.as_slice(), flags)?;
        self.gone(standing);
        Ok(Answer::Value(0))
    }

    pub(super) fn rename(
        &mut self,
        caller: &mut Caller<'_>,
        from: At,
        to: At,
        flags: u32,
    ) -> Result<Answer, Errno> {
        let flags = RenameFlags::from_bits_retain(flags);
        let from = self.name(caller, from)?;
        let to = self.name(caller, to)?;
        let standing = if flags.contains(RenameFlags::EXCHANGE) {
            None
        } else {
            self.standing(&to.parent, &to.name)
        };
        let moved = self.standing(&from.parent, &from.name);
        let (name, new) = (from.name.as_slice(), to.name.as_slice());
        match flags {
            // Some profiles know only the older call, and some file systems only what it does.
            flags if flags.is_empty() => rustix::fs::renameat(&from.parent, name, &to.parent, new)?,
            flags => renameat_with(&from.parent, name, &to.parent, new, flags)?,
        }
        // Two names of one file, and nothing happened.
        if standing.map(|one| one.identity()) != moved.map(|one| one.identity()) {
            self.gone(standing);
        }
        Ok(Answer::Value(0))
    }

    pub(super) fn link(
        &mut self,
        caller: &mut Caller<'_>,
        from: At,
        to: At,
        flags: i32,
    ) -> Result<Answer, Errno> {
        let flags = AtFlags::from_bits_retain(flags.cast_unsigned());
        let way = Way {
            link: !flags.contains(AtFlags::SYMLINK_FOLLOW),
            descriptor: flags.contains(AtFlags::EMPTY_PATH),
        };
        let found = self.locate(caller, from, way)?;
        let to = self.name(caller, to)?;
        let follow = AtFlags::SYMLINK_FOLLOW;
        linkat(&self.procfs, link_to(&found), &to.parent, to.name.as_slice(), follow)?;
        Ok(Answer::Value(0))
    }

    /// What a name stands for, if the journal may know it.
    fn standing(&self, parent: &OwnedFd, name: &[u8]) -> Option<Metadata> {
        if self.disguise.knows_nothing() {
            return None;
        }
        let end = name.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
        let entry = entry(parent, &name[..end]).ok()?;
        Root::metadata_of(entry.as_fd()).ok()
    }

    /// A file whose last name is gone seems nothing: its number will be another's.
    fn gone(&mut self, standing: Option<Metadata>) {
        if let Some(metadata) = standing
            && (metadata.kind == Kind::Dir || metadata.links <= 1)
        {
            self.disguise.put(metadata.identity(), Seeming::default());
        }
    }
}

fn entry(parent: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let end = name.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, &name[..end], flags, Mode::empty())
}
