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
    if let Some(mode) = enter::inside() {
        return Ok(Ok(Arc::from(probe::isolation(mode))));
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
    let mode = match choice {
        Choice::Enter(mode) => mode,
        Choice::Chroot => return changed_root().map(Ok),
    };
    // Does not return when it works.
    let words = match Called::of_process() {
        Called::Strata(words) => words,
        Called::Program { words, .. } => unreachable!("{words:?} became another program"),
    };
    let error = enter::enter_with(mode, words.get(1..).unwrap_or_default());
    let message = "cannot enter a user namespace";
    let diagnostic = Diagnostic::error(message).caused_by(Some(&error));
    Err(Failure::new(Exit::Host, diagnostic.help("`strata doctor` says what this host allows")))
}

/// Files of an image get the modes that it says, whatever the umask of whoever started the program.
fn changed_root() -> Result<Arc<dyn Isolation>, Failure> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let isolation = Chroot::new().map_err(|error| {
        let diagnostic = Diagnostic::error("cannot isolate commands").caused_by(Some(&error));
        Failure::new(Exit::Host, diagnostic)
    })?;
    Ok(Arc::new(isolation))
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

/// The user who started the program, also inside its own namespace: the choice of the state
/// directory must be the same on both sides.
pub(super) fn invoking_user() -> u32 {
    let effective = rustix::process::geteuid().as_raw();
    if enter::inside().is_none() {
        return effective;
    }
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    outside(&map, effective).unwrap_or(effective)
}

/// What an id is outside, by the text of a `uid_map`: lines of `inside outside length`.
fn outside(map: &str, id: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut fields = line.split_whitespace().map(str::parse::<u32>);
        let (first, outside, length) =
            (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
        let offset = id.checked_sub(first)?;
        (offset < length).then(|| outside.checked_add(offset))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_found_outside() {
        let range = "         0       1000          1\n         1     100000      65536\n";
        for (map, id, expected) in [
            (range, 0, Some(1000)),
            (range, 2, Some(100_001)),
            (range, 65_537, None),
            ("0 0 4294967295\n", 7, Some(7)),
            ("", 0, None),
        ] {
            assert_eq!(outside(map, id), expected, "{map:?} {id}");
        }
    }

    const SINGLE: Choice = Choice::Enter(enter::Mode::Single);

    #[test]
    fn isolation_is_chosen_by_name() {
        let candidate = |name, verdict, choice| Candidate {
            name,
            description: "",
            verdict,
            limits: &[],
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
