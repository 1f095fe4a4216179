//! RUN and its flags.

use super::command::command_line;
use super::line::Context;
use crate::csv;
use crate::error::{ParseError, ParseErrorKind};
use crate::flags::Takes;
use crate::instruction::{
    Device, MountError, MountField, MountKey, MountSpec, Network, Run, Security, mount_type_names,
};
use crate::mapped::{Mapped, Slice};
use crate::number;
use crate::source::Span;
use crate::suggest::suggest;

pub(super) fn run(context: &mut Context<'_, '_>) -> Option<Run> {
    let flags = context.flags(&[
        ("mount", Takes::Texts),
        ("network", Takes::Text),
        ("security", Takes::Text),
        ("device", Takes::Texts),
    ]);
    let mounts =
        flags.values("mount").filter_map(|(value, span)| mount(context, value, span)).collect();
    let devices =
        flags.values("device").filter_map(|(value, span)| device(context, value, span)).collect();
    let network = flags.value("network").map(|value| match value.text() {
        "default" => Network::Default,
        "none" => Network::None,
        "host" => Network::Host,
        _ => {
            invalid(context, "network", value, "`default`, `none` or `host`");
            Network::Default
        }
    });
    let security = flags.value("security").map(|value| match value.text() {
        "sandbox" => Security::Sandbox,
        "insecure" => Security::Insecure,
        _ => {
            invalid(context, "security", value, "`sandbox` or `insecure`");
            Security::Sandbox
        }
    });
    Some(Run {
        command: command_line(context, context.line.arguments)?,
        heredocs: std::mem::take(&mut context.heredocs),
        mounts,
        network: network.unwrap_or_default(),
        security: security.unwrap_or_default(),
        devices,
    })
}

fn invalid(
    context: &mut Context<'_, '_>,
    flag: &'static str,
    value: Slice<'_>,
    expected: &'static str,
) {
    let kind = ParseErrorKind::InvalidFlagValue { flag, value: value.to_string(), expected };
    context.error(value.span(), kind);
}

/// Splits a value at its commas; `None` when it is not CSV.
fn fields(
    context: &mut Context<'_, '_>,
    flag: &'static str,
    value: Slice<'_>,
) -> Option<Vec<Mapped>> {
    match csv::fields(value) {
        Ok(fields) => Some(fields),
        Err((problem, at)) => {
            let span = value.part(at..value.len()).span();
            context.error(span, ParseErrorKind::InvalidCsv { flag, problem });
            None
        }
    }
}

fn mount(context: &mut Context<'_, '_>, value: Slice<'_>, span: Span) -> Option<MountSpec> {
    let before = context.errors.len();
    let mut spec = MountSpec { span, fields: Vec::new() };
    for field in fields(context, "mount", value)? {
        match mount_field(field.as_slice()) {
            Ok(field) => spec.fields.push(field),
            Err(error) => context.errors.push(error),
        }
    }
    for field in spec.fields.iter().filter(|field| field.key == MountKey::From) {
        let Some(value) = &field.value else { continue };
        if value.text.find('$').is_some_and(|at| at + 1 < value.text.len()) {
            let kind =
                ParseErrorKind::VariableNotAllowed { place: "from", value: value.text.clone() };
            let help = "name a stage with `FROM … AS <name>` and mount from that";
            context.errors.push(ParseError::new(value.span, kind).with_help(help));
        }
    }
    // What has no variables can be checked at once.
    let is_constant = spec.fields.iter().filter_map(|field| field.value.as_ref());
    if context.errors.len() == before
        && is_constant.into_iter().all(|value| !value.needs_expansion())
        && let Err((span, error)) = spec.resolve(|word| Ok(word.text.clone()))
    {
        let near = match &error {
            MountError::UnknownType { value } => suggest(value, mount_type_names()),
            _ => None,
        };
        context.errors.push(ParseError::new(span, error.into()).with_suggestion(near));
    }
    (context.errors.len() == before).then_some(spec)
}

fn mount_field(field: Slice<'_>) -> Result<MountField, ParseError> {
    let (name, value) = match field.around_equals() {
        Some((name, value)) => (name, Some(value)),
        None => (field, None),
    };
    let lower = name.to_lowercase();
    let Some(key) = MountKey::read(&lower) else {
        let near = suggest(&lower, MountKey::SPELLINGS.iter().copied());
        let error = MountError::UnknownKey { key: name.to_string() };
        return Err(ParseError::new(name.span(), error.into()).with_suggestion(near));
    };
    let alone = matches!(key, MountKey::ReadOnly | MountKey::ReadWrite | MountKey::Required);
    if value.is_none() && !alone {
        let error = MountError::MissingValue { key: key.name() };
        return Err(ParseError::new(field.span(), error.into()));
    }
    Ok(MountField { key, value: value.map(Slice::word), span: field.span() })
}

fn device(context: &mut Context<'_, '_>, value: Slice<'_>, span: Span) -> Option<Device> {
    let mut name: Option<String> = None;
    let mut required = false;
    for field in fields(context, "device", value)? {
        let field = field.as_slice();
        let (key, value) = match field.around_equals() {
            Some((key, value)) => (key.to_lowercase(), Some(value)),
            None => (field.to_lowercase(), None),
        };
        let problem = match (key.as_str(), value, &name) {
            ("required", None, _) => {
                required = true;
                continue;
            }
            ("required", Some(value), _) => match number::boolean(&value) {
                Some(value) => {
                    required = value;
                    continue;
                }
                None => "`required` is not a boolean",
            },
            ("name", Some(value), None) => {
                name = Some(value.to_string());
                continue;
            }
            ("name", Some(_), Some(_)) => "a second name",
            (_, _, None) => {
                name = Some(field.to_string());
                continue;
            }
            (_, _, Some(_)) => "neither `name` nor `required`",
        };
        let kind = ParseErrorKind::InvalidDevice { field: field.to_string(), problem };
        context.error(field.span(), kind);
        return None;
    }
    if name.is_none() {
        let kind = ParseErrorKind::InvalidDevice { field: value.to_string(), problem: "no name" };
        context.error(value.span(), kind);
    }
    Some(Device { name: name?, required, span })
}
