//! The FROMs: what each stage starts from, and what names mean.

use std::collections::BTreeMap;

use strata_dockerfile::{Expander, Rule, Span, Word, WordExpansion};
use strata_oci::{Platform, Reference};

use crate::error::PlanErrorKind;
use crate::findings::{Findings, did_you_mean};
use crate::global::Globals;
use crate::request::{ContextId, ImageSource, NamedContext, Request};
use crate::scope::Scope;

/// What a name of FROM, `--from` or a mount means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Scratch,
    /// A stage by its number in the Dockerfile.
    Stage(usize),
    Context(ContextId),
    Image(ImageSource),
}

/// A FROM, evaluated.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) label: String,
    /// The base as written, expanded.
    pub(crate) from: String,
    pub(crate) target: Target,
    /// A named context has the stage's name and stands in for all of it.
    pub(crate) replaced: bool,
    /// What the base is for; a base stage's own platform goes before it.
    pub(crate) platform: Platform,
}

/// All FROMs and named contexts.
#[derive(Clone, Debug)]
pub(crate) struct Heads {
    pub(crate) heads: Vec<Head>,
    contexts: BTreeMap<String, NamedContext>,
}

const SCRATCH: &str = "scratch";
const TARGET: &str = "TARGETPLATFORM";

impl Heads {
    pub(crate) fn of(request: &Request, globals: &Globals, findings: &mut Findings) -> Self {
        let contexts = named_contexts(request, findings);
        let mut heads = Self { heads: Vec::new(), contexts };
        for number in 0..request.dockerfile.stages.len() {
            let head = heads.head(request, globals, number, findings);
            heads.heads.push(head);
        }
        warn_of_defaults(request, findings);
        heads
    }

    fn head(
        &self,
        request: &Request,
        globals: &Globals,
        number: usize,
        findings: &mut Findings,
    ) -> Head {
        let stages = &request.dockerfile.stages;
        let statement = &stages[number].from;
        let written = &statement.node.image;
        let name = stages[number].name();
        let platform = platform(request, globals, number, findings);
        let label = match name {
            _ if stages.len() == 1 => String::new(),
            Some(name) => name.to_owned(),
            None => format!("stage-{number}"),
        };
        let from = expand(request, globals, number, written, findings).unwrap_or_default().text;
        if let Some(target) = name.and_then(|name| self.named(name)) {
            return Head { label, from, target, replaced: true, platform };
        }
        let target = if from.is_empty() {
            findings
                .error(written.span, PlanErrorKind::EmptyBase { written: written.text.clone() });
            Target::Scratch
        } else if let Some(stage) = request.dockerfile.stage_by_name(&from, number) {
            Target::Stage(stage)
        } else {
            self.external(request, &from, written.span, findings)
        };
        // `scratch` has no platform of its own to choose.
        let platform = match target {
            Target::Scratch => request.target_platform.clone(),
            _ => platform,
        };
        Head { label, from, target, replaced: false, platform }
    }

    /// What `--from` of a COPY means to a stage: a stage by number or name, a context, an image.
    pub(crate) fn copy_from(
        &self,
        request: &Request,
        name: &str,
        stage: usize,
        span: Span,
        findings: &mut Findings,
    ) -> Target {
        let Ok(index) = name.parse::<i64>() else {
            return self.mount_from(request, name, stage, span, findings);
        };
        match usize::try_from(index).ok().filter(|index| *index < self.heads.len()) {
            Some(index) => self.stage(request, index, stage, span, findings),
            None => {
                findings.error(span, PlanErrorKind::InvalidStageIndex { index: name.to_owned() });
                Target::Scratch
            }
        }
    }

    /// What `from=` of a mount means to a stage: as for COPY, but numbers are names.
    pub(crate) fn mount_from(
        &self,
        request: &Request,
        name: &str,
        stage: usize,
        span: Span,
        findings: &mut Findings,
    ) -> Target {
        match request.dockerfile.stage_by_name(name, usize::MAX) {
            Some(found) => self.stage(request, found, stage, span, findings),
            None => self.external(request, name, span, findings),
        }
    }

    /// Another stage as a source of `user`: it must be an earlier one.
    fn stage(
        &self,
        request: &Request,
        found: usize,
        user: usize,
        span: Span,
        findings: &mut Findings,
    ) -> Target {
        let head = &self.heads[found];
        if head.replaced {
            return head.target.clone();
        }
        let stage =
            request.dockerfile.stages[found].name().map_or(found.to_string(), str::to_owned);
        if found == user {
            findings.error(span, PlanErrorKind::SelfReference { stage });
            return Target::Scratch;
        }
        if found > user {
            findings.error(span, PlanErrorKind::LaterStage { stage });
            return Target::Scratch;
        }
        Target::Stage(found)
    }

    fn external(
        &self,
        request: &Request,
        name: &str,
        span: Span,
        findings: &mut Findings,
    ) -> Target {
        if name == SCRATCH {
            return Target::Scratch;
        }
        if let Some(target) = self.named(name) {
            return target;
        }
        match Reference::parse(name) {
            Ok(reference) => Target::Image(ImageSource::Reference(reference.or_latest())),
            Err(error) => {
                let kind = PlanErrorKind::InvalidImage {
                    name: name.to_owned(),
                    problem: error.to_string(),
                };
                let names = request.dockerfile.stages.iter().filter_map(|stage| stage.name());
                findings.error_with_help(span, kind, did_you_mean(name, names));
                Target::Scratch
            }
        }
    }

