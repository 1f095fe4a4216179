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

use crate::enter::{Mode, enter_namespaces};
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
    /// What commands cannot do in it.
    pub limits: &'static [&'static str],
    /// What to do for it, if it works.
    pub choice: Option<Choice>,
}

/// What a builder does for its commands to be isolated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// It enters a user namespace; inside, [`isolation`] has what it needs.
    Enter(Mode),
    /// It stays where it is and uses [`Chroot`](crate::Chroot).
    Chroot,
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

const LADDER: [Rung; 5] = [
    Rung {
        name: "userns-range",
        description: "a user namespace with a range of ids, overlay mounts, and a pid namespace for each command",
        limits: &["creating device nodes"],
        probe: |host| attempt_mode(host, range_mode()),
    },
    Rung {
        name: "userns-single",
        description: "a user namespace with one id, overlay mounts, and a pid namespace for each command",
        limits: &[
            "creating device nodes",
            "running as another user than root",
            "giving files to another owner than root",
            "installing packages with apt, which changes its user",
        ],
        probe: |host| attempt_mode(host, Mode::Single),
    },
    Rung {
        name: "own-range",
        description: "a user namespace with the container's own ids and overlay mounts, without a pid namespace",
        limits: &["creating device nodes", "a procfs of its own"],
        probe: |_| Err(not_built()),
    },
    Rung {
        name: chroot::NAME,
        description: "a changed root directory below the builder's own user, with device nodes of its own",
        // The first group goes away when there is a supervisor that serves what is missing.
        limits: &[
            "anything that needs `/proc`, `/sys`, `/dev/fd`, `/dev/stdout` or a terminal: they are absent",
            "protecting other processes, and the files of this container, from a command that runs as root",
            "write protection of mounts, limits on the size of tmpfs mounts and of `/dev/shm`",
            "secrets in memory: they lie in the state directory while their step runs",
            "a host name of its own, and set-id programs in steps without a network",
        ],
        probe: attempt_chroot,
    },
    Rung {
        name: "translated",
        description: "no privileges at all: a supervisor translates the paths of every system call",
        limits: &["changing the root directory", "namespaces", "capabilities"],
        probe: |_| Err(not_built()),
    },
];

fn not_built() -> Refusal {
    Refusal { reason: "this version of strata does not have it yet".into(), remedy: None }
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
            limits: self.limits,
            choice,
        }
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

/// The isolation for commands, inside the namespace that was entered in `mode`.
pub fn isolation(mode: Mode) -> Box<dyn Isolation> {
    Box::new(Namespaces::new(mode))
}

fn attempt_chroot(host: &Host) -> Result<Choice, Refusal> {
    let state = existing(&host.state);
    match attempt::in_child(|| attempt::changed_root(state)) {
        Ok(_) => Ok(Choice::Chroot),
        Err(reason) => Err(Refusal { remedy: remedy::of_chroot(&reason), reason }),
    }
}

fn attempt_mode(host: &Host, mode: Mode) -> Result<Choice, Refusal> {
    let state = existing(&host.state);
    let result = attempt::in_child(|| {
        enter(mode)?;
        attempt::overlay(state)?;
        attempt::command_namespaces()
    });
    match result {
        Ok(_) => Ok(Choice::Enter(mode)),
        Err(reason) => Err(Refusal { remedy: remedy::of(mode, &reason), reason }),
    }
}

/// Looks for the features that the ladder is built on.
///
/// Must be called with a single thread, outside of the builder's namespace.
pub fn features(host: &Host) -> Vec<Feature> {
    let state = existing(&host.state);
    // Where a range cannot be entered, one id shows as well what mounts and namespaces can do.
    let range = attempt::in_child(|| enter(range_mode()).map(|()| String::new()));
    let mode = if range.is_ok() { range_mode() } else { Mode::Single };
    let inside = |name, tried: fn(&Path) -> Result<String, String>| {
        feature(name, attempt::in_child(|| enter(mode).and_then(|()| tried(state))))
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
        inside("pid-namespace", |_| attempt::command_namespaces()),
        inside("new-proc", |_| attempt::new_proc()),
        inside("network-namespace", |_| attempt::network_namespace()),
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
