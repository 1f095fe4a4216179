//! Who a process believes to be, by the kernel's rules for changing it (`credentials(7)`).

use rustix::io::Errno;

/// The three ids of one kind, and the one that files are made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) real: u32,
    pub(super) effective: u32,
    pub(super) saved: u32,
    pub(super) file: u32,
}

/// User, group and supplementary groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: Ids,
    pub(super) group: Ids,
    pub(super) groups: Vec<u32>,
    capabilities: Capabilities,
}

/// What becomes of root's capabilities when the user stops being root (`PR_SET_KEEPCAPS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Capabilities {
    /// They go.
    Root,
    /// They will stay.
    Keeping,
    /// They have stayed: programs raise them again before they change more ids.
    Kept,
}

/// Leaves an id as it is.
pub(super) const KEEP: u32 = u32::MAX;

impl Ids {
    pub(super) fn all(id: u32) -> Self {
        Self { real: id, effective: id, saved: id, file: id }
    }

    fn has(&self, id: u32) -> bool {
        id == self.real || id == self.effective || id == self.saved
    }

    /// `setuid`, `setgid`.
    fn set(&mut self, id: u32, privileged: bool) -> Result<(), Errno> {
        match id {
            KEEP => Err(Errno::INVAL),
            id if privileged => {
                *self = Self::all(id);
                Ok(())
            }
            id if id == self.real || id == self.saved => {
                (self.effective, self.file) = (id, id);
                Ok(())
            }
            _ => Err(Errno::PERM),
        }
    }

    /// `setreuid`, `setregid`.
    fn set_two(&mut self, real: u32, effective: u32, privileged: bool) -> Result<(), Errno> {
        let may_be_real = [KEEP, self.real, self.effective].contains(&real);
        let may_be_effective = effective == KEEP || self.has(effective);
        if !(privileged || may_be_real && may_be_effective) {
            return Err(Errno::PERM);
        }
        let old_real = self.real;
        if real != KEEP {
            self.real = real;
        }
        if effective != KEEP {
            self.effective = effective;
        }
        if real != KEEP || (effective != KEEP && effective != old_real) {
            self.saved = self.effective;
        }
        self.file = self.effective;
        Ok(())
    }

    /// `setresuid`, `setresgid`.
    fn set_three(&mut self, ids: [u32; 3], privileged: bool) -> Result<(), Errno> {
        if !privileged && !ids.iter().all(|&id| id == KEEP || self.has(id)) {
            return Err(Errno::PERM);
        }
        let [real, effective, saved] = ids;
        for (place, id) in
            [(&mut self.real, real), (&mut self.effective, effective), (&mut self.saved, saved)]
        {
            if id != KEEP {
                *place = id;
            }
        }
        self.file = self.effective;
        Ok(())
    }

    /// `setfsuid`, `setfsgid`: never fails, and tells what it was.
    fn set_file(&mut self, id: u32, privileged: bool) -> u32 {
        let before = self.file;
        if id != KEEP && (privileged || self.has(id) || id == before) {
            self.file = id;
        }
        before
    }
}

/// Which ids a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    User,
    Group,
}

/// A change of ids that a process asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    One(u32),
    Two(u32, u32),
    Three([u32; 3]),
    File(u32),
}

impl Credentials {
    pub(super) fn of(uid: u32, gid: u32, groups: Vec<u32>) -> Self {
        let (user, group) = (Ids::all(uid), Ids::all(gid));
        Self { user, group, groups, capabilities: Capabilities::Root }
    }

    /// Root may do what a capability would allow it, and who has kept root's capabilities.
    pub(super) fn is_privileged(&self) -> bool {
        self.user.effective == 0 || self.capabilities == Capabilities::Kept
    }

    pub(super) fn keep_capabilities(&mut self, keep: bool) {
        self.capabilities = match (self.capabilities, keep) {
            (Capabilities::Kept, _) => Capabilities::Kept,
            (_, true) => Capabilities::Keeping,
            (_, false) => Capabilities::Root,
        };
    }

