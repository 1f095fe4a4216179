//! The engine: keys for the whole plan, then look-ups, then only what is missing is run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, join_all};
use strata_context::{Repository, Revision};
use strata_layer::Index;
use strata_oci::{DiffId, Digest, Image, LayerRef, Timestamp};
use strata_plan::{Base, ContextId, Op, Origin, Plan, StageId, Step};
use strata_sandbox::Cancel;
use tokio::sync::Semaphore;

use crate::blocking::blocking;
use crate::cancelled::unless_cancelled;
use crate::contents::Contents;
use crate::context::BuildContext;
use crate::download::{self, DownloadedFile, Files};
use crate::error::{BuildError, ErrorKind};
use crate::event::{Event, PlannedStep, SCHEMA, StepNumber};
use crate::keys::{self, StageKeys};
use crate::ports::{Lookup, PortError, PortErrorClass, StepResult};
use crate::settings::{Ports, Settings};
use crate::single_layer;
use crate::stage::{self, StageLayer, StageOutput};
use crate::trees::Trees;

/// How many layers are compressed at the same time; each uses threads of its own.
const SEALING: usize = 2;

/// How many commands run at the same time. More than there are processors, as many of them wait for a network; not as
/// many as there are stages, as each has processes around it that take memory.
const COMMANDS: usize = 16;

/// Runs plans.
#[derive(Debug)]
pub struct Builder {
    /// What is asked for things.
    pub ports: Ports,
    /// How a build is done.
    pub settings: Settings,
    /// The contexts by number.
    pub contexts: BTreeMap<ContextId, Arc<BuildContext>>,
    /// Stops the build from outside.
    pub cancel: Cancel,
}

/// Which layers an image gets.
#[derive(Debug, Clone, Copy)]
enum Layers {
    OfSteps,
    Single,
}

/// What a build made.
#[derive(Debug, Clone)]
pub struct Built {
    /// The image; its layers are in the store or still where their base came from.
    pub image: Image,
    /// The images of what was built besides it, in the plan's order.
    pub others: Vec<Image>,
}

/// One run of one plan: what all its stages share.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) plan: Arc<Plan>,
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    pub(crate) contexts: BTreeMap<ContextId, Arc<BuildContext>>,
    pub(crate) contents: Arc<Contents>,
    pub(crate) cancel: Cancel,
    pub(crate) scratch: Arc<tempfile::TempDir>,
    pub(crate) sealing: Semaphore,
    pub(crate) commands: Semaphore,
    pub(crate) trees: Trees,
    // Every layer whose bytes may be asked for by its diff id.
    layers: Mutex<HashMap<DiffId, LayerRef>>,
    numbers: BTreeMap<(StageId, usize), StepNumber>,
    downloads: Files,
    keys: Arc<Vec<StageKeys>>,
    hits: BTreeMap<StepPlace, StepResult>,
    // Steps of which no cache knows any earlier execution.
    unseen: BTreeSet<StepPlace>,
    // The layers of what was found, by the digests of their blobs; whether each turned out to be lost.
    believed: Mutex<HashMap<Digest, bool>>,
}

/// A step: its stage, and its place there.
type StepPlace = (StageId, usize);

/// A stage that somebody waits for; whoever polls it first makes it run, everybody gets the same result.
pub(crate) type StageFuture = Shared<BoxFuture<'static, Result<Arc<StageOutput>, Arc<BuildError>>>>;

/// What the targets of a plan ended with.
type Outputs = BTreeMap<StageId, Arc<StageOutput>>;

impl Builder {
    /// Builds the targets of a plan.
    ///
    /// When this returns, with whatever result, no command runs and no scratch file is left.
    pub async fn build(&self, plan: Arc<Plan>) -> Result<Built, Arc<BuildError>> {
        self.build_with(plan, Layers::OfSteps).await
    }

    /// The same with one layer for all that the build puts onto its base. Steps are looked up and kept as ever.
    pub async fn build_single_layer(&self, plan: Arc<Plan>) -> Result<Built, Arc<BuildError>> {
        self.build_with(plan, Layers::Single).await
    }

