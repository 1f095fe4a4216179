//! Plans for several platforms as one: what does not depend on the platform is in it once.

use strata_dockerfile::{Source, Span};
use strata_oci::Platform;

use crate::op::{CopyOp, MountFrom, MountKind, Op, Origin, RunOp};
use crate::plan::{Base, ImageId, Plan, PlannedImage, Stage, StageId, Step};

impl Plan {
    /// Makes one plan of several of the same Dockerfile: the result of the first is its target, those of the others
    /// are further results, in order.
    ///
    /// A stage is in it once for all plans in which it is the same down to its bases: one that is built on the
    /// builder's own platform and looks at no argument of the target's. Labels say for which platform a stage is.
    #[must_use]
    pub fn merge(first: Self, others: Vec<Self>) -> Self {
        if others.is_empty() {
            return first;
        }
        let mut merged = Self {
            stages: Vec::new(),
            images: Vec::new(),
            more_results: Vec::new(),
            more_targets: Vec::new(),
            ..first.clone()
        };
        let mut results = Vec::new();
        // For each stage of the result, the platforms of the targets that need it.
        let mut users: Vec<Vec<Platform>> = Vec::new();
        for plan in [first].into_iter().chain(others) {
            results.extend(merged.add(plan, &mut users));
        }
        merged.target = results.remove(0);
        merged.more_results = results;
        for (stage, users) in merged.stages.iter_mut().zip(&users) {
            stage.label = label(stage, users);
        }
        merged
    }

    /// Adds a plan and gives where its results are now.
    fn add(&mut self, plan: Self, users: &mut Vec<Vec<Platform>>) -> Vec<StageId> {
        let results: Vec<StageId> = plan.results().collect();
        let platform = plan.target_stage().config.platform();
        let places = Places {
            sources: plan.sources.iter().map(|source| self.add_source(source)).collect(),
            images: plan.images.iter().map(|image| self.add_image(image)).collect(),
            stages: Vec::new(),
        };
        let places = plan.stages.into_iter().fold(places, |mut places, stage| {
            let id = self.add_stage(places.stage(stage));
            if id.index() == users.len() {
                users.push(Vec::new());
            }
            users[id.index()].push(platform.clone());
            places.stages.push(id);
            places
        });
        for mut warning in plan.warnings {
            warning.span = places.span(warning.span);
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        // An argument that one platform's stages declare is declared.
        self.unused_arguments.retain(|name| plan.unused_arguments.contains(name));
        self.more_targets.extend(plan.more_targets.iter().map(|id| places.stages[id.index()]));
        results.into_iter().map(|id| places.stages[id.index()]).collect()
    }

    fn add_source(&mut self, source: &Source) -> u16 {
        let same = |known: &&Source| known.name() == source.name() && known.text() == source.text();
        if let Some(known) = self.sources.iter().find(same) {
            return known.index();
        }
        let index = u16::try_from(self.sources.len()).unwrap_or(u16::MAX);
        self.sources.push(Source::new(index, source.name(), source.text()));
        index
    }

    fn add_image(&mut self, image: &PlannedImage) -> ImageId {
        let place = self.images.iter().position(|known| known == image).unwrap_or_else(|| {
            self.images.push(image.clone());
            self.images.len() - 1
        });
        ImageId(u32::try_from(place).unwrap_or(u32::MAX))
    }

    fn add_stage(&mut self, mut stage: Stage) -> StageId {
        let same = |known: &Stage| Stage { id: stage.id, ..known.clone() } == stage;
        if let Some(place) = self.stages.iter().position(same) {
            return self.stages[place].id;
        }
        stage.id = StageId(u32::try_from(self.stages.len()).unwrap_or(u32::MAX));
        let id = stage.id;
        self.stages.push(stage);
        id
    }
}

/// Says for whom a stage is: `linux/amd64 build`, and `linux/amd64->linux/arm64 build` for one that is built on
/// one platform and differs by the other.
fn label(stage: &Stage, users: &[Platform]) -> String {
    let own = &stage.platform;
    let place = match users {
        [user] if user != own => format!("{own}->{user}"),
        _ => own.to_string(),
    };
    if stage.label.is_empty() { place } else { format!("{place} {}", stage.label) }
}

/// Where the parts of one plan are in the merged one.
struct Places {
    sources: Vec<u16>,
    images: Vec<ImageId>,
    stages: Vec<StageId>,
}

impl Places {
    fn stage(&self, stage: Stage) -> Stage {
        let base = match stage.base {
            Base::Scratch => Base::Scratch,
            Base::Image(image) => Base::Image(self.images[image.index()]),
            Base::Stage(stage) => Base::Stage(self.stages[stage.index()]),
        };
        let (span, steps) = (self.span(stage.span), stage.steps);
        let steps = steps.into_iter().map(|step| self.step(step)).collect();
        Stage { span, base, steps, ..stage }
    }

    fn step(&self, step: Step) -> Step {
        let op = match step.op {
            Op::Config => Op::Config,
            Op::Workdir(workdir) => Op::Workdir(workdir),
            Op::Copy(copy) => {
                let from = self.origin(copy.from);
                Op::Copy(Box::new(CopyOp { from, ..*copy }))
            }
            Op::Run(mut run) => {
                self.mounts(&mut run);
                Op::Run(run)
            }
        };
        let (span, trigger_of) =
            (self.span(step.span), step.trigger_of.map(|span| self.span(span)));
        Step { span, trigger_of, op, ..step }
    }

    fn mounts(&self, run: &mut RunOp) {
        for mount in &mut run.mounts {
            match &mut mount.kind {
                MountKind::Bind { from, .. } | MountKind::Cache { from: Some(from), .. } => {
                    self.place(from);
                }
                MountKind::Cache { from: None, .. }
                | MountKind::Tmpfs { .. }
                | MountKind::Secret { .. }
                | MountKind::Ssh { .. } => {}
            }
        }
    }

    fn place(&self, from: &mut MountFrom) {
        from.origin = self.origin(from.origin);
    }

    fn origin(&self, origin: Origin) -> Origin {
        match origin {
            Origin::Stage(stage) => Origin::Stage(self.stages[stage.index()]),
            Origin::Image(image) => Origin::Image(self.images[image.index()]),
            Origin::Context(context) => Origin::Context(context),
            Origin::Scratch => Origin::Scratch,
        }
    }

    fn span(&self, span: Span) -> Span {
        Span { source: self.sources[usize::from(span.source)], ..span }
    }
}
