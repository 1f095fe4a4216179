//! Findings for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};
use strata_oci::Digest;

use super::survey::{Checked, Survey};
use crate::diagnostic::{Excerpt, Finding, Severity};

/// A line for people below the findings.
pub(super) fn summary(survey: &Survey) -> String {
    let count =
        |severity| survey.findings.iter().filter(|one| one.diagnostic.severity == severity).count();
    let shown = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        count => Some(format!("{count} {word}s")),
    };
    let counts = [(count(Severity::Error), "error"), (count(Severity::Warning), "warning")];
    let parts: Vec<String> =
        counts.iter().filter_map(|(count, word)| shown(*count, word)).collect();
    let found = if parts.is_empty() { "no warnings".to_owned() } else { parts.join(", ") };
    format!("checked `{}`: {found}\n", survey.source.name())
}

/// An array of findings, each with its place and its rule.
pub(super) fn json(survey: &Survey) -> String {
    #[derive(Serialize)]
    struct Row<'a> {
        rule: Option<&'static str>,
        #[serde(flatten)]
        finding: Finding<'a>,
    }
    let rows: Vec<Row<'_>> = survey
        .findings
        .iter()
        .map(|one| Row { rule: one.rule, finding: one.diagnostic.to_json() })
        .collect();
    pretty(&rows)
}

/// What `docker build --call=check,format=json` prints, but for the texts of the sources.
pub(super) fn of_buildkit(survey: &Survey) -> String {
    let name = |one: &Checked| one.rule.map(str::to_owned);
    let warnings: Vec<Value> = survey
        .findings
        .iter()
        .filter_map(|one| {
            Some(json!({
                "ruleName": name(one)?,
                "description": one.diagnostic.help,
                "detail": one.diagnostic.message,
                "location": one.diagnostic.excerpt.as_ref().map(location),
            }))
        })
        .collect();
    let mut report = json!({
        "warnings": warnings,
        "sources": [{"filename": survey.source.name(), "language": "Dockerfile"}],
    });
    if let Some(error) = survey.findings.iter().find(|one| one.rule.is_none()) {
        report["buildError"] = json!({
            "message": error.diagnostic.message,
            "location": error.diagnostic.excerpt.as_ref().map(location),
        });
    }
    pretty(&report)
}

/// A place as `BuildKit` writes it: lines from 1, characters from 0.
pub(super) fn location(excerpt: &Excerpt) -> Value {
    let (start, end) = excerpt.source.positions(excerpt.span);
    json!({"ranges": [{
        "start": {"line": start.line, "character": start.column.saturating_sub(1)},
        "end": {"line": end.line, "character": end.column.saturating_sub(1)},
    }]})
}

/// GitLab's Code Quality report: an array of issues, each with a fingerprint that stays when lines
/// above it come and go. `name` is that of the Dockerfile, where it has another in the project.
pub(super) fn gitlab(survey: &Survey, name: Option<&str>) -> String {
    let mut issues = Vec::new();
    let mut seen = BTreeMap::<String, u32>::new();
    for one in &survey.findings {
        let excerpt = one.diagnostic.excerpt.as_ref();
        let (file, line, slice) = match excerpt {
            Some(excerpt) => (
                excerpt.source.name(),
                excerpt.source.position(excerpt.span.start).line,
                excerpt.source.slice(excerpt.span),
            ),
            // What no line says stands at the top.
            None => (survey.source.name(), 1, one.diagnostic.message.as_str()),
        };
        let file = match excerpt {
            Some(excerpt) if excerpt.source.name() != survey.source.name() => file,
            Some(_) | None => name.unwrap_or(file),
        };
        let name = one.rule.unwrap_or("Error");
        let mut identity = format!("{name}\n{file}\n{slice}");
        let times = seen.entry(identity.clone()).or_default();
        *times += 1;
        write!(identity, "\n{times}").expect("a string takes everything");
        let severity = match one.diagnostic.severity {
            Severity::Error => "blocker",
            Severity::Warning => "minor",
        };
        issues.push(json!({
            "description": one.diagnostic.message,
            "check_name": name,
            "fingerprint": Digest::of(identity.as_bytes()).to_hex(),
            "severity": severity,
            "location": {"path": file, "lines": {"begin": line}},
        }));
    }
    pretty(&issues)
}

