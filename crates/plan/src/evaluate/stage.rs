//! One stage: its base's config, then instruction after instruction.

use strata_dockerfile::instruction::Instruction;
use strata_dockerfile::{Expander, Literal, Rule, Span, Statement, Word};
use strata_oci::{History, ImageConfig, Platform, Timestamp};

use super::{End, Evaluation, warn};
use crate::error::PlanErrorKind;
use crate::head::Target;
use crate::op::{CopyKind, CopyOp, CopySource, Op, Origin};
use crate::plan::{Base, Need, Stage, Step, StepPosition};
use crate::recipe::RecipeTemplate;
use crate::request::ContextId;
use crate::scope::Scope;
use crate::value::path;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const COMMENT: &str = "buildkit.dockerfile.v0";

/// A stage while it is evaluated.
#[derive(Debug)]
pub(super) struct Current<'e, 'a> {
    pub(super) evaluation: &'e mut Evaluation<'a>,
    pub(super) number: usize,
    pub(super) config: ImageConfig,
    pub(super) scope: Scope,
    pub(super) platform: Platform,
    /// Whether this Dockerfile has set the working directory, in this stage or one below.
    pub(super) workdir_set: bool,
    /// Whether this very stage has a CMD, which an ENTRYPOINT then leaves alone.
    pub(super) cmd_set: bool,
    pub(super) no_cache: bool,
    pub(super) steps: Vec<Step>,
    trigger_of: Option<Span>,
}

/// What is the same for every step that an instruction makes.
pub(super) struct StepParts {
    pub(super) text: String,
    pub(super) op: Op,
    pub(super) need: Need,
}

pub(super) fn evaluate(
    evaluation: &mut Evaluation<'_>,
    number: usize,
    triggers: &[Statement<Instruction>],
) -> Stage {
    let head = evaluation.heads.heads[number].clone();
    let request = evaluation.request;
    let from = &request.dockerfile.stages[number].from;
    let base = match &head.target {
        Target::Scratch | Target::Context(_) => Base::Scratch,
        Target::Stage(stage) => {
            evaluation.ids.get(stage).map_or(Base::Scratch, |id| Base::Stage(*id))
        }
        Target::Image(source) => {
            evaluation.image(source, &head.platform).map_or(Base::Scratch, Base::Image)
        }
    };
    let name = request.dockerfile.stages[number].name();
    let filtered = name.is_some_and(|name| {
        request.no_cache_stages.iter().any(|stage| stage.eq_ignore_ascii_case(name))
    });
    let mut current = Current::new(evaluation, number, base, &head.platform);
    if matches!((&head.target, base), (Target::Image(_), Base::Scratch)) {
        current.scope.is_open = true;
    }
    current.no_cache = request.no_cache || filtered;
    if let Target::Context(context) = head.target {
        current.context_as_base(context, &head.from, from.span);
    }
    if !head.replaced {
        current.trigger_of = Some(from.span);
        for trigger in triggers {
            current.instruction(trigger);
        }
        current.trigger_of = None;
        for statement in &request.dockerfile.stages[number].instructions {
            current.instruction(statement);
        }
    }
    current.finish(base, head.label, head.from)
}

impl<'e, 'a> Current<'e, 'a> {
    fn new(
        evaluation: &'e mut Evaluation<'a>,
        number: usize,
        base: Base,
        platform: &Platform,
    ) -> Self {
        let start = start(evaluation, number, base, platform);
        let mut current = Self {
            evaluation,
            number,
            config: start.config,
            scope: start.scope,
            platform: start.platform,
            workdir_set: start.workdir_set,
            cmd_set: false,
            no_cache: false,
            steps: Vec::new(),
            trigger_of: None,
        };
        let config = &mut current.config.config;
        if config.variable("PATH").is_none() {
            config.env.push(format!("PATH={DEFAULT_PATH}"));
        }
        for entry in &config.env {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            current.scope.set(name, value);
        }
        if !config.working_dir.is_empty() {
            config.working_dir = path::working_directory("", &config.working_dir);
        }
        current
    }

    /// A directory as the base: its files are the first layer, as if they were copied.
    fn context_as_base(&mut self, context: ContextId, name: &str, span: Span) {
        let op = CopyOp {
            kind: CopyKind::Copy,
            sources: vec![CopySource::Path {
                pattern: "/".to_owned(),
                pivot: None,
                wildcard: false,
                written: ".".to_owned(),
            }],
            from: Origin::Context(context),
            destination: "/".to_owned(),
            chown: None,
            chmod: None,
            link: false,
            parents: false,
            excludes: Vec::new(),
            unpack_local: false,
            unpack_remote: false,
        };
        let text = format!("FROM {name}");
        let parts = StepParts { text: text.clone(), op: Op::Copy(Box::new(op)), need: Need::Index };
        self.step(span, parts, Some(text));
    }

    fn instruction(&mut self, statement: &Statement<Instruction>) {
        self.evaluation.findings.trigger_of = self.trigger_of;
        match &statement.node {
            Instruction::Add(add) => self.add(statement, add),
            Instruction::Copy(copy) => self.copy(statement, copy),
            Instruction::Run(run) => self.run(statement, run),
            Instruction::Workdir(workdir) => self.workdir(statement, workdir),
            Instruction::Arg(_)
            | Instruction::Cmd(_)
            | Instruction::Entrypoint(_)
            | Instruction::Env(_)
            | Instruction::Expose(_)
            | Instruction::Healthcheck(_)
            | Instruction::Label(_)
            | Instruction::Maintainer(_)
            | Instruction::Onbuild(_)
            | Instruction::Shell(_)
            | Instruction::Stopsignal(_)
            | Instruction::User(_)
            | Instruction::Volume(_) => self.configure(statement),
        }
        self.evaluation.findings.trigger_of = None;
    }

