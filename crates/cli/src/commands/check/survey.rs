//! Finding all that is wrong or doubtful: parse, plan every stage, look at the bases that can be had.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strata_build::event::{Event, Events};
use strata_build::ports::{ImageSource, Images};
use strata_dockerfile::{IgnoreFile, LintSettings, ParseErrors, PatternSet, Source, Warning};
use strata_oci::Platform;
use strata_plan::{
    BaseImage, BaseRequest, ContextId, ImageSource as PlannedSource, NamedContext, Plan,
    PlanErrors, Planner, Progress, Request,
};
use strata_remote::Freshness;

use crate::args::StateArgs;
use crate::args::build::{BuildArgs, CheckArgs};
use crate::args::registry::RegistryArgs;
use crate::commands::remote::Remote;
use crate::diagnostic::{Diagnostic, Failure, fold};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::settings::{build as settings, dockerfile, lint, state_directory};
use crate::value::context::{ContextSource, NamedContext as GivenContext};
use crate::value::key_value::KeyValue;

/// What is looked at, whichever command asks.
pub(super) struct Subject<'a> {
    context: &'a OsStr,
    file: Option<&'a OsStr>,
    build_arg: &'a [KeyValue],
    build_arg_file: &'a [PathBuf],
    build_context: &'a [GivenContext],
    target: Option<&'a str>,
    platform: Option<&'a str>,
    registry: &'a RegistryArgs,
    state: &'a StateArgs,
    /// Whether base images are left alone.
    offline: bool,
}

impl<'a> Subject<'a> {
    pub(super) fn of_check(arguments: &'a CheckArgs) -> Self {
        Self {
            context: &arguments.context,
            file: arguments.file.as_deref(),
            build_arg: &arguments.build_arg,
            build_arg_file: &[],
            build_context: &[],
            target: arguments.target.as_deref(),
            platform: arguments.platform.as_deref(),
            registry: &arguments.registry,
            state: &arguments.state,
            offline: arguments.offline,
        }
    }

    pub(super) fn of_build(arguments: &'a BuildArgs) -> Self {
        let input = &arguments.input;
        Self {
            context: input.operand(),
            file: input.file.as_deref(),
            build_arg: &input.build_arg,
            build_arg_file: &input.build_arg_file,
            build_context: &input.build_context,
            target: input.target.as_deref(),
            platform: input.platform.first().map(String::as_str),
            registry: &arguments.registry,
            state: &arguments.state,
            offline: false,
        }
    }

    /// Reads the Dockerfile and what goes with it.
    pub(super) fn read(&self, environment: &Environment) -> Result<Text, Failure> {
        let context = Path::new(self.context);
        // Without a context, `-` is a Dockerfile on standard input: nothing else is needed.
        let from_stdin = self.context == "-" && self.file.is_none();
        let file = if from_stdin { Some(self.context) } else { self.file };
        let found = dockerfile::read(file, context)?;
        let ignore = match dockerfile::ignore(&found, context)? {
            Some(ignore) => {
                IgnoreFile::parse(&ignore.text).map(|file| file.patterns).map_err(|error| {
                    let message = format!("cannot read the patterns of `{}`", ignore.name);
                    let diagnostic = Diagnostic::error(message).caused_by(Some(&error));
                    Failure::new(Exit::Failed, diagnostic)
                })?
            }
            None => PatternSet::default(),
        };
        let host = settings::host_platform();
        let platform = settings::platform(self.platform, environment, &host)?;
        let files = settings::build_arg_files(self.build_arg_file)?;
        let build_args = settings::build_args(&files, self.build_arg, environment);
        let (named, layouts) = named(self.build_context);
        Ok(Text {
            source: found.source,
            ignore,
            lint: lint::settings(&build_args)?,
            build_args,
            target: self.target.map(str::to_owned),
            platform,
            host,
            named,
            layouts,
        })
    }
}

type Named = (BTreeMap<String, NamedContext>, BTreeMap<ContextId, ImageSource>);