    pub(super) fn of_kind(&self, which: Which) -> &Ids {
        match which {
            Which::User => &self.user,
            Which::Group => &self.group,
        }
    }

    /// Whether executing an ordinary program leaves them as they are.
    pub(super) fn is_settled(&self) -> bool {
        let settled = |ids: &Ids| ids.effective == ids.saved && ids.effective == ids.file;
        settled(&self.user) && settled(&self.group) && self.capabilities == Capabilities::Root
    }

    pub(super) fn is_in_group(&self, gid: u32) -> bool {
        gid == self.group.file || self.groups.contains(&gid)
    }

    /// Whether it may give a file to other ids, those that stay as they are left out.
    pub(super) fn may_give(&self, (uid, gid): (u32, u32), new_uid: u32, new_gid: u32) -> bool {
        self.is_privileged()
            || self.user.file == uid
                && (new_uid == KEEP || new_uid == uid)
                && (new_gid == KEEP || new_gid == gid || self.is_in_group(new_gid))
    }

    /// Changes ids, and gives what the call returns.
    pub(super) fn change(&mut self, which: Which, change: Change) -> Result<i64, Errno> {
        let privileged = self.is_privileged();
        let ids = match which {
            Which::User => &mut self.user,
            Which::Group => &mut self.group,
        };
        match change {
            Change::One(id) => ids.set(id, privileged)?,
            Change::Two(real, effective) => ids.set_two(real, effective, privileged)?,
            Change::Three(three) => ids.set_three(three, privileged)?,
            Change::File(id) => return Ok(i64::from(ids.set_file(id, privileged))),
        }
        if self.capabilities == Capabilities::Keeping && self.user.effective != 0 {
            self.capabilities = Capabilities::Kept;
        }
        Ok(0)
    }

    /// What executing a program does to ids: a set-id program gives its own.
    pub(super) fn execute(&mut self, set_uid: Option<u32>, set_gid: Option<u32>) {
        self.capabilities = Capabilities::Root;
        for (ids, set) in [(&mut self.user, set_uid), (&mut self.group, set_gid)] {
            if let Some(id) = set {
                ids.effective = id;
            }
            ids.saved = ids.effective;
            ids.file = ids.effective;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(real: u32, effective: u32, saved: u32) -> Ids {
        Ids { real, effective, saved, file: effective }
    }

    #[test]
    fn ids_change_by_the_kernels_rules() {
        use Change::{One, Three, Two};
        let (root, plain, set_id) = (Ids::all(0), Ids::all(5), ids(5, 0, 0));
        let dropped = ids(5, 5, 0);
        let cases = [
            (root, One(5), Ok(plain)),
            (plain, One(0), Err(Errno::PERM)),
            (plain, One(5), Ok(plain)),
            (dropped, One(0), Ok(ids(5, 0, 0))),
            (root, Two(KEEP, 5), Ok(ids(0, 5, 5))),
            (plain, Two(5, KEEP), Ok(plain)),
            (dropped, Two(KEEP, 0), Ok(ids(5, 0, 0))),
            (plain, Two(0, KEEP), Err(Errno::PERM)),
            (root, Three([KEEP, 5, 0]), Ok(ids(0, 5, 0))),
            (dropped, Three([0, 0, 0]), Ok(root)),
            (plain, Three([5, 5, 0]), Err(Errno::PERM)),
            (set_id, Three([5, 5, 5]), Ok(plain)),
            (root, One(KEEP), Err(Errno::INVAL)),
        ];
        for (before, change, expected) in cases {
            let mut credentials = Credentials { user: before, ..Credentials::of(0, 0, Vec::new()) };
            let result = credentials.change(Which::User, change);
            assert_eq!(result.map(|_| credentials.user), expected, "{before:?} {change:?}");
        }
    }

    #[test]
    fn set_id_programs_give_their_ids() {
        let mut credentials = Credentials::of(5, 6, Vec::new());
        credentials.execute(Some(0), None);
        assert_eq!((credentials.user, credentials.group), (ids(5, 0, 0), Ids::all(6)));
    }
}