    async fn build_with(&self, plan: Arc<Plan>, layers: Layers) -> Result<Built, Arc<BuildError>> {
        let begun = Instant::now();
        let mut session = Arc::new(self.session(plan).await.map_err(Arc::new)?);
        let outputs = loop {
            match self.run(&session).await {
                Err(error) if error.is_lost_hit() => {
                    session = Arc::new(session.again(&error).await);
                }
                result => break result?,
            }
        };
        let mut images = Vec::new();
        for id in session.plan.results() {
            images.push(session.finish(id, &outputs[&id], layers).await.map_err(Arc::new)?);
        }
        let others = images.split_off(1);
        let image = images.remove(0);
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(milliseconds, layers = image.layers.len(), "stages are done");
        let session_gone = Arc::try_unwrap(session).ok();
        blocking(move || {
            // Unmounting and deleting is work too; nothing waits for it on the runtime.
            drop((session_gone, outputs));
            Ok(())
        })
        .await
        .map_err(|kind| Arc::new(kind.into()))?;
        Ok(Built { image, others })
    }

    async fn run(&self, session: &Arc<Session>) -> Result<Outputs, Arc<BuildError>> {
        let wanted = session.wanted();
        let mut stages: BTreeMap<StageId, StageFuture> = BTreeMap::new();
        // Topological order: whatever a stage needs has its future already.
        for stage in session.plan.stages.iter().filter(|stage| wanted.contains(&stage.id)) {
            let needs: BTreeMap<StageId, StageFuture> = stage
                .dependencies()
                .into_iter()
                .filter_map(|id| Some((id, stages.get(&id)?.clone())))
                .collect();
            let (session, id) = (Arc::clone(session), stage.id);
            let work = stage::run(session, id, needs);
            stages.insert(stage.id, work.boxed().shared());
        }
        self.drive(session, stages).await
    }

    // Every stage runs as a task of its own; the first that fails stops the others.
    async fn drive(
        &self,
        session: &Arc<Session>,
        stages: BTreeMap<StageId, StageFuture>,
    ) -> Result<Outputs, Arc<BuildError>> {
        let targets: Vec<StageId> = session.plan.targets().collect();
        let mut tasks = tokio::task::JoinSet::new();
        for (id, future) in stages {
            tasks.spawn(async move { (id, future.await) });
        }
        let mut outputs = Outputs::new();
        let mut failure: Option<Arc<BuildError>> = None;
        while let Some(done) = tasks.join_next().await {
            match done {
                Ok((id, Ok(output))) => {
                    if targets.contains(&id) {
                        outputs.insert(id, output);
                    }
                }
                Ok((_, Err(error))) => {
                    // Whatever else runs is not in vain when the build is only tried again.
                    if !error.is_lost_hit() {
                        self.cancel.cancel();
                    }
                    // A stage that was cancelled because another failed is not the cause.
                    let replaces = |known: &Arc<BuildError>| {
                        known.is_cancelled() || (known.is_lost_hit() && !error.is_cancelled())
                    };
                    if failure.as_ref().is_none_or(replaces) {
                        failure = Some(error);
                    }
                }
                Err(error) => {
                    self.cancel.cancel();
                    let kind = ErrorKind::Worker { message: error.to_string() };
                    failure.get_or_insert(Arc::new(kind.into()));
                }
            }
        }
        match failure {
            Some(error) => Err(error),
            None if targets.iter().all(|target| outputs.contains_key(target)) => Ok(outputs),
            None => Err(Arc::new(ErrorKind::Cancelled.into())),
        }
    }

    async fn session(&self, plan: Arc<Plan>) -> Result<Session, BuildError> {
        let contexts: BTreeMap<u32, _> = self
            .contexts
            .iter()
            .map(|(id, context)| (id.0, Arc::clone(context.context())))
            .collect();
        let scratch = tempfile::Builder::new()
            .prefix("build-")
            .tempdir_in(&self.settings.scratch)
            .map_err(|source| ErrorKind::Io {
                action: "create",
                what: "the directory for this build".to_owned(),
                source,
            })?;
        let mut settings = self.settings.clone();
        if let Some(epoch) = plan.source_date_epoch {
            settings.encode.clamp = Some(strata_tree::Timestamp::from_seconds(epoch));
            if let Some(time) = Timestamp::from_unix(epoch, 0) {
                settings.now = time;
            }
        }
        let numbers = self.announce(&plan);
        let downloads = download::all(&plan, &self.ports, &settings, scratch.path()).await?;
        let keys = {
            let (plan, contexts) = (Arc::clone(&plan), self.contexts.clone());
            let (threads, downloads) = (settings.encode.threads, downloads.clone());
            tokio::task::spawn_blocking(move || {
                keys::compute(&plan, &contexts, &downloads, threads)
            })
            .await
            .map_err(|error| ErrorKind::Worker { message: error.to_string() })?
        }
        .map_err(|error| BuildError {
            step: numbers.get(&error.at).copied(),
            span: Some(error.span),
            kind: *error.kind,
        })?;
        let layers = plan
            .images
            .iter()
            .flat_map(|image| image.layers().iter().map(|layer| (layer.diff_id, layer.clone())))
            .collect();
        let mut session = Session {
            plan,
            ports: self.ports.clone(),
            settings,
            contexts: self.contexts.clone(),
            contents: Arc::new(Contents::new(contexts)),
            cancel: self.cancel.clone(),
            scratch: Arc::new(scratch),
            sealing: Semaphore::new(SEALING),
            commands: Semaphore::new(COMMANDS),
            trees: Trees::default(),
            layers: Mutex::new(layers),
            numbers,
            downloads,
            keys: Arc::new(keys),
            hits: BTreeMap::new(),
            unseen: BTreeSet::new(),
            believed: Mutex::default(),
        };
        (session.hits, session.unseen) = session.look_up().await;
        Ok(session)
    }