/// Named contexts, numbered and not opened.
fn named(given: &[GivenContext]) -> Named {
    let (mut named, mut layouts) = Named::default();
    for (number, given) in (ContextId::MAIN.0 + 1..).zip(given) {
        let id = ContextId(number);
        let meaning = match &given.source {
            ContextSource::Image(reference) => NamedContext::Image(reference.clone()),
            ContextSource::Layout { directory, selector } => {
                let (directory, selector) = (directory.clone(), selector.clone());
                layouts.insert(id, ImageSource::Layout { directory, selector });
                NamedContext::Layout(id)
            }
            ContextSource::Stdin
            | ContextSource::Local(_)
            | ContextSource::Git(_)
            | ContextSource::Url(_)
            | ContextSource::Object(_) => NamedContext::Directory(id),
        };
        named.insert(given.name.clone(), meaning);
    }
    (named, layouts)
}

/// A Dockerfile with what it means depends on.
pub(super) struct Text {
    pub(super) source: Source,
    ignore: PatternSet,
    lint: Option<LintSettings>,
    build_args: BTreeMap<String, String>,
    target: Option<String>,
    platform: Option<Platform>,
    host: Platform,
    named: BTreeMap<String, NamedContext>,
    layouts: BTreeMap<ContextId, ImageSource>,
}

impl Text {
    pub(super) fn request(&self) -> Result<Request, ParseErrors> {
        let source = self.source.clone();
        let dockerfile = strata_dockerfile::parse_with_lint(&source, self.lint.clone())?;
        let platform = self.platform.clone().unwrap_or_else(|| self.host.clone());
        Ok(Request {
            build_args: self.build_args.clone(),
            target: self.target.clone(),
            all_stages: self.target.is_none(),
            ignore: self.ignore.clone(),
            platform_requested: self.platform.is_some(),
            build_platform: self.host.clone(),
            named_contexts: self.named.clone(),
            ..Request::new(source, dockerfile, platform)
        })
    }

    pub(super) fn failure(&self, errors: &ParseErrors) -> Failure {
        fold::parse_errors(&self.source, errors)
    }
}

/// One finding, and the rule it comes from: warnings have one.
pub(super) struct Checked {
    pub(super) rule: Option<&'static str>,
    pub(super) diagnostic: Diagnostic,
}

/// All findings, in source order.
pub(super) struct Survey {
    pub(super) source: Source,
    pub(super) findings: Vec<Checked>,
    /// Whether they make a build fail.
    pub(super) failed: bool,
    /// What was not looked at, and why.
    pub(super) notes: Vec<String>,
}

impl Survey {
    fn of_failure(source: Source, failure: Failure) -> Self {
        let findings = failure.diagnostics.into_iter();
        let findings = findings.map(|diagnostic| Checked { rule: None, diagnostic }).collect();
        Self { source, findings, failed: true, notes: Vec::new() }
    }
}

#[derive(Debug)]
struct Unheard;

impl Events for Unheard {
    fn emit(&self, _event: Event) {}
}

/// Surveys a Dockerfile. The store and registries are only opened if it has base images.
pub(super) fn survey(
    subject: &Subject<'_>,
    text: &Text,
    environment: &Environment,
) -> Result<Survey, Failure> {
    let request = match text.request() {
        Ok(request) => request,
        Err(errors) => {
            return Ok(Survey::of_failure(text.source.clone(), text.failure(&errors)));
        }
    };
    let open = || -> Result<Remote, Failure> {
        let user = rustix::process::geteuid().as_raw();
        let state = state_directory::open(subject.state, environment, user)?;
        let events = Arc::new(Unheard);
        Remote::open(subject.registry, environment, &state.path, Freshness::Stored, events)
    };
    let mut notes = Vec::new();
    let result = planned(request, |requests| {
        if subject.offline {
            return Ok(vec![None; requests.len()]);
        }
        let remote = open()?;
        let runtime = crate::runtime()?;
        let found = runtime.block_on(look(&remote, &text.layouts, requests, &mut notes));
        runtime.shutdown_background();
        Ok(found)
    })?;
    let mut survey = judged(text.source.clone(), result);
    survey.notes = notes;
    Ok(survey)
}

/// A plan of all stages, or why there is none; with whether the Dockerfile wants warnings to fail.
struct Planned {
    result: Result<Plan, PlanErrors>,
    warnings_fail: bool,
}

