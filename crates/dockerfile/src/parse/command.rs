//! CMD, ENTRYPOINT, SHELL, HEALTHCHECK.

use std::time::Duration;

use super::line::{Arguments, Context};
use crate::error::ParseErrorKind;
use crate::flags::{Flags, Takes};
use crate::instruction::{
    Cmd, CommandLine, Entrypoint, Healthcheck, HealthcheckOptions, Keyword, Shell,
};
use crate::mapped::Slice;
use crate::number::{self, Sign};

/// Reads a command in either form.
pub(super) fn command_line<'a>(
    context: &mut Context<'a, '_>,
    text: Slice<'a>,
) -> Option<CommandLine> {
    Some(match context.arguments(text)? {
        Arguments::Text(line) => CommandLine::Shell(line.to_string()),
        Arguments::Json(words) => {
            CommandLine::Exec(words.into_iter().map(|word| word.text).collect())
        }
    })
}

pub(super) fn cmd(context: &mut Context<'_, '_>) -> Option<Cmd> {
    context.no_flags();
    Some(Cmd { command: command_line(context, context.line.arguments)? })
}

pub(super) fn entrypoint(context: &mut Context<'_, '_>) -> Option<Entrypoint> {
    context.no_flags();
    Some(Entrypoint { command: command_line(context, context.line.arguments)? })
}

pub(super) fn shell(context: &mut Context<'_, '_>) -> Option<Shell> {
    context.no_flags();
    let text = context.some_arguments("at least one argument")?;
    match command_line(context, text)? {
        CommandLine::Shell(_) => {
            context.error(text.span(), ParseErrorKind::ShellNotJson);
            None
        }
        CommandLine::Exec(argv) if argv.is_empty() => {
            context.missing("at least one argument");
            None
        }
        CommandLine::Exec(argv) => Some(Shell { argv }),
    }
}

pub(super) fn healthcheck(context: &mut Context<'_, '_>) -> Option<Healthcheck> {
    // BuildKit does not look at the options of NONE; here they must at least be options.
    let flags = context.flags(&[
        ("interval", Takes::Text),
        ("timeout", Takes::Text),
        ("start-period", Takes::Text),
        ("start-interval", Takes::Text),
        ("retries", Takes::Text),
    ]);
    let options = HealthcheckOptions {
        interval: interval(context, &flags, "interval"),
        timeout: interval(context, &flags, "timeout"),
        start_period: interval(context, &flags, "start-period"),
        start_interval: interval(context, &flags, "start-interval"),
        retries: retries(context, &flags),
    };
    let text = context.some_arguments("at least one argument")?;
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let kind = text.part(0..end);
    let rest = text.part(end..text.len()).trimmed();
    if kind.eq_ignore_ascii_case("none") {
        if !rest.is_empty() {
            context.error(rest.span(), ParseErrorKind::HealthcheckNone);
            return None;
        }
        return Some(Healthcheck::None);
    }
    if Keyword::read(&kind) != Some(Keyword::Cmd) {
        let word = kind.to_string();
        context.error(kind.span(), ParseErrorKind::HealthcheckType { word });
        return None;
    }
    let command = command_line(context, rest)?;
    let is_empty = match &command {
        CommandLine::Shell(line) => line.is_empty(),
        CommandLine::Exec(argv) => argv.is_empty(),
    };
    if is_empty {
        context.missing("a command after `CMD`");
        return None;
    }
    Some(Healthcheck::Check { command, options })
}

/// A duration of at least a millisecond; none when absent, empty or zero.
fn interval(
    context: &mut Context<'_, '_>,
    flags: &Flags<'_>,
    name: &'static str,
) -> Option<Duration> {
    let value = flags.value(name).filter(|value| !value.is_empty())?;
    let expected = match number::duration(&value) {
        Some((_, Duration::ZERO)) => return None,
        Some((Sign::Positive, duration)) if duration >= Duration::from_millis(1) => {
            return Some(duration);
        }
        Some(_) => "at least `1ms`",
        None => "a duration such as `1m30s`",
    };
    let kind = ParseErrorKind::InvalidFlagValue { flag: name, value: value.to_string(), expected };
    context.error(value.span(), kind);
    None
}

fn retries(context: &mut Context<'_, '_>, flags: &Flags<'_>) -> u32 {
    let Some(value) = flags.value("retries").filter(|value| !value.is_empty()) else { return 0 };
    value.parse::<i32>().ok().and_then(|count| u32::try_from(count).ok()).unwrap_or_else(|| {
        let kind = ParseErrorKind::InvalidFlagValue {
            flag: "retries",
            value: value.to_string(),
            expected: "a number that is not negative",
        };
        context.error(value.span(), kind);
        0
    })
}
