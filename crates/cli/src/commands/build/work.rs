//! The build itself: contexts, plan, engine, outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use strata_build::event::{Event, Events};
use strata_build::{Builder, Ports, Secret, Settings};
use strata_context::Git;
use strata_oci::{Image, MediaTypes, Platform, Reference, Timestamp};
use strata_plan::{ContextId, Plan, Request};
use strata_registry::Client;
use strata_remote::{
    ClientDownloads, Freshness, Output, Published, Publisher, StoreBlobs, Uploads, WriteError,
};
use strata_rootfs::{OverlaySnapshotter, Snapshotter, WalkSnapshotter};
use strata_sandbox::command::DEFAULT_SHM_SIZE;
use strata_sandbox::{Cancel, enter};
use tokio::sync::watch;

use super::caches::BuildCaches;
use super::contexts::{self, Contexts};
use super::fetch::Fetch;
use super::isolate::Chosen;
use super::{outputs, reports};
use crate::args::build::{BuildArgs, PushPermission, ResultFile, ResultFileKind};
use crate::commands::remote::Remote;
use crate::diagnostic::{Diagnostic, Failure, fold};
use crate::environment::{Environment, variable};
use crate::exit::Exit;
use crate::settings::clouds::Clouds;
use crate::settings::gitlab::GitLab;
use crate::settings::progress::Progress;
use crate::settings::ssh::{self, GitAgent};
use crate::settings::{build as settings, git_login, lint, registry};
use crate::{streams, write};

/// What a build is made of, once the program is where it has to be.
pub(super) struct Wiring<'a> {
    pub(super) arguments: &'a BuildArgs,
    pub(super) environment: &'a Environment,
    pub(super) state: &'a Path,
    pub(super) isolation: Chosen,
    pub(super) progress: Progress,
}

/// Discards what happens: a plan is quick, and what is printed is the plan.
#[derive(Debug)]
struct Unheard;

impl Events for Unheard {
    fn emit(&self, _event: Event) {}
}

/// Prints the plan.
pub(super) async fn dry_run(wiring: Wiring<'_>) -> Result<(), Failure> {
    let Wiring { arguments, environment, .. } = wiring;
    let secrets = settings::secrets(arguments, environment)?;
    let ssh = ssh::agents(&ssh::given(arguments, environment), environment)?;
    let remote = open(&wiring, Arc::new(Unheard))?;
    let agent = GitAgent::start(&ssh, &remote.places.scratch)?;
    let git = settings::git(arguments, environment, agent.as_ref());
    let fetch = fetch(&wiring, &remote, git, secrets)?;
    let contexts = Box::pin(contexts::open(arguments, environment, &fetch)).await?;
    let plan = plan(&wiring, &contexts, &remote).await?;
    let text = match wiring.progress {
        Progress::Json => {
            let mut json = serde_json::to_string_pretty(&plan).expect("a plan is always JSON");
            json.push('\n');
            json
        }
        Progress::Tty | Progress::Plain(_) | Progress::Quiet => plan.to_string(),
    };
    streams::data(&text)
}