/// Plans; what `look` does not find is left open.
fn planned(
    mut request: Request,
    mut look: impl FnMut(&[BaseRequest]) -> Result<Vec<Option<BaseImage>>, Failure>,
) -> Result<Planned, Failure> {
    // Here they are told as warnings, not as errors that hide each other.
    let warnings_fail = std::mem::take(&mut request.dockerfile.lint.error);
    let mut planner = match Planner::new(request) {
        Ok(planner) => planner,
        Err(errors) => return Ok(Planned { result: Err(errors), warnings_fail }),
    };
    loop {
        let requests = match planner.advance() {
            Ok(Progress::Ready(plan)) => return Ok(Planned { result: Ok(*plan), warnings_fail }),
            Ok(Progress::Needs(requests)) => requests,
            Err(errors) => return Ok(Planned { result: Err(errors), warnings_fail }),
        };
        for (request, found) in requests.iter().zip(look(&requests)?) {
            match found {
                Some(image) => planner.provide(request, image),
                None => planner.leave_open(request),
            }
        }
    }
}

async fn look(
    remote: &Remote,
    layouts: &BTreeMap<ContextId, ImageSource>,
    requests: &[BaseRequest],
    notes: &mut Vec<String>,
) -> Vec<Option<BaseImage>> {
    let mut all = Vec::with_capacity(requests.len());
    for request in requests {
        let source = match &request.image {
            PlannedSource::Reference(reference) => Some(ImageSource::Named(reference.clone())),
            PlannedSource::Layout(id) => layouts.get(id).cloned(),
        };
        let Some(source) = source else {
            all.push(None);
            continue;
        };
        match remote.images.resolve(&source, &request.platform).await {
            Ok(found) => all.push(Some(BaseImage {
                manifest: found.manifest,
                config: found.config,
                layers: found.layers,
            })),
            Err(error) => {
                notes.push(format!(
                    "base image `{}` could not be looked at, so that rules about it hold back: {error}",
                    request.written
                ));
                all.push(None);
            }
        }
    }
    all
}

fn judged(source: Source, planned: Planned) -> Survey {
    let plan = match planned.result {
        Ok(plan) => plan,
        Err(errors) => return Survey::of_failure(source, fold::plan_errors(&errors)),
    };
    let findings: Vec<Checked> = plan
        .warnings
        .iter()
        .map(|warning| of_warning(plan.source(warning.span), warning))
        .collect();
    let failed = planned.warnings_fail && !findings.is_empty();
    Survey { source, findings, failed, notes: Vec::new() }
}

/// The findings of a plan.
pub(super) fn of_plan(plan: &Plan) -> Survey {
    let warnings = plan.warnings.iter();
    let findings = warnings.map(|warning| of_warning(plan.source(warning.span), warning)).collect();
    Survey { source: plan.sources[0].clone(), findings, failed: false, notes: Vec::new() }
}

fn of_warning(source: &Source, warning: &Warning) -> Checked {
    let rule = warning.rule.name();
    let help = warning.help.clone().unwrap_or_else(|| warning.rule.advice().to_owned());
    let diagnostic = Diagnostic::warning(&warning.message)
        .at(source, warning.span)
        .help(help)
        .noting(format!("rule `{rule}`; a line `# check=skip={rule}` at the top turns it off"));
    Checked { rule: Some(rule), diagnostic }
}

/// Surveys a text without any base image, for tests.
#[cfg(test)]
pub(super) fn of_text(text: &str) -> Survey {
    let source = Source::new(0, "Dockerfile", text);
    let text = Text {
        source,
        ignore: PatternSet::new([b"left-out".as_slice()]).expect("is a pattern"),
        lint: None,
        build_args: BTreeMap::new(),
        target: None,
        platform: None,
        host: Platform::new("linux", "amd64"),
        named: BTreeMap::new(),
        layouts: BTreeMap::new(),
    };
    match text.request() {
        Ok(request) => {
            let planned = planned(request, |requests| Ok(vec![None; requests.len()]));
            judged(text.source.clone(), planned.expect("nothing is opened"))
        }
        Err(errors) => Survey::of_failure(text.source.clone(), text.failure(&errors)),
    }
}
