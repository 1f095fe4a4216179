//! Changing what files have besides their contents.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, Uid, XattrFlags,
    chmodat, chownat, fstat, ftruncate, getxattr, listxattr, openat, removexattr, setxattr,
    utimensat,
};
use rustix::io::Errno;
use rustix::process::Pid;
use strata_sys::{Kind, Root};

use super::call::{Attribute, Times};
use super::place::Way;
use super::{Translated, link_to, usable_mode};
use crate::ownership::{Capability, Seeming};
use crate::supervisor::Answer;
use crate::supervisor::call::At;
use crate::supervisor::caller::Caller;
use crate::supervisor::credentials::KEEP;

const PERMISSIONS: u32 = 0o7777;
const SET_USER: u32 = 0o4000;
const SET_GROUP: u32 = 0o2000;
const GROUP_EXECUTES: u32 = 0o010;

/// The kernel's own limit for one value, and for a list of names.
const LARGEST: usize = 64 << 10;

/// Followed by whether they are of the file itself or of what is made in it.
const ACCESS_LISTS: &[u8] = b"system.posix_acl_";

const CAPABILITY: &[u8] = b"security.capability";

impl Translated {
    pub(super) fn set_mode(
        &mut self,
        thread: Pid,
        found: &OwnedFd,
        mode: u32,
    ) -> Result<Answer, Errno> {
        let metadata = Root::metadata_of(found.as_fd())?;
        if metadata.kind == Kind::Symlink {
            return Err(Errno::OPNOTSUPP);
        }
        let mut seems = self.seeming(&metadata);
        let credentials = self.credentials(thread)?;
        if !credentials.is_privileged() && credentials.user.file != seems.uid {
            return Err(Errno::PERM);
        }
        let mode = mode & PERMISSIONS;
        let usable = usable_mode(mode, metadata.kind == Kind::Dir);
        let flags = AtFlags::empty();
        chmodat(&self.procfs, link_to(found), Mode::from_raw_mode(usable), flags)?;
        seems.mode = (usable != mode).then_some(mode);
        self.disguise.put(metadata.identity(), seems);
        Ok(Answer::Value(0))
    }

    pub(super) fn set_owner(
        &mut self,
        thread: Pid,
        found: &OwnedFd,
        uid: u32,
        gid: u32,
    ) -> Result<Answer, Errno> {
        let metadata = Root::metadata_of(found.as_fd())?;
        let mut seems = self.seeming(&metadata);
        let credentials = self.credentials(thread)?;
        if !credentials.may_give((seems.uid, seems.gid), uid, gid) {
            return Err(Errno::PERM);
        }
        // What changes on disk is the time.
        self.touch(found)?;
        if uid != KEEP {
            seems.uid = uid;
        }
        if gid != KEEP {
            seems.gid = gid;
        }
        // A change of owner takes away what the old one gave to those who execute the file.
        if metadata.kind != Kind::Dir {
            seems.capability = None;
            seems.mode = seems.mode.and_then(|mode| {
                let group = if mode & GROUP_EXECUTES == 0 { 0 } else { SET_GROUP };
                let mode = mode & !SET_USER & !group;
                (mode != metadata.mode).then_some(mode)
            });
        }
        self.disguise.put(metadata.identity(), seems);
        Ok(Answer::Value(0))
    }

    /// Lets the file be as it is, and its time of change be now: by that a change is found.
    fn touch(&self, found: &OwnedFd) -> Result<(), Errno> {
        let (uid, gid) = self.own;
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        chownat(found, "", uid, gid, AtFlags::EMPTY_PATH)
    }

    pub(super) fn set_times(
        &mut self,
        caller: &mut Caller<'_>,
        at: At,
        times: Times,
        way: Way,
    ) -> Result<Answer, Errno> {
        let found = self.locate(caller, at, way)?;
        let times = read_times(caller, times)?;
        utimensat(&self.procfs, link_to(&found), &times, AtFlags::empty())?;
        Ok(Answer::Value(0))
    }

