//! Errors of the crates below, folded into diagnostics.

use std::error::Error;

use strata_build::ports::PortErrorClass;
use strata_build::{BuildError, Disk, ErrorKind, MissingReason, PlanningError};
use strata_dockerfile::{ParseErrors, Source, Span};
use strata_plan::PlanErrors;
use strata_registry::RegistryError;
use strata_rootfs::SnapshotError;
use strata_sandbox::{Exit as CommandExit, RunError};

use super::{Diagnostic, Failure};
use crate::exit::Exit;

/// Everything that keeps a text from being a Dockerfile.
pub(crate) fn parse_errors(source: &Source, errors: &ParseErrors) -> Failure {
    let diagnostics = errors
        .iter()
        .map(|error| Diagnostic::of(error).at(source, error.span).helped(error.help.clone()))
        .collect();
    Failure::of(Exit::Failed, diagnostics)
}

/// Everything that keeps a Dockerfile from being planned.
pub(crate) fn plan_errors(errors: &PlanErrors) -> Failure {
    let diagnostics = errors
        .errors
        .iter()
        .map(|error| {
            let diagnostic = Diagnostic::of(&error.kind).helped(error.help.clone());
            let trigger = error.trigger_of.and_then(|span| position(&errors.sources, span));
            let diagnostic = match trigger {
                Some(place) => diagnostic.noting(format!("in a trigger of the image of {place}")),
                None => diagnostic,
            };
            placed(diagnostic, &errors.sources, error.span)
        })
        .collect();
    Failure::of(Exit::Failed, diagnostics)
}

/// Why there is no plan.
pub(crate) fn planning_error(error: &PlanningError, source: &Source) -> Failure {
    match error {
        PlanningError::Plan(errors) => plan_errors(errors),
        PlanningError::Base { request, source: cause } => {
            let sources = std::slice::from_ref(source);
            let diagnostic = placed(Diagnostic::of(error), sources, Some(request.span))
                .helped(cause.hint.clone())
                .helped(request.help.clone());
            Failure::new(exit_of(cause.class), diagnostic)
        }
        PlanningError::NoLayout(_) => Failure::new(Exit::Failed, Diagnostic::of(error)),
    }
}

/// Why a build ended without an image. `sources` are those of its plan.
pub(crate) fn build_error(error: &BuildError, sources: &[Source]) -> Failure {
    let diagnostic = placed(Diagnostic::of(&error.kind), sources, error.span);
    let failure = Failure::new(exit_of_build(&error.kind), explained(diagnostic, &error.kind));
    Failure { command: command_exit(&error.kind), ..failure }
}

/// The code of a command that failed; a signal counts as shells count it.
fn command_exit(kind: &ErrorKind) -> Option<u8> {
    match kind {
        ErrorKind::CommandFailed { exit: CommandExit::Code(code), .. } => {
            u8::try_from(*code).ok().filter(|code| *code != 0)
        }
        ErrorKind::CommandFailed { exit: CommandExit::Signal(signal), .. } => {
            u8::try_from(128 + *signal).ok()
        }
        _ => None,
    }
}

const MORE_ROOM: &str =
    "free some room there, or name a state directory on another disk with `--state-dir`";

/// Tells whether something failed for want of room on a disk.
fn is_full(error: &(dyn Error + 'static)) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};

    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<std::io::Error>();
        let errno = error.downcast_ref::<rustix::io::Errno>();
        let full = io.is_some_and(|io| matches!(io.kind(), StorageFull | QuotaExceeded))
            || errno.is_some_and(|errno| {
                matches!(*errno, rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT)
            })
            // What an I/O error wraps is not among its sources, only what led to that.
            || io.and_then(std::io::Error::get_ref).is_some_and(|inner| is_full(inner));
        if full {
            return true;
        }
        next = error.source();
    }
    false
}

/// Adds what only one kind of error knows.
fn explained(diagnostic: Diagnostic, kind: &ErrorKind) -> Diagnostic {
    match kind {
        ErrorKind::NotInContext { written, reason } => match reason {
            MissingReason::Ignored { file, line, pattern } => diagnostic
                .labelled(format!("excluded by `{file}` line {line} (`{pattern}`)"))
                .help(format!("add `!{}` to `{file}`", written.trim_start_matches('/'))),
            MissingReason::Similar { path } => {
                // As the user would write it: with a leading slash only if there was one.
                let path = path.to_string();
                let shown =
                    if written.starts_with('/') { &path } else { path.trim_start_matches('/') };
                diagnostic.help(format!("did you mean `{shown}`?"))
            }
            MissingReason::Unknown => diagnostic,
        },
        ErrorKind::CommandFailed { tail, disk, .. } => {
            let diagnostic = Diagnostic { output: tail.clone(), ..diagnostic };
            match disk {
                Disk::Full => {
                    diagnostic.noting("the state directory's disk is full").help(MORE_ROOM)
                }
                Disk::Roomy => diagnostic,
            }
        }
        ErrorKind::NoIsolation { reasons } => {
            Diagnostic { notes: reasons.clone(), ..diagnostic }.help("`strata doctor` tells more")
        }
        ErrorKind::ForeignCommand { .. } => diagnostic.help(
            "let an emulator be registered (binfmt_misc with the flag `F`, as `qemu-user-static` does), \
             or build on such a machine; a stage that cross-compiles is `FROM --platform=$BUILDPLATFORM`",
        ),
        ErrorKind::SecretMissing { id } => {
            diagnostic.help(format!("give it with `--secret id={id},src=FILE`"))
        }
        ErrorKind::SshMissing { id } => diagnostic.help(format!("give it with `--ssh {id}`")),
        ErrorKind::Port(error) => diagnostic.helped(error.hint.clone()),
        ErrorKind::Snapshot(SnapshotError::NoSpace { .. }) => diagnostic.help(MORE_ROOM),
        other if is_full(other) => diagnostic.help(MORE_ROOM),
        _ => diagnostic,
    }
}

