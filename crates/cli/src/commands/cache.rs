//! `strata cache`: what caches of layers hold, and cleaning them up.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use strata_build::event::{Event, Events};
use strata_oci::Timestamp;
use strata_remote::{CacheError, Caches, Contents, Freshness};

use super::remote::Remote;
use crate::args::StateArgs;
use crate::args::images::{CacheCommand, CacheInspectArgs, CachePruneArgs};
use crate::args::registry::RegistryArgs;
use crate::diagnostic::{Diagnostic, Failure};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::render::unit;
use crate::settings::{build as settings, state_directory};
use crate::streams;

/// Does what was asked for.
pub(crate) fn run(command: &CacheCommand, environment: &Environment) -> Result<(), Failure> {
    match command {
        CacheCommand::Inspect(arguments) => inspect(arguments, environment),
        CacheCommand::Prune(arguments) => prune(arguments, environment),
    }
}

fn inspect(arguments: &CacheInspectArgs, environment: &Environment) -> Result<(), Failure> {
    let (caches, now) = open(&arguments.registry, &arguments.state, environment)?;
    let platform = settings::host_platform();
    let contents = waited(caches.inspect(&arguments.cache, &platform))?;
    let contents = contents.map_err(|error| failed(&arguments.cache.to_string(), &error))?;
    if arguments.json {
        let json = serde_json::to_string_pretty(&contents).expect("rows are always JSON");
        return streams::data(&format!("{json}\n"));
    }
    streams::data(&text(&contents, now))
}

fn prune(arguments: &CachePruneArgs, environment: &Environment) -> Result<(), Failure> {
    let (caches, _) = open(&arguments.registry, &arguments.state, environment)?;
    let platform = settings::host_platform();
    let dropped = waited(caches.prune(&arguments.cache, &platform, arguments.unused))?;
    let dropped = dropped.map_err(|error| failed(&arguments.cache.to_string(), &error))?;
    let (steps, mounts) = (dropped.steps, dropped.mounts);
    if arguments.json {
        let json = serde_json::json!({"steps": steps, "mounts": mounts});
        return streams::data(&format!("{json}\n"));
    }
    streams::talk(&format!("dropped {steps} steps and {mounts} cache mounts\n"));
    Ok(())
}

fn open(
    registry: &RegistryArgs,
    state: &StateArgs,
    environment: &Environment,
) -> Result<(Caches, i64), Failure> {
    let user = rustix::process::geteuid().as_raw();
    let state = state_directory::open(state, environment, user)?;
    let events: Arc<dyn Events> = Arc::new(Unheard);
    let remote =
        Remote::open(registry, environment, &state.path, Freshness::Registry, Arc::clone(&events))?;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let (client, images, local) = (remote.client, remote.images, remote.local);
    Ok((Caches { client, images, local, events, now, age_limit: None }, now))
}

fn waited<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = crate::runtime()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(result)
}

fn failed(cache: &str, error: &CacheError) -> Failure {
    let exit = match error {
        CacheError::Read(_) | CacheError::Write(_) => Exit::Registry,
        _ => Exit::Failed,
    };
    let message = format!("cannot use the cache `{cache}`: {}", error.chain());
    Failure::new(exit, Diagnostic::error(message))
}

/// Discards what happens: what is printed is the cache.
#[derive(Debug)]
struct Unheard;

impl Events for Unheard {
    fn emit(&self, _event: Event) {}
}

fn text(contents: &Contents, now: i64) -> String {
    let mut out = String::new();
    write_text(&mut out, contents, now).expect("a string takes everything");
    out
}

fn write_text(out: &mut String, contents: &Contents, now: i64) -> std::fmt::Result {
    let Contents { name, size, steps, indexes, mounts } = contents;
    writeln!(out, "{name}")?;
    writeln!(out, "size      {}", unit::bytes(*size))?;
    writeln!(out, "holds     {} steps, {indexes} indexes, {} mounts", steps.len(), mounts.len())?;
    if !steps.is_empty() {
        writeln!(out, "\nsteps")?;
    }
    for step in steps {
        let key: String = step.key.to_string().chars().take(12).collect();
        let (size, used) = (unit::bytes(step.size), ago(step.used, now));
        let does = step.does.as_deref().unwrap_or("-").lines().next().unwrap_or("-");
        writeln!(out, "  {key}  {size:>9}  {used:>10}  {does}")?;
    }
    if !mounts.is_empty() {
        writeln!(out, "\nmounts")?;
    }
    for mount in mounts {
        let (size, used) = (unit::bytes(mount.size), ago(mount.used, now));
        writeln!(out, "  {size:>9}  {used:>10}  {}", mount.id)?;
    }
    Ok(())
}

/// The day of a time, or how many days ago it was.
fn ago(time: i64, now: i64) -> String {
    match now.saturating_sub(time) / 86_400 {
        0 => "today".to_owned(),
        1 => "yesterday".to_owned(),
        days @ 2..=99 => format!("{days} days"),
        _ => Timestamp::from_unix(time, 0)
            .map_or_else(|| "-".to_owned(), |time| time.to_string().chars().take(10).collect()),
    }
}
