//! The rules that need nothing but the text.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{LintSettings, Rule, Warning};
use crate::instruction::{
    ArgDeclaration, Dockerfile, Expose, Instruction, Keyword, Stage, Statement,
};
use crate::source::Span;
use crate::word::{Literal, Word};

/// Finds what the text alone shows, in source order.
pub(crate) fn check(dockerfile: &Dockerfile, empty_continuations: &[Span]) -> Vec<Warning> {
    let mut findings = Findings { settings: &dockerfile.lint, warnings: Vec::new() };
    for span in empty_continuations {
        let message = "empty continuation line".into();
        findings.at(&[]).add(Rule::NoEmptyContinuation, *span, message);
    }
    for statement in &dockerfile.global_args {
        let names = names(&statement.node.args);
        describes(&mut findings.at(&statement.comments), &statement.comments, "ARG", &names);
    }
    casing(&mut findings, &dockerfile.stages);
    stage_names(&mut findings, &dockerfile.stages);
    for stage in &dockerfile.stages {
        self::stage(&mut findings, stage);
    }
    findings.warnings.sort_by_key(|warning| warning.span.start);
    findings.warnings
}

struct Findings<'a> {
    settings: &'a LintSettings,
    warnings: Vec<Warning>,
}

impl Findings<'_> {
    /// For one instruction: the comments above it can skip rules.
    fn at(&mut self, comments: &[Literal]) -> Scope<'_> {
        let settings = if comments.is_empty() {
            Cow::Borrowed(self.settings)
        } else {
            let comments = comments.iter().map(|comment| comment.text.as_str());
            Cow::Owned(self.settings.with_comments(comments))
        };
        Scope { settings, warnings: &mut self.warnings }
    }
}

/// Where the findings of one instruction go.
struct Scope<'a> {
    settings: Cow<'a, LintSettings>,
    warnings: &'a mut Vec<Warning>,
}

impl Scope<'_> {
    fn add(&mut self, rule: Rule, span: Span, message: String) {
        if self.settings.allows(rule) {
            self.warnings.push(Warning { rule, span, message, help: None });
        }
    }
}

/// All keywords, with the comments above them.
fn keywords(stages: &[Stage]) -> impl Iterator<Item = (&Literal, &[Literal])> {
    stages.iter().flat_map(|stage| {
        let from = (&stage.from.keyword, stage.from.comments.as_slice());
        let others = stage.instructions.iter();
        std::iter::once(from)
            .chain(others.map(|statement| (&statement.keyword, statement.comments.as_slice())))
    })
}

fn is_lower(text: &str) -> bool {
    !text.contains(|character: char| character.is_uppercase())
}

fn is_upper(text: &str) -> bool {
    !text.contains(|character: char| character.is_lowercase())
}

fn casing(findings: &mut Findings<'_>, stages: &[Stage]) {
    let lower = keywords(stages).filter(|(keyword, _)| is_lower(&keyword.text)).count();
    let upper = keywords(stages).filter(|(keyword, _)| is_upper(&keyword.text)).count();
    let (fits, majority): (fn(&str) -> bool, _) =
        if lower > upper { (is_lower, "lowercase") } else { (is_upper, "uppercase") };
    for (keyword, comments) in keywords(stages).filter(|(keyword, _)| !fits(&keyword.text)) {
        let message = format!(
            "command `{}` should match the case of the command majority ({majority})",
            keyword.text
        );
        findings.at(comments).add(Rule::ConsistentInstructionCasing, keyword.span, message);
    }
}

fn stage_names(findings: &mut Findings<'_>, stages: &[Stage]) {
    let mut seen = BTreeSet::new();
    for stage in stages {
        let Some(name) = &stage.from.node.name else { continue };
        let mut scope = findings.at(&stage.from.comments);
        let span = name.written.span;
        let from = &stage.from.keyword.text;
        if !is_lower(&name.written.text) {
            let message = format!("stage name `{}` should be lowercase", name.written.text);
            scope.add(Rule::StageNameCasing, span, message);
        }
        let fits: fn(&str) -> bool = if is_lower(from) { is_lower } else { is_upper };
        if fits(from) && !fits(&name.keyword.text) {
            let keyword = &name.keyword;
            let message = format!("the casing of `{}` and `{from}` does not match", keyword.text);
            scope.add(Rule::FromAsCasing, keyword.span, message);
        }
        if ["context", "scratch"].contains(&name.lower.as_str()) {
            let message = format!("`{}` is reserved and should not name a stage", name.lower);
            scope.add(Rule::ReservedStageName, span, message);
        }
        if !seen.insert(&name.lower) {
            let message = format!("duplicate stage name `{}`", name.lower);
            scope.add(Rule::DuplicateStageName, span, message);
        }
        describes(&mut scope, &stage.from.comments, "FROM", &[&name.lower]);
    }
}

