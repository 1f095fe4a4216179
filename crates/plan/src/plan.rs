//! The result of planning: what is shown is what is run.

use serde::{Serialize, Serializer};
use strata_dockerfile::{Source, Span, Warning};
use strata_oci::{History, ImageConfig, LayerRef, Platform};

use crate::op::{CopySource, MountKind, Op, Origin};
use crate::recipe::RecipeTemplate;
use crate::request::{BaseImage, ImageSource};

/// A stage by its place in [`Plan::stages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct StageId(pub u32);

/// An image by its place in [`Plan::images`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ImageId(pub u32);

impl StageId {
    /// The index into [`Plan::stages`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl ImageId {
    /// The index into [`Plan::images`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// How much of a stage's file system a step must see; each includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Nothing but configs.
    #[default]
    Config,
    /// Names, types, modes, owners and link targets.
    Index,
    /// The contents of some files too: `/etc/passwd` and `/etc/group`, or what another stage copies.
    Files,
    /// A real directory to run in.
    Root,
}

/// What a build does.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The stages that the target reaches, each after those it depends on.
    pub stages: Vec<Stage>,
    /// The images that they start from, copy from or mount.
    pub images: Vec<PlannedImage>,
    /// The stage that is the result.
    pub target: StageId,
    /// Further results: the same for other platforms.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more_results: Vec<StageId>,
    /// Stages that are built besides and come to no result.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more_targets: Vec<StageId>,
    /// Findings that do not stop the build, in source order.
    #[serde(skip)]
    pub warnings: Vec<Warning>,
    /// The texts that spans point into: the Dockerfile, then triggers of base images. [`Span::source`] is the
    /// place in this list.
    #[serde(skip)]
    pub sources: Vec<Source>,
    /// Build arguments that nothing declares, in order.
    pub unused_arguments: Vec<String>,
    /// The time that stands in config, history and new layers, as seconds since 1970.
    pub source_date_epoch: Option<i64>,
}

impl Plan {
    /// The stage of that number.
    pub fn stage(&self, id: StageId) -> &Stage {
        &self.stages[id.index()]
    }

    /// The image of that number.
    pub fn image(&self, id: ImageId) -> &PlannedImage {
        &self.images[id.index()]
    }

    /// The stage that is the result.
    pub fn target_stage(&self) -> &Stage {
        self.stage(self.target)
    }

    /// The stages that are results.
    pub fn results(&self) -> impl Iterator<Item = StageId> {
        std::iter::once(self.target).chain(self.more_results.iter().copied())
    }

    /// The stages that are results, and those that are built besides.
    pub fn targets(&self) -> impl Iterator<Item = StageId> {
        self.results().chain(self.more_targets.iter().copied())
    }

    /// The text that a span points into.
    pub fn source(&self, span: Span) -> &Source {
        &self.sources[usize::from(span.source)]
    }
}

/// An image that a plan uses.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedImage {
    /// Where it comes from.
    pub source: ImageSource,
    /// The platform that was asked for.
    #[serde(serialize_with = "displayed")]
    pub platform: Platform,
    /// What was provided.
    #[serde(serialize_with = "manifest_digest", rename = "digest")]
    pub image: BaseImage,
}

impl PlannedImage {
    /// The layers, lowest first.
    pub fn layers(&self) -> &[LayerRef] {
        &self.image.layers
    }
}

pub(crate) fn displayed<S: Serializer>(
    value: &impl ToString,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

fn manifest_digest<S: Serializer>(image: &BaseImage, serializer: S) -> Result<S::Ok, S::Error> {
    displayed(&image.manifest.digest, serializer)
}

/// What a stage starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// Nothing.
    Scratch,
    /// An image.
    Image(ImageId),
    /// What another stage ends with.
    Stage(StageId),
}

/// A FROM and what follows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// Its place in the plan.
    pub id: StageId,
    /// Its number in the Dockerfile, from 0.
    pub number: usize,
    /// Its name, in lower case.
    pub name: Option<String>,
    /// What progress calls it: its name, else `stage-N`; empty in a build of one unnamed stage.
    pub label: String,
    /// The FROM.
    pub span: Span,
    /// The base as written in FROM, expanded.
    pub from: String,
    /// What it starts from.
    pub base: Base,
    /// What it is for.
    #[serde(serialize_with = "displayed")]
    pub platform: Platform,
    /// Its steps in order, triggers of the base first. Those of a base stage are not repeated.
    pub steps: Vec<Step>,
    /// The config that it ends with: everything but `created` (unless a source date epoch says it) and
    /// `rootfs`. The history is complete, that of the bases first.
    pub config: ImageConfig,
}

impl Stage {
    /// The stages this one needs, each once, in order.
    pub fn dependencies(&self) -> Vec<StageId> {
        let base = match self.base {
            Base::Stage(stage) => Some(stage),
            Base::Scratch | Base::Image(_) => None,
        };
        let origins = self.steps.iter().flat_map(Step::origins);
        let stages = origins.filter_map(|origin| match origin {
            Origin::Stage(stage) => Some(stage),
            Origin::Context(_) | Origin::Image(_) | Origin::Scratch => None,
        });
        let mut found: Vec<_> = base.into_iter().chain(stages).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// How much of its file system the stage's own steps must see.
    pub fn need(&self) -> Need {
        self.steps.iter().map(|step| step.need).max().unwrap_or_default()
    }
}

/// One instruction of a stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Its place among the numbered steps of the stage, for progress: `[name index/total]`. Instructions that
    /// only change the config have none; a base image counts as the first.
    pub position: Option<StepPosition>,
    /// The instruction. For a trigger of a base image its own text, which is another source.
    pub span: Span,
    /// For a trigger: the FROM that brought it.
    pub trigger_of: Option<Span>,
    /// The instruction as one line, expanded, for progress.
    pub text: String,
    /// What it does.
    pub op: Op,
    /// Its row of the history; ONBUILD has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<HistoryRow>,
    /// How much of the stage's file system it must see.
    pub need: Need,
    /// Whether a cached result must not be used.
    pub no_cache: bool,
    /// What its key is made of; steps that only change the config have none.
    #[serde(skip)]
    pub recipe: Option<RecipeTemplate>,
}

/// A row of the history: what the finished image's config lists.
pub type HistoryRow = History;

/// Where a step is among the numbered ones of its stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StepPosition {
    /// From 1.
    pub index: u32,
    /// How many there are.
    pub total: u32,
}

impl Step {
    /// Whether the step makes a layer.
    pub fn makes_layer(&self) -> bool {
        !matches!(self.op, Op::Config)
    }

    /// The trees that the step takes files from, besides its own stage.
    pub fn origins(&self) -> Vec<Origin> {
        match &self.op {
            Op::Config | Op::Workdir(_) => Vec::new(),
            Op::Copy(copy) => {
                let uses =
                    copy.sources.iter().any(|source| matches!(source, CopySource::Path { .. }));
                uses.then_some(copy.from).into_iter().collect()
            }
            Op::Run(run) => {
                run.mounts
                    .iter()
                    .filter_map(|mount| match &mount.kind {
                        MountKind::Bind { from, .. }
                        | MountKind::Cache { from: Some(from), .. } => Some(from.origin),
                        MountKind::Cache { from: None, .. }
                        | MountKind::Tmpfs { .. }
                        | MountKind::Secret { .. }
                        | MountKind::Ssh { .. } => None,
                    })
                    .collect()
            }
        }
    }
}
