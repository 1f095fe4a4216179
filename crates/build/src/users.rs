//! Users and groups by name, as the image's own `/etc/passwd` and `/etc/group` have them.

use strata_plan::{Chown, Principal};
use strata_sandbox::User;

use crate::copy::Owner;

/// The two files; empty where the image has none.
#[derive(Debug, Clone, Default)]
pub struct UserDatabase {
    /// `/etc/passwd`.
    pub passwd: Vec<u8>,
    /// `/etc/group`.
    pub group: Vec<u8>,
}

/// A name that the image does not know, or text that is neither a name nor a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// No such user.
    #[error("unable to find user `{name}`: no matching entries in the image's `/etc/passwd`")]
    UnknownUser {
        /// The name.
        name: String,
    },
    /// No such group.
    #[error("unable to find group `{name}`: no matching entries in the image's `/etc/group`")]
    UnknownGroup {
        /// The name.
        name: String,
    },
}

struct PasswdEntry {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

struct GroupEntry {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// A user as a command runs as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The numeric credentials.
    pub user: User,
    /// The home directory, for `HOME`.
    pub home: String,
}

impl UserDatabase {
    /// Finds who `user[:group]` is, as `USER` means it for a command.
    ///
    /// A number needs no entry; one that has an entry gets its group. Supplementary groups come from
    /// `/etc/group`, and only where no group is named.
    pub fn identity(&self, spec: &str) -> Result<Identity, UserError> {
        let (user, group) = split(spec);
        let user = if user.is_empty() { "0" } else { user };
        let entry = self.passwd_entry(user);
        let uid = match (&entry, number(user)) {
            (Some(entry), _) => entry.uid,
            (None, Some(uid)) => uid,
            (None, None) => return Err(UserError::UnknownUser { name: user.to_owned() }),
        };
        let home = entry.as_ref().map_or("/", |entry| entry.home.as_str());
        let home = if home.is_empty() { "/" } else { home }.to_owned();
        let own_gid = entry.as_ref().map_or(0, |entry| entry.gid);
        let (gid, others) = match group {
            Some(group) => (self.group_id(group)?, Vec::new()),
            None => {
                let name = entry.as_ref().map(|entry| entry.name.as_str());
                (own_gid, self.supplementary(name))
            }
        };
        // The primary group is among the supplementary ones, so that a set-group-id program cannot shed it
        // (CVE-2022-36109).
        let mut groups = vec![gid];
        groups.extend(others.into_iter().filter(|other| *other != gid));
        Ok(Identity { user: User { uid, gid, groups }, home })
    }

    /// Finds the owner that `--chown` means. Without a group it is the user's own: for a name that of its
    /// entry, for a number the same number.
    pub fn owner(&self, chown: &Chown) -> Result<Owner, UserError> {
        let (uid, own_gid) = match &chown.user {
            Principal::Id(uid) => (*uid, *uid),
            Principal::Name(name) => match self.passwd_entry(name) {
                Some(entry) => (entry.uid, entry.gid),
                None => return Err(UserError::UnknownUser { name: name.clone() }),
            },
        };
        let gid = match &chown.group {
            Some(Principal::Id(gid)) => *gid,
            Some(Principal::Name(name)) => self.group_id(name)?,
            None => own_gid,
        };
        Ok(Owner { uid, gid })
    }

    fn group_id(&self, group: &str) -> Result<u32, UserError> {
        let found = groups(&self.group).into_iter().find(|entry| entry.name == group);
        match (found, number(group)) {
            (Some(entry), _) => Ok(entry.gid),
            (None, Some(gid)) => Ok(gid),
            (None, None) => Err(UserError::UnknownGroup { name: group.to_owned() }),
        }
    }

    fn passwd_entry(&self, user: &str) -> Option<PasswdEntry> {
        let entries = passwd(&self.passwd);
        let by_name = entries.iter().position(|entry| entry.name == user);
        let found = by_name.or_else(|| {
            let uid = number(user)?;
            entries.iter().position(|entry| entry.uid == uid)
        })?;
        entries.into_iter().nth(found)
    }