fn exit_of_build(kind: &ErrorKind) -> Exit {
    match kind {
        ErrorKind::Port(error) => exit_of(error.class),
        ErrorKind::NoIsolation { .. }
        | ErrorKind::ForeignCommand { .. }
        | ErrorKind::Run(
            RunError::IdNotMapped { .. }
            | RunError::Limit { .. }
            | RunError::MountUnsupported { .. }
            | RunError::Setup { .. }
            | RunError::Owners { .. }
            | RunError::HelperStart { .. }
            | RunError::HelperLost { .. },
        ) => Exit::Host,
        ErrorKind::Worker { .. } => Exit::Bug,
        _ => Exit::Failed,
    }
}

/// A failure of a registry.
pub(crate) fn registry_error(error: &RegistryError) -> Failure {
    Failure::new(Exit::Registry, Diagnostic::of(error).helped(error.hint()))
}

/// A failure with its class and advice known.
pub(crate) fn classified(
    error: &dyn Error,
    class: PortErrorClass,
    hint: Option<String>,
) -> Failure {
    Failure::new(exit_of(class), Diagnostic::of(error).helped(hint))
}

fn exit_of(class: PortErrorClass) -> Exit {
    match class {
        PortErrorClass::NotFound | PortErrorClass::Registry | PortErrorClass::Corrupt => {
            Exit::Registry
        }
        PortErrorClass::Storage => Exit::Failed,
    }
}

fn placed(diagnostic: Diagnostic, sources: &[Source], span: Option<Span>) -> Diagnostic {
    let found = span.and_then(|span| Some((sources.get(usize::from(span.source))?, span)));
    match found {
        Some((source, span)) => diagnostic.at(source, span),
        None => diagnostic,
    }
}

fn position(sources: &[Source], span: Span) -> Option<String> {
    let source = sources.get(usize::from(span.source))?;
    Some(format!("{}:{}", source.name(), source.position(span.start)))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use strata_build::ports::PortError;

    use super::*;
    use crate::diagnostic::text;
    use crate::render::line::Colour;

    const TEXT: &str = "FROM scratch\nCOPY bin/tool /app\n";

    fn failure(kind: ErrorKind) -> Failure {
        let span = Some(Span { source: 0, start: 18, end: 26 });
        let source = Source::new(0, "Dockerfile", TEXT);
        build_error(&BuildError { step: None, span, kind }, &[source])
    }

    fn rendered(failure: &Failure) -> String {
        text::render(&failure.diagnostics[0], Colour::Never)
    }

    #[test]
    fn ignored_file_names_its_pattern() {
        let failure = failure(ErrorKind::NotInContext {
            written: "bin/tool".into(),
            reason: MissingReason::Ignored {
                file: ".dockerignore".into(),
                line: 3,
                pattern: "bin/".into(),
            },
        });
        assert_snapshot!(rendered(&failure), @"
    error: `bin/tool` is not in the build context
     --> Dockerfile:2:6
      |
    2 | COPY bin/tool /app
      |      ^^^^^^^^ excluded by `.dockerignore` line 3 (`bin/`)
      |
      = help: add `!bin/tool` to `.dockerignore`
    ");
    }

    #[test]
    fn full_disk_is_named_whatever_failed_on_it() {
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        let what = || "a file".to_owned();
        let io = |source| ErrorKind::Io { action: "write", what: what(), source };
        let command = |disk| ErrorKind::CommandFailed {
            command: what(),
            exit: CommandExit::Code(1),
            tail: Vec::new(),
            disk,
        };
        let space = SnapshotError::NoSpace { directory: "/s".into(), needed: 2, free: 1 };
        for (kind, expected) in [
            (io(full()), Some(MORE_ROOM)),
            (io(std::io::Error::other(full())), Some(MORE_ROOM)),
            (io(std::io::ErrorKind::NotFound.into()), None),
            (command(Disk::Full), Some(MORE_ROOM)),
            (command(Disk::Roomy), None),
            (ErrorKind::Snapshot(space), Some(MORE_ROOM)),
        ] {
            assert_eq!(failure(kind).diagnostics[0].help.as_deref(), expected);
        }
    }

    #[test]
    fn failed_command_has_its_code_and_output() {
        let failure = failure(ErrorKind::CommandFailed {
            command: "make".into(),
            exit: CommandExit::Code(2),
            tail: vec!["no rule".into()],
            disk: Disk::Roomy,
        });
        assert_eq!((failure.exit, failure.command), (Exit::Failed, Some(2)));
        assert_snapshot!(rendered(&failure), @"
    error: the command `make` exited with code 2
     --> Dockerfile:2:6
      |
    2 | COPY bin/tool /app
      |      ^^^^^^^^
    last lines of its output:
      | no rule
    ");
    }

    #[test]
    fn kind_of_failure_is_an_exit_code() {
        let port = |class| {
            ErrorKind::Port(PortError { message: "m".into(), class, hint: None, source: None })
        };
        for (kind, exit) in [
            (port(PortErrorClass::Registry), Exit::Registry),
            (port(PortErrorClass::NotFound), Exit::Registry),
            (port(PortErrorClass::Storage), Exit::Failed),
            (ErrorKind::NoIsolation { reasons: Vec::new() }, Exit::Host),
            (ErrorKind::Worker { message: "m".into() }, Exit::Bug),
            (ErrorKind::SecretMissing { id: "a".into() }, Exit::Failed),
        ] {
            assert_eq!(failure(kind).exit, exit);
        }
    }
}
