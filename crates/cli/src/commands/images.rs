//! Commands on images that exist: `push`, `copy`, `inspect`, `images`, `rm`, `prune`.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use strata_build::event::{Event, Events};
use strata_oci::Platform;
use strata_remote::{Freshness, Inspected, Location, ReadError, Transport, WriteError};
use strata_store::{Keep, StoreError};

use super::progress::shown;
use super::remote::{Places, Remote};
use crate::args::images::{CopyArgs, ImagesArgs, InspectArgs, PruneArgs, PushArgs, RmArgs};
use crate::args::registry::RegistryArgs;
use crate::args::{ProgressArgs, StateArgs};
use crate::diagnostic::{Diagnostic, Failure, fold};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::render::unit;
use crate::settings::{build as settings, progress, state_directory};
use crate::{streams, write};

/// Steps that were used within this time stay when the store is pruned.
const RECENT: Duration = Duration::from_hours(24 * 7);

/// What a command on images is given.
struct Scene<'a> {
    registry: &'a RegistryArgs,
    state: &'a StateArgs,
    environment: &'a Environment,
}

impl Scene<'_> {
    fn places(&self) -> Result<Places, Failure> {
        let user = rustix::process::geteuid().as_raw();
        Places::make(&state_directory::open(self.state, self.environment, user)?.path)
    }

    fn transport(&self, events: Arc<dyn Events>) -> Result<Transport, Failure> {
        let user = rustix::process::geteuid().as_raw();
        let state = state_directory::open(self.state, self.environment, user)?;
        let remote =
            Remote::open(self.registry, self.environment, &state.path, Freshness::Stored, events)?;
        Ok(Transport::new(remote.publisher()))
    }

    /// Runs work with a transport, shows it, and tells the digest of what was moved.
    fn moved<W: Future<Output = Result<strata_remote::Copied, WriteError>>>(
        &self,
        arguments: ProgressArgs,
        digest_file: Option<&Path>,
        work: impl FnOnce(Transport) -> W,
    ) -> Result<(), Failure> {
        let terminal = streams::talk_is_terminal();
        let progress = progress::progress(arguments, self.environment, terminal)?;
        let runtime = crate::runtime()?;
        let result = runtime.block_on(shown(
            progress,
            self.environment,
            |events| async move {
                let begun = std::time::Instant::now();
                let copied = work(self.transport(Arc::clone(&events))?)
                    .await
                    .map_err(|error| written(&error))?;
                let digest = copied.descriptor.digest;
                if let Some(path) = digest_file {
                    write::whole(path, digest.to_string().as_bytes())?;
                }
                let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                events.emit(Event::Finished { digest, milliseconds });
                Ok(())
            },
            || {},
        ));
        runtime.shutdown_background();
        result
    }
}

/// `strata push`.
pub(crate) fn push(arguments: &PushArgs, environment: &Environment) -> Result<(), Failure> {
    // A name alone is one of the local store: pushing what a registry has is `copy`.
    let source = match arguments.source.clone() {
        Location::Named(reference) => Location::Store(reference),
        source => source,
    };
    let destinations = match (&source, arguments.destinations.as_slice()) {
        (Location::Store(name), []) => vec![name.clone()],
        (_, []) => {
            return Err(Failure::usage(format!("`{source}` has no name to push to"))
                .help("say where to: `strata push SRC REF`"));
        }
        (_, given) => given.to_vec(),
    };
    let scene = Scene { registry: &arguments.registry, state: &arguments.state, environment };
    scene.moved(arguments.progress, arguments.digest_file.as_deref(), |transport| async move {
        transport.push(&source, &destinations, None).await
    })
}

/// `strata copy`.
pub(crate) fn copy(arguments: &CopyArgs, environment: &Environment) -> Result<(), Failure> {
    let platform = platform(arguments.platform.as_deref())?;
    let scene = Scene { registry: &arguments.registry, state: &arguments.state, environment };
    scene.moved(arguments.progress, None, |transport| async move {
        transport.copy(&arguments.source, &arguments.destination, platform.as_ref()).await
    })
}

/// `strata inspect`.
pub(crate) fn inspect(arguments: &InspectArgs, environment: &Environment) -> Result<(), Failure> {
    let platform = platform(arguments.platform.as_deref())?.unwrap_or_else(settings::host_platform);
    let scene = Scene { registry: &arguments.registry, state: &arguments.state, environment };
    let transport = scene.transport(Arc::new(Unheard))?;
    let runtime = crate::runtime()?;
    let result = runtime.block_on(transport.inspect(&arguments.image, &platform));
    runtime.shutdown_background();
    let inspected = result.map_err(|error| read(&error))?;
    if arguments.json {
        let json = serde_json::to_string_pretty(&inspected).expect("an image is always JSON");
        streams::data(&format!("{json}\n"))
    } else {
        streams::data(&inspected_text(&inspected))
    }
}