/// Builds and writes the result.
pub(super) async fn build(
    wiring: Wiring<'_>,
    events: Arc<dyn Events>,
    cancel: Cancel,
    stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let Wiring { arguments, environment, .. } = wiring;
    let encode = settings::encoding(&arguments.result.output)?;
    let secrets = settings::secrets(arguments, environment)?;
    let ssh = ssh::agents(&ssh::given(arguments, environment), environment)?;
    let remote = open(&wiring, Arc::clone(&events))?;
    let agent = GitAgent::start(&ssh, &remote.places.scratch)?;
    let git = settings::git(arguments, environment, agent.as_ref());
    let fetch = fetch(&wiring, &remote, git.clone(), secrets.clone())?;
    let contexts = Box::pin(contexts::open(arguments, environment, &fetch));
    let contexts = unless_stopped(&stopped, contexts).await??;
    let names: Vec<Reference> =
        arguments.result.tag.iter().cloned().map(Reference::or_latest).collect();
    let outputs = outputs::all(&arguments.result);
    let pushes = outputs.iter().any(|(output, _)| *output == Output::Registry);
    let pushed = if pushes { names.as_slice() } else { &[] };
    let asked = match arguments.extra.permission {
        PushPermission::Asked => pushed,
        PushPermission::Awaited => &[],
    };
    let prepared =
        async { tokio::join!(plan(&wiring, &contexts, &remote), may_push(&remote.client, asked)) };
    let (plan, may_push) = unless_stopped(&stopped, prepared).await?;
    // What is wrong with the Dockerfile has a place in it, and comes first.
    let plan = Arc::new(plan?);
    may_push?;
    warn(&plan, events.as_ref());
    let gitlab = GitLab::of(environment)?;
    let reports = gitlab.reports(environment);
    if let Some(directory) = &reports {
        let dockerfile = contexts.dockerfile.name_in(environment.path(variable::CI_PROJECT_DIR));
        reports::findings(directory, &dockerfile, &plan, events.as_ref());
    }
    let now = now();
    let caches = BuildCaches::open(arguments, environment, &remote, &now);
    let caches = unless_stopped(&stopped, caches).await??;
    // Layers of single steps are no part of an image with one layer for all.
    let sent = if arguments.extra.single_layer { &[] } else { pushed };
    let uploads = uploads(&remote, sent, &events);
    let publisher = Publisher {
        uploads: uploads.clone(),
        immutable_tags: arguments.extra.immutable_tags,
        ..remote.publisher()
    };
    let resolver = Path::new("/etc/resolv.conf");
    let builder = Builder {
        ports: Ports {
            images: Arc::new(remote.images.clone()),
            blobs: Arc::new(StoreBlobs::new(remote.local.clone(), uploads.clone())),
            uploads: Arc::new(uploads),
            downloads: Arc::new(ClientDownloads::new(remote.client.clone())),
            cache: caches.port(),
            events: Arc::clone(&events),
            snapshotter: snapshotter(&remote.places.snapshots)?,
            isolation: wiring.isolation,
        },
        settings: Settings {
            encode,
            scratch: remote.places.scratch.clone(),
            cache_mounts: remote.places.cache_mounts.clone(),
            secrets,
            ssh,
            git,
            host: settings::host_platform(),
            resolver_configuration: strata_sandbox::hosts::resolver_configuration(resolver)
                .map_err(|error| Failure::file("read", resolver, &error))?,
            ulimits: arguments.run.ulimit.clone(),
            shm_size: arguments.run.shm_size.unwrap_or(DEFAULT_SHM_SIZE),
            now: gitlab.time(environment).unwrap_or_else(|| now.clone()),
        },
        contexts: contexts.by_number.clone(),
        cancel,
    };
    let annotations: BTreeMap<String, String> =
        arguments.result.annotation.iter().cloned().collect();
    let (images, published) = loop {
        let built = if arguments.extra.single_layer {
            Box::pin(builder.build_single_layer(Arc::clone(&plan))).await
        } else {
            builder.build(Arc::clone(&plan)).await
        };
        let built = built.map_err(|error| fold::build_error(&error, &plan.sources))?;
        let images = [built.image].into_iter().chain(built.others);
        let images: Vec<Image> = images.map(|image| caches.finish(image)).collect();
        let publishing = publish(&publisher, &images, &outputs, &names, &annotations);
        match unless_stopped(&stopped, publishing).await? {
            Ok(published) => break (images, published),
            // What was run is found now; only the step whose layer was promised in vain is run.
            Err(error) if caches.gives_up(&error) => {}
            Err(error) => return Err(fold::classified(&error, error.class(), error.hint())),
        }
    };
    unless_stopped(&stopped, caches.export(&plan, &images, pushed)).await?;
    result_files(arguments, &names, &published)?;
    if let Some(directory) = &reports {
        reports::image(directory, &names, published.descriptor.digest, events.as_ref());
    }
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    events.emit(Event::Finished { digest: published.descriptor.digest, milliseconds });
    Ok(())
}

/// Waits for work that can be dropped half done: what talks to registries before and after the engine. A push
/// that goes on after Ctrl-C would end in a tag that nobody wants any more.
async fn unless_stopped<T>(
    stopped: &watch::Receiver<bool>,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    let mut stopped = stopped.clone();
    tokio::select! {
        biased;
        Ok(_) = stopped.wait_for(|stopped| *stopped) => {
            Err(Failure::new(Exit::Interrupted, Diagnostic::error("interrupted")))
        }
        result = work => Ok(result),
    }
}

