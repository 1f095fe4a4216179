//! Answers system calls of a command that the kernel alone would answer wrongly.
//!
//! ```text
//! command   openat("/proc/self/status") ──┐ waits            ┌─► goes on with a descriptor
//! kernel                                  └─► notification ──┤
//! supervisor                   reads the path, opens, answers┘
//! ```
//!
//! A filter passes the calls named here on; all others cost nothing. The supervisor stays outside of
//! the command's root, where procfs is, and reads arguments from the caller's memory. Most calls turn
//! out to be none of its business: then the kernel does them.
//!
//! A caller can change what an argument points to while it is looked at, and gains nothing but what it
//! could have asked for at once: what the kernel does, it does in the command's root. What the supervisor
//! opens itself it opens by names that it has copied, below descriptors that cannot lead out: of
//! procfs only the command's own processes and what is the same for everybody, of `/dev` only
//! harmless devices and the terminals that the command has made. Where the kernel does not know the
//! command's root, what such changes lead to is [refused](Served::confine).
//!
//! Calls of other architectures (32-bit programs, x32) are not passed on: they get the kernel's own
//! answers, and with them no more than any process in this root could have.
//!
//! If the supervisor dies, calls that wait fail with `ENOSYS`, and the run ends with an error.

mod alias;
mod call;
mod caller;
mod credentials;
mod disguise;
mod filter;
mod journal;
mod listing;
mod place;
mod population;
mod process;
mod serve;
#[cfg(target_arch = "x86_64")]
pub(crate) mod translate;

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::Errno;
use strata_sys::seccomp::{CloseOnExec, Listener, Notification, Reply};
use strata_sys::{CallError, Dir};

use crate::User;
use crate::ownership::{Entry, Ownership};
use call::{Call, Ids};
use caller::Memories;
use credentials::Credentials;
use disguise::Disguise;
pub(crate) use filter::{faked_ids as faked_ids_filter, served_paths as served_paths_filter};
use serve::Served;

/// Answers the calls of one command's processes.
#[derive(Debug)]
pub(crate) struct Supervisor {
    listener: Listener,
    memories: Memories,
    ability: Ability,
    /// Calls that were received while another one was waited for.
    waiting: VecDeque<Notification>,
}

/// What is answered.
#[derive(Debug)]
enum Ability {
    ServedPaths(Served),
    FakedIds(Disguise),
    #[cfg(target_arch = "x86_64")]
    TranslatedPaths(Box<translate::Translated>),
}

/// What a call comes to.
#[derive(Debug)]
enum Answer {
    Continue,
    Value(i64),
    Error(Errno),
    Open(OwnedFd, CloseOnExec),
    Wait(Waiting),
}

/// A named pipe whose other end nobody has opened yet.
#[derive(Debug)]
struct Waiting {
    fifo: OwnedFd,
    flags: OFlags,
    close_on_exec: CloseOnExec,
}

