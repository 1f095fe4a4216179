//! The rules that need evaluation, each firing and not firing, where `BuildKit` fires and does not.

use strata_dockerfile::{PatternSet, Rule};
use strata_oci::Reference;
use strata_plan::{ContextId, NamedContext, Planner, Progress};

use crate::case::{Case, amd64};

/// Rules in source order, with their lines.
fn found(case: Case) -> Vec<String> {
    let plan = case.plan();
    let shown = plan.warnings.iter().map(|warning| {
        let line = plan.source(warning.span).position(warning.span.start).line;
        format!("{line} {}", warning.rule.name())
    });
    shown.collect()
}

#[track_caller]
fn table(rows: &[(&str, &[&str])], change: impl Fn(Case) -> Case) {
    for (text, expected) in rows {
        assert_eq!(found(change(Case::new(text))), *expected, "{text}");
    }
}

#[test]
fn json_is_recommended_where_nobody_chose_a_shell() {
    table(
        &[
            ("FROM a\nCMD x\n", &["2 JSONArgsRecommended"]),
            ("FROM a\nENTRYPOINT x\n", &["2 JSONArgsRecommended"]),
            ("FROM a\nCMD [\"x\"]\nENTRYPOINT [\"y\"]\nRUN z\nHEALTHCHECK CMD z\n", &[]),
            ("FROM a\nSHELL [\"s\"]\nENTRYPOINT x\n", &[]),
            ("FROM a AS b\nSHELL [\"s\"]\nFROM b\nCMD x\n", &[]),
            ("FROM shell\nCMD x\n", &[]),
            ("FROM a\n# check=skip=JSONArgsRecommended\nCMD x\n", &[]),
        ],
        |case| case.base("shell", |config| config.config.shell = vec!["/s".into()]),
    );
}

#[test]
fn sources_that_are_left_out_are_told() {
    table(
        &[
            ("FROM a\nCOPY kept /x\n", &[]),
            ("FROM a\nCOPY left.txt /x\n", &["2 CopyIgnoredFile"]),
            ("FROM a\nADD left.txt kept /x/\n", &["2 CopyIgnoredFile"]),
            ("FROM a\nCOPY ./dir/../left.txt /x\n", &["2 CopyIgnoredFile"]),
            ("FROM a\nCOPY out/below /x\n", &["2 CopyIgnoredFile"]),
            ("FROM a\nENV F=left.txt\nCOPY $F /x\n", &["3 CopyIgnoredFile"]),
            ("FROM a\nCOPY /left.txt . /x/\n", &[]),
            ("FROM a AS b\nFROM a\nCOPY --from=b left.txt /x\n", &[]),
            ("FROM a\nADD https://h/left.txt /x\n", &[]),
            ("FROM a\nCOPY <<left.txt /x\nleft.txt\n", &[]),
        ],
        |case| {
            case.with(|request| {
                request.ignore = patterns(&["left.txt", "out"]);
            })
        },
    );
    let root = |pattern: &'static str| {
        found(
            Case::new("FROM a\nCOPY . /x\n").with(|request| request.ignore = patterns(&[pattern])),
        )
    };
    assert_eq!(root("**"), ["2 CopyIgnoredFile"]);
    assert_eq!(root("*.txt"), Vec::<String>::new());
    let exceptions =
        Case::new("FROM a\nCOPY x /x\n").with(|request| request.ignore = patterns(&["x", "!x/y"]));
    assert_eq!(found(exceptions), Vec::<String>::new());
}

fn patterns(texts: &[&str]) -> PatternSet {
    PatternSet::new(texts.iter().map(|text| text.as_bytes())).expect("patterns")
}

#[test]
fn variables_count_where_they_are_expanded() {
    table(
        &[
            ("FROM a\nENV B=$X\n", &["2 UndefinedVar"]),
            ("FROM a\nLABEL a=$X\n", &["2 UndefinedVar"]),
            ("FROM a\nCOPY $X /y\n", &["2 UndefinedVar"]),
            ("FROM a\nCOPY <<f /y\n$X\nf\n", &["3 UndefinedVar"]),
            ("FROM a\nEXPOSE $X\n", &[]),
            ("FROM a\nRUN echo $X\n", &[]),
            ("FROM env\nENV B=$OF_BASE\n", &[]),
            ("FROM env AS b\nFROM b\nENV B=$OF_BASE\n", &[]),
            ("FROM a\nENV B=${X:-d}\n", &["2 UndefinedVar"]),
            ("FROM a\nENV B=$BUILDKIT_SBOM_SCAN_STAGE\n", &[]),
            ("FROM a\nENV P=$PATH\n", &[]),
        ],
        |case| case.base("env", |config| config.config.env = vec!["OF_BASE=1".into()]),
    );
}