pub(super) fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("strings and numbers are JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::survey::of_text;
    use super::*;
    use crate::diagnostic::text;
    use crate::render::line::Colour;

    #[test]
    fn all_errors_are_found() {
        let survey = of_text("FROM scratch\nCOPPY a /b\nRUN --mont=type=tmpfs x\n");
        let findings = survey.findings.iter();
        let texts: Vec<String> =
            findings.map(|one| text::render(&one.diagnostic, Colour::Never)).collect();
        assert!(survey.failed);
        assert_eq!(summary(&survey), "checked `Dockerfile`: 2 errors\n");
        assert_snapshot!(texts.join("\n"), @"
    error: unknown instruction `COPPY`
     --> Dockerfile:2:1
      |
    2 | COPPY a /b
      | ^^^^^
      |
      = help: did you mean `COPY`?

    error: unknown flag `--mont` of `RUN`
     --> Dockerfile:3:5
      |
    3 | RUN --mont=type=tmpfs x
      |     ^^^^^^
      |
      = help: did you mean `--mount`?
    ");
    }

    #[test]
    fn stages_that_nothing_needs_are_checked_too() {
        let survey = of_text(
            "FROM scratch AS other\nENV FOO=1\nENV B=$FOX\nCOPY left-out /x\nFROM scratch\nCMD x\n",
        );
        let rows: Vec<(&str, Option<&str>)> = survey
            .findings
            .iter()
            .map(|one| (one.rule.unwrap_or("-"), one.diagnostic.help.as_deref()))
            .collect();
        assert_eq!(
            rows,
            [
                ("UndefinedVar", Some("did you mean `FOO`?")),
                (
                    "CopyIgnoredFile",
                    Some("take the path out of the ignore file, or take the instruction away")
                ),
                (
                    "JSONArgsRecommended",
                    Some(
                        "write the command as a JSON array, or choose a shell on purpose with `SHELL`"
                    )
                ),
            ]
        );
    }

    #[test]
    fn what_a_base_may_define_is_no_mistake() {
        let survey = of_text("FROM some/base\nENV B=$OF_THE_BASE\n");
        assert_eq!(summary(&survey), "checked `Dockerfile`: no warnings\n");
    }

    #[test]
    fn warning_names_its_rule() {
        let survey = of_text("FROM scratch\nMAINTAINER me\n");
        assert!(!survey.failed);
        assert_snapshot!(json(&survey), @r#"
    [
      {
        "rule": "MaintainerDeprecated",
        "severity": "warning",
        "message": "`MAINTAINER` is deprecated in favour of a label",
        "file": "Dockerfile",
        "line": 2,
        "column": 1,
        "end_line": 2,
        "end_column": 11,
        "notes": [
          "rule `MaintainerDeprecated`; a line `# check=skip=MaintainerDeprecated` at the top turns it off"
        ],
        "help": "use `LABEL org.opencontainers.image.authors=…`"
      }
    ]
    "#);
    }

    #[test]
    fn json_of_buildkit_has_its_names() {
        let report: Value =
            serde_json::from_str(&of_buildkit(&of_text("FROM scratch\nMAINTAINER me\n")))
                .expect("is JSON");
        assert_eq!(report["warnings"][0]["ruleName"], "MaintainerDeprecated");
        assert_eq!(report["warnings"][0]["location"]["ranges"][0]["start"]["line"], 2);
        assert_eq!(report["sources"][0]["filename"], "Dockerfile");
        assert_eq!(report.get("buildError"), None);
        let report: Value =
            serde_json::from_str(&of_buildkit(&of_text("COPY a b\n"))).expect("is JSON");
        assert!(report["buildError"]["message"].is_string());
    }

    #[test]
    fn warnings_fail_where_the_dockerfile_says_so() {
        let survey = of_text("# check=error=true\nFROM scratch\nMAINTAINER me\n");
        assert!(survey.failed);
        assert_eq!(survey.findings[0].diagnostic.severity, Severity::Warning);
        assert!(!of_text("# check=error=true\nFROM scratch\n").failed);
    }

    #[test]
    fn same_finding_twice_has_two_fingerprints() {
        let survey = of_text("FROM scratch\nMAINTAINER me\nMAINTAINER me\n");
        let report: Value = serde_json::from_str(&gitlab(&survey, None)).expect("is JSON");
        let prints: std::collections::BTreeSet<String> = report
            .as_array()
            .expect("is an array")
            .iter()
            .map(|issue| issue["fingerprint"].to_string())
            .collect();
        assert_eq!(prints.len(), survey.findings.len());
    }
}