/// The rules within a stage.
fn stage(findings: &mut Findings<'_>, stage: &Stage) {
    let mut last: [Option<&Statement<Instruction>>; 3] = [None; 3];
    for statement in &stage.instructions {
        let mut scope = findings.at(&statement.comments);
        let keyword = &statement.keyword;
        match &statement.node {
            Instruction::Cmd(_) => once(&mut scope, &mut last[0], statement),
            Instruction::Entrypoint(_) => once(&mut scope, &mut last[1], statement),
            Instruction::Healthcheck(_) => once(&mut scope, &mut last[2], statement),
            Instruction::Maintainer(_) => {
                let message = "`MAINTAINER` is deprecated in favour of a label".into();
                scope.add(Rule::MaintainerDeprecated, keyword.span, message);
            }
            Instruction::Arg(arg) => {
                for arg in &arg.args {
                    secret(&mut scope, Keyword::Arg, &arg.name.text, arg.name.span);
                }
                describes(&mut scope, &statement.comments, "ARG", &names(&arg.args));
            }
            Instruction::Env(env) => {
                for pair in &env.pairs {
                    legacy(&mut scope, statement, pair.legacy, &pair.key);
                    secret(&mut scope, Keyword::Env, &pair.key.text, pair.key.span);
                }
            }
            Instruction::Label(label) => {
                for pair in &label.pairs {
                    legacy(&mut scope, statement, pair.legacy, &pair.key);
                }
            }
            Instruction::Expose(expose) => ports(&mut scope, expose),
            _ => {}
        }
    }
}

/// Reports the earlier of two: it is the one that has no effect.
fn once<'a>(
    scope: &mut Scope<'_>,
    last: &mut Option<&'a Statement<Instruction>>,
    statement: &'a Statement<Instruction>,
) {
    if let Some(previous) = last.replace(statement) {
        let message = format!(
            "multiple `{}` instructions in the same stage: only the last one is used",
            statement.node.keyword().name()
        );
        let rule = Rule::MultipleInstructionsDisallowed;
        scope.add(rule, previous.span, message);
    }
}

fn legacy(scope: &mut Scope<'_>, statement: &Statement<Instruction>, is_legacy: bool, key: &Word) {
    if is_legacy {
        let name = statement.node.keyword().name();
        let message = format!("`{name} key=value` should be used instead of `{name} key value`");
        scope.add(Rule::LegacyKeyValueFormat, key.span, message);
    }
}

fn names(args: &[ArgDeclaration]) -> Vec<&str> {
    args.iter().map(|arg| arg.name.text.as_str()).collect()
}

/// The comment directly above must begin with one of the names.
fn describes(scope: &mut Scope<'_>, comments: &[Literal], instruction: &str, names: &[&str]) {
    let Some(last) = comments.last() else { return };
    if names.contains(&last.text.split(' ').next().unwrap_or("")) {
        return;
    }
    let example = if let [name] = names { name } else { "<arg_key>" };
    let message = format!(
        "the comment above `{instruction}` should be of the form `# {example} <description>`"
    );
    let rule = Rule::InvalidDefinitionDescription;
    scope.add(rule, last.span, message);
}

fn secret(scope: &mut Scope<'_>, keyword: Keyword, name: &str, span: Span) {
    const SECRET: [&str; 10] = [
        "apikey",
        "auth",
        "credential",
        "credentials",
        "key",
        "password",
        "pword",
        "passwd",
        "secret",
        "token",
    ];
    const HARMLESS: [&str; 3] = ["public", "file", "version"];
    let has = |words: &[&str]| {
        name.split('_').any(|part| words.iter().any(|word| part.eq_ignore_ascii_case(word)))
    };
    if has(&SECRET) && !has(&HARMLESS) {
        let keyword = keyword.name();
        let message = format!("`{keyword}` should not hold a secret: `{name}` stays in the image");
        scope.add(Rule::SecretsUsedInArgOrEnv, span, message);
    }
}

/// Only ports without variables: what others become is not known here.
fn ports(scope: &mut Scope<'_>, expose: &Expose) {
    for port in expose.ports.iter().filter(|port| !port.needs_expansion()) {
        let text = &port.text;
        let (address, protocol) = text.split_once('/').unwrap_or((text, ""));
        if !is_lower(protocol) {
            let message = format!("the protocol of `{text}` should be lowercase");
            scope.add(Rule::ExposeProtoCasing, port.span, message);
        }
        if address.contains(':') {
            let message = format!("`EXPOSE` takes no IP address and no host port: `{text}`");
            scope.add(Rule::ExposeInvalidFormat, port.span, message);
        }
    }
}
