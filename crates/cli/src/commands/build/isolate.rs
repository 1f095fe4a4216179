//! Choosing how commands are isolated, and entering the user namespace for it.

use std::path::Path;
use std::sync::Arc;

use strata_dockerfile::suggest;
use strata_sandbox::probe::{self, Candidate, Choice, Host, Verdict};
use strata_sandbox::{Chroot, Isolation, enter};

use crate::args::build::BuildArgs;
use crate::called::Called;
use crate::diagnostic::{Diagnostic, Failure};
use crate::exit::Exit;

/// How commands will be run, or why none can be, one reason for each way.
pub(super) type Chosen = Result<Arc<dyn Isolation>, Vec<String>>;

/// Chooses, enters and starts the program again; returns in the program that runs inside, or where
/// there is nothing to enter. A Dockerfile without RUN builds there too.
pub(super) fn enter(arguments: &BuildArgs, state: &Path) -> Result<Chosen, Failure> {
    if let Some(entry) = enter::inside() {
        let isolation = probe::isolation(entry).map_err(|error| cannot_isolate(&error))?;
        return Ok(Ok(Arc::from(isolation)));
    }
    if arguments.dry_run {
        return Ok(Err(Vec::new()));
    }
    let host = Host { state: state.to_owned() };
    let choice = match arguments.run.isolation.as_str() {
        "auto" => match probe::choose(&host) {
            Ok(choice) => choice,
            Err(nothing) => return Ok(Err(nothing.candidates.iter().map(reason).collect())),
        },
        name => named(name, &probe::candidates(&host))?,
    };
    let entry = match choice {
        Choice::Enter(entry) => entry,
        Choice::Chroot => return changed_root().map(Ok),
        Choice::Translated => return translated().map(Ok),
    };
    // Does not return when it works.
    let words = match Called::of_process() {
        Called::Strata(words) => words,
        Called::Program { words, .. } => unreachable!("{words:?} became another program"),
    };
    let error = enter::enter(entry, state, words.get(1..).unwrap_or_default());
    let message = "cannot enter namespaces";
    let diagnostic = Diagnostic::error(message).caused_by(Some(&error));
    Err(Failure::new(Exit::Host, diagnostic.help("`strata doctor` says what this host allows")))
}

/// Files of an image get the modes that it says, whatever the umask of whoever started the program.
fn changed_root() -> Result<Arc<dyn Isolation>, Failure> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let isolation = Chroot::new().map_err(|error| cannot_isolate(&error))?;
    Ok(Arc::new(isolation))
}

#[cfg(target_arch = "x86_64")]
fn translated() -> Result<Arc<dyn Isolation>, Failure> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let isolation = strata_sandbox::Translated::new().map_err(|error| cannot_isolate(&error))?;
    Ok(Arc::new(isolation))
}

#[cfg(not(target_arch = "x86_64"))]
fn translated() -> Result<Arc<dyn Isolation>, Failure> {
    unreachable!("no probe chooses it on this architecture")
}

fn cannot_isolate(error: &dyn std::error::Error) -> Failure {
    let diagnostic = Diagnostic::error("cannot isolate commands").caused_by(Some(error));
    Failure::new(Exit::Host, diagnostic)
}

fn named(name: &str, candidates: &[Candidate]) -> Result<Choice, Failure> {
    let Some(candidate) = candidates.iter().find(|candidate| candidate.name == name) else {
        let names: Vec<&str> = candidates.iter().map(|candidate| candidate.name).collect();
        let help = match suggest(name, names.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known are `auto`, {}", crate::value::fields::list(&names)),
        };
        return Err(Failure::usage(format!("there is no isolation `{name}`")).help(help));
    };
    match (&candidate.verdict, candidate.choice) {
        (Verdict::Works, Some(choice)) => Ok(choice),
        (Verdict::Works, None) => Err(Failure::not_built(&format!("isolation `{name}`"))),
        (Verdict::Unsupported { reason, remedy }, _) => {
            let diagnostic = Diagnostic::error(format!("isolation `{name}` does not work here"))
                .noting(reason.clone())
                .helped(remedy.clone());
            Err(Failure::new(Exit::Host, diagnostic))
        }
    }
}

fn reason(candidate: &Candidate) -> String {
    match &candidate.verdict {
        Verdict::Works => candidate.name.to_owned(),
        Verdict::Unsupported { reason, remedy: None } => format!("`{}`: {reason}", candidate.name),
        Verdict::Unsupported { reason, remedy: Some(remedy) } => {
            format!("`{}`: {reason}; {remedy}", candidate.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINGLE: Choice =
        Choice::Enter(enter::Entry { mode: enter::Mode::Single, processes: enter::Processes::Own });

    #[test]
    fn isolation_is_chosen_by_name() {
        let candidate = |name, verdict, choice| Candidate {
            name,
            description: "",
            verdict,
            limits: Vec::new(),
            choice,
        };
        let refused = Verdict::Unsupported { reason: "no".into(), remedy: None };
        let candidates = [
            candidate("userns-range", refused, None),
            candidate("userns-single", Verdict::Works, Some(SINGLE)),
        ];
        assert_eq!(named("userns-single", &candidates), Ok(SINGLE));
        for (name, exit, help) in [
            ("userns-range", Exit::Host, None),
            ("userns-singel", Exit::Usage, Some("did you mean `userns-single`?")),
            ("vm", Exit::Usage, Some("known are `auto`, `userns-range` and `userns-single`")),
        ] {
            let failure = named(name, &candidates).expect_err(name);
            let found = (failure.exit, failure.diagnostics[0].help.as_deref());
            assert_eq!(found, (exit, help), "{name}");
        }
    }
}
