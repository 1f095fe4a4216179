//! `strata doctor`: what this host allows.

use std::fmt::Write as _;

use serde::Serialize;
use strata_sandbox::probe::{Candidate, Feature, Host, Verdict, candidates, features};

use crate::args::DoctorArgs;
use crate::diagnostic::{Diagnostic, Failure};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::render::unit;
use crate::settings::state_directory::{self, StateDirectory, file_system};
use crate::streams;

mod registry;

pub(crate) use registry::registry;

/// Everything that is found out.
#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    kernel: String,
    platform: String,
    user: u32,
    state_directory: StateFacts,
    /// The candidate that `--isolation auto` takes.
    chosen: Option<&'static str>,
    candidates: Vec<Candidate>,
    features: Vec<Feature>,
}

#[derive(Debug, Serialize)]
struct StateFacts {
    path: String,
    reason: String,
    file_system: String,
    free_bytes: Option<u64>,
}

/// Looks and tells. Must be called with a single thread, outside of any namespace of ours.
pub(crate) fn run(arguments: &DoctorArgs, environment: &Environment) -> Result<(), Failure> {
    let user = rustix::process::geteuid().as_raw();
    let state = state_directory::open(&arguments.state, environment, user)?;
    let host = Host { state: state.path.clone() };
    let uname = rustix::system::uname();
    let candidates = candidates(&host);
    let best = candidates.iter().find(|candidate| candidate.verdict == Verdict::Works);
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        kernel: uname.release().to_string_lossy().into_owned(),
        platform: crate::settings::build::host_platform().to_string(),
        user,
        state_directory: facts(&state),
        chosen: best.map(|candidate| candidate.name),
        candidates,
        features: features(&host),
    };
    if arguments.json {
        let json = serde_json::to_string_pretty(&report).expect("strings and numbers are JSON");
        streams::data(&format!("{json}\n"))?;
    } else {
        streams::data(&text(&report))?;
    }
    if report.chosen.is_some() {
        Ok(())
    } else {
        let message = "this host allows no way to run commands";
        Err(Failure::new(Exit::Host, Diagnostic::error(message))
            .help("Dockerfiles without RUN can be built all the same"))
    }
}

fn facts(state: &StateDirectory) -> StateFacts {
    let statistics = rustix::fs::statvfs(&state.path).ok();
    StateFacts {
        path: state.path.display().to_string(),
        reason: state.reason.to_string(),
        file_system: file_system::name(&state.path),
        free_bytes: statistics.map(|found| found.f_bavail.saturating_mul(found.f_frsize)),
    }
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    write_text(&mut out, report).expect("a string takes everything");
    out
}

fn write_text(out: &mut String, report: &Report) -> std::fmt::Result {
    let Report { version, kernel, platform, user, state_directory: state, .. } = report;
    writeln!(out, "strata {version}, {platform}, Linux {kernel}, user {user}")?;
    write!(out, "state directory `{}` ({}), on {}", state.path, state.reason, state.file_system)?;
    match state.free_bytes {
        Some(free) => writeln!(out, ", {} free", unit::bytes(free))?,
        None => writeln!(out)?,
    }
    writeln!(out, "\nWays to isolate commands, best first:")?;
    for candidate in &report.candidates {
        let word = match candidate.verdict {
            Verdict::Works => "works",
            Verdict::Unsupported { .. } => "no",
        };
        writeln!(out, "  {word:<6} {:<16} {}", candidate.name, candidate.description)?;
        let indent = " ".repeat(26);
        match &candidate.verdict {
            Verdict::Works => {
                for limit in &candidate.limits {
                    writeln!(out, "{indent}limit: {limit}")?;
                }
            }
            Verdict::Unsupported { reason, remedy } => {
                writeln!(out, "{indent}why: {reason}")?;
                if let Some(remedy) = remedy {
                    writeln!(out, "{indent}remedy: {remedy}")?;
                }
            }
        }
    }
    match report.chosen {
        Some(name) => writeln!(out, "`--isolation auto` takes `{name}`.")?,
        None => writeln!(out, "None works: Dockerfiles with RUN cannot be built here.")?,
    }
    writeln!(out, "\nKernel features:")?;
    for feature in &report.features {
        let word = if feature.available { "yes" } else { "no" };
        writeln!(out, "  {word:<6} {:<16} {}", feature.name, feature.detail)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn report_reads_well() {
        let report = Report {
            version: "0.1.0",
            kernel: "6.18.0".into(),
            platform: "linux/amd64".into(),
            user: 1000,
            state_directory: StateFacts {
                path: "/home/me/.local/share/strata".into(),
                reason: "in `$HOME`".into(),
                file_system: "ext4".into(),
                free_bytes: Some(12_300_000_000),
            },
            chosen: Some("userns-single"),
            candidates: vec![
                Candidate {
                    name: "userns-range",
                    description: "a user namespace with a range of ids",
                    verdict: Verdict::Unsupported {
                        reason: "user 1000 has no range in `/etc/subuid`".into(),
                        remedy: Some("let root run `usermod --add-subuids`".into()),
                    },
                    limits: Vec::new(),
                    choice: None,
                },
                Candidate {
                    name: "userns-single",
                    description: "a user namespace with one id",
                    verdict: Verdict::Works,
                    limits: vec!["files cannot be given to other users"],
                    choice: None,
                },
            ],
            features: vec![Feature { name: "overlay", available: true, detail: "6.18".into() }],
        };
        assert_snapshot!(text(&report), @"
    strata 0.1.0, linux/amd64, Linux 6.18.0, user 1000
    state directory `/home/me/.local/share/strata` (in `$HOME`), on ext4, 12.3 GB free

    Ways to isolate commands, best first:
      no     userns-range     a user namespace with a range of ids
                              why: user 1000 has no range in `/etc/subuid`
                              remedy: let root run `usermod --add-subuids`
      works  userns-single    a user namespace with one id
                              limit: files cannot be given to other users
    `--isolation auto` takes `userns-single`.

    Kernel features:
      yes    overlay          6.18
    ");
    }
}
