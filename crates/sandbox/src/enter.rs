//! Entering the user namespace in which the whole builder runs.
//!
//! A process can make a user namespace only while it has one thread, and a runtime has several. So
//! `main` enters first and starts its own executable again inside; from then on the builder is root
//! over the ids it may use, unpacks with their owners, mounts overlays, and every command needs only
//! the cheaper namespaces.

mod handover;
mod maps;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::Mode as Permissions;
use rustix::io::{Errno, retry_on_intr};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitOptions, getpid, umask, waitpid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use serde::{Deserialize, Serialize};
use strata_sys::idmap::{self, IdMapError, Setgroups};
use strata_sys::mount::{MountError, make_all_slave};
use strata_sys::process::{self, Fork, UnshareFlags};
use strata_sys::{CallError, caps};

pub(crate) use handover::hand_over;

use maps::Maps;

/// How the first argument of the program begins that was started again inside. It comes from our own
/// `exec` only; nothing of an image reaches the builder's arguments.
const INSIDE: &str = "strata-inside-";

/// Which user namespace the builder runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Started as root: every id of the parent is mapped to itself.
    Identity,
    /// Started as root without the capability to map user 0: user 1 outside is root, and the others
    /// follow. Groups are mapped to themselves.
    Shifted,
    /// Started as an ordinary user: itself is root, and its subordinate ranges are the other ids.
    Subordinate,
    /// Started as an ordinary user without subordinate ranges: itself is root, and there are no
    /// other ids.
    Single,
    /// Started as root with the capability to mount: there is no user namespace, only one of mounts.
    MountsOnly,
}

/// Which processes a command sees besides its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Processes {
    /// None: it has a pid namespace with a procfs for it.
    Own,
    /// The builder's: where no new procfs can be mounted, the builder's own is bound, and that tells
    /// the truth only to processes of its own pid namespace.
    Shared,
}

/// What a builder enters, and what its commands get there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Which user namespace the builder runs in.
    pub mode: Mode,
    /// Which processes its commands see.
    pub processes: Processes,
}

impl Mode {
    const ALL: [Self; 5] =
        [Self::Identity, Self::Shifted, Self::Subordinate, Self::Single, Self::MountsOnly];

    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Shifted => "shifted",
            Self::Subordinate => "subordinate",
            Self::Single => "single",
            Self::MountsOnly => "mounts-only",
        }
    }
}

impl Processes {
    const ALL: [Self; 2] = [Self::Own, Self::Shared];

    fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Shared => "shared",
        }
    }
}

impl Entry {
    /// The first argument of the program that is started again: `strata-inside-MODE+PROCESSES:STATE`.
    fn argument(self, state: &Path) -> OsString {
        let mut argument = OsString::from(INSIDE);
        argument.push(format!("{}+{}:", self.mode.name(), self.processes.name()));
        argument.push(state);
        argument
    }

    fn from_argument(argument: &OsStr) -> Option<(Self, PathBuf)> {
        let rest = argument.as_bytes().strip_prefix(INSIDE.as_bytes())?;
        let colon = rest.iter().position(|byte| *byte == b':')?;
        let state = OsStr::from_bytes(&rest[colon + 1..]).into();
        let (mode, processes) = std::str::from_utf8(&rest[..colon]).ok()?.split_once('+')?;
        Some((Self::from_names(mode, processes)?, state))
    }

    fn from_names(mode: &str, processes: &str) -> Option<Self> {
        Some(Self {
            mode: Mode::ALL.into_iter().find(|one| one.name() == mode)?,
            processes: Processes::ALL.into_iter().find(|one| one.name() == processes)?,
        })
    }
}

