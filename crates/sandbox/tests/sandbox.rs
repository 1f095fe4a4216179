//! Runs real commands in real namespaces, in roots made of the host's static busybox.
//!
//! It has a `main` of its own, because helpers are this executable started again, and because
//! entering a namespace needs a process with one thread. The same cases run as root, as an ordinary
//! user with subordinate ids, and as one without.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the harness of this test is its own, and its failures are panics"
)]

#[path = "sandbox/cases.rs"]
mod cases;
#[path = "sandbox/changed_root.rs"]
mod changed_root;
#[path = "sandbox/faked_ids.rs"]
mod faked_ids;
#[path = "sandbox/fixture.rs"]
mod fixture;
#[path = "sandbox/served_paths.rs"]
mod served_paths;
#[cfg(target_arch = "x86_64")]
#[path = "sandbox/translated.rs"]
mod translated;
#[path = "sandbox/user.rs"]
mod user;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};

use fixture::Fixture;
use strata_sandbox::enter::{self, Entry, Mode, Processes};
use strata_sandbox::probe::{self, Choice, Host, Verdict};

/// What the outer process tells the one it starts.
const ENTER: &str = "--enter=";

/// The mode in which the host's procfs is masked, as container engines do: then the kernel allows no
/// new one in a user namespace.
const MASKED: &str = "masked";

/// One id, in a container that allows no procfs of its own.
const SINGLE_SHARED: &str = "single-shared";

/// No mode: the builder enters nothing.
const CHANGED_ROOT: &str = "changed-root";

/// No mode: the builder enters nothing, and its commands' paths are translated.
#[cfg(target_arch = "x86_64")]
const TRANSLATED: &str = "translated";

fn main() -> ExitCode {
    strata_sandbox::helper_entry();
    let argument = std::env::args().nth(1).unwrap_or_default();
    match (enter::inside(), argument.strip_prefix(ENTER)) {
        _ if argument == served_paths::MAKE_A_TERMINAL => {
            served_paths::make_a_terminal();
            ExitCode::SUCCESS
        }
        _ if argument == served_paths::DESCRIBE_AND_MAKE => {
            served_paths::describe_and_make();
            ExitCode::SUCCESS
        }
        #[cfg(target_arch = "x86_64")]
        _ if argument == translated::PROGRAM => translated::be_a_program(),
        (Some(entry), _) if argument == fixture::VICTIM => fixture::be_the_victim(entry),
        (Some(entry), Some(MASKED)) => {
            run_cases(MASKED, || Fixture::new(entry), cases::WITH_MASKED_PROC)
        }
        (Some(entry), _) => {
            let name = format!("{:?}-{:?}", entry.mode, entry.processes);
            let cases = match entry.processes {
                Processes::Own => cases::ALL.to_vec(),
                Processes::Shared => cases::shared(),
            };
            let faked = if entry.mode == Mode::Single { faked_ids::ALL } else { &[] };
            let cases = [cases.as_slice(), faked].concat();
            run_cases(&name, || Fixture::new(entry), &cases)
        }
        (None, Some(CHANGED_ROOT)) => {
            let cases = [changed_root::ALL, served_paths::ALL].concat();
            run_cases(CHANGED_ROOT, Fixture::in_changed_root, &cases)
        }
        #[cfg(target_arch = "x86_64")]
        (None, Some(TRANSLATED)) => {
            user::become_ordinary(user::SubordinateIds::None);
            run_cases(TRANSLATED, Fixture::translated, &translated::all())
        }
        (None, Some(mode)) => enter_as(mode),
        (None, None) if argument == "--list" => ExitCode::SUCCESS,
        (None, None) => run_modes(),
    }
}

fn run_modes() -> ExitCode {
    if !fixture::has_busybox() {
        println!("skipped: sandbox: needs a static busybox in /bin");
        return ExitCode::SUCCESS;
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: sandbox: needs root, to become each kind of user");
        return ExitCode::SUCCESS;
    }
    let mut failed = run_probes().is_err();
    let modes = [
        "identity",
        "shared",
        "shifted",
        "subordinate",
        "single",
        SINGLE_SHARED,
        "mounts",
        MASKED,
        CHANGED_ROOT,
        #[cfg(target_arch = "x86_64")]
        TRANSLATED,
    ];
    for mode in modes {
        let status = Command::new("/proc/self/exe").arg(format!("{ENTER}{mode}")).status();
        failed |= !status.unwrap().success();
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Probes from outside, as `doctor` does, and checks the answers against each other.
fn run_probes() -> std::thread::Result<()> {
    let result = catch_unwind(|| {
        let state = tempfile::tempdir().unwrap();
        let host = Host { state: state.path().join("not/made/yet") };
        let candidates = probe::candidates(&host);
        let names: Vec<_> = candidates.iter().map(|candidate| candidate.name).collect();
        let ladder = [
            "userns-range",
            "own-range",
            "userns-single",
            "own-mounts",
            "chroot-supervised",
            "translated",
        ];
        assert_eq!(names, ladder);
        for candidate in &candidates {
            let works = candidate.verdict == Verdict::Works;
            assert_eq!(candidate.choice.is_some(), works, "{candidate:?}");
        }
        let first = candidates.iter().find_map(|candidate| candidate.choice);
        assert_eq!(probe::choose(&host).ok(), first);
        let features = probe::features(&host);
        for feature in &features {
            println!("{}: {} ({})", feature.name, feature.available, feature.detail);
        }
        let overlay = features.iter().find(|feature| feature.name == "overlay").unwrap();
        assert_eq!(overlay.available, matches!(first, Some(Choice::Enter(_))));
        assert_eq!(state.path().read_dir().unwrap().count(), 0, "a probe left something");
    });
    println!("test probes ... {}", if result.is_ok() { "ok" } else { "FAILED" });
    result
}

fn enter_as(name: &str) -> ExitCode {
    let (mode, processes) = match name {
        "identity" => (Mode::Identity, Processes::Own),
        "shared" => (Mode::Identity, Processes::Shared),
        "shifted" => (Mode::Shifted, Processes::Own),
        "mounts" => (Mode::MountsOnly, Processes::Own),
        MASKED => {
            user::mask_proc();
            (Mode::Identity, Processes::Shared)
        }
        "subordinate" => {
            if !user::has_mapping_programs() {
                println!("skipped: sandbox subordinate: needs newuidmap and newgidmap");
                return ExitCode::SUCCESS;
            }
            user::become_ordinary(user::SubordinateIds::Granted);
            (Mode::Subordinate, Processes::Own)
        }
        name => {
            user::become_ordinary(user::SubordinateIds::None);
            let processes = if name == SINGLE_SHARED { Processes::Shared } else { Processes::Own };
            (Mode::Single, processes)
        }
    };
    // What a builder keeps its state in; the roots of the cases are elsewhere.
    let state = tempfile::tempdir().unwrap();
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let error = enter::enter(Entry { mode, processes }, state.path(), &arguments);
    println!("skipped: sandbox {name}: needs user namespaces: {error} ({error:?})");
    ExitCode::SUCCESS
}

fn run_cases(mode: &str, fixture: impl Fn() -> Fixture, cases: &[(&str, cases::Case)]) -> ExitCode {
    let mut failures = 0;
    for (name, case) in cases {
        let result = catch_unwind(AssertUnwindSafe(|| case(&fixture())));
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        failures += usize::from(result.is_err());
        println!("test {mode}::{name} ... {word}");
    }
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
