//! What this host allows, found out by trying.
//!
//! Environments are not recognised by name: every rung of the ladder is tried in a child process, which
//! enters the namespaces and does there what a build would do. What the kernel answered becomes the
//! reason, and what the host's settings say about it the remedy.

mod attempt;
mod remedy;

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use serde::Serialize;

use crate::chroot::HideError;
use crate::enter::{Entry, Mode, Processes, enter_namespaces};
use crate::{Isolation, Namespaces, chroot};

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The state directory, on whose file system overlays are to lie. It need not exist yet; then
    /// its nearest parent that does is tried.
    pub state: PathBuf,
}

/// One way of isolating commands, and whether it works here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Its name: `userns-range`, `userns-single`, …
    pub name: &'static str,
    /// What it is, in one sentence.
    pub description: &'static str,
    /// Whether it works.
    pub verdict: Verdict,
    /// What commands cannot do in it, here.
    pub limits: Vec<&'static str>,
    /// What to do for it, if it works.
    pub choice: Option<Choice>,
}

/// What a builder does for its commands to be isolated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// It enters namespaces; inside, [`isolation`] has what it needs.
    Enter(Entry),
    /// It stays where it is and uses [`Chroot`](crate::Chroot).
    Chroot,
    /// It stays where it is and uses `Translated`.
    Translated,
}

/// Whether a candidate works on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It was tried and worked.
    Works,
    /// It does not.
    Unsupported {
        /// What was tried and what the kernel answered.
        reason: String,
        /// What would change that, if anything would.
        remedy: Option<String>,
    },
}

/// One feature of the kernel, for `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// Its name: `overlay`, `openat2`, …
    pub name: &'static str,
    /// Whether it is there.
    pub available: bool,
    /// A version, a number, or the kernel's answer.
    pub detail: String,
}

/// No candidate works on this host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("no isolation works on this host: {}", Listed(candidates))]
pub struct NothingWorks {
    /// Every candidate with its reason.
    pub candidates: Vec<Candidate>,
}

struct Listed<'a>(&'a [Candidate]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, candidate) in self.0.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            write!(formatter, "{separator}{}", candidate.name)?;
            if let Verdict::Unsupported { reason, .. } = &candidate.verdict {
                write!(formatter, " ({reason})")?;
            }
        }
        Ok(())
    }
}

/// One rung of the ladder: the table is the ladder, best first.
struct Rung {
    name: &'static str,
    description: &'static str,
    limits: &'static [&'static str],
    probe: fn(&Host) -> Result<Choice, Refusal>,
}

/// Why a rung does not work.
struct Refusal {
    reason: String,
    remedy: Option<String>,
}

const LADDER: [Rung; 6] = [
    Rung {
        name: "userns-range",
        description: "a user namespace with a range of ids, mounts, and a pid namespace for each command",
        limits: &["creating device nodes"],
        probe: |host| {
            let mode = range_mode();
            match mode {
                Mode::Subordinate => attempt_entries(host, &[own(mode), shared(mode)]),
                // With the builder's processes it is the next rung.
                _ => attempt_entries(host, &[own(mode)]),
            }
        },
    },
    Rung {
        name: "own-range",
        description: "a user namespace with the container's own ids, and mounts",
        limits: &["creating device nodes"],
        probe: |host| {
            require_root()?;
            attempt_entries(
                host,
                &[shared(Mode::Identity), own(Mode::Shifted), shared(Mode::Shifted)],
            )
        },
    },
    Rung {
        name: "userns-single",
        description: "a user namespace with one id and a supervisor that fakes the others, mounts, and a pid namespace for each command",
        limits: &[
            "using device nodes that a command creates: the image has them, the command empty files",
            "keeping the files of one user from another: all have root's power over the image",
            "owners of files in cache mounts, from one step to the next",
        ],
        probe: |host| attempt_entries(host, &[own(Mode::Single), shared(Mode::Single)]),
    },
    Rung {
        name: "own-mounts",
        description: "mounts of its own below the container's own root user, without a user namespace",
        limits: &[
            "protecting this container's devices and kernel settings from a command that runs as root",
        ],
        probe: |host| {
            require_root()?;
            attempt_entries(host, &[own(Mode::MountsOnly), shared(Mode::MountsOnly)])
        },
    },
    Rung {
        name: chroot::NAME,
        description: "a changed root directory below the builder's own user, with `/proc` and `/dev` served by a supervisor",
        limits: &[
            "`/sys`, `/proc` as a working directory below itself, and executing `/proc/self/exe`",
            "protecting other processes, and the files of this container, from a command that runs as root",
            "write protection of mounts, limits on the size of tmpfs mounts and of `/dev/shm`",
            "secrets in memory: they lie in the state directory while their step runs",
            "a host name of its own, and set-id programs",
        ],
        probe: attempt_chroot,
    },
    Rung {
        name: "translated",
        description: "no privileges at all: a supervisor answers every system call that has a path",
        limits: &[
            "`/sys`, changing the root directory, tracing programs, and programs for other architectures (32-bit ones too)",
            "using device nodes that a command creates: the image has them, the command empty files",
            "keeping the files of one user from another: all have root's power over the image",
            "owners and modes of files in cache mounts, from one step to the next",
            "write protection of mounts, limits on the size of tmpfs mounts and of `/dev/shm`",
            "secrets in memory: they lie in the state directory while their step runs",
            "a host name of its own, ports below 1024, and sockets with long paths",
            "protecting other processes of this user from a command, where the kernel has no Landlock of version 6",
            "keeping a command from sockets of this container whose paths it knows",
        ],
        probe: attempt_translated,
    },
];