/// What sends layers while the build goes on, to where the image is pushed.
fn uploads(remote: &Remote, pushed: &[Reference], events: &Arc<dyn Events>) -> Uploads {
    if pushed.is_empty() {
        return Uploads::none();
    }
    let to = pushed.iter().map(|name| name.repository().clone());
    Uploads::new(remote.images.clone(), remote.client.clone(), Arc::clone(events), to)
}

/// Asks each repository that will be pushed to whether it takes anything from us, before there is work to lose.
async fn may_push(client: &Client, names: &[Reference]) -> Result<(), Failure> {
    let repositories: BTreeSet<_> = names.iter().map(Reference::repository).collect();
    for repository in repositories {
        client.check_push(repository).await.map_err(|error| fold::registry_error(&error))?;
    }
    Ok(())
}

/// Writes the image everywhere it was asked for.
async fn publish(
    publisher: &Publisher,
    images: &[Image],
    outputs: &[(Output, MediaTypes)],
    names: &[Reference],
    annotations: &BTreeMap<String, String>,
) -> Result<Published, WriteError> {
    let mut first = None;
    for (output, media_types) in outputs {
        let published = publisher.publish(images, output, names, *media_types, annotations).await?;
        first.get_or_insert(published);
    }
    Ok(first.expect("there is always an output"))
}

fn open(wiring: &Wiring<'_>, events: Arc<dyn Events>) -> Result<Remote, Failure> {
    let Wiring { arguments, environment, state, .. } = wiring;
    let freshness = if arguments.input.pull { Freshness::Registry } else { Freshness::Stored };
    let remote = Remote::open(&arguments.registry, environment, state, freshness, events)?;
    // One that is not there is none yet: the program that fills it may not have run.
    for layout in arguments.extra.layouts.iter().filter(|layout| layout.join("index.json").exists())
    {
        remote
            .images
            .prefer_layout(layout)
            .map_err(|error| fold::classified(&error, error.class(), error.hint()))?;
    }
    Ok(remote)
}

fn fetch(
    wiring: &Wiring<'_>,
    remote: &Remote,
    git: Git,
    secrets: BTreeMap<String, Secret>,
) -> Result<Fetch, Failure> {
    let arguments = wiring.arguments.input.build_arg.iter();
    let keep = arguments.filter(|one| one.key == "BUILDKIT_CONTEXT_KEEP_GIT_DIR");
    let keep =
        keep.filter_map(|one| one.value.as_deref()).any(|value| value == "1" || value == "true");
    let secrets = git_login::for_contexts(secrets, wiring.environment);
    let settings = registry::settings(&wiring.arguments.registry, wiring.environment)?;
    let clouds = Clouds::of(wiring.environment, settings);
    Ok(Fetch::new(remote.client.clone(), clouds, git, secrets, &remote.places.scratch, keep))
}

/// Plans for each platform, and makes one plan of them.
async fn plan(wiring: &Wiring<'_>, contexts: &Contexts, remote: &Remote) -> Result<Plan, Failure> {
    let host = settings::host_platform();
    let asked = settings::platforms(&wiring.arguments.input.platform, wiring.environment, &host)?;
    let Some((first, others)) = asked.split_first() else {
        return plan_for(None, wiring, contexts, remote).await;
    };
    let first = plan_for(Some(first.clone()), wiring, contexts, remote).await?;
    let mut more = Vec::new();
    for platform in others {
        more.push(plan_for(Some(platform.clone()), wiring, contexts, remote).await?);
    }
    Ok(Plan::merge(first, more))
}

async fn plan_for(
    platform: Option<Platform>,
    wiring: &Wiring<'_>,
    contexts: &Contexts,
    remote: &Remote,
) -> Result<Plan, Failure> {
    let request = request(platform, wiring, contexts)?;
    let source = request.source.clone();
    let secrets = settings::secrets(wiring.arguments, wiring.environment)?;
    strata_build::early::check(&request, &contexts.by_number, |id| secrets.contains_key(id))
        .map_err(|error| fold::build_error(&error, std::slice::from_ref(&source)))?;
    strata_build::plan(request, &remote.images, &contexts.layouts)
        .await
        .map_err(|error| fold::planning_error(&error, &source))
}

