//! Turns flags and environment into settings, wires the crates below together, shows what happens and
//! says how it ended.
//!
//! What it does not do: build. It is the only place that prints, reads the environment, handles
//! signals or chooses an exit code; everything below gets values and gives values.
//!
//! Invariants:
//! - standard output is data and standard error is talk;
//! - whatever an option asks for is done, or refused by name before anything is done;
//! - a build's first signal lets it put things in order, its second ends it;
//! - namespaces are entered before any thread exists.
//!
//! Modules: `args` (what may be written) with the parsers of `value`; `environment`; `settings`
//! (both, resolved); `commands` (one for each subcommand); `render` (progress); `diagnostic` (errors);
//! `exit`, `interrupt`, `streams`, `write`.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser as _;

mod args;
mod called;
mod commands;
mod diagnostic;
mod environment;
mod exit;
mod interrupt;
#[cfg(test)]
mod reference;
mod render;
mod settings;
mod streams;
mod value;
mod write;

use args::{Cli, Command};
use called::Called;
use diagnostic::{Diagnostic, Failure, text};
use environment::{Environment, variable};
use exit::Exit;

/// Runs the program and returns its exit code.
///
/// Must be called first thing in `main`, with a single thread: the program may be started as the
/// helper that sets up a command's namespaces, or has to start itself again in its own.
pub fn run() -> ExitCode {
    strata_sandbox::helper_entry();
    let environment = Environment::of_process();
    let words = match Called::of_process() {
        Called::Strata(words) => words,
        Called::Program { path, words } => {
            let failure = commands::program::start(&path, &words);
            report(&failure, &environment);
            return failure.exit.into();
        }
    };
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => return not_parsed(&error, &words).into(),
    };
    start_log(&environment);
    let result = catch_unwind(AssertUnwindSafe(|| dispatch(cli.command, &environment)));
    match result {
        Ok(Ok(())) => Exit::Done.into(),
        Ok(Err(failure)) => {
            report(&failure, &environment);
            failure.exit.into()
        }
        Err(_) => {
            // The panic's own message is on standard error already.
            let diagnostic = Diagnostic::error("this is a bug of strata")
                .help("please report it, with the message above and what was built");
            report(&Failure::new(Exit::Bug, diagnostic), &environment);
            Exit::Bug.into()
        }
    }
}

fn dispatch(command: Command, environment: &Environment) -> Result<(), Failure> {
    match command {
        Command::Build(arguments) => {
            let arguments = settings::build::with_context(*arguments, environment)?;
            commands::build::run(&arguments, environment)
        }
        Command::Check(arguments) => commands::check::run(&arguments, environment),
        Command::Login(arguments) => {
            runtime()?.block_on(commands::login::login(&arguments, environment))
        }
        Command::Logout(arguments) => {
            runtime()?.block_on(commands::login::logout(&arguments, environment))
        }
        Command::Push(arguments) => commands::images::push(&arguments, environment),
        Command::Copy(arguments) => commands::images::copy(&arguments, environment),
        Command::Inspect(arguments) => commands::images::inspect(&arguments, environment),
        Command::Images(arguments) => commands::images::list(&arguments, environment),
        Command::Rm(arguments) => commands::images::remove(&arguments, environment),
        Command::Prune(arguments) => commands::images::prune(&arguments, environment),
        Command::Cache(arguments) => commands::cache::run(&arguments.command, environment),
        Command::Doctor(arguments) => match &arguments.registry {
            Some(reference) => {
                runtime()?.block_on(commands::doctor::registry(reference, &arguments, environment))
            }
            None => commands::doctor::run(&arguments, environment),
        },
        Command::Executor(arguments) => commands::executor::run(*arguments, environment),
        Command::Version(arguments) => commands::version::run(&arguments),
    }
}

/// Says what is wrong with the command line, or gives the help that was asked for.
fn not_parsed(error: &clap::Error, words: &[OsString]) -> Exit {
    // Where this cannot be written, nobody is left who could be told.
    let _ = error.print();
    let word = |at: usize| words.get(at).and_then(|word| word.to_str()).unwrap_or_default();
    let executor = word(1) == "executor";
    if called::is_shell(word(if executor { 2 } else { 1 })) {
        streams::talk("\nThere is no shell in this image; the one for jobs, `:debug`, has one.\n");
    }
    match (error.use_stderr(), executor) {
        (false, _) => Exit::Done,
        (true, true) => Exit::Failed,
        (true, false) => Exit::Usage,
    }
}

/// Starts the runtime. From here on there are threads.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    strata_sandbox::share_heaps();
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        let diagnostic = Diagnostic::error("cannot start threads").caused_by(Some(&error));
        Failure::new(Exit::Host, diagnostic)
    })
}

/// Says why a command failed: as text for people, and as the last line of a stream of JSON.
fn report(failure: &Failure, environment: &Environment) {
    let colour = settings::progress::colour(environment, streams::talk_is_terminal());
    let texts: Vec<String> =
        failure.diagnostics.iter().map(|diagnostic| text::render(diagnostic, colour)).collect();
    streams::talk(&texts.join("\n"));
}

/// Sends what developers follow to standard error, where it is asked for.
fn start_log(environment: &Environment) {
    let Some(directives) = environment.text(variable::STRATA_LOG) else { return };
    let filter = tracing_subscriber::EnvFilter::builder().parse_lossy(directives);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