/// `strata images`.
pub(crate) fn list(arguments: &ImagesArgs, environment: &Environment) -> Result<(), Failure> {
    let registry = RegistryArgs::default();
    let scene = Scene { registry: &registry, state: &arguments.state, environment };
    let images = scene.places()?.open_store()?.images().map_err(|error| stored(&error))?;
    if arguments.json {
        let rows: Vec<_> = images
            .iter()
            .map(|(name, descriptor)| serde_json::json!({"name": name, "descriptor": descriptor}))
            .collect();
        let json = serde_json::to_string_pretty(&rows).expect("names are always JSON");
        return streams::data(&format!("{json}\n"));
    }
    let rows: Vec<(String, String)> = images
        .iter()
        .map(|(name, descriptor)| (name.familiar().to_string(), descriptor.digest.to_string()))
        .collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, digest) in rows {
        writeln!(text, "{name:<width$}  {digest}").expect("a string takes everything");
    }
    streams::data(&text)
}

/// `strata rm`.
pub(crate) fn remove(arguments: &RmArgs, environment: &Environment) -> Result<(), Failure> {
    let registry = RegistryArgs::default();
    let scene = Scene { registry: &registry, state: &arguments.state, environment };
    let store = scene.places()?.open_store()?;
    let mut missing = Vec::new();
    for name in &arguments.references {
        let name = name.clone().or_latest();
        if !store.remove_image(&name).map_err(|error| stored(&error))? {
            missing.push(Diagnostic::error(format!(
                "image `{}` is not in the local store",
                name.familiar()
            )));
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(Failure::of(Exit::Failed, missing)) }
}

/// `strata prune`.
pub(crate) fn prune(arguments: &PruneArgs, environment: &Environment) -> Result<(), Failure> {
    let registry = RegistryArgs::default();
    let scene = Scene { registry: &registry, state: &arguments.state, environment };
    let mut store = scene.places()?.open_store()?;
    let used_within = if arguments.all { Duration::ZERO } else { RECENT };
    let keep = Keep { used_within, now: SystemTime::now() };
    let pruned = store.prune(&keep).map_err(|error| stored(&error))?;
    streams::talk(&format!(
        "freed {}: {} blobs, {} steps, {} indexes\n",
        unit::bytes(pruned.bytes),
        pruned.blobs,
        pruned.steps,
        pruned.indexes
    ));
    Ok(())
}

/// Discards what happens: `inspect` is quick, and what is printed is the image.
#[derive(Debug)]
struct Unheard;

impl Events for Unheard {
    fn emit(&self, _event: Event) {}
}

fn platform(given: Option<&str>) -> Result<Option<Platform>, Failure> {
    settings::platform(given, &Environment::default(), &settings::host_platform())
}

fn inspected_text(image: &Inspected) -> String {
    let mut out = String::new();
    write_inspected(&mut out, image).expect("a string takes everything");
    out
}

fn write_inspected(out: &mut String, image: &Inspected) -> std::fmt::Result {
    writeln!(out, "{}", image.name)?;
    writeln!(out, "digest    {}", image.descriptor.digest)?;
    if image.descriptor.digest != image.digest {
        writeln!(out, "manifest  {}", image.digest)?;
        let platforms: Vec<String> = image.platforms.iter().map(ToString::to_string).collect();
        writeln!(out, "index of  {}", platforms.join(", "))?;
    }
    writeln!(out, "type      {}", image.descriptor.media_type)?;
    writeln!(out, "platform  {}", image.config.platform())?;
    if let Some(created) = &image.config.created {
        writeln!(out, "created   {created}")?;
    }
    writeln!(out, "size      {} in {} layers", unit::bytes(image.size), image.layers.len())?;
    for (name, value) in &image.manifest.annotations {
        writeln!(out, "annotation {name}={value}")?;
    }
    writeln!(out, "\nconfig")?;
    let config = serde_json::to_string_pretty(&image.config.config).unwrap_or_default();
    for line in config.lines() {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "\nlayers")?;
    for layer in &image.layers {
        writeln!(out, "  {}  {:>9}", layer.digest, unit::bytes(layer.size))?;
    }
    writeln!(out, "\nhistory")?;
    for row in &image.config.history {
        let mark = if row.empty_layer { ' ' } else { '+' };
        writeln!(out, "  {mark} {}", row.created_by)?;
    }
    Ok(())
}

fn read(error: &ReadError) -> Failure {
    fold::classified(error, error.class(), error.hint())
}

fn written(error: &WriteError) -> Failure {
    fold::classified(error, error.class(), error.hint())
}

fn stored(error: &StoreError) -> Failure {
    Failure::new(Exit::Failed, Diagnostic::of(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_without_a_name_cannot_be_pushed() {
        let arguments = PushArgs {
            source: Location::Layout { directory: "d".into(), selector: None },
            destinations: Vec::new(),
            digest_file: None,
            registry: RegistryArgs::default(),
            state: StateArgs::default(),
            progress: ProgressArgs::default(),
        };
        let failure = push(&arguments, &Environment::default()).expect_err("has no name");
        assert_eq!(failure.exit, Exit::Usage);
    }
}
