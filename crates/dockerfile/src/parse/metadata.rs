//! FROM, ONBUILD and the instructions that only set values.

use super::line::{Context, Line, Node};
use super::unknown_instruction;
use crate::error::ParseErrorKind;
use crate::flags::Takes;
use crate::instruction::{
    Arg, ArgDeclaration, Env, Expose, From, KeyValue, Keyword, Label, Maintainer, Onbuild,
    StageName, Statement, Stopsignal, User, Volume, Workdir,
};
use crate::mapped::Slice;
use crate::split;

pub(super) fn from(context: &mut Context<'_, '_>) -> Option<From> {
    let flags = context.flags(&[("platform", Takes::Text)]);
    let fields = context.line.arguments.fields();
    let (image, name) = match fields.as_slice() {
        [image] => (image, None),
        [image, keyword, name] if keyword.eq_ignore_ascii_case("as") => {
            (image, Some((keyword, name)))
        }
        _ => {
            let line = context.line.whole.trimmed();
            context.error(line.span(), ParseErrorKind::FromArguments);
            return None;
        }
    };
    let mut stage = None;
    if let Some((keyword, name)) = name {
        let lower = name.to_lowercase();
        if !is_stage_name(&lower) {
            let kind = ParseErrorKind::InvalidStageName { name: name.to_string() };
            context.error(name.span(), kind);
            return None;
        }
        stage = Some(StageName { lower, written: name.literal(), keyword: keyword.literal() });
    }
    let descriptions = context.descriptions();
    let description = stage
        .as_ref()
        .and_then(|stage| descriptions.get(stage.lower.as_str()))
        .map(|description| (*description).to_owned());
    Some(From { image: image.word(), platform: flags.word("platform"), name: stage, description })
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)
        })
}

pub(super) fn arg(context: &mut Context<'_, '_>) -> Option<Arg> {
    context.no_flags();
    let descriptions = context.descriptions();
    let mut args = Vec::new();
    for word in split::words(context.line.arguments, context.escape) {
        let (name, value) = match word.around_equals() {
            Some((name, value)) => (name, Some(value.word())),
            None => (word, None),
        };
        if name.is_empty() {
            context.error(word.span(), ParseErrorKind::BlankName { keyword: "ARG" });
            return None;
        }
        let description = descriptions.get(name.text()).map(|text| (*text).to_owned());
        args.push(ArgDeclaration { name: name.literal(), value, description });
    }
    if args.is_empty() {
        context.missing("at least one argument");
        return None;
    }
    Some(Arg { args })
}

pub(super) fn env(context: &mut Context<'_, '_>) -> Option<Env> {
    Some(Env { pairs: pairs(context)? })
}

pub(super) fn label(context: &mut Context<'_, '_>) -> Option<Label> {
    Some(Label { pairs: pairs(context)? })
}

fn pairs(context: &mut Context<'_, '_>) -> Option<Vec<KeyValue>> {
    context.no_flags();
    let keyword = context.keyword.name();
    let arguments = context.some_arguments("at least one argument")?;
    let words = split::words(arguments, context.escape);
    // The first word tells the forms apart.
    if words.first().is_none_or(|word| !word.contains('=')) {
        let Some((key, value)) = arguments.around_separator() else {
            context.missing("a name and a value: `name=value`");
            return None;
        };
        return Some(vec![KeyValue { key: key.word(), value: value.word(), legacy: true }]);
    }
    let mut pairs = Vec::with_capacity(words.len());
    for word in words {
        let Some((key, value)) = word.around_equals() else {
            let kind = ParseErrorKind::MissingEquals { keyword, word: word.to_string() };
            context.error(word.span(), kind);
            continue;
        };
        if key.is_empty() {
            context.error(word.span(), ParseErrorKind::BlankName { keyword });
            continue;
        }
        pairs.push(KeyValue { key: key.word(), value: value.word(), legacy: false });
    }
    Some(pairs)
}

pub(super) fn expose(context: &mut Context<'_, '_>) -> Option<Expose> {
    context.no_flags();
    let arguments = context.some_arguments("at least one argument")?;
    let mut ports: Vec<_> = arguments.fields().into_iter().map(Slice::word).collect();
    ports.sort_by(|left, right| left.text.cmp(&right.text));
    Some(Expose { ports })
}

pub(super) fn maintainer(context: &mut Context<'_, '_>) -> Option<Maintainer> {
    context.no_flags();
    Some(Maintainer { name: context.argument()?.literal() })
}

pub(super) fn stopsignal(context: &mut Context<'_, '_>) -> Option<Stopsignal> {
    context.no_flags();
    Some(Stopsignal { signal: context.argument()?.word() })
}

pub(super) fn user(context: &mut Context<'_, '_>) -> Option<User> {
    context.no_flags();
    Some(User { user: context.argument()?.word() })
}

pub(super) fn workdir(context: &mut Context<'_, '_>) -> Option<Workdir> {
    context.no_flags();
    Some(Workdir { path: context.argument()?.word() })
}

pub(super) fn volume(context: &mut Context<'_, '_>) -> Option<Volume> {
    context.no_flags();
    let mut paths = context.list()?;
    if paths.is_empty() {
        context.missing("at least one argument");
        return None;
    }
    for path in &mut paths {
        let trimmed = path.text.trim();
        if trimmed.is_empty() {
            context.error(path.span, ParseErrorKind::EmptyVolume);
            return None;
        }
        path.text = trimmed.to_owned();
    }
    Some(Volume { paths })
}

pub(super) fn onbuild(context: &mut Context<'_, '_>) -> Option<Onbuild> {
    context.no_flags();
    let arguments = context.some_arguments("at least one argument")?;
    let line = Line::split(arguments, context.escape);
    let Some(keyword) = Keyword::read(&line.keyword) else {
        context.errors.push(unknown_instruction(&line));
        return None;
    };
    let whole = context.line.whole;
    let written = whole.part(context.line.keyword.len()..whole.len());
    let mut text = written.trim_ascii_start().to_owned();
    for heredoc in &context.heredocs {
        text.push('\n');
        text.push_str(&heredoc.raw);
        text.push_str(&heredoc.name);
    }
    let mut span = arguments.span();
    if let Some(last) = context.heredocs.last() {
        span.end = last.span.end;
    }
    let trigger = Context {
        keyword,
        line: &line,
        escape: context.escape,
        heredocs: std::mem::take(&mut context.heredocs),
        comments: &[],
        in_trigger: true,
        errors: context.errors,
    };
    let Some(Node::Instruction(node)) = trigger.build() else { return None };
    let trigger = Statement {
        span,
        keyword: line.keyword.literal(),
        code: arguments.to_string(),
        comments: Vec::new(),
        node,
    };
    Some(Onbuild { text, trigger: Box::new(trigger) })
}
