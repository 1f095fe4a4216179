//! The caches of one build: read before it, written after it. Whatever goes wrong with them is a warning.

use std::sync::Arc;

use strata_build::event::{Event, Events};
use strata_build::ports::StepCache;
use strata_oci::{Image, LayerRef, Reference, Repository, Timestamp};
use strata_plan::Plan;
use strata_remote::{CacheTarget, CachedSteps, Caches, Export, Exported, WriteError};

use crate::args::build::BuildArgs;
use crate::commands::remote::Remote;
use crate::diagnostic::Failure;
use crate::environment::Environment;
use crate::settings::build as settings;
use crate::value::cache::CacheTo;

/// The build argument by which Docker's documentation asks for an inline cache.
const INLINE_ARGUMENT: &str = "BUILDKIT_INLINE_CACHE";

pub(super) struct BuildCaches {
    caches: Caches,
    steps: CachedSteps,
    inline: bool,
    targets: Vec<CacheTarget>,
    events: Arc<dyn Events>,
}

impl BuildCaches {
    pub(super) async fn open(
        arguments: &BuildArgs,
        environment: &Environment,
        remote: &Remote,
        now: &Timestamp,
    ) -> Result<Self, Failure> {
        let host = settings::host_platform();
        let asked = settings::platforms(&arguments.input.platform, environment, &host)?;
        // Of an image for several platforms, the keys that ride in the first one's are read.
        let platform = asked.into_iter().next().unwrap_or(host);
        let publisher = remote.publisher();
        let events = publisher.events;
        let caches = Caches {
            client: remote.client.clone(),
            images: remote.images.clone(),
            local: remote.local.clone(),
            events: Arc::clone(&events),
            now: now.unix_seconds(),
            age_limit: arguments.cache.cache_ttl,
        };
        // Nothing is looked up in a build that takes nothing from a cache.
        let sources: &[_] =
            if arguments.cache.no_cache { &[] } else { &arguments.cache.cache_from };
        let steps = caches.open(sources, &platform).await;
        let arguments_ask = arguments.input.build_arg.iter().any(|argument| {
            argument.key == INLINE_ARGUMENT && argument.value.as_deref().is_some_and(is_true)
        });
        let mut inline = arguments_ask;
        let mut targets = Vec::new();
        for target in &arguments.cache.cache_to {
            match target {
                CacheTo::Inline => inline = true,
                CacheTo::Target(target) => targets.push(target.clone()),
            }
        }
        Ok(Self { caches, steps, inline, targets, events })
    }

    /// What the engine asks.
    pub(super) fn port(&self) -> Arc<dyn StepCache> {
        Arc::new(self.steps.clone())
    }

    /// The image with its inline cache, if it gets one.
    pub(super) fn finish(&self, mut image: Image) -> Image {
        if self.inline {
            self.caches.write_inline(&mut image, &self.steps);
        }
        image
    }

    /// Whether the image could not be written for want of a layer that a cache promised; without that promise
    /// another build may do.
    pub(super) fn gives_up(&self, error: &WriteError) -> bool {
        let Some(digest) = error.unusable_blob().filter(|digest| self.steps.retract(*digest))
        else {
            return false;
        };
        self.warn(format!("the layer `{digest}` of a cached step cannot be had: {error}"));
        true
    }

    /// Puts what the build used and made where it was asked to.
    pub(super) async fn export(&self, plan: &Plan, images: &[Image], pushed: &[Reference]) {
        let bases = plan.images.iter();
        let bases: Vec<LayerRef> = bases.flat_map(|image| image.layers().to_vec()).collect();
        let pushed: Vec<Repository> = pushed.iter().map(|name| name.repository().clone()).collect();
        let export = Export { steps: &self.steps, images, bases: &bases, pushed: &pushed };
        for target in &self.targets {
            match self.caches.export(target, export).await {
                Ok(Exported::Written { .. }) => {
                    let (kind, destination) = ("cache".to_owned(), target.to_string());
                    self.events.emit(Event::Exported { kind, destination });
                }
                Ok(Exported::Unchanged) => {
                    tracing::debug!(cache = %target, "the cache has all of that already");
                }
                Err(error) => {
                    self.warn(format!("cache `{target}` is not written: {}", error.chain()));
                }
            }
        }
    }

    fn warn(&self, message: String) {
        self.events.emit(Event::Warning { message, line: None });
    }
}

/// As `strconv.ParseBool`, by which `BuildKit` reads it.
fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}