    fn named(&self, name: &str) -> Option<Target> {
        Some(match self.contexts.get(&normalized(name)?)? {
            NamedContext::Directory(context) => Target::Context(*context),
            NamedContext::Layout(context) => Target::Image(ImageSource::Layout(*context)),
            NamedContext::Image(reference) => {
                Target::Image(ImageSource::Reference(reference.clone().or_latest()))
            }
        })
    }
}

fn expand(
    request: &Request,
    globals: &Globals,
    number: usize,
    word: &Word,
    findings: &mut Findings,
) -> Option<WordExpansion> {
    let statement = &request.dockerfile.stages[number].from;
    let lookup = |name: &str| globals.scope.get(name).map(str::to_owned);
    match Expander::new(request.dockerfile.escape).process_word(&word.text, &lookup) {
        Ok(expansion) => {
            let undeclared = |name: &&String| !globals.scope.is_declared(name);
            for name in expansion.unmatched.iter().filter(undeclared) {
                let settings = settings(request, &statement.comments);
                let message = format!("`FROM` uses the argument `{name}`, which is not declared");
                let help = did_you_mean(name, globals.scope.names());
                findings.warn(&settings, Rule::UndefinedArgInFrom, word.span, message, help);
            }
            Some(expansion)
        }
        Err(error) => {
            findings.error(word.span, error);
            None
        }
    }
}

fn platform(
    request: &Request,
    globals: &Globals,
    number: usize,
    findings: &mut Findings,
) -> Platform {
    let statement = &request.dockerfile.stages[number].from;
    let default = request.target_platform.clone();
    let Some(written) = &statement.node.platform else {
        return default;
    };
    let Some(WordExpansion { text, matched, unmatched }) =
        expand(request, globals, number, written, findings)
    else {
        return default;
    };
    if text.is_empty() {
        let kind = PlanErrorKind::EmptyPlatform { written: written.text.clone() };
        findings.error(written.span, kind);
        return default;
    }
    let platform = match Platform::parse(&text, &request.build_platform) {
        Ok(platform) => platform,
        Err(error) => {
            findings.error(written.span, error);
            return default;
        }
    };
    let settings = settings(request, &statement.comments);
    let only_target = matched.len() == 1 && matched.contains(TARGET) && unmatched.is_empty();
    if only_target && globals.scope.get(TARGET) == Some(text.as_str()) {
        let message = format!("`--platform={}` is what `FROM` does by itself", written.text);
        findings.warn(&settings, Rule::RedundantTargetPlatform, written.span, message, None);
    }
    let name = request.dockerfile.stages[number].name().unwrap_or_default();
    let is_named = name.contains(&platform.os) || name.contains(&platform.architecture);
    if matched.is_empty() && unmatched.is_empty() && !is_named {
        let rule = Rule::FromPlatformFlagConstDisallowed;
        let message = format!("`--platform` of `FROM` should not be the constant `{text}`");
        findings.warn(&settings, rule, written.span, message, None);
    }
    platform
}

/// Names of contexts are compared as references are: `alpine` is also `docker.io/library/alpine:latest`.
/// Two words always mean something else.
fn normalized(name: &str) -> Option<String> {
    if name.eq_ignore_ascii_case(SCRATCH) || name.eq_ignore_ascii_case("context") {
        return None;
    }
    let familiar = Reference::parse(name).ok()?.familiar().to_string();
    Some(familiar.strip_suffix(":latest").map_or(familiar.clone(), str::to_owned))
}

fn named_contexts(request: &Request, findings: &mut Findings) -> BTreeMap<String, NamedContext> {
    let mut contexts = BTreeMap::new();
    for (name, context) in &request.named_contexts {
        match normalized(&name.to_lowercase()) {
            Some(normal) => {
                contexts.insert(normal, context.clone());
            }
            None => {
                let kind = PlanErrorKind::InvalidContextName { name: name.clone() };
                findings.error_of_request(kind, None);
            }
        }
    }
    contexts
}

/// A Dockerfile should have bases also when nobody gives build arguments.
fn warn_of_defaults(request: &Request, findings: &mut Findings) {
    let scope: Scope = Globals::defaults(request);
    let expander = Expander::new(request.dockerfile.escape);
    for stage in &request.dockerfile.stages {
        let word = &stage.from.node.image;
        let lookup = |name: &str| scope.get(name).map(str::to_owned);
        let Ok(expansion) = expander.process_word(&word.text, &lookup) else {
            continue;
        };
        let valid = Reference::parse(&expansion.text).is_ok()
            || request.dockerfile.stage_by_name(&expansion.text, usize::MAX).is_some();
        // A constant that is wrong is an error, not a default.
        if word.text.contains('$') && !valid {
            let settings = settings(request, &stage.from.comments);
            let message =
                format!("without build arguments `{}` is not the name of an image", word.text);
            findings.warn(&settings, Rule::InvalidDefaultArgInFrom, word.span, message, None);
        }
    }
}

/// The lint settings for one instruction.
pub(crate) fn settings(
    request: &Request,
    comments: &[strata_dockerfile::Literal],
) -> strata_dockerfile::LintSettings {
    let comments = comments.iter().map(|comment| comment.text.as_str());
    request.dockerfile.lint.with_comments(comments)
}
