//! What a Dockerfile offers, printed as `docker build --call` prints it.

use std::fmt::Write as _;

use serde_json::{Value, json};
use strata_dockerfile::{Source, Span};
use strata_plan::outline::{MountOffer, Outline, TargetOffer};

use super::report::pretty;
use crate::value::call::Form;

/// The stages.
pub(super) fn targets(targets: &[TargetOffer], source: &Source, form: Form) -> String {
    match form {
        Form::Json => {
            let rows: Vec<Value> = targets
                .iter()
                .map(|target| {
                    object([
                        ("name", json!(target.name)),
                        ("default", json!(target.is_default.then_some(true))),
                        ("description", json!(target.description)),
                        ("base", json!(target.base)),
                        ("platform", json!(target.platform)),
                        ("location", lines(source, target.span)),
                    ])
                })
                .collect();
            pretty(&json!({"targets": rows}))
        }
        Form::Text => {
            let mut rows = vec![["TARGET".to_owned(), "DESCRIPTION".to_owned()]];
            rows.extend(targets.iter().map(|target| {
                let name = match (target.name.as_deref(), target.is_default) {
                    (None, true) => "(default)".to_owned(),
                    (name, true) => format!("{} (default)", name.unwrap_or_default()),
                    (name, false) => name.unwrap_or_default().to_owned(),
                };
                [name, target.description.clone().unwrap_or_default()]
            }));
            table(&rows, 1)
        }
    }
}

/// What a stage takes.
pub(super) fn outline(outline: &Outline, source: &Source, form: Form) -> String {
    match form {
        Form::Json => {
            let arguments: Vec<Value> = outline
                .arguments
                .iter()
                .map(|argument| {
                    object([
                        ("name", json!(argument.name)),
                        ("description", json!(argument.description)),
                        ("value", json!((!argument.value.is_empty()).then_some(&argument.value))),
                        ("location", lines(source, argument.span)),
                    ])
                })
                .collect();
            let mounts = |offers: &[MountOffer]| -> Vec<Value> {
                offers
                    .iter()
                    .map(|offer| {
                        object([
                            ("name", json!(offer.name)),
                            ("required", json!(offer.required.then_some(true))),
                            ("location", lines(source, offer.span)),
                        ])
                    })
                    .collect()
            };
            pretty(&object([
                ("name", json!(outline.name)),
                ("description", json!(outline.description)),
                ("args", filled(arguments)),
                ("secrets", filled(mounts(&outline.secrets))),
                ("ssh", filled(mounts(&outline.ssh))),
            ]))
        }
        Form::Text => text(outline),
    }
}

fn text(outline: &Outline) -> String {
    let mut tables = Vec::new();
    if outline.name.is_some() || outline.description.is_some() {
        let name = outline.name.clone().unwrap_or_else(|| "(default)".to_owned());
        let mut rows = vec![["TARGET:".to_owned(), name]];
        let description = outline.description.iter();
        rows.extend(description.map(|text| ["DESCRIPTION:".to_owned(), text.clone()]));
        tables.push(table(&rows, 1));
    }
    if !outline.arguments.is_empty() {
        let mut rows = vec![["BUILD ARG", "VALUE", "DESCRIPTION"].map(str::to_owned)];
        rows.extend(outline.arguments.iter().map(|argument| {
            let description = argument.description.clone().unwrap_or_default();
            [argument.name.clone(), argument.value.clone(), description]
        }));
        tables.push(table(&rows, 3));
    }
    for (title, offers) in [("SECRET", &outline.secrets), ("SSH", &outline.ssh)] {
        if !offers.is_empty() {
            let mut rows = vec![[title, "REQUIRED"].map(str::to_owned)];
            let required = |offer: &MountOffer| if offer.required { "true" } else { "" };
            rows.extend(
                offers.iter().map(|offer| [offer.name.clone(), required(offer).to_owned()]),
            );
            tables.push(table(&rows, 3));
        }
    }
    tables.into_iter().fold(String::new(), |all, table| all + &table + "\n")
}

/// Columns as wide as what is in them; the last one is as it is.
fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]], gap: usize) -> String {
    let mut text = String::new();
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            if column + 1 == COLUMNS {
                writeln!(text, "{cell}").expect("a string takes everything");
            } else {
                let width = width(column) + gap;
                write!(text, "{cell:width$}").expect("a string takes everything");
            }
        }
    }
    text
}

/// An object without what is not there.
fn object<const FIELDS: usize>(fields: [(&str, Value); FIELDS]) -> Value {
    let present = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(present.map(|(name, value)| (name.to_owned(), value)).collect())
}

fn filled(values: Vec<Value>) -> Value {
    if values.is_empty() { Value::Null } else { Value::Array(values) }
}

fn lines(source: &Source, span: Span) -> Value {
    let (start, end) = source.positions(span);
    json!({"ranges": [{"start": {"line": start.line}, "end": {"line": end.line}}]})
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use strata_oci::Platform;
    use strata_plan::Request;

    use super::*;

    const TEXT: &str = "\
# VERSION of the base
ARG VERSION=1
ARG OTHER
FROM some/base:$VERSION AS build
# MODE is how it is made
ARG MODE=fast
ARG VERSION
RUN --mount=type=secret,id=token,required=true --mount=type=ssh make
# app is what runs
FROM scratch AS app
COPY --from=build /x /x
";

    fn request() -> Request {
        let source = Source::new(0, "Dockerfile", TEXT);
        let dockerfile = strata_dockerfile::parse(&source).expect("is a Dockerfile");
        Request::new(source, dockerfile, Platform::new("linux", "amd64"))
    }

    #[test]
    fn targets_are_listed() {
        let request = request();
        let offers = strata_plan::outline::targets(&request.dockerfile);
        let source = Source::new(0, "Dockerfile", TEXT);
        assert_eq!(
            targets(&offers, &source, Form::Text),
            "TARGET        DESCRIPTION\nbuild         \napp (default) is what runs\n"
        );
        let json: Value =
            serde_json::from_str(&targets(&offers, &source, Form::Json)).expect("is JSON");
        assert_eq!(
            json["targets"][1],
            json!({
                "name": "app", "default": true, "description": "is what runs", "base": "scratch",
                "location": {"ranges": [{"start": {"line": 10}, "end": {"line": 10}}]},
            })
        );
    }

    #[test]
    fn outline_lists_what_the_target_takes() {
        let offers = strata_plan::outline::outline(&request()).expect("is a Dockerfile");
        let source = Source::new(0, "Dockerfile", TEXT);
        assert_snapshot!(outline(&offers, &source, Form::Text).replace(" \n", "\n"), @"
    TARGET:      app
    DESCRIPTION: is what runs

    BUILD ARG   VALUE   DESCRIPTION
    VERSION     1       of the base
    MODE        fast    is how it is made

    SECRET   REQUIRED
    token    true

    SSH       REQUIRED
    default
    ");
        let json: Value =
            serde_json::from_str(&outline(&offers, &source, Form::Json)).expect("is JSON");
        assert_eq!(
            json["args"][1],
            json!({
                "name": "MODE", "description": "is how it is made", "value": "fast",
                "location": {"ranges": [{"start": {"line": 6}, "end": {"line": 6}}]},
            })
        );
    }
}