    fn announce(&self, plan: &Plan) -> BTreeMap<(StageId, usize), StepNumber> {
        let mut numbers = BTreeMap::new();
        let mut steps = Vec::new();
        for stage in &plan.stages {
            for (index, step) in stage.steps.iter().enumerate() {
                let Some(position) = step.position else { continue };
                let number = StepNumber(u32::try_from(steps.len() + 1).unwrap_or(u32::MAX));
                numbers.insert((stage.id, index), number);
                let place = step.trigger_of.unwrap_or(step.span);
                steps.push(PlannedStep {
                    number,
                    stage: stage.label.clone(),
                    position: position.index,
                    of: position.total,
                    text: step.text.clone(),
                    line: plan.source(place).position(place.start).line,
                });
            }
        }
        self.ports.events.emit(Event::Planned { schema: SCHEMA, steps });
        for image in &plan.images {
            self.ports.events.emit(Event::Resolved {
                reference: image.source.to_string(),
                digest: image.image.manifest.digest,
            });
        }
        numbers
    }
}

impl Session {
    pub(crate) fn number(&self, stage: StageId, index: usize) -> Option<StepNumber> {
        self.numbers.get(&(stage, index)).copied()
    }

    pub(crate) fn hit(&self, stage: StageId, index: usize) -> Option<&StepResult> {
        self.hits.get(&(stage, index))
    }

    pub(crate) fn key(&self, stage: StageId, index: usize) -> Option<&keys::StepRecipe> {
        self.keys[stage.index()].get(&index)
    }

    pub(crate) fn download(&self, url: &str) -> Option<&DownloadedFile> {
        self.downloads.get(url)
    }

    pub(crate) fn revision(&self, repository: &Repository) -> Option<&Revision> {
        self.downloads.revision(repository)
    }

    /// Whether commands see owners that are not on disk.
    pub(crate) fn fakes_ids(&self) -> bool {
        self.ports.isolation.as_ref().is_ok_and(|isolation| isolation.fakes_ids())
    }

    pub(crate) fn emit(&self, event: Event) {
        self.ports.events.emit(event);
    }

    /// Tells that a step failed, and gives the error of the build.
    pub(crate) fn failure(
        &self,
        stage: StageId,
        index: usize,
        step: &Step,
        kind: ErrorKind,
    ) -> Arc<BuildError> {
        let number = self.number(stage, index);
        if let Some(step) = number {
            self.emit(Event::StepFailed { step });
        }
        Arc::new(BuildError { step: number, span: Some(step.span), kind })
    }

    /// The time of what is made now, for metadata.
    pub(crate) fn now(&self) -> strata_tree::Timestamp {
        strata_tree::Timestamp {
            seconds: self.settings.now.unix_seconds(),
            nanoseconds: self.settings.now.nanoseconds(),
        }
    }

    pub(crate) fn know_layer(&self, layer: &LayerRef) {
        let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        layers.insert(layer.diff_id, layer.clone());
    }

