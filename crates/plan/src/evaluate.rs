//! Turns the stages that are needed into steps, once all images are known.

mod config;
mod copy;
mod mount;
mod run;
mod stage;
mod warn;

use std::collections::BTreeMap;

use strata_dockerfile::{Source, Span};
use strata_oci::{ImageConfig, Platform};

use crate::findings::Findings;
use crate::global::{self, Globals};
use crate::head::{Heads, Target};
use crate::op::Origin;
use crate::plan::{ImageId, Plan, PlannedImage, Stage, StageId};
use crate::planner::{Answer, Answers, Targets};
use crate::reach::Reach;
use crate::request::{ImageSource, Request};
use crate::scope::Scope;

/// What stages are evaluated in: everything that is not of one stage.
#[derive(Debug)]
pub(crate) struct Evaluation<'a> {
    request: &'a Request,
    globals: &'a Globals,
    heads: &'a Heads,
    answers: &'a Answers,
    findings: &'a mut Findings,
    images: Vec<PlannedImage>,
    /// Numbers in the Dockerfile to numbers in the plan.
    ids: BTreeMap<usize, StageId>,
    /// What stages ended with, by number in the Dockerfile, for those based on them.
    ends: BTreeMap<usize, End>,
}

/// What a stage hands on to stages that are based on it.
#[derive(Clone, Debug)]
struct End {
    config: ImageConfig,
    scope: Scope,
    platform: Platform,
    workdir_set: bool,
}

/// Evaluates everything. Only meaningful when there were no findings before; with errors among the findings
/// afterwards the plan must not be used.
pub(crate) fn evaluate(
    request: &Request,
    globals: &Globals,
    heads: &Heads,
    answers: &Answers,
    reach: Reach<'_>,
    targets: &Targets,
    findings: &mut Findings,
) -> Plan {
    let numbers: Vec<usize> = reach.stages.keys().copied().collect();
    let ids: BTreeMap<_, _> =
        numbers.iter().zip(0..).map(|(number, id)| (*number, StageId(id))).collect();
    let sources: Vec<Source> = reach.sources;
    let mut evaluation = Evaluation {
        request,
        globals,
        heads,
        answers,
        findings,
        images: Vec::new(),
        ids,
        ends: BTreeMap::new(),
    };
    let mut stages: Vec<Stage> = Vec::new();
    for (number, triggers) in &reach.stages {
        stages.push(stage::evaluate(&mut evaluation, *number, triggers));
    }
    let target = evaluation.ids[&targets.result];
    let more_targets = targets.others.iter().map(|number| evaluation.ids[number]).collect();
    let images = evaluation.images;
    finish(&mut stages[target.index()], request);
    let mut warnings = request.dockerfile.warnings.clone();
    warnings.retain(|warning| {
        !warning.rule.needs_built_stage()
            || stage_at(request, warning.span).is_some_and(|number| numbers.contains(&number))
    });
    warnings.append(&mut findings.warnings);
    warnings.sort_by_key(|warning| (warning.span, warning.rule));
    warnings.dedup();
    Plan {
        stages,
        images,
        target,
        more_results: Vec::new(),
        more_targets,
        warnings,
        sources,
        unused_arguments: global::unused(request),
        source_date_epoch: globals.epoch,
    }
}

/// The stage that a place of the Dockerfile is in.
fn stage_at(request: &Request, span: Span) -> Option<usize> {
    let begins = |stage: &strata_dockerfile::Stage| stage.from.span.start <= span.start;
    request.dockerfile.stages.iter().rposition(begins)
}

/// What only the result's config has.
fn finish(stage: &mut Stage, request: &Request) {
    let config = &mut stage.config;
    for (name, value) in &request.labels {
        config.config.labels.insert(name.clone(), value.clone());
    }
    let wanted = &request.target_platform;
    if request.platform_requested {
        let same = wanted.os == config.os && wanted.architecture == config.architecture;
        config.os.clone_from(&wanted.os);
        config.architecture.clone_from(&wanted.architecture);
        // A base of the same processor may say more of itself than was asked for.
        if !wanted.variant.is_empty() || !same {
            config.variant.clone_from(&wanted.variant);
        }
        if !wanted.os_version.is_empty() || !same {
            config.os_version.clone_from(&wanted.os_version);
        }
        if !wanted.os_features.is_empty() {
            config.os_features.clone_from(&wanted.os_features);
        }
    }
    let platform = config.platform().normalized();
    config.os = platform.os;
    config.architecture = platform.architecture;
    config.variant = platform.variant;
}

impl Evaluation<'_> {
    /// The number of an image in the plan. Nothing if it is not known, which was found before, or open.
    fn image(&mut self, source: &ImageSource, platform: &Platform) -> Option<ImageId> {
        let same = |image: &PlannedImage| image.source == *source && image.platform == *platform;
        let index = if let Some(index) = self.images.iter().position(same) {
            index
        } else {
            let Answer::Image(image) = self.answers.get(&(source.clone(), platform.clone()))?
            else {
                return None;
            };
            let image = (**image).clone();
            let (source, platform) = (source.clone(), platform.clone());
            self.images.push(PlannedImage { source, platform, image });
            self.images.len() - 1
        };
        u32::try_from(index).ok().map(ImageId)
    }

    /// A target as the tree that files are taken from.
    fn origin(&mut self, target: &Target) -> Origin {
        match target {
            Target::Scratch => Origin::Scratch,
            Target::Stage(number) => {
                self.ids.get(number).map_or(Origin::Scratch, |id| Origin::Stage(*id))
            }
            Target::Context(context) => Origin::Context(*context),
            Target::Image(source) => {
                let platform = self.request.target_platform.clone();
                self.image(source, &platform).map_or(Origin::Scratch, Origin::Image)
            }
        }
    }
}