/// Why the user namespace could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// There are no subordinate ids for this user.
    #[error("user {uid} has no range in `{file}`")]
    NoSubordinateIds {
        /// Who.
        uid: u32,
        /// `/etc/subuid` or `/etc/subgid`.
        file: &'static str,
    },
    /// An id map could not be read or written.
    #[error(transparent)]
    IdMap(#[from] IdMapError),
    /// The process that should write the maps from outside could not.
    #[error("cannot map ids: {message}")]
    Mapping {
        /// What it said.
        message: String,
    },
    /// The kernel refused a step.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The kernel refused a step that is not a call of `strata_sys`.
    #[error("cannot {operation}")]
    Step {
        /// Which, as a verb phrase.
        operation: &'static str,
        /// What it answered.
        #[source]
        source: Errno,
    },
    /// The mounts could not be kept to ourselves.
    #[error(transparent)]
    Mounts(#[from] MountError),
    /// The state directory could not be given to the user who is root inside.
    #[error("cannot give `{}` to the user who is root inside", path.display())]
    HandOver {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The program could not be started again.
    #[error("cannot start the program again inside its user namespace")]
    Restart {
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What this process has entered, if it was started again by [`enter`].
///
/// A claim without the capabilities to go with it is not believed.
pub fn inside() -> Option<Entry> {
    started_again().map(|(entry, _)| entry)
}

/// The state directory that was chosen before this process was started again by [`enter`]. Inside, other
/// places may look better.
pub fn state_directory() -> Option<PathBuf> {
    started_again().map(|(_, state)| state)
}

fn started_again() -> Option<(Entry, PathBuf)> {
    let found = Entry::from_argument(&std::env::args_os().next()?);
    let capable = caps::effective().is_ok_and(|set| set.contains(caps::CapabilitySet::SYS_ADMIN));
    found.filter(|_| capable)
}

/// Enters a user namespace with a mount namespace, and starts this program again in it, with the
/// same arguments and environment and umask 022. Returns only with an error.
///
/// Where root inside is another user outside, the state directory is given to that one first.
///
/// Must be called with a single thread, and not when [`inside`] says so already. After an error this
/// process may be in a half-made namespace, and should end.
pub fn enter(entry: Entry, state: &Path) -> EnterError {
    let entered = match entry.mode {
        Mode::Shifted => hand_over(state).and_then(|()| enter_namespaces(entry.mode)),
        Mode::Identity | Mode::Subordinate | Mode::Single | Mode::MountsOnly => {
            enter_namespaces(entry.mode)
        }
    };
    if let Err(error) = entered {
        return error;
    }
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let source = Command::new("/proc/self/exe").arg0(entry.argument(state)).args(arguments).exec();
    EnterError::Restart { source }
}

/// Makes this process root in a new user namespace, if the mode has one, with a mount namespace.
pub(crate) fn enter_namespaces(mode: Mode) -> Result<(), EnterError> {
    match mode {
        Mode::Single => unshare_single()?,
        Mode::Identity | Mode::Shifted | Mode::Subordinate => unshare_range(&Maps::of(mode)?)?,
        Mode::MountsOnly => process::unshare(UnshareFlags::NEWNS)?,
    }
    make_all_slave()?;
    umask(Permissions::from_raw_mode(0o022));
    Ok(())
}

fn unshare_single() -> Result<(), EnterError> {
    let maps = Maps::of(Mode::Single)?;
    process::unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
    idmap::write_setgroups(getpid(), Setgroups::Deny)?;
    maps.write(getpid())?;
    become_root()
}

/// A range is mapped from outside, by a process with capabilities over both namespaces: a child that
/// was forked before.
fn unshare_range(maps: &Maps) -> Result<(), EnterError> {
    let step = |operation| move |source| EnterError::Step { operation, source };
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(step("make a pipe"));
    let (go, went) = pipe()?;
    let (verdict, say) = pipe()?;
    let parent = getpid();
    match process::fork()? {
        Fork::Child => {
            drop((went, verdict));
            // The parent has unshared when it writes, and failed to when it closes the pipe.
            if let Ok(1..) = rustix::io::read(&go, &mut [0]) {
                let message = match maps.write(parent) {
                    Ok(()) => "ok".to_owned(),
                    Err(error) => chain(&error),
                };
                let _ = rustix::io::write(&say, message.as_bytes());
            }
            process::exit_now(0)
        }
        Fork::Parent(child) => {
            drop((go, say));
            let unshared = process::unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS);
            if unshared.is_ok() {
                rustix::io::write(&went, b"!").map_err(step("ask for the id maps"))?;
            }
            drop(went);
            let mut message = [0; 4096];
            let length = retry_on_intr(|| rustix::io::read(&verdict, &mut message))
                .map_err(step("wait for the id maps"))?;
            retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()))
                .map_err(step("wait for the id maps"))?;
            unshared?;
            match &message[..length] {
                b"ok" => become_root(),
                other => Err(EnterError::Mapping {
                    message: String::from_utf8_lossy(other).into_owned(),
                }),
            }
        }
    }
}

fn become_root() -> Result<(), EnterError> {
    use rustix::process::{Gid, Uid};
    let step = |operation| move |source| EnterError::Step { operation, source };
    let (user, group) = (Uid::ROOT, Gid::ROOT);
    match set_thread_groups(&[]) {
        // With one id mapped, nobody may give groups up; they count for nothing inside.
        Ok(()) | Err(Errno::PERM) => {}
        Err(errno) => return Err(step("give up supplementary groups")(errno)),
    }
    set_thread_res_gid(group, group, group).map_err(step("become group 0"))?;
    set_thread_res_uid(user, user, user).map_err(step("become user 0"))
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_entered_is_found_again() {
        for mode in Mode::ALL {
            for processes in Processes::ALL {
                let entry = Entry { mode, processes };
                let state = PathBuf::from("/a: b+c");
                let argument = entry.argument(&state);
                assert_eq!(Entry::from_argument(&argument), Some((entry, state)));
            }
        }
        for other in ["strata", "strata-inside-single", "strata-inside-no+own:/", "strata-inside-"]
        {
            assert_eq!(Entry::from_argument(OsStr::new(other)), None, "{other}");
        }
    }
}