/// What commands cannot do where they see the builder's processes.
const SHARED_LIMITS: [&str; 2] = [
    "a procfs of its own: `/proc` shows this container's processes",
    "protecting other processes of this container from a command that runs as root",
];

const SHIFTED_LIMIT: &str = "reading and writing files outside of the state directory that only root may: the builder is user 1 there";

fn require_root() -> Result<(), Refusal> {
    if geteuid().is_root() {
        return Ok(());
    }
    let reason = format!("this is user {}, and only root has ids to give", geteuid().as_raw());
    Err(Refusal { reason, remedy: Some("start strata as user 0 of the container".into()) })
}

fn own(mode: Mode) -> Entry {
    Entry { mode, processes: Processes::Own }
}

fn shared(mode: Mode) -> Entry {
    Entry { mode, processes: Processes::Shared }
}

fn range_mode() -> Mode {
    if geteuid().is_root() { Mode::Identity } else { Mode::Subordinate }
}

impl Rung {
    fn candidate(&self, host: &Host) -> Candidate {
        let (verdict, choice) = match (self.probe)(host) {
            Ok(choice) => (Verdict::Works, Some(choice)),
            Err(Refusal { reason, remedy }) => (Verdict::Unsupported { reason, remedy }, None),
        };
        Candidate {
            name: self.name,
            description: self.description,
            verdict,
            limits: self.limits(host, choice),
            choice,
        }
    }

    fn limits(&self, host: &Host, choice: Option<Choice>) -> Vec<&'static str> {
        let mut limits = self.limits.to_vec();
        let Some(Choice::Enter(entry)) = choice else { return limits };
        if entry.mode == Mode::Shifted {
            limits.push(SHIFTED_LIMIT);
        }
        if entry.processes == Processes::Shared {
            limits.extend(SHARED_LIMITS);
        }
        if attempt_in(host, entry.mode, |_| attempt::host_name()).is_err() {
            limits.push("a host name of its own but in `/etc/hostname`");
        }
        match attempt_in(host, entry.mode, |_| attempt::network_namespace()) {
            Ok(_) => {}
            Err(reason) if reason.contains("loopback") => {
                limits.push("the loopback interface in steps without a network");
            }
            Err(_) => limits.push("steps without a network"),
        }
        limits
    }
}

/// Tries every rung of the ladder, best first.
///
/// Must be called with a single thread, outside of the builder's namespace.
pub fn candidates(host: &Host) -> Vec<Candidate> {
    LADDER.iter().map(|rung| rung.candidate(host)).collect()
}

/// Tries the rungs until one works, and says what to do for it.
///
/// Must be called with a single thread, outside of the builder's namespace.
pub fn choose(host: &Host) -> Result<Choice, NothingWorks> {
    let mut candidates = Vec::new();
    for rung in &LADDER {
        let candidate = rung.candidate(host);
        if let Some(choice) = candidate.choice {
            tracing::debug!(isolation = candidate.name, ?choice, "chosen");
            return Ok(choice);
        }
        candidates.push(candidate);
    }
    Err(NothingWorks { candidates })
}

/// The isolation for commands, inside what was entered.
pub fn isolation(entry: Entry) -> Result<Box<dyn Isolation>, HideError> {
    Ok(Box::new(Namespaces::new(entry)?))
}

