//! `strata build`: the wiring. Decisions are in [`crate::settings::build`].

mod caches;
mod contexts;
mod fetch;
mod isolate;
mod outputs;
mod reports;
mod work;

use std::path::Path;

use strata_sandbox::{Cancel, enter};

use crate::args::build::{BuildArgs, ExitCodes};
use crate::commands::executor::exit_as_kaniko;
use crate::commands::progress::shown;
use crate::diagnostic::{Diagnostic, Failure};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::settings::progress::Progress;
use crate::settings::{build as settings, progress, state_directory};
use crate::streams;

/// Builds, or says what would be built.
///
/// Must be called with a single thread: the program may have to start itself again in a user
/// namespace of its own, with the same arguments and environment. Everything before that only looks.
pub(crate) fn run(arguments: &BuildArgs, environment: &Environment) -> Result<(), Failure> {
    if let Some(call) = arguments.call.asked() {
        return crate::commands::check::call(call, arguments, environment);
    }
    settings::check_contexts(arguments)?;
    settings::check_outputs(arguments)?;
    let terminal = streams::talk_is_terminal();
    let progress = progress::progress(arguments.progress, environment, terminal)?;
    outputs::check_stdout(&arguments.result.output, progress)?;
    let state = match enter::state_directory() {
        Some(path) => path,
        None => {
            let user = rustix::process::geteuid().as_raw();
            let context = arguments.input.context.as_deref().map(Path::new);
            state_directory::open_beside(&arguments.state, environment, user, context)?.path
        }
    };
    let isolation = isolate::enter(arguments, &state)?;
    if progress != Progress::Quiet {
        for note in &arguments.extra.notes {
            streams::talk(&format!("note: {note}\n"));
        }
    }
    let wiring = work::Wiring { arguments, environment, state: &state, isolation, progress };
    let runtime = crate::runtime()?;
    let result = if arguments.dry_run {
        runtime.block_on(work::dry_run(wiring))
    } else {
        runtime.block_on(build(wiring))
    };
    // A thread that still waits for a dead server must not keep the program.
    runtime.shutdown_background();
    result
}

async fn build(wiring: work::Wiring<'_>) -> Result<(), Failure> {
    let (progress, environment) = (wiring.progress, wiring.environment);
    let cancel = Cancel::new().map_err(|error| {
        let diagnostic = Diagnostic::error("cannot begin a build").caused_by(Some(&error));
        Failure::new(Exit::Host, diagnostic)
    })?;
    let (asked, stopped) = tokio::sync::watch::channel(false);
    let exit_codes = wiring.arguments.extra.exit_codes;
    let work = |events| async {
        let built = Box::pin(work::build(wiring, events, cancel.clone(), stopped)).await;
        built.map_err(|failure| match exit_codes {
            ExitCodes::OfKind => failure,
            ExitCodes::OfCommand => exit_as_kaniko(failure),
        })
    };
    let stop = || {
        cancel.cancel();
        asked.send_replace(true);
    };
    // What a build holds is large; the runtime keeps it on the heap.
    Box::pin(shown(progress, environment, work, stop)).await
}
