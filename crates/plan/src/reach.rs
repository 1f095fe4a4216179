//! Which stages and images the target needs, as far as it can be known yet.

use std::collections::{BTreeMap, BTreeSet};

use strata_dockerfile::instruction::{Instruction, MountKey};
use strata_dockerfile::{Source, Span, Statement, parse_trigger};
use strata_oci::Platform;

use crate::error::PlanErrorKind;
use crate::findings::{Findings, did_you_mean};
use crate::head::{Heads, Target};
use crate::planner::{Answer, Answers};
use crate::request::{BaseImage, BaseRequest, ImageSource, Request};
use crate::unsupported;

/// What was found by following the target's needs.
#[derive(Debug)]
pub(crate) struct Reach<'a> {
    request: &'a Request,
    heads: &'a Heads,
    answers: &'a Answers,
    /// The Dockerfile, then triggers of base images.
    pub(crate) sources: Vec<Source>,
    /// The stages needed, by number, with the triggers that run before their own instructions.
    pub(crate) stages: BTreeMap<usize, Vec<Statement<Instruction>>>,
    /// Images that are needed and not answered yet.
    wanted: BTreeMap<(ImageSource, Platform), BaseRequest>,
    queue: Vec<usize>,
}

impl<'a> Reach<'a> {
    pub(crate) fn of(
        request: &'a Request,
        heads: &'a Heads,
        answers: &'a Answers,
        roots: Vec<usize>,
        findings: &mut Findings,
    ) -> Self {
        let mut reach = Self {
            request,
            heads,
            answers,
            sources: vec![request.source.clone()],
            stages: BTreeMap::new(),
            wanted: BTreeMap::new(),
            queue: roots,
        };
        let mut seen = BTreeSet::new();
        while let Some(stage) = reach.queue.pop() {
            if seen.insert(stage) {
                reach.visit(stage, findings);
            }
        }
        reach
    }

    /// The images that are needed and not answered yet, in the order of the places that need them.
    pub(crate) fn wanted(&self) -> Vec<BaseRequest> {
        let mut wanted: Vec<_> = self.wanted.values().cloned().collect();
        wanted.sort_by_key(|request| request.span);
        wanted
    }

    fn visit(&mut self, number: usize, findings: &mut Findings) {
        let head = &self.heads.heads[number];
        let stage = &self.request.dockerfile.stages[number];
        let span = stage.from.span;
        let platform = stage.from.node.platform.as_ref();
        let asks = platform.map_or(span, |platform| platform.span);
        unsupported::check_platform(&head.platform, asks, findings);
        let image = match &head.target {
            Target::Image(image) => {
                let span = stage.from.node.image.span;
                self.want(image, &head.platform, span, &head.from, findings)
            }
            Target::Scratch | Target::Stage(_) | Target::Context(_) => None,
        };
        let triggers = match &head.target {
            Target::Stage(base) => {
                self.queue.push(*base);
                self.triggers_of_stage(*base)
            }
            Target::Image(_) | Target::Scratch | Target::Context(_) => {
                let texts = image.map(|image| image.config.config.on_build.clone());
                self.triggers_of_image(&texts.unwrap_or_default(), &head.from, span, findings)
            }
        };
        if head.replaced {
            self.stages.insert(number, Vec::new());
            return;
        }
        findings.trigger_of = Some(span);
        for trigger in &triggers {
            self.needs(trigger, number, findings);
        }
        findings.trigger_of = None;
        for statement in &stage.instructions {
            self.needs(statement, number, findings);
        }
        self.stages.insert(number, triggers);
    }