    pub(crate) fn layer(&self, diff_id: &DiffId) -> Option<LayerRef> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner).get(diff_id).cloned()
    }

    /// Counts on a result that a cache has.
    pub(crate) fn believe(&self, result: &StepResult) {
        self.know_layer(&result.layer);
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        believed.entry(result.layer.blob.digest).or_insert(false);
    }

    /// [`Images::fetch`](crate::ports::Images::fetch).
    pub(crate) async fn fetch(&self, layer: &LayerRef) -> Result<(), ErrorKind> {
        self.arrived(layer, self.ports.images.fetch(layer)).await
    }

    /// [`Images::arrive`](crate::ports::Images::arrive), its first half.
    pub(crate) async fn arrived(
        &self,
        layer: &LayerRef,
        whole: BoxFuture<'_, Result<(), PortError>>,
    ) -> Result<(), ErrorKind> {
        match unless_cancelled(&self.cancel, whole).await {
            Some(fetched) => fetched.map_err(|error| self.not_had(layer, error)),
            None => Err(ErrorKind::Cancelled),
        }
    }

    /// [`Images::index`](crate::ports::Images::index).
    pub(crate) async fn index(&self, layer: &LayerRef) -> Result<Arc<Index>, ErrorKind> {
        match unless_cancelled(&self.cancel, self.ports.images.index(layer)).await {
            Some(found) => found.map_err(|error| self.not_had(layer, error)),
            None => Err(ErrorKind::Cancelled),
        }
    }

    // A cache that promised what it does not have costs time, never the build.
    fn not_had(&self, layer: &LayerRef, source: PortError) -> ErrorKind {
        let digest = layer.blob.digest;
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        match believed.get_mut(&digest) {
            Some(lost) if source.class != PortErrorClass::Storage => {
                *lost = *lost || self.ports.cache.retract(layer);
                if *lost { ErrorKind::CachedLayer { digest, source } } else { source.into() }
            }
            _ => source.into(),
        }
    }

    /// The same build once more, after a hit turned out to be none. What was run is found now.
    async fn again(&self, error: &BuildError) -> Self {
        let message = match std::error::Error::source(&error.kind) {
            Some(cause) => format!("{error}, so that the step runs: {cause}"),
            None => error.to_string(),
        };
        self.emit(Event::Warning { message, line: None });
        let layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut session = Self {
            plan: Arc::clone(&self.plan),
            ports: self.ports.clone(),
            settings: self.settings.clone(),
            contexts: self.contexts.clone(),
            contents: Arc::clone(&self.contents),
            cancel: self.cancel.clone(),
            scratch: Arc::clone(&self.scratch),
            sealing: Semaphore::new(SEALING),
            commands: Semaphore::new(COMMANDS),
            trees: Trees::default(),
            layers: Mutex::new(layers),
            numbers: self.numbers.clone(),
            downloads: self.downloads.clone(),
            keys: Arc::clone(&self.keys),
            hits: BTreeMap::new(),
            unseen: BTreeSet::new(),
            believed: Mutex::default(),
        };
        (session.hits, session.unseen) = session.look_up().await;
        session
    }

    async fn look_up(&self) -> (BTreeMap<StepPlace, StepResult>, BTreeSet<StepPlace>) {
        let mut questions = Vec::new();
        // Stages with a step that is made anew by demand. What comes of it is not known before, so that what stands on
        // it or takes from it can be found by content alone.
        let mut anew = BTreeSet::new();
        for stage in &self.plan.stages {
            let mut is_anew = matches!(stage.base, Base::Stage(base) if anew.contains(&base));
            for (index, step) in stage.steps.iter().enumerate() {
                is_anew |= step.no_cache || stages_of(step).any(|from| anew.contains(&from));
                if is_anew {
                    continue;
                }
                if let Some(recipe) = self.key(stage.id, index) {
                    questions.push(async move {
                        let answer = self.ports.cache.lookup(&recipe.key, &recipe.to_bytes()).await;
                        ((stage.id, index), answer)
                    });
                }
            }
            if is_anew {
                anew.insert(stage.id);
            }
        }
        let (mut hits, mut unseen) = (BTreeMap::new(), BTreeSet::new());
        for (at, answer) in join_all(questions).await {
            match answer {
                Lookup::Hit(result) => {
                    self.believe(&result);
                    hits.insert(at, *result);
                }
                Lookup::Miss { closest } => {
                    if closest.is_none() {
                        unseen.insert(at);
                    }
                    if let (Some(step), Some(recipe)) =
                        (self.number(at.0, at.1), self.key(at.0, at.1))
                    {
                        let reason = closest.and_then(|bytes| keys::explain(&bytes, recipe));
                        self.emit(Event::StepMissed { step, reason });
                    }
                }
            }
        }
        (hits, unseen)
    }

    /// Whether a step has to be executed whatever the steps before it come to.
    pub(crate) fn certainly_misses(&self, stage: StageId, index: usize) -> bool {
        let step = &self.plan.stage(stage).steps[index];
        step.no_cache || self.unseen.contains(&(stage, index))
    }

    /// Whether the next step that makes a layer has to be executed, whatever this one comes to.
    pub(crate) fn next_certainly_misses(&self, stage: StageId, index: usize) -> bool {
        let steps = self.plan.stage(stage).steps.iter().enumerate().skip(index + 1);
        let mut layers = steps.filter(|(_, step)| step.makes_layer());
        layers.next().is_some_and(|(next, _)| self.certainly_misses(stage, next))
    }

    /// Whether a command of this stage runs whatever the steps before it come to: no cache can know its result,
    /// by no key.
    pub(crate) fn certainly_runs(&self, stage: StageId) -> bool {
        let steps = self.plan.stage(stage).steps.iter().enumerate();
        let mut runs = steps.filter(|(_, step)| matches!(step.op, Op::Run(_)));
        runs.any(|(index, _)| self.certainly_misses(stage, index))
    }

    /// The layers of the steps that a stage begins with and need not be run.
    pub(crate) fn first_hits(&self, stage: StageId) -> impl Iterator<Item = LayerRef> {
        let steps = self.plan.stage(stage).steps.iter().enumerate();
        let layers = steps.filter(|(_, step)| step.makes_layer());
        layers.map_while(move |(index, _)| Some(self.hit(stage, index)?.layer.clone()))
    }

    /// Whether the layers of a stage are part of the result.
    pub(crate) fn ships(&self, stage: StageId) -> bool {
        let stands_on = |mut id: StageId| {
            while id != stage {
                match self.plan.stage(id).base {
                    Base::Stage(base) => id = base,
                    Base::Image(_) | Base::Scratch => return false,
                }
            }
            true
        };
        self.plan.results().any(stands_on)
    }

    /// The stages whose result something asks for: those below the targets, and those that a step which has to
    /// run takes files from.
    fn wanted(&self) -> BTreeSet<StageId> {
        let mut wanted = BTreeSet::new();
        let mut pending: Vec<StageId> = self.plan.targets().collect();
        while let Some(id) = pending.pop() {
            if !wanted.insert(id) {
                continue;
            }
            let stage = self.plan.stage(id);
            if let Base::Stage(base) = stage.base {
                pending.push(base);
            }
            for (index, step) in stage.steps.iter().enumerate() {
                if self.hit(id, index).is_none() {
                    pending.extend(stages_of(step));
                }
            }
        }
        wanted
    }

    /// The image that a stage came to.
    async fn finish(
        self: &Arc<Self>,
        target: StageId,
        output: &StageOutput,
        layers: Layers,
    ) -> Result<Image, BuildError> {
        match layers {
            Layers::OfSteps => Ok(self.image(target, &output.layers, 0)),
            Layers::Single => {
                let squashed = single_layer::squash(self, output).await?;
                Ok(self.image(target, &squashed, output.layers.len() - squashed.len() + 1))
            }
        }
    }

    /// The image of these layers, of which the last stands for `squashed` rows of the history.
    fn image(&self, target: StageId, layers: &[StageLayer], squashed: usize) -> Image {
        let mut config = self.plan.stage(target).config.clone();
        single_layer::squash_history(&mut config.history, squashed);
        let references = layers.iter().map(|layer| layer.layer.clone()).collect();
        let mut layers = layers.iter();
        let mut latest = None;
        for row in &mut config.history {
            if !row.empty_layer
                && let Some(layer) = layers.next()
            {
                latest = layer.created.clone().or(latest);
            }
            if row.created.is_none() {
                row.created = Some(latest.clone().unwrap_or_else(|| self.settings.now.clone()));
            }
        }
        if config.created.is_none() {
            config.created = Some(latest.unwrap_or_else(|| self.settings.now.clone()));
        }
        Image { config, layers: references, annotations: BTreeMap::new() }
    }
}

fn stages_of(step: &Step) -> impl Iterator<Item = StageId> {
    step.origins().into_iter().filter_map(|origin| match origin {
        Origin::Stage(stage) => Some(stage),
        Origin::Context(_) | Origin::Image(_) | Origin::Scratch => None,
    })
}
