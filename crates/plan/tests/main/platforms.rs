//! Plans for several platforms, made one.

use strata_oci::Platform;
use strata_plan::Plan;

use super::case::{Case, amd64};

fn merged(text: &str) -> Plan {
    let arm64 = Platform::new("linux", "arm64");
    let mut plans = [amd64(), arm64].map(|platform| {
        let case = Case::new(text).with(|request| {
            request.build_platform = amd64();
            request.target_platform = platform;
            request.platform_requested = true;
        });
        Some(case.plan())
    });
    let [first, second] = plans.each_mut().map(|plan| plan.take().expect("is taken once"));
    Plan::merge(first, vec![second])
}

/// Dockerfile → labels of the stages, with what each starts from.
#[test]
fn stages_that_do_not_depend_on_the_platform_are_there_once() {
    let table: &[(&str, &[&str])] = &[
        (
            "FROM --platform=$BUILDPLATFORM a AS build\nRUN x\nFROM b\nCOPY --from=build /x /\n",
            &["linux/amd64 build", "linux/amd64 stage-1", "linux/arm64 stage-1"],
        ),
        (
            "FROM --platform=$BUILDPLATFORM a AS build\nARG TARGETARCH\nRUN x $TARGETARCH\nFROM b\nCOPY --from=build /x /\n",
            &[
                "linux/amd64 build",
                "linux/amd64 stage-1",
                "linux/amd64->linux/arm64 build",
                "linux/arm64 stage-1",
            ],
        ),
        ("FROM a\nRUN x\n", &["linux/amd64", "linux/arm64"]),
        (
            "ARG TARGETARCH\nFROM a AS for-amd64\nRUN x\nFROM a AS for-arm64\nRUN y\nFROM for-$TARGETARCH\n",
            &[
                "linux/amd64 for-amd64",
                "linux/amd64 stage-2",
                "linux/arm64 for-arm64",
                "linux/arm64 stage-2",
            ],
        ),
    ];
    for (text, expected) in table {
        let plan = merged(text);
        let labels: Vec<&str> = plan.stages.iter().map(|stage| stage.label.as_str()).collect();
        assert_eq!(labels, *expected, "{text}");
        let configs: Vec<String> =
            plan.targets().map(|id| plan.stage(id).config.platform().to_string()).collect();
        assert_eq!(configs, ["linux/amd64", "linux/arm64"], "{text}");
        for (place, stage) in plan.stages.iter().enumerate() {
            assert_eq!(stage.id.index(), place);
            assert!(stage.dependencies().iter().all(|id| id.index() < place), "{text}: {plan}");
        }
    }
}

#[test]
fn triggers_keep_their_texts() {
    let text = "FROM a\n";
    let plan = |trigger: &str| {
        let trigger = trigger.to_owned();
        Case::new(text).base("a", |config| config.config.on_build = vec![trigger]).plan()
    };
    let merged = Plan::merge(plan("RUN x"), vec![plan("RUN y"), plan("RUN x")]);
    assert_eq!(merged.sources.len(), 3, "the Dockerfile, and two triggers");
    let texts: Vec<&str> = merged
        .targets()
        .map(|id| {
            let span = merged.stage(id).steps[0].span;
            merged.source(span).slice(span)
        })
        .collect();
    assert_eq!(texts, ["RUN x", "RUN y", "RUN x"]);
}

#[test]
fn findings_are_said_once() {
    let text = "FROM a\nMAINTAINER x\n";
    let case = || Case::new(text).arg("NOBODY", "1").plan();
    let alone = case();
    let merged = Plan::merge(case(), vec![case()]);
    assert_eq!(merged.warnings, alone.warnings);
    assert_eq!(merged.unused_arguments, ["NOBODY"]);
}