    /// Finds an image among the answers, or asks for it.
    fn want(
        &mut self,
        image: &ImageSource,
        platform: &Platform,
        span: Span,
        written: &str,
        findings: &mut Findings,
    ) -> Option<&'a BaseImage> {
        let key = (image.clone(), platform.clone());
        match self.answers.get(&key) {
            Some(Answer::Image(image)) => return Some(image),
            Some(Answer::Open) => {}
            Some(Answer::Missing(problem)) => {
                let image = written.to_owned();
                let help = self.stage_like(written);
                let kind = PlanErrorKind::MissingBase { image, problem: problem.clone() };
                findings.error_with_help(span, kind, help);
            }
            None => {
                let request = BaseRequest {
                    image: image.clone(),
                    platform: platform.clone(),
                    span,
                    written: written.to_owned(),
                    help: self.stage_like(written),
                };
                let first = self.wanted.entry(key).or_insert_with(|| request.clone());
                if span < first.span {
                    *first = request;
                }
            }
        }
        None
    }

    fn stage_like(&self, written: &str) -> Option<String> {
        did_you_mean(
            written,
            self.request.dockerfile.stages.iter().filter_map(|stage| stage.name()),
        )
    }

    /// ONBUILDs of a stage of the same Dockerfile: parsed already.
    fn triggers_of_stage(&self, number: usize) -> Vec<Statement<Instruction>> {
        if self.heads.heads[number].replaced {
            return Vec::new();
        }
        let instructions = &self.request.dockerfile.stages[number].instructions;
        let triggers = instructions.iter().filter_map(|statement| match &statement.node {
            Instruction::Onbuild(onbuild) => Some((*onbuild.trigger).clone()),
            _ => None,
        });
        triggers.collect()
    }

    fn triggers_of_image(
        &mut self,
        texts: &[String],
        image: &str,
        from: Span,
        findings: &mut Findings,
    ) -> Vec<Statement<Instruction>> {
        let mut triggers = Vec::new();
        findings.trigger_of = Some(from);
        for text in texts {
            let Ok(index) = u16::try_from(self.sources.len()) else {
                findings.error(from, PlanErrorKind::TooManyTriggers { image: image.to_owned() });
                break;
            };
            let source = Source::new(index, format!("ONBUILD of {image}"), text.clone());
            match parse_trigger(&source) {
                Ok(trigger) => triggers.push(trigger),
                Err(errors) => {
                    for error in errors {
                        let span = error.span;
                        let image = image.to_owned();
                        let kind = PlanErrorKind::InvalidTrigger { image, problem: error };
                        findings.error(span, kind);
                    }
                }
            }
            self.sources.push(source);
        }
        findings.trigger_of = None;
        triggers
    }

    /// Follows what one instruction of a stage needs, and refuses what it must not ask for.
    fn needs(&mut self, statement: &Statement<Instruction>, stage: usize, findings: &mut Findings) {
        let source = &self.sources[usize::from(statement.span.source)];
        unsupported::check(statement, source, findings);
        for (target, span, written) in
            origins(self.request, self.heads, &statement.node, stage, findings)
        {
            match target {
                Target::Stage(number) => self.queue.push(number),
                Target::Image(image) => {
                    let platform = &self.request.target_platform;
                    self.want(&image, platform, span, &written, findings);
                }
                Target::Context(_) | Target::Scratch => {}
            }
        }
    }
}

/// The places an instruction names as sources, besides the main context.
fn origins(
    request: &Request,
    heads: &Heads,
    instruction: &Instruction,
    stage: usize,
    findings: &mut Findings,
) -> Vec<(Target, Span, String)> {
    match instruction {
        Instruction::Copy(copy) => {
            let from = copy.from.iter().map(|from| {
                let target = heads.copy_from(request, &from.text, stage, from.span, findings);
                (target, from.span, from.text.clone())
            });
            from.collect()
        }
        Instruction::Run(run) => {
            let named = run.mounts.iter().filter_map(|mount| mount.value(MountKey::From));
            let from = named.filter(|from| !from.text.is_empty()).map(|from| {
                let target = heads.mount_from(request, &from.text, stage, from.span, findings);
                (target, from.span, from.text.clone())
            });
            from.collect()
        }
        _ => Vec::new(),
    }
}