fn request(
    platform: Option<Platform>,
    wiring: &Wiring<'_>,
    contexts: &Contexts,
) -> Result<Request, Failure> {
    let Wiring { arguments, environment, .. } = wiring;
    let source = contexts.dockerfile.source.clone();
    let files = settings::build_arg_files(&arguments.input.build_arg_file)?;
    let build_args = settings::build_args(&files, &arguments.input.build_arg, environment);
    let dockerfile = strata_dockerfile::parse_with_lint(&source, lint::settings(&build_args)?)
        .map_err(|errors| fold::parse_errors(&source, &errors))?;
    let ignore = contexts.by_number.get(&ContextId::MAIN).and_then(|context| context.ignore());
    let host = settings::host_platform();
    let hosts = arguments.run.add_host.iter();
    Ok(Request {
        build_args,
        ignore: ignore.map(|ignore| ignore.patterns.patterns.clone()).unwrap_or_default(),
        target: arguments.input.target.clone(),
        more_targets: arguments.extra.more_targets.clone(),
        ignored_paths: arguments.extra.ignored_paths.clone(),
        platform_requested: platform.is_some(),
        build_platform: host.clone(),
        named_contexts: contexts.named.clone(),
        context_epochs: contexts.times.clone(),
        labels: GitLab::of(environment)?
            .labels(environment, &dockerfile)
            .into_iter()
            .chain(arguments.result.label.iter().cloned())
            .collect(),
        source_date_epoch: settings::epoch(arguments.result.source_date_epoch, environment)?,
        network: settings::network(arguments.run.network),
        hosts: hosts.map(|(name, address)| (name.clone(), address.to_string())).collect(),
        no_cache: arguments.cache.no_cache,
        no_cache_stages: arguments.cache.no_cache_filter.clone(),
        ..Request::new(source, dockerfile, platform.unwrap_or(host))
    })
}

/// What the plan found doubtful.
fn warn(plan: &Plan, events: &dyn Events) {
    for warning in &plan.warnings {
        let line = plan.source(warning.span).position(warning.span.start).line;
        let message = format!("{}: {}", warning.rule.name(), warning.message);
        events.emit(Event::Warning { message, line: Some(line) });
    }
    for name in &plan.unused_arguments {
        let message = format!("build argument `{name}` is not declared by any ARG");
        events.emit(Event::Warning { message, line: None });
    }
}

/// Overlays where the kernel allows them on this file system, else a directory that is walked.
///
/// Outside of a mount namespace of our own nothing is mounted, whatever we were allowed to: everybody
/// on the host would see it.
fn snapshotter(directory: &Path) -> Result<Arc<dyn Snapshotter>, Failure> {
    if enter::inside().is_some() {
        match OverlaySnapshotter::open(directory) {
            Ok(overlay) => return Ok(Arc::new(overlay)),
            Err(error) => tracing::info!(%error, "no overlays here: directories are walked"),
        }
    }
    let walk = WalkSnapshotter::open(directory)
        .map_err(|error| Failure::new(Exit::Failed, Diagnostic::of(&error)))?;
    Ok(Arc::new(walk))
}

fn now() -> Timestamp {
    let now = jiff::Timestamp::now();
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    Timestamp::from_unix(now.as_second(), nanoseconds).expect("a clock shows a year of four digits")
}

/// Writes what scripts read.
fn result_files(
    arguments: &BuildArgs,
    names: &[Reference],
    published: &Published,
) -> Result<(), Failure> {
    let BuildArgs { result: arguments, extra, .. } = arguments;
    let digest = published.descriptor.digest.to_string();
    let config = published.configs.first().map(ToString::to_string);
    if let Some(path) = &arguments.digest_file {
        write::whole(path, digest.as_bytes())?;
    }
    if let (Some(path), Some(config)) = (&arguments.iidfile, &config) {
        write::whole(path, config.as_bytes())?;
    }
    if let Some(path) = &arguments.metadata_file {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut metadata = serde_json::json!({
            "containerimage.config.digest": config,
            "containerimage.descriptor": published.descriptor,
            "containerimage.digest": digest,
        });
        if !names.is_empty() {
            metadata["image.name"] = names.join(",").into();
        }
        let mut text = serde_json::to_string_pretty(&metadata).expect("strings are always JSON");
        text.push('\n');
        write::whole(path, text.as_bytes())?;
    }
    for ResultFile { kind, path } in &extra.result_files {
        let lines = names.iter().map(|name| match kind {
            ResultFileKind::NamesWithDigest => format!("{}@{digest}\n", name.repository()),
            ResultFileKind::TagsWithDigest => format!("{name}@{digest}\n"),
        });
        write::whole(path, lines.collect::<String>().as_bytes())?;
    }
    Ok(())
}