    pub(super) fn truncate(
        &mut self,
        caller: &mut Caller<'_>,
        at: At,
        length: u64,
    ) -> Result<Answer, Errno> {
        let found = self.locate(caller, at, Way::FOLLOW)?;
        match FileType::from_raw_mode(fstat(&found)?.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(Errno::ISDIR),
            _ => return Err(Errno::INVAL),
        }
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&self.procfs, link_to(&found), flags, Mode::empty())?;
        ftruncate(file, length).map(|()| Answer::Value(0))
    }

    pub(super) fn attribute(
        &mut self,
        caller: &mut Caller<'_>,
        at: At,
        way: Way,
        what: Attribute,
    ) -> Result<Answer, Errno> {
        let found = self.locate(caller, at, way)?;
        match what {
            Attribute::Get { name, value, size } => {
                let name = caller.string(name)?;
                let content = self.get_attribute(&found, &name)?;
                give(caller, value, size, &content)
            }
            Attribute::List { list, size } => {
                let mut names = sized(|buffer| listxattr(path_to(&found), buffer))?;
                if self.seeming(&Root::metadata_of(found.as_fd())?).capability.is_some() {
                    names.extend_from_slice(CAPABILITY);
                    names.push(0);
                }
                give(caller, list, size, &names)
            }
            Attribute::Set { name, value, size, flags } => {
                let name = caller.string(name)?;
                let size = usize::try_from(size).ok().filter(|&size| size <= LARGEST);
                let mut content = vec![0; size.ok_or(Errno::TOOBIG)?];
                if !content.is_empty() && caller.read(value, &mut content)? < content.len() {
                    return Err(Errno::FAULT);
                }
                if name == CAPABILITY {
                    let capability = capability(&content).ok_or(Errno::INVAL)?;
                    return self.set_capability(caller.thread, &found, Some(capability));
                }
                if let Some(of) = name.strip_prefix(ACCESS_LISTS) {
                    return self.set_access_list(caller.thread, &found, of, &content);
                }
                let flags = XattrFlags::from_bits_retain(flags);
                setxattr(path_to(&found), name, &content, flags).map(|()| Answer::Value(0))
            }
            Attribute::Remove { name } => {
                let name = caller.string(name)?;
                if name == CAPABILITY {
                    return self.set_capability(caller.thread, &found, None);
                }
                removexattr(path_to(&found), name).map(|()| Answer::Value(0))
            }
        }
    }

    /// An access list that says no more than a mode sets the mode: so `cp -a` does. Others are in no layer, and
    /// could take from this user what it needs.
    fn set_access_list(
        &mut self,
        thread: Pid,
        found: &OwnedFd,
        of: &[u8],
        list: &[u8],
    ) -> Result<Answer, Errno> {
        let bits = (of == b"access").then(|| plain_mode(list)).flatten().ok_or(Errno::OPNOTSUPP)?;
        let others = self.mode(&Root::metadata_of(found.as_fd())?) & !0o777;
        self.set_mode(thread, found, others | bits)
    }

    fn get_attribute(&self, found: &OwnedFd, name: &[u8]) -> Result<Vec<u8>, Errno> {
        if name == CAPABILITY {
            let seems = self.seeming(&Root::metadata_of(found.as_fd())?);
            return seems.capability.map(|value| value.to_vec()).ok_or(Errno::NODATA);
        }
        sized(|buffer| getxattr(path_to(found), name, buffer))
    }

    fn set_capability(
        &mut self,
        thread: Pid,
        found: &OwnedFd,
        capability: Option<Capability>,
    ) -> Result<Answer, Errno> {
        if !self.credentials(thread)?.is_privileged() {
            return Err(Errno::PERM);
        }
        let metadata = Root::metadata_of(found.as_fd())?;
        if metadata.kind != Kind::File {
            return Err(Errno::PERM);
        }
        let seems = self.seeming(&metadata);
        if capability.is_none() && seems.capability.is_none() {
            return Err(Errno::NODATA);
        }
        self.touch(found)?;
        self.disguise.put(metadata.identity(), Seeming { capability, ..seems });
        Ok(Answer::Value(0))
    }
}

/// The path by which calls reach what is open here that take nothing else.
fn path_to(found: &OwnedFd) -> String {
    format!("/proc/{}", link_to(found))
}

