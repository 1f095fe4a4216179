//! Findings of the lint that need more than the text: what is in scope, what a base is.

use std::collections::BTreeSet;

use strata_dockerfile::instruction::{CommandLine, Instruction};
use strata_dockerfile::{Literal, MatchState, Rule, Span, Statement};
use strata_oci::{ImageConfig, Platform};

use super::Evaluation;
use super::stage::Current;
use crate::findings::did_you_mean;
use crate::head::settings;

/// Arguments that are settings of a build and never variables.
const SETTINGS: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

pub(super) fn warn(
    current: &mut Current<'_, '_>,
    comments: &[Literal],
    rule: Rule,
    span: Span,
    message: String,
    help: Option<String>,
) {
    let settings = settings(current.evaluation.request, comments);
    current.evaluation.findings.warn(&settings, rule, span, message, help);
}

/// Variables that are used and neither set nor declared.
pub(super) fn undefined(
    current: &mut Current<'_, '_>,
    unmatched: &BTreeSet<String>,
    span: Span,
    comments: &[Literal],
) {
    for name in unmatched {
        if !current.scope.may_be_unset(name) && !SETTINGS.contains(&name.as_str()) {
            let message = format!("the variable `{name}` is not defined");
            let help = did_you_mean(name, current.scope.names());
            warn(current, comments, Rule::UndefinedVar, span, message, help);
        }
    }
}

/// A command in a shell that nobody chose: signals end at it.
pub(super) fn shell_of_nobody(
    current: &mut Current<'_, '_>,
    statement: &Statement<Instruction>,
    command: &CommandLine,
) {
    if matches!(command, CommandLine::Shell(_)) && current.config.config.shell.is_empty() {
        let keyword = statement.node.keyword().name();
        let message = format!("`{keyword}` in a shell: it does not pass signals on");
        warn(
            current,
            &statement.comments,
            Rule::JSONArgsRecommended,
            statement.span,
            message,
            None,
        );
    }
}

/// A source of the context that its ignore file leaves out. As with `BuildKit` only the path as written counts,
/// and nothing is said where exceptions could take it in again.
pub(super) fn ignored(
    current: &mut Current<'_, '_>,
    keyword: &str,
    source: &str,
    span: Span,
    comments: &[Literal],
) {
    let patterns = &current.evaluation.request.ignore;
    if patterns.is_empty() || patterns.has_exceptions() {
        return;
    }
    // An absolute source never matches: patterns are relative.
    let clean = clean(source);
    let is_root = clean.is_empty() || clean == "/";
    let excluded = if is_root {
        patterns.excludes_everything()
    } else {
        patterns.matches(clean.as_bytes(), &MatchState::default()).excluded
    };
    if excluded {
        let message = format!("`{keyword}` of `{source}`, which the ignore file leaves out");
        warn(current, comments, Rule::CopyIgnoredFile, span, message, None);
    }
}

/// A path as Go's `filepath.Clean` has it, but for the current directory, which is empty.
fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if absolute && parts.is_empty() => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if absolute { format!("/{joined}") } else { joined }
}

/// A base that is for another platform than what was asked for.
pub(super) fn base_platform(
    evaluation: &mut Evaluation<'_>,
    number: usize,
    wanted: &Platform,
    config: &ImageConfig,
) {
    if wanted.os == config.os && wanted.architecture == config.architecture {
        return;
    }
    let statement = &evaluation.request.dockerfile.stages[number].from;
    let settings = settings(evaluation.request, &statement.comments);
    let message = format!(
        "the base `{}` is for `{}`, but `{}` is wanted",
        evaluation.heads.heads[number].from,
        config.platform().normalized(),
        wanted.normalized(),
    );
    let span = statement.node.image.span;
    evaluation.findings.warn(&settings, Rule::InvalidBaseImagePlatform, span, message, None);
}