/// The procfs that numbers processes as this process does. It stays within reach when the root of
/// this process changes.
pub(crate) fn procfs() -> Result<OwnedFd, Errno> {
    open("/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// The kernel's own link to a file that is open here, below procfs: what no call can do by descriptor,
/// it can do by this path, to exactly that file.
fn link_to(found: &impl AsFd) -> String {
    format!("self/fd/{}", found.as_fd().as_raw_fd())
}

impl Supervisor {
    /// Serves what is missing in a root directory that was changed and has no mounts.
    pub(crate) fn for_changed_root(listener: Listener, root: &Dir) -> Result<Self, Errno> {
        let ability = Ability::ServedPaths(Served::new(root)?);
        Ok(Self::new(listener, procfs()?, ability))
    }

    /// Fakes ids in a user namespace that has one. This process's root must be the command's.
    pub(crate) fn for_single_id(
        listener: Listener,
        procfs: OwnedFd,
        user: &User,
        owners: &[Ownership],
    ) -> Result<Self, Errno> {
        // New files get the mode that is asked for here.
        rustix::process::umask(Mode::empty());
        let first = Credentials::of(user.uid, user.gid, user.groups.clone());
        let memories = procfs.try_clone().map_err(|error| crate::errno::of(&error))?;
        let ability = Ability::FakedIds(Disguise::new(procfs, first, owners)?);
        Ok(Self::new(listener, memories, ability))
    }

    /// Translates the paths of processes whose root is this process's.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn for_translated_paths(
        listener: Listener,
        root: Dir,
        user: &User,
        owners: &[Ownership],
    ) -> Result<Self, Errno> {
        // New files get the mode that is asked for here.
        rustix::process::umask(Mode::empty());
        let first = Credentials::of(user.uid, user.gid, user.groups.clone());
        let translated = Box::new(translate::Translated::new(root, first, owners)?);
        Ok(Self::new(listener, procfs()?, Ability::TranslatedPaths(translated)))
    }

    #[cfg(target_arch = "x86_64")]
    fn translated(&mut self) -> Option<&mut translate::Translated> {
        match &mut self.ability {
            Ability::TranslatedPaths(translated) => Some(translated),
            Ability::ServedPaths(_) | Ability::FakedIds(_) => None,
        }
    }

    fn new(listener: Listener, procfs: OwnedFd, ability: Ability) -> Self {
        // Without it everything works, only slower.
        let _ = listener.stay_on_one_processor();
        Self { listener, memories: Memories::new(procfs), ability, waiting: VecDeque::new() }
    }

    /// What the command's files seem in the end.
    pub(crate) fn journal(&self) -> Vec<Entry> {
        match &self.ability {
            Ability::ServedPaths(_) => Vec::new(),
            Ability::FakedIds(disguise) => disguise.journal(),
            #[cfg(target_arch = "x86_64")]
            Ability::TranslatedPaths(translated) => translated.journal(),
        }
    }

    /// Answers calls that were received while another one was waited for.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn catch_up(&mut self) -> Result<(), CallError> {
        while let Some(notification) = self.waiting.pop_front() {
            self.serve_one(notification)?;
        }
        Ok(())
    }

    /// Answers one call, if one waits.
    pub(crate) fn serve(&mut self) -> Result<(), CallError> {
        match self.listener.receive()? {
            Some(notification) => self.serve_one(notification),
            None => Ok(()),
        }
    }

    fn serve_one(&mut self, notification: Notification) -> Result<(), CallError> {
        let answer = self.answer(&notification).unwrap_or_else(Answer::Error);
        let id = notification.id;
        match answer {
            Answer::Continue => self.listener.reply(id, Reply::Continue),
            Answer::Value(value) => self.listener.reply(id, Reply::Value(value)),
            Answer::Error(errno) => self.listener.reply(id, Reply::Error(errno)),
            Answer::Open(file, close_on_exec) => {
                match self.listener.reply_descriptor(id, file.as_fd(), close_on_exec) {
                    Ok(()) => Ok(()),
                    // The caller's own trouble, such as a full table of descriptors.
                    Err(errno) => self.listener.reply(id, Reply::Error(errno)),
                }
            }
            Answer::Wait(waiting) => self.wait_for_other_end(id, waiting),
        }
    }

    /// Lets the caller wait, and nobody else. Whoever waits for ever ends with the command: this process does.
    fn wait_for_other_end(&self, id: u64, waiting: Waiting) -> Result<(), CallError> {
        let listener = self.listener.try_clone()?;
        let wait = move || {
            let opened = procfs().and_then(|procfs| {
                openat(&procfs, link_to(&waiting.fifo), waiting.flags, Mode::empty())
            });
            let done = match opened {
                Ok(end) => listener.reply_descriptor(id, end.as_fd(), waiting.close_on_exec),
                Err(errno) => Err(errno),
            };
            if let Err(errno) = done {
                // If the caller is gone, nobody waits for an answer.
                let _ = listener.reply(id, Reply::Error(errno));
            }
        };
        match std::thread::Builder::new().name("fifo".to_owned()).spawn(wait) {
            Ok(_) => Ok(()),
            Err(error) => self.listener.reply(id, Reply::Error(crate::errno::of(&error))),
        }
    }

    fn answer(&mut self, notification: &Notification) -> Result<Answer, Errno> {
        #[cfg(target_arch = "x86_64")]
        if let Ability::TranslatedPaths(translated) = &mut self.ability {
            let mut caller = self.memories.caller(notification.thread);
            let answer = translated.answer(&mut caller, notification);
            // Its number may be another thread's by now; then nobody gets the answer.
            return answer;
        }
        let Some(call) = Call::decode(notification) else {
            return Ok(Answer::Continue);
        };
        let mut caller = self.memories.caller(notification.thread);
        let path = match call {
            Call::Path(call) if call.at.path == 0 && call.ask.takes_descriptors() => Vec::new(),
            Call::Path(call) => match caller.string(call.at.path) {
                Ok(path) => path,
                // A bad address is the kernel's to refuse; a memory that hides gets nothing.
                Err(_) => return Ok(Answer::Continue),
            },
            Call::Ids(_) | Call::End => Vec::new(),
        };
        match &mut self.ability {
            Ability::ServedPaths(served) => match call {
                Call::Path(call) => {
                    let Some(place) = served.find(&caller, &call, &path) else {
                        return Ok(Answer::Continue);
                    };
                    // Its number may be another thread's by now, and what was read another's memory.
                    if !self.listener.is_waiting(notification.id) {
                        return Ok(Answer::Continue);
                    }
                    caller.identify();
                    served.answer(&mut caller, &call, &place)
                }
                Call::Ids(Ids::Change(..)) => {
                    // Later the memory may be out of reach, but for whoever has opened it already.
                    caller.keep_memory();
                    Ok(Answer::Continue)
                }
                Call::Ids(_) | Call::End => Ok(Answer::Continue),
            },
            Ability::FakedIds(_) if !self.listener.is_waiting(notification.id) => {
                Ok(Answer::Continue)
            }
            Ability::FakedIds(disguise) => match call {
                Call::Path(call) => disguise.path(&mut caller, &call, &path),
                Call::Ids(call) => disguise.ids(&mut caller, call),
                Call::End => Ok(disguise.end(caller.thread)),
            },
            #[cfg(target_arch = "x86_64")]
            Ability::TranslatedPaths(_) => Ok(Answer::Continue),
        }
    }
}

impl AsFd for Supervisor {
    /// Readable when a call waits.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