/// Answers with a value of any length: without space for it, with the length.
fn give(caller: &mut Caller<'_>, address: u64, size: u64, content: &[u8]) -> Result<Answer, Errno> {
    if size != 0 {
        if (content.len() as u64) > size {
            return Err(Errno::RANGE);
        }
        if !content.is_empty() {
            caller.write(address, content)?;
        }
    }
    i64::try_from(content.len()).map(Answer::Value).map_err(|_| Errno::TOOBIG)
}

fn sized(mut call: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut value = vec![0; 256];
    let length = match call(&mut value) {
        Err(Errno::RANGE) => {
            value.resize(LARGEST, 0);
            call(&mut value)?
        }
        other => other?,
    };
    value.truncate(length);
    Ok(value)
}

/// Version 3 says also which root the capabilities count for; images have version 2.
fn capability(value: &[u8]) -> Option<Capability> {
    match (value.len(), value.get(3)) {
        (20, Some(2)) => value.try_into().ok(),
        (24, Some(3)) => {
            let mut value: Capability = value[..20].try_into().ok()?;
            value[3] = 2;
            Some(value)
        }
        _ => None,
    }
}

/// The permissions in an access list that has nothing but those of owner, group and others.
///
/// ```text
/// version (4 bytes) | who (2), may (2), id (4) | …
/// ```
fn plain_mode(list: &[u8]) -> Option<u32> {
    const OWNER: u16 = 1;
    const GROUP: u16 = 4;
    const OTHERS: u16 = 32;
    let entries = list.strip_prefix(&2_u32.to_le_bytes())?;
    let number = |entry: &[u8], at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
    let mut entries = entries.chunks_exact(8);
    let mut mode = 0;
    for (who, shift) in [(OWNER, 6), (GROUP, 3), (OTHERS, 0)] {
        let entry = entries.next().filter(|entry| number(entry, 0) == who)?;
        mode |= u32::from(number(entry, 2) & 7) << shift;
    }
    (entries.next().is_none() && entries.remainder().is_empty()).then_some(mode)
}

fn read_times(caller: &mut Caller<'_>, times: Times) -> Result<Timestamps, Errno> {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let (address, words) = match times {
        Times::Seconds(address) => (address, 2),
        Times::Microseconds(address) | Times::Nanoseconds(address) => (address, 4),
    };
    if address == 0 {
        return Ok(Timestamps { last_access: now, last_modification: now });
    }
    let mut bytes = vec![0; 8 * words];
    if caller.read(address, &mut bytes)? < bytes.len() {
        return Err(Errno::FAULT);
    }
    let number =
        |index: usize| i64::from_ne_bytes(bytes[8 * index..][..8].try_into().unwrap_or_default());
    let time = |index: usize| match times {
        Times::Seconds(_) => Ok(Timespec { tv_sec: number(index), tv_nsec: 0 }),
        Times::Nanoseconds(_) => {
            Ok(Timespec { tv_sec: number(2 * index), tv_nsec: number(2 * index + 1) })
        }
        Times::Microseconds(_) => {
            let microseconds = number(2 * index + 1);
            if !(0..1_000_000).contains(&microseconds) {
                return Err(Errno::INVAL);
            }
            Ok(Timespec { tv_sec: number(2 * index), tv_nsec: 1000 * microseconds })
        }
    };
    Ok(Timestamps { last_access: time(0)?, last_modification: time(1)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_lists_that_are_modes_are_modes() {
        let list = |entries: &[(u16, u16)]| {
            let entry = |&(who, may): &(u16, u16)| {
                [&who.to_le_bytes()[..], &may.to_le_bytes(), &u32::MAX.to_le_bytes()].concat()
            };
            [&2_u32.to_le_bytes()[..], &entries.iter().flat_map(entry).collect::<Vec<_>>()].concat()
        };
        let cases = [
            (list(&[(1, 6), (4, 4), (32, 0)]), Some(0o640)),
            (list(&[(1, 0), (4, 0), (32, 0)]), Some(0)),
            (list(&[(1, 6), (2, 7), (4, 4), (16, 7), (32, 0)]), None),
            (list(&[(1, 6), (4, 4)]), None),
            (Vec::new(), None),
        ];
        for (list, expected) in cases {
            assert_eq!(plain_mode(&list), expected, "{list:?}");
        }
    }
}
