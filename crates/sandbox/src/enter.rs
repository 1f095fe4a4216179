//! Entering the user namespace in which the whole builder runs.
//!
//! A process can make a user namespace only while it has one thread, and a runtime has several. So
//! `main` enters first and starts its own executable again inside; from then on the builder is root
//! over the ids it may use, unpacks with their owners, mounts overlays, and every command needs only
//! the cheaper namespaces.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::Mode as Permissions;
use rustix::io::{Errno, retry_on_intr};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitOptions, getegid, geteuid, getpid, umask, waitpid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use serde::{Deserialize, Serialize};
use strata_sys::idmap::{self, IdKind, IdMap, IdMapError, Setgroups};
use strata_sys::mount::{MountError, make_all_slave};
use strata_sys::process::{self, Fork, Pid, UnshareFlags};
use strata_sys::{CallError, caps};

/// How the first argument of the program begins that was started again inside. It comes from our own
/// `exec` only; nothing of an image reaches the builder's arguments.
const INSIDE: &str = "strata-inside-";

/// Which user namespace the builder runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Started as root: every id of the parent is mapped to itself.
    Identity,
    /// Started as an ordinary user: itself is root, and its subordinate ranges are the other ids.
    Subordinate,
    /// Started as an ordinary user without subordinate ranges: itself is root, and there are no
    /// other ids.
    Single,
}

impl Mode {
    const ALL: [Self; 3] = [Self::Identity, Self::Subordinate, Self::Single];

    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Subordinate => "subordinate",
            Self::Single => "single",
        }
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
    /// The program could not be started again.
    #[error("cannot start the program again inside its user namespace")]
    Restart {
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The mode of the namespace this process is in, if it was started again by [`enter`].
///
/// A claim without the capabilities to go with it is not believed.
pub fn inside() -> Option<Mode> {
    let name = std::env::args_os().next()?;
    let mode = name.to_str()?.strip_prefix(INSIDE)?;
    let capable = caps::effective().is_ok_and(|set| set.contains(caps::CapabilitySet::SYS_ADMIN));
    Mode::ALL.into_iter().find(|one| one.name() == mode).filter(|_| capable)
}

/// Enters a user namespace with a mount namespace, and starts this program again in it, with the
/// same arguments and environment and umask 022. Returns only with an error.
///
/// Must be called with a single thread, and not when [`inside`] says so already. After an error this
/// process may be in a half-made namespace, and should end.
pub fn enter(mode: Mode) -> EnterError {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    enter_with(mode, &arguments)
}

/// As [`enter`], with other arguments: for a program that takes them differently by the name it is called by,
/// which is another one inside.
pub fn enter_with(mode: Mode, arguments: &[OsString]) -> EnterError {
    if let Err(error) = enter_namespaces(mode) {
        return error;
    }
    let source = Command::new("/proc/self/exe")
        .arg0(format!("{INSIDE}{}", mode.name()))
        .args(arguments)
        .exec();
    EnterError::Restart { source }
}

/// Makes this process root in a new user namespace, with a mount namespace.
pub(crate) fn enter_namespaces(mode: Mode) -> Result<(), EnterError> {
    match mode {
        Mode::Single => unshare_single()?,
        Mode::Identity | Mode::Subordinate => unshare_range(&Maps::of(mode)?)?,
    }
    make_all_slave()?;
    umask(Permissions::from_raw_mode(0o022));
    Ok(())
}

/// The id maps of a mode, and who may write them.
struct Maps {
    users: IdMap,
    groups: IdMap,
    mode: Mode,
}

impl Maps {
    fn of(mode: Mode) -> Result<Self, EnterError> {
        let (users, groups) = match mode {
            Mode::Identity => {
                (IdMap::own(IdKind::User)?.to_identity(), IdMap::own(IdKind::Group)?.to_identity())
            }
            Mode::Single => (own_id(IdKind::User), own_id(IdKind::Group)),
            Mode::Subordinate => (subordinate_map(IdKind::User)?, subordinate_map(IdKind::Group)?),
        };
        Ok(Self { users, groups, mode })
    }

    fn write(&self, process: Pid) -> Result<(), IdMapError> {
        for (map, kind) in [(&self.users, IdKind::User), (&self.groups, IdKind::Group)] {
            match self.mode {
                Mode::Subordinate => map.write_by_program(process, kind)?,
                Mode::Identity | Mode::Single => map.write(process, kind)?,
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
