//! Answers for processes that have the host's root and are to see an image's.
//!
//! Where nothing is allowed, not even changing the root directory, every call with a path is passed on: the
//! supervisor resolves the path in the image's directory, does what is asked for, and answers.
//!
//! ```text
//! openat(AT_FDCWD, "etc/passwd")
//!   working directory    /state/work/7/root/srv      read from procfs
//!   as the image has it  /srv/etc/passwd             without the root's own path
//!   served?              no: not below /proc or /dev
//!   opened               below the root's descriptor, from which no path and no link leads out
//! ```
//!
//! Descriptors and working directories are the host's own, so what takes no path costs nothing. Calls whose
//! paths only the caller itself can use ([`tracer`]) get host paths instead.
//!
//! Owners, set-id bits, devices, capabilities, and modes that refuse their owner are not on disk at all:
//! the journal has them.

mod attributes;
mod auxiliary;
mod call;
mod elf;
mod exec;
mod filter;
mod injection;
mod loader;
mod names;
mod open;
mod place;
mod procfs;
mod programs;
mod rewrite;
mod status;
mod tracer;

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, getegid, geteuid};
use strata_sys::seccomp::Notification;
use strata_sys::{Dir, Metadata, Root};

use super::call::{Ask, Call, Create, PathCall};
use super::caller::Caller;
use super::credentials::Credentials;
use super::disguise::Disguise;
use super::journal::Journal;
use super::serve::Served;
use super::{Answer, link_to};
use crate::ownership::{Entry, Ownership, Seeming};
use call::Operation;
pub(crate) use filter::filter;
use programs::Programs;
pub(crate) use tracer::Tracer;

/// What processes see instead of the host's files.
#[derive(Debug)]
pub(super) struct Translated {
    procfs: OwnedFd,
    root: Dir,
    /// The root's path as the kernel shows it: what is cut off paths that procfs tells.
    prefix: Vec<u8>,
    served: Served,
    disguise: Disguise,
    programs: Programs,
    /// Whose files all are.
    own: (u32, u32),
}

impl Translated {
    pub(super) fn new(root: Dir, first: Credentials, owners: &[Ownership]) -> Result<Self, Errno> {
        let procfs = super::procfs()?;
        let served = Served::new(&root)?;
        let prefix = served.prefix().to_vec();
        let whole = Root::from_dir(root.try_clone().map_err(|error| error.source)?);
        let journal = Journal::of_changing(&whole, owners);
        let own = procfs.try_clone().map_err(|error| crate::errno::of(&error))?;
        let disguise = Disguise::with(own, first, journal);
        let own = (geteuid().as_raw(), getegid().as_raw());
        Ok(Self { procfs, root, prefix, served, disguise, programs: Programs::default(), own })
    }

    pub(super) fn journal(&self) -> Vec<Entry> {
        self.disguise.journal()
    }

    pub(super) fn answer(
        &mut self,
        caller: &mut Caller<'_>,
        notification: &Notification,
    ) -> Result<Answer, Errno> {
        if let Some(operation) = Operation::decode(notification) {
            return self.operate(caller, operation);
        }
        match Call::decode(notification) {
            Some(Call::Path(call)) => self.path(caller, &call),
            Some(Call::Ids(call)) => self.disguise.ids(caller, call),
            Some(Call::End) => Ok(self.disguise.end(caller.thread)),
            None => Ok(Answer::Continue),
        }
    }

    fn path(&mut self, caller: &mut Caller<'_>, call: &PathCall) -> Result<Answer, Errno> {
        match call.ask {
            Ask::Open { flags, mode } => self.open(caller, call.at, open::Wish::new(flags, mode)),
            Ask::OpenHow { how, size } => self.open_how(caller, call.at, how, size),
            Ask::Stat { .. } | Ask::Statx { .. } => self.stat(caller, call),
            Ask::Readlink { buffer, size } => self.read_link(caller, call.at, buffer, size),
            Ask::Access { mode } => self.access(caller, call.at, mode),
            Ask::SetOwner { uid, gid, .. } => {
                let found = self.locate(caller, call.at, place::Way::of(&call.ask))?;
                self.set_owner(caller.thread, &found, uid, gid)
            }
            Ask::Create(create) => match create {
                Create::File { flags, mode } => {
                    self.open(caller, call.at, open::Wish::new(flags, mode))
                }
                Create::Directory { .. } | Create::Link { .. } | Create::Node { .. } => {
                    self.make(caller, call.at, create)
                }
            },
            // The tracer's, and attributes have their own operations.
            Ask::Chdir | Ask::Execute { .. } | Ask::Attributes => Err(Errno::NOSYS),
        }
    }

    fn operate(&mut self, caller: &mut Caller<'_>, operation: Operation) -> Result<Answer, Errno> {
        match operation {
            Operation::Remove { at, kind } => self.remove(caller, at, kind),
            Operation::Rename { from, to, flags } => self.rename(caller, from, to, flags),
            Operation::Link { from, to, flags } => self.link(caller, from, to, flags),
            Operation::SetMode { at, mode, way } => {
                let found = self.locate(caller, at, way)?;
                self.set_mode(caller.thread, &found, mode)
            }
            Operation::SetTimes { at, times, way } => self.set_times(caller, at, times, way),
            Operation::Truncate { at, length } => self.truncate(caller, at, length),
            Operation::FileSystem { at, record } => self.file_system(caller, at, record),
            Operation::Attribute { at, way, what } => self.attribute(caller, at, way, what),
            Operation::WorkingDirectory { buffer, size } => {
                self.working_directory(caller, buffer, size)
            }
            Operation::ChangeRoot { at } => self.change_root(caller, at),
            Operation::GetCapabilities { header, data } => self.capabilities(caller, header, data),
            // Nothing depends on those that a process gives up: there are none.
            Operation::SetCapabilities => Ok(Answer::Value(0)),
        }
    }

    /// What a file seems besides what is on disk.
    fn seeming(&self, metadata: &Metadata) -> Seeming {
        self.disguise.seeming(&metadata.identity()).unwrap_or_default()
    }

    /// The mode that a file seems to have.
    fn mode(&self, metadata: &Metadata) -> u32 {
        self.seeming(metadata).mode.unwrap_or(metadata.mode)
    }

    fn credentials(&mut self, thread: Pid) -> Result<&mut Credentials, Errno> {
        self.disguise.credentials(thread)
    }
}

/// A mode in which this user, who owns all files, can do with a file what root can. What is set for
/// nobody else, set-id bits, would mean something else for this user.
///
/// Layers are unpacked with the same modes.
fn usable_mode(mode: u32, is_directory: bool) -> u32 {
    let needed = if is_directory { 0o700 } else { 0o600 };
    let executed = if mode & 0o111 == 0 { 0 } else { 0o100 };
    mode & 0o1777 | needed | executed
}
