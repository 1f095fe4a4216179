//! The conversation: ask for bases until there is a plan.

use std::collections::BTreeMap;

use strata_dockerfile::Source;
use strata_oci::Platform;

use crate::check;
use crate::error::{PlanError, PlanErrorKind, PlanErrors};
use crate::evaluate::evaluate;
use crate::findings::{Findings, did_you_mean};
use crate::global::Globals;
use crate::head::Heads;
use crate::plan::Plan;
use crate::reach::Reach;
use crate::request::{BaseImage, BaseRequest, ImageSource, Request};

/// How far a planner is.
#[derive(Clone, Debug)]
pub enum Progress {
    /// These images have to be known first. There is at least one, and each is asked for once at a time;
    /// those of triggers come in a later round.
    Needs(Vec<BaseRequest>),
    /// Done.
    Ready(Box<Plan>),
}

/// Plans a build without doing any I/O: it asks, the caller looks.
///
/// ```text
/// let mut planner = Planner::new(request)?;
/// let plan = loop {
///     match planner.advance()? {
///         Progress::Needs(requests) => for request in requests { planner.provide(&request, fetch(&request)) },
///         Progress::Ready(plan) => break plan,
///     }
/// };
/// ```
///
/// Each round evaluates the Dockerfile anew with what is known by then: that is cheap, and no state has to be
/// kept right between rounds.
#[derive(Clone, Debug)]
pub struct Planner {
    request: Request,
    images: Answers,
}

/// What was answered.
pub(crate) type Answers = BTreeMap<(ImageSource, Platform), Answer>;

/// What is known of an image that was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Image(Box<BaseImage>),
    /// It cannot be had; why.
    Missing(String),
    /// It is left open, for a check.
    Open,
}

impl Planner {
    /// Takes a request and checks all that can be checked without knowing any base.
    pub fn new(request: Request) -> Result<Self, PlanErrors> {
        let mut findings = Findings::default();
        let globals = Globals::of(&request, &mut findings);
        let heads = Heads::of(&request, &globals, &mut findings);
        let mut sources = vec![request.source.clone()];
        if let Some(targets) = Targets::of(&request, &mut findings) {
            let answers = Answers::new();
            let roots = targets.roots(&request);
            let reach = Reach::of(&request, &heads, &answers, roots, &mut findings);
            for number in reach.stages.keys() {
                check::literals(&request.dockerfile, *number, &mut findings);
            }
            sources = reach.sources;
        }
        refuse(findings.take_errors(), sources)?;
        Ok(Self { request, images: Answers::new() })
    }

    /// Goes on as far as what was provided allows.
    pub fn advance(&mut self) -> Result<Progress, PlanErrors> {
        let request = &self.request;
        let mut findings = Findings::default();
        let globals = Globals::of(request, &mut findings);
        let heads = Heads::of(request, &globals, &mut findings);
        let targets = Targets::of(request, &mut findings).unwrap_or_default();
        let roots = targets.roots(request);
        let reach = Reach::of(request, &heads, &self.images, roots, &mut findings);
        let wanted = reach.wanted();
        if !findings.errors.is_empty() {
            return Err(PlanErrors { errors: findings.take_errors(), sources: reach.sources });
        }
        if !wanted.is_empty() {
            return Ok(Progress::Needs(wanted));
        }
        let plan =
            evaluate(request, &globals, &heads, &self.images, reach, &targets, &mut findings);
        if request.dockerfile.lint.error {
            for warning in &plan.warnings {
                let (rule, message) = (warning.rule.name(), warning.message.clone());
                let kind = PlanErrorKind::Lint { rule, message };
                findings.error_with_help(warning.span, kind, warning.help.clone());
            }
        }
        refuse(findings.take_errors(), plan.sources.clone())?;
        Ok(Progress::Ready(Box::new(plan)))
    }

    /// Answers a request.
    pub fn provide(&mut self, request: &BaseRequest, image: BaseImage) {
        self.answer(request, Answer::Image(Box::new(image)));
    }

    /// Answers that an image cannot be had, and why; the next [`Planner::advance`] says so with its place.
    pub fn provide_missing(&mut self, request: &BaseRequest, problem: impl Into<String>) {
        self.answer(request, Answer::Missing(problem.into()));
    }

    /// Leaves an image open: what depends on it is neither right nor wrong. The plan that comes of it has
    /// nothing in the image's place: it is for its warnings and must not be built.
    pub fn leave_open(&mut self, request: &BaseRequest) {
        self.answer(request, Answer::Open);
    }

    fn answer(&mut self, request: &BaseRequest, answer: Answer) {
        self.images.insert((request.image.clone(), request.platform.clone()), answer);
    }
}

pub(crate) fn refuse(errors: Vec<PlanError>, sources: Vec<Source>) -> Result<(), PlanErrors> {
    if errors.is_empty() { Ok(()) } else { Err(PlanErrors { errors, sources }) }
}

/// The stages that are asked for, by their numbers in the Dockerfile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets {
    pub(crate) result: usize,
    pub(crate) others: Vec<usize>,
}

impl Targets {
    fn of(request: &Request, findings: &mut Findings) -> Option<Self> {
        let result = target(request, findings)?;
        let others = request.more_targets.iter();
        let others = others.map(|asked| stage(request, asked, findings)).collect::<Option<_>>()?;
        Some(Self { result, others })
    }

    /// The stages that all others are looked at for.
    fn roots(&self, request: &Request) -> Vec<usize> {
        if request.all_stages {
            return (0..request.dockerfile.stages.len()).collect();
        }
        std::iter::once(self.result).chain(self.others.iter().copied()).collect()
    }
}

/// The stage that is the result, by its number in the Dockerfile.
pub(crate) fn target(request: &Request, findings: &mut Findings) -> Option<usize> {
    match &request.target {
        Some(asked) => stage(request, asked, findings),
        None => request.dockerfile.stages.len().checked_sub(1),
    }
}

fn stage(request: &Request, asked: &str, findings: &mut Findings) -> Option<usize> {
    let stages = &request.dockerfile.stages;
    let by_name = request.dockerfile.stage_by_name(asked, usize::MAX);
    let by_number = || asked.parse().ok().filter(|number| *number < stages.len());
    let found = by_name.or_else(by_number);
    if found.is_none() {
        let names = stages.iter().filter_map(|stage| stage.name());
        let help = did_you_mean(&asked.to_lowercase(), names);
        findings.error_of_request(PlanErrorKind::UnknownTarget { target: asked.to_owned() }, help);
    }
    found
}