    /// Adds a step. `created_by` is its row of the history, if it has one.
    pub(super) fn step(&mut self, span: Span, parts: StepParts, created_by: Option<String>) {
        let StepParts { text, op, need } = parts;
        let epoch = self.evaluation.globals.epoch;
        let history = created_by.map(|created_by| History {
            created: epoch.and_then(|seconds| Timestamp::from_unix(seconds, 0)),
            created_by,
            comment: COMMENT.to_owned(),
            empty_layer: matches!(op, Op::Config),
            ..History::default()
        });
        self.config.history.extend(history.clone());
        self.steps.push(Step {
            position: None,
            span,
            trigger_of: self.trigger_of,
            text,
            recipe: RecipeTemplate::of(&op, &self.platform, epoch),
            op,
            history,
            need,
            no_cache: self.no_cache,
        });
    }

    fn finish(self, base: Base, label: String, from: String) -> Stage {
        let mut steps = self.steps;
        let first = u32::from(matches!(base, Base::Image(_)));
        let numbered = steps.iter_mut().filter(|step| step.makes_layer());
        let total = first + numbered.zip(1..).last().map_or(0, |(_, count)| count);
        for (step, index) in steps.iter_mut().filter(|step| step.makes_layer()).zip(first + 1..) {
            step.position = Some(StepPosition { index, total });
        }
        let evaluation = self.evaluation;
        let request = evaluation.request;
        let mut config = self.config;
        let end = End {
            config: config.clone(),
            scope: self.scope,
            platform: self.platform.clone(),
            workdir_set: self.workdir_set,
        };
        evaluation.ends.insert(self.number, end);
        config.created = evaluation.globals.epoch.and_then(|epoch| Timestamp::from_unix(epoch, 0));
        let stage = &request.dockerfile.stages[self.number];
        Stage {
            id: evaluation.ids[&self.number],
            number: self.number,
            name: stage.name().map(str::to_owned),
            label,
            span: stage.from.span,
            from,
            base,
            platform: self.platform,
            steps,
            config,
        }
    }

    pub(super) fn expander(&self) -> Expander {
        Expander::new(self.evaluation.request.dockerfile.escape)
    }

    /// Expands a word with the variables in scope. Nothing if that is an error, which is noted.
    pub(super) fn expand(&mut self, word: &Word, comments: &[Literal]) -> Option<String> {
        let expander = self.expander();
        self.expand_text(expander, &word.text, word.span, comments)
    }

    pub(super) fn expand_text(
        &mut self,
        expander: Expander,
        text: &str,
        span: Span,
        comments: &[Literal],
    ) -> Option<String> {
        let lookup = |name: &str| self.scope.get(name).map(str::to_owned);
        match expander.process_word(text, &lookup) {
            Ok(expansion) => {
                warn::undefined(self, &expansion.unmatched, span, comments);
                Some(expansion.text)
            }
            Err(error) => {
                self.evaluation.findings.error(span, error);
                None
            }
        }
    }

    pub(super) fn error(&mut self, span: Span, kind: impl Into<PlanErrorKind>) {
        self.evaluation.findings.error(span, kind);
    }

    pub(super) fn warn(&mut self, comments: &[Literal], rule: Rule, span: Span, message: String) {
        warn::warn(self, comments, rule, span, message, None);
    }

    /// Where relative paths are relative to: absolute.
    pub(super) fn directory(&self) -> &str {
        match self.config.config.working_dir.as_str() {
            "" => "/",
            directory => directory,
        }
    }
}

/// An instruction for progress: its keyword in capitals, variables expanded where they can be.
pub(super) fn shown(code: &str, expander: Expander, scope: &Scope) -> String {
    let lookup = |name: &str| scope.get(name).map(str::to_owned);
    let expanded = expander.process_word(code, &lookup);
    let text = expanded.map_or_else(|_| code.to_owned(), |expansion| expansion.text);
    match text.split_once(' ') {
        Some((keyword, rest)) => format!("{} {rest}", keyword.to_uppercase()),
        None => text.to_uppercase(),
    }
}

/// What a stage begins with.
fn start(evaluation: &mut Evaluation<'_>, number: usize, base: Base, platform: &Platform) -> End {
    let (config, platform) = match base {
        Base::Stage(_) => {
            let base = match evaluation.heads.heads[number].target {
                Target::Stage(base) => evaluation.ends.get(&base).cloned(),
                _ => None,
            };
            let mut end = base.expect("a base stage is evaluated before those based on it");
            // They have run, or will run, as triggers.
            end.config.config.on_build = Vec::new();
            return end;
        }
        Base::Image(image) => {
            let mut config = evaluation.images[image.index()].image.config.clone();
            config.created = None;
            config.rootfs.diff_ids = Vec::new();
            // Fields that no one here understands describe the base, not what is made of it.
            config.extra.clear();
            config.config.extra.clear();
            config.config.on_build = Vec::new();
            warn::base_platform(evaluation, number, platform, &config);
            (config, platform.clone())
        }
        Base::Scratch => {
            let mut config = ImageConfig::empty(platform);
            "/".clone_into(&mut config.config.working_dir);
            (config, platform.clone())
        }
    };
    End { config, scope: Scope::default(), platform, workdir_set: false }
}
