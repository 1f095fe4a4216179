//! Which ids a user namespace has, and what they are outside.

use rustix::process::{getegid, geteuid};
use strata_sys::idmap::{self, IdKind, IdMap, IdMapError};
use strata_sys::process::Pid;

use super::{EnterError, Mode};

/// The id maps of a mode, and who may write them.
pub(super) struct Maps {
    users: IdMap,
    groups: IdMap,
    mode: Mode,
}

impl Maps {
    pub(super) fn of(mode: Mode) -> Result<Self, EnterError> {
        let (users, groups) = match mode {
            Mode::Identity => {
                (IdMap::own(IdKind::User)?.to_identity(), IdMap::own(IdKind::Group)?.to_identity())
            }
            Mode::Shifted => {
                (IdMap::own(IdKind::User)?.without_root(), IdMap::own(IdKind::Group)?.to_identity())
            }
            Mode::Single => (own_id(IdKind::User), own_id(IdKind::Group)),
            Mode::Subordinate => (subordinate_map(IdKind::User)?, subordinate_map(IdKind::Group)?),
            Mode::MountsOnly => (IdMap::own(IdKind::User)?, IdMap::own(IdKind::Group)?),
        };
        Ok(Self { users, groups, mode })
    }

    pub(super) fn write(&self, process: Pid) -> Result<(), IdMapError> {
        for (map, kind) in [(&self.users, IdKind::User), (&self.groups, IdKind::Group)] {
            match self.mode {
                Mode::Subordinate => map.write_by_program(process, kind)?,
                Mode::Identity | Mode::Shifted | Mode::Single => map.write(process, kind)?,
                Mode::MountsOnly => {}
            }
        }
        Ok(())
    }
}

fn own_id(kind: IdKind) -> IdMap {
    let id = match kind {
        IdKind::User => geteuid().as_raw(),
        IdKind::Group => getegid().as_raw(),
    };
    IdMap::single(0, id)
}

fn subordinate_map(kind: IdKind) -> Result<IdMap, EnterError> {
    let uid = geteuid().as_raw();
    // Both files list users; a group's own number plays no part in either.
    let ranges = idmap::subordinate(kind, user_name(uid).as_deref(), uid)?;
    if ranges.is_empty() {
        let file = match kind {
            IdKind::User => "/etc/subuid",
            IdKind::Group => "/etc/subgid",
        };
        return Err(EnterError::NoSubordinateIds { uid, file });
    }
    let own = own_id(kind).ranges()[0].outside;
    Ok(idmap::root_and_subordinate(own, &ranges))
}

/// A static program has no name service but the file; users of a directory service need their
/// number in the files of subordinate ids.
fn user_name(uid: u32) -> Option<String> {
    let text = std::fs::read("/etc/passwd").ok()?;
    let text = String::from_utf8_lossy(&text);
    let number = uid.to_string();
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    })
}
