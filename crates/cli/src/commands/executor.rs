//! `strata executor`: kaniko's commands, done by ours.

mod warmer;

use std::path::Path;

use strata_remote::Location;

use crate::args::executor::{ExecutorArgs, ExecutorCommand, KanikoPushArgs};
use crate::args::images::PushArgs;
use crate::commands::{build, images, login, version};
use crate::diagnostic::Failure;
use crate::environment::{Environment, variable};
use crate::exit::Exit;
use crate::settings::executor as settings;

/// Does what kaniko's executor is asked for. Every failure exits as kaniko does: with the code of the command
/// that failed, else with 1.
pub(crate) fn run(arguments: ExecutorArgs, environment: &Environment) -> Result<(), Failure> {
    let result = match arguments.command {
        None => settings::build(&arguments.options.0, environment).and_then(|(arguments, told)| {
            if environment.get(variable::STRATA_LOG).is_none() {
                crate::start_log(&told);
            }
            build::run(&arguments, &told)
        }),
        Some(ExecutorCommand::Login(arguments)) => crate::runtime().and_then(|runtime| {
            runtime.block_on(login::with_password(
                &arguments.login,
                arguments.password.as_deref(),
                environment,
            ))
        }),
        Some(ExecutorCommand::Push(arguments)) => push(arguments, environment),
        Some(ExecutorCommand::Version(arguments)) => version::run(&arguments),
        Some(ExecutorCommand::Warmer(arguments)) => warmer::run(&arguments, environment),
    };
    result.map_err(exit_as_kaniko)
}

/// The failure with the exit code that kaniko would have.
pub(crate) fn exit_as_kaniko(mut failure: Failure) -> Failure {
    failure.exit = match (failure.exit, failure.command) {
        (Exit::Failed, Some(code)) => Exit::Command(code),
        (Exit::Usage | Exit::Registry | Exit::Host | Exit::Failed, _) => Exit::Failed,
        (
            other @ (Exit::Done
            | Exit::Command(_)
            | Exit::Bug
            | Exit::Interrupted
            | Exit::Terminated),
            _,
        ) => other,
    };
    failure
}

fn push(arguments: KanikoPushArgs, environment: &Environment) -> Result<(), Failure> {
    let KanikoPushArgs { path, destination, digest_file, registry, state, progress } = arguments;
    let source = location(&path)?;
    let arguments =
        PushArgs { source, destinations: destination, digest_file, registry, state, progress };
    images::push(&arguments, environment)
}

/// A directory is a layout; an archive is one of a layout, or else Docker's.
fn location(path: &Path) -> Result<Location, Failure> {
    if path.is_dir() {
        return Ok(Location::Layout { directory: path.to_owned(), selector: None });
    }
    let file = std::fs::File::open(path).map_err(|error| Failure::file("open", path, &error))?;
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries().map_err(|error| Failure::file("read", path, &error))?;
    let mut docker = false;
    for entry in entries {
        let entry = entry.map_err(|error| Failure::file("read", path, &error))?;
        match entry.path_bytes().as_ref() {
            b"oci-layout" | b"./oci-layout" => {
                return Ok(Location::Archive { file: path.to_owned(), selector: None });
            }
            b"manifest.json" | b"./manifest.json" => docker = true,
            _ => {}
        }
    }
    if docker {
        return Ok(Location::DockerArchive { file: path.to_owned(), selector: None });
    }
    Err(Failure::usage(format!("`{}` is not an archive of an image", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Diagnostic;

    #[test]
    fn exit_code_is_that_of_the_command_or_one() {
        for (exit, command, expected) in [
            (Exit::Failed, Some(7), 7),
            (Exit::Failed, None, 1),
            (Exit::Usage, None, 1),
            (Exit::Registry, None, 1),
            (Exit::Host, Some(7), 1),
            (Exit::Bug, None, 70),
            (Exit::Interrupted, None, 130),
        ] {
            let failure = Failure { command, ..Failure::new(exit, Diagnostic::error("e")) };
            assert_eq!(exit_as_kaniko(failure).exit.code(), expected, "{exit:?} {command:?}");
        }
    }
}