    fn supplementary(&self, name: Option<&str>) -> Vec<u32> {
        let Some(name) = name else { return Vec::new() };
        let entries = groups(&self.group);
        let mut found: Vec<u32> = Vec::new();
        for entry in entries {
            if entry.members.iter().any(|member| member == name) && !found.contains(&entry.gid) {
                found.push(entry.gid);
            }
        }
        found
    }
}

fn split(spec: &str) -> (&str, Option<&str>) {
    match spec.split_once(':') {
        Some((user, group)) if !group.is_empty() => (user, Some(group)),
        Some((user, _)) => (user, None),
        None => (spec, None),
    }
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn lines(file: &[u8]) -> impl Iterator<Item = Vec<String>> {
    file.split(|&byte| byte == b'\n').map(|line| {
        String::from_utf8_lossy(line).split(':').map(|field| field.trim().to_owned()).collect()
    })
}

// Lines that are malformed are passed over, as the C library does.
fn passwd(file: &[u8]) -> Vec<PasswdEntry> {
    let entry = |fields: Vec<String>| {
        let [name, _, uid, gid, rest @ ..] = fields.as_slice() else { return None };
        let home = rest.get(1).cloned().unwrap_or_default();
        Some(PasswdEntry { name: name.clone(), uid: number(uid)?, gid: number(gid)?, home })
    };
    lines(file).filter_map(entry).collect()
}

fn groups(file: &[u8]) -> Vec<GroupEntry> {
    let entry = |fields: Vec<String>| {
        let [name, _, gid, rest @ ..] = fields.as_slice() else { return None };
        let members = rest.first().map(String::as_str).unwrap_or_default();
        let members = members.split(',').map(|member| member.trim().to_owned()).collect();
        Some(GroupEntry { name: name.clone(), gid: number(gid)?, members })
    };
    lines(file).filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> UserDatabase {
        UserDatabase {
            passwd: b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/home/app:/bin/sh\nbroken\nlast:x:7:8::/l:/s".to_vec(),
            group: b"root:x:0:\nwheel:x:10:root\napp:x:1001:\nextra:x:2002:other,app\n".to_vec(),
        }
    }

    #[test]
    fn identities() {
        for (spec, expected) in [
            ("app", Some((1000, 1001, vec![1001, 2002], "/home/app"))),
            ("1000", Some((1000, 1001, vec![1001, 2002], "/home/app"))),
            ("app:wheel", Some((1000, 10, vec![10], "/home/app"))),
            ("1042:1043", Some((1042, 1043, vec![1043], "/"))),
            ("1042", Some((1042, 0, vec![0], "/"))),
            ("root", Some((0, 0, vec![0, 10], "/root"))),
            ("", Some((0, 0, vec![0, 10], "/root"))),
            ("last", Some((7, 8, vec![8], "/l"))),
            ("nosuch", None),
            ("app:nosuch", None),
        ] {
            let found = database().identity(spec).ok();
            let found =
                found.map(|found| (found.user.uid, found.user.gid, found.user.groups, found.home));
            let expected =
                expected.map(|(uid, gid, groups, home)| (uid, gid, groups, home.to_owned()));
            assert_eq!(found, expected, "{spec}");
        }
    }

    #[test]
    fn owners() {
        let name = |name: &str| Principal::Name(name.to_owned());
        for (user, group, expected) in [
            (name("app"), None, Some((1000, 1001))),
            (name("app"), Some(name("wheel")), Some((1000, 10))),
            (Principal::Id(1000), None, Some((1000, 1000))),
            (Principal::Id(10), Some(Principal::Id(20)), Some((10, 20))),
            (name("app"), Some(Principal::Id(20)), Some((1000, 20))),
            (name("nosuch"), None, None),
            (name("app"), Some(name("nosuch")), None),
        ] {
            let chown = Chown { user, group };
            let found = database().owner(&chown).ok().map(|owner| (owner.uid, owner.gid));
            assert_eq!(found, expected, "{chown:?}");
        }
    }
}