fn attempt_chroot(host: &Host) -> Result<Choice, Refusal> {
    let state = existing(&host.state);
    match attempt::in_child(|| attempt::changed_root(state)) {
        Ok(_) => Ok(Choice::Chroot),
        Err(reason) => Err(Refusal { remedy: remedy::of_chroot(&reason), reason }),
    }
}

#[cfg(target_arch = "x86_64")]
fn attempt_translated(host: &Host) -> Result<Choice, Refusal> {
    let state = existing(&host.state);
    match attempt::in_child(|| attempt::translated(state)) {
        Ok(_) => Ok(Choice::Translated),
        Err(reason) => Err(Refusal { remedy: remedy::of_translated(&reason), reason }),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn attempt_translated(_: &Host) -> Result<Choice, Refusal> {
    let reason = "this version of strata has it for x86-64 only".into();
    Err(Refusal { reason, remedy: None })
}

/// Takes the first that works. If none does, the reason is what the first of all lacks, and what the last
/// lacks if that is something else.
fn attempt_entries(host: &Host, entries: &[Entry]) -> Result<Choice, Refusal> {
    let mut refusals: Vec<Refusal> = Vec::new();
    for &entry in entries {
        let tried = attempt_in(host, entry.mode, |state| attempt::world(state, entry.processes));
        match tried {
            Ok(_) => return Ok(Choice::Enter(entry)),
            Err(reason) => {
                let remedy = remedy::of(entry.mode, &reason);
                refusals.push(Refusal { reason, remedy });
            }
        }
    }
    let last = refusals.pop().expect("a rung has an entry");
    // A number is that of a process.
    let words = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "");
    match refusals.into_iter().next() {
        Some(first) if words(&first.reason) != words(&last.reason) => Err(Refusal {
            reason: format!("{}; {}", first.reason, last.reason),
            remedy: first.remedy.or(last.remedy),
        }),
        _ => Err(last),
    }
}

/// Does something in a child that has entered the namespaces of a mode.
fn attempt_in(
    host: &Host,
    mode: Mode,
    tried: impl FnOnce(&Path) -> Result<String, String>,
) -> Result<String, String> {
    let state = existing(&host.state);
    // Who is root inside may be nobody in the state directory.
    let given = (mode == Mode::Shifted).then(|| attempt::Given::new(state)).transpose()?;
    let state = given.as_ref().map_or(state, |given| given.path());
    attempt::in_child(|| enter(mode).and_then(|()| tried(state)))
}

/// Looks for the features that the ladder is built on.
///
/// Must be called with a single thread, outside of the builder's namespace.
pub fn features(host: &Host) -> Vec<Feature> {
    let state = existing(&host.state);
    // What mounts and namespaces can do shows in any user namespace, and where there is none, without.
    let modes: &[Mode] = match range_mode() {
        Mode::Identity => &[Mode::Identity, Mode::Shifted, Mode::Single, Mode::MountsOnly],
        _ => &[Mode::Subordinate, Mode::Single],
    };
    let enters = |mode: &&Mode| attempt_in(host, **mode, |_| Ok(String::new())).is_ok();
    let mode = modes.iter().find(enters).copied().unwrap_or(Mode::Single);
    let inside = |name, tried: fn(&Path) -> Result<String, String>| {
        feature(name, attempt_in(host, mode, tried))
    };
    let direct =
        |name, tried: fn() -> Result<String, String>| feature(name, attempt::in_child(tried));
    vec![
        direct("kernel", || Ok(strata_sys::kernel::release())),
        direct("openat2", attempt::openat2),
        direct("seccomp-notification", attempt::seccomp_notification),
        direct("landlock", attempt::landlock),
        inside("user-namespace", attempt::id_ranges),
        inside("overlay", attempt::overlay),
        inside("pid-namespace", |_| attempt::pid_namespace()),
        inside("new-proc", |_| attempt::new_proc()),
        inside("network-namespace", |_| attempt::network_namespace()),
        inside("host-name", |_| attempt::host_name()),
        inside("pivot-root", attempt::pivot_root),
        feature("chroot", attempt::in_child(|| attempt::changed_root(state))),
    ]
}

fn enter(mode: Mode) -> Result<(), String> {
    enter_namespaces(mode).map_err(|error| crate::enter::chain(&error))
}

fn feature(name: &'static str, result: Result<String, String>) -> Feature {
    let available = result.is_ok();
    let (Ok(detail) | Err(detail)) = result;
    Feature { name, available, detail }
}

fn existing(path: &Path) -> &Path {
    let mut parents = path.ancestors();
    parents.find(|path| path.is_dir()).unwrap_or(Path::new("/"))
}