#[test]
fn platforms_of_from() {
    table(
        &[
            ("FROM --platform=$TARGETPLATFORM a\n", &["1 RedundantTargetPlatform"]),
            ("FROM --platform=${TARGETPLATFORM:-x} a\n", &["1 RedundantTargetPlatform"]),
            ("FROM --platform=$BUILDPLATFORM a\n", &[]),
            ("FROM --platform=linux/$TARGETARCH a\n", &[]),
            ("FROM --platform=linux/arm64 a\n", &["1 FromPlatformFlagConstDisallowed"]),
            ("FROM --platform=linux/arm64 a AS build_arm64\n", &[]),
            ("FROM arm\n", &["1 InvalidBaseImagePlatform"]),
            ("FROM a\n", &[]),
        ],
        |case| case.base("arm", |config| config.architecture = "arm64".into()),
    );
}

#[test]
fn stages_that_are_not_built_break_no_rule_of_instructions() {
    let text = "FROM a AS x\nENV a b\nMAINTAINER m\nWORKDIR w\nFROM a\n";
    table(&[(text, &["3 MaintainerDeprecated"])], |case| case);
    let all = found(Case::new(text).with(|request| request.all_stages = true));
    assert_eq!(all, ["2 LegacyKeyValueFormat", "3 MaintainerDeprecated", "4 WorkdirRelativePath"]);
}

#[test]
fn open_bases_are_neither_right_nor_wrong() {
    let source = strata_dockerfile::Source::new(0, "Dockerfile", "FROM a\nENV B=$X\nWORKDIR w\n");
    let dockerfile = strata_dockerfile::parse(&source).expect("is a Dockerfile");
    let request = strata_plan::Request::new(source, dockerfile, amd64());
    let mut planner = Planner::new(request).expect("is valid");
    let plan = loop {
        match planner.advance().expect("is valid") {
            Progress::Ready(plan) => break plan,
            Progress::Needs(requests) => {
                for request in &requests {
                    planner.leave_open(request);
                }
            }
        }
    };
    let rules: Vec<Rule> = plan.warnings.iter().map(|warning| warning.rule).collect();
    assert_eq!(rules, [Rule::WorkdirRelativePath]);
}

#[test]
fn the_time_of_a_context_can_be_the_epoch() {
    for (value, context, expected) in [
        ("context", Some(7), Ok(Some(7))),
        ("named", Some(7), Ok(Some(9))),
        ("directory", Some(7), Ok(None)),
        ("image", Some(7), Ok(None)),
        ("context", None, Ok(None)),
        ("+8", None, Ok(Some(8))),
        (
            "x",
            None,
            Err("`SOURCE_DATE_EPOCH=x` is not a number of seconds since 1970 that a date can show"),
        ),
        (
            "st",
            None,
            Err(
                "`SOURCE_DATE_EPOCH` of a stage is not supported: its time is only known once it was downloaded",
            ),
        ),
    ] {
        let mut case = Case::new("FROM scratch AS st\nFROM a\nARG SOURCE_DATE_EPOCH\n")
            .arg("SOURCE_DATE_EPOCH", value)
            .with(|request| {
                let image = Reference::parse("i").expect("is a reference");
                let contexts = [
                    ("named", NamedContext::Directory(ContextId(1))),
                    ("directory", NamedContext::Directory(ContextId(2))),
                    ("image", NamedContext::Image(image)),
                ];
                request.named_contexts =
                    contexts.map(|(name, context)| (name.to_owned(), context)).into();
                request.context_epochs = [(ContextId(1), 9)].into();
                request.context_epochs.extend(context.map(|time| (ContextId::MAIN, time)));
            });
        match expected {
            Ok(epoch) => {
                let plan = case.plan();
                let row = epoch.map_or("ARG SOURCE_DATE_EPOCH".to_owned(), |epoch| {
                    format!("ARG SOURCE_DATE_EPOCH={epoch}")
                });
                assert_eq!(plan.source_date_epoch, epoch);
                assert_eq!(plan.target_stage().config.history[0].created_by, row);
            }
            Err(message) => {
                let errors = case.run().expect_err("is refused");
                assert_eq!(errors.to_string(), message);
            }
        }
    }
}
