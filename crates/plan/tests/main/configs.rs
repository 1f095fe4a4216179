//! What instructions leave in the config, the history and the environment.

use strata_oci::{ContainerConfig, ImageConfig, Platform};
use strata_plan::{Op, RunOp, Stage};

use crate::case::{Case, history};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn config(case: Case) -> ContainerConfig {
    case.stage().config.config
}

fn scratch(text: &str) -> ContainerConfig {
    config(Case::new(&format!("FROM scratch\n{text}\n")))
}

fn runs(stage: &Stage) -> Vec<RunOp> {
    let ops = stage.steps.iter().filter_map(|step| match &step.op {
        Op::Run(run) => Some((**run).clone()),
        _ => None,
    });
    ops.collect()
}

/// The environment of each RUN, but for PATH.
fn environments(stage: &Stage) -> Vec<String> {
    let shown = runs(stage).into_iter().map(|run| {
        let variables = run.env.iter().filter(|(name, _)| name != "PATH");
        variables.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    });
    shown.collect()
}

fn full(config: &mut ImageConfig) {
    config.author = "base".into();
    config.variant = "v2".into();
    let inner = &mut config.config;
    inner.env = vec!["PATH=/base".into(), "BASE=base".into()];
    inner.user = "app".into();
    inner.cmd = vec!["base-cmd".into()];
    inner.entrypoint = vec!["base-entry".into()];
    inner.working_dir = "/basedir".into();
    inner.labels.insert("base".into(), "yes".into());
    inner.exposed_ports.insert("80/tcp".into());
    inner.volumes.insert("/basevol".into());
    inner.shell = vec!["/bin/sh".into(), "-e".into(), "-c".into()];
    inner.extra.insert("Hostname".into(), "old".into());
}

#[test]
fn env_is_set_in_order_with_old_values() {
    for (text, expected) in [
        ("ENV A=1", vec!["A=1"]),
        ("ENV A=1\nENV A=2 B=$A", vec!["A=2", "B=1"]),
        ("ENV A=1 B=2\nENV A=3", vec!["A=3", "B=2"]),
        ("ENV A=[$NOPE] B=${NOPE}", vec!["A=[]", "B="]),
        ("ENV B=b\nENV a=${A:-${B}} b2=${A:-${C:-deep}}", vec!["B=b", "a=b", "b2=deep"]),
        ("ENV A \"quoted words\"\nENV B it=has=equals", vec!["A=quoted words", "B=it=has=equals"]),
        ("ARG N=x\nENV $N=1", vec!["x=1"]),
    ] {
        let expected: Vec<_> = [PATH].into_iter().chain(expected).collect();
        assert_eq!(scratch(text).env, expected, "{text}");
    }
}

#[test]
fn commands_take_the_shell_of_their_time() {
    type Row = (&'static str, &'static [&'static str], &'static [&'static str]);
    let table: [Row; 7] = [
        ("CMD echo hi", &["/bin/sh", "-c", "echo hi"], &[]),
        ("CMD [\"a\", \"b\"]", &["a", "b"], &[]),
        ("CMD one\nSHELL [\"/s\"]", &["/bin/sh", "-c", "one"], &[]),
        ("SHELL [\"/s\"]\nCMD one\nENTRYPOINT two", &["/s", "one"], &["/s", "two"]),
        ("CMD a\nENTRYPOINT [\"b\"]", &["/bin/sh", "-c", "a"], &["b"]),
        ("ENTRYPOINT []random string", &[], &["/bin/sh", "-c", "[]random string"]),
        ("ENTRYPOINT []", &[], &[]),
    ];
    for (text, cmd, entrypoint) in table {
        let config = scratch(text);
        assert_eq!(
            (&config.cmd[..], &config.entrypoint[..]),
            (&cmd.map_owned()[..], &entrypoint.map_owned()[..]),
            "{text}"
        );
    }
}

trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for &[&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

#[test]
fn a_base_is_inherited_and_changed() {
    let stage = Case::new(
        "FROM full\nLABEL over=mine\nEXPOSE 81\nVOLUME /x /y\nCMD x\nENV NEW=1\nWORKDIR sub\n",
    )
    .base("full", full)
    .stage();
    let inner = &stage.config.config;
    assert_eq!(inner.env, ["PATH=/base", "BASE=base", "NEW=1"]);
    assert_eq!(inner.user, "app");
    assert_eq!(inner.cmd, ["/bin/sh", "-e", "-c", "x"]);
    assert_eq!(inner.entrypoint, ["base-entry"]);
    assert_eq!(inner.working_dir, "/basedir/sub");
    assert_eq!(inner.labels.keys().collect::<Vec<_>>(), ["base", "over"]);
    assert_eq!(inner.exposed_ports.iter().collect::<Vec<_>>(), ["80/tcp", "81/tcp"]);
    assert_eq!(inner.volumes.iter().collect::<Vec<_>>(), ["/basevol", "/x", "/y"]);
    assert_eq!(inner.extra.len(), 0, "what only the base was");
    assert_eq!(stage.config.author, "base");
}

#[test]
fn an_entrypoint_clears_an_inherited_cmd_but_not_its_own() {
    for (text, expected) in [
        ("FROM full\nENTRYPOINT [\"e\"]\n", vec![]),
        ("FROM full\nCMD [\"c\"]\nENTRYPOINT [\"e\"]\n", vec!["c"]),
        ("FROM full AS a\nCMD [\"c\"]\nFROM a\nENTRYPOINT [\"e\"]\n", vec![]),
        ("FROM full\nUSER x\n", vec!["base-cmd"]),
    ] {
        assert_eq!(config(Case::new(text).base("full", full)).cmd, expected, "{text}");
    }
}

#[test]
fn rows_of_the_history_are_those_of_buildkit() {
    for (text, expected) in [
        ("ENV A=1 B=\"x y\"", vec!["ENV A=1 B=x y"]),
        ("COPY a b /c/", vec!["+COPY a b /c/ # buildkit"]),
        (
            "COPY --link --chown=1:2 --chmod=755 a b",
            vec!["+COPY --chown=1:2 --chmod=755 a b # buildkit"],
        ),
        ("COPY --parents a/b /c/", vec!["+COPY --parents a/b /c/ # buildkit"]),
        ("COPY <<E /f\nx\nE", vec!["+COPY <<E /f # buildkit"]),
        ("ADD a.tgz /c", vec!["+ADD a.tgz /c # buildkit"]),
        ("ARG X=1\nCOPY $X /$X", vec!["ARG X=1", "+COPY 1 /1 # buildkit"]),
        ("RUN echo hi", vec!["+RUN /bin/sh -c echo hi # buildkit"]),
        ("RUN [\"a\", \"b c\"]", vec!["+RUN a b c # buildkit"]),
        ("RUN --network=none --mount=type=tmpfs,target=/t x", vec!["+RUN /bin/sh -c x # buildkit"]),
        ("RUN <<E\na\nb\nE", vec!["+RUN /bin/sh -c a\nb\n # buildkit"]),
        ("RUN <<E\n#!/bin/x\nE", vec!["+RUN /bin/sh -c /dev/pipes/E # buildkit"]),
        (
            "ARG A=x B C=z\nENV C=e\nRUN y",
            vec!["ARG A=x B C=z", "ENV C=e", "+RUN |3 A=x B= C=e /bin/sh -c y # buildkit"],
        ),
        ("WORKDIR /w\nWORKDIR x", vec!["+WORKDIR /w", "+WORKDIR /w/x"]),
        ("WORKDIR /", vec!["WORKDIR /"]),
        ("CMD a \"b\"", vec![r#"CMD ["/bin/sh" "-c" "a \"b\""]"#]),
        ("ENTRYPOINT [\"a\", \"b\"]", vec![r#"ENTRYPOINT ["a" "b"]"#]),
        ("EXPOSE 81 80/UDP 7-8", vec!["EXPOSE [7/tcp 8/tcp 80/udp 81/tcp]"]),
        ("VOLUME /a /b", vec!["VOLUME [/a /b]"]),
        ("VOLUME [\"/a b\"]", vec!["VOLUME [/a b]"]),
        ("USER u:g", vec!["USER u:g"]),
        ("LABEL a=1 \"b c\"=2", vec!["LABEL a=1 b c=2"]),
        ("STOPSIGNAL SIGTERM", vec!["STOPSIGNAL SIGTERM"]),
        ("SHELL [\"/x\", \"-y\"]", vec!["SHELL [/x -y]"]),
        ("MAINTAINER Some One <s@o>", vec!["MAINTAINER Some One <s@o>"]),
        ("ONBUILD RUN x", vec![]),
        (
            "HEALTHCHECK --interval=1m30s --retries=2 CMD x y",
            vec![
                "HEALTHCHECK {Test:[CMD-SHELL x y] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:2}",
            ],
        ),
        (
            "HEALTHCHECK NONE",
            vec![
                "HEALTHCHECK {Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
            ],
        ),
    ] {
        let stage = Case::new(&format!("FROM base\n{text}\n")).stage();
        assert_eq!(history(&stage), expected, "{text}");
    }
}

#[test]
fn history_begins_with_that_of_the_bases() {
    let case = Case::new("FROM base AS a\nENV A=1\nFROM a\nENV B=1\n").base("base", |config| {
        let row = strata_oci::History { created_by: "old".into(), ..Default::default() };
        config.history.push(row);
    });
    let rows = case.stage().config.history;
    let shown: Vec<_> = rows.iter().map(|row| row.created_by.as_str()).collect();
    assert_eq!(shown, ["old", "ENV A=1", "ENV B=1"]);
}

#[test]
fn arguments_have_the_scope_that_buildkit_gives_them() {
    for (text, expected) in [
        ("FROM b\nARG A=d\nRUN x\n", vec!["A=d"]),
        ("FROM b\nRUN x\nARG G\nRUN x\n", vec!["", ""]),
        ("ARG G=g\nFROM b\nRUN x\nARG G\nRUN x\n", vec!["", "G=g"]),
        ("ARG G=g\nFROM b\nARG G=own\nRUN x\n", vec!["G=own"]),
        ("FROM b\nARG CLI=d\nRUN x\n", vec!["CLI=cli"]),
        ("FROM b\nRUN x\n", vec![""]),
        ("FROM b\nARG V=arg\nENV V=env\nRUN x\n", vec!["V=env"]),
        ("FROM b\nENV V=env\nARG V=arg\nRUN x\n", vec!["V=arg"]),
        ("FROM b\nARG A=1\nARG A=2\nRUN x\n", vec!["A=2"]),
        ("FROM b\nARG A=1 B=$A\nRUN x\n", vec!["A=1 B=1"]),
        (
            "ARG a1=\"foo bar\" a2=box\nARG a3=\"$a2-foo\"\nFROM b\nARG a3 a4=\"1 2\" a1\nRUN x\n",
            vec!["a3=box-foo a4=1 2 a1=foo bar"],
        ),
        ("FROM b AS p\nARG A=1\nENV E=2\nFROM p\nRUN x\n", vec!["E=2 A=1"]),
        ("FROM b AS p\nENV V=env\nARG V=arg\nFROM p\nRUN x\n", vec!["V=env"]),
        ("FROM b AS p\nARG A=1\nFROM b\nRUN x\n", vec![""]),
        (
            "FROM b\nARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT BUILDPLATFORM\nRUN x\n",
            vec![
                "TARGETPLATFORM=linux/amd64 TARGETOS=linux TARGETARCH=amd64 TARGETVARIANT= BUILDPLATFORM=linux/amd64",
            ],
        ),
        ("FROM b AS last\nARG TARGETSTAGE\nRUN x\n", vec!["TARGETSTAGE=last"]),
        ("FROM b\nRUN --mount=type=ssh x\n", vec!["SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0"]),
        (
            "FROM b\nENV SSH_AUTH_SOCK=/s\nRUN --mount=type=ssh,target=/t x\n",
            vec!["SSH_AUTH_SOCK=/s"],
        ),
    ] {
        let shown = environments(&Case::new(text).arg("CLI", "cli").stage());
        // The order of variables means nothing.
        let sorted = |text: &str| {
            let mut words: Vec<_> = text.split(' ').collect();
            words.sort_unstable();
            words.join(" ")
        };
        let shown: Vec<_> = shown.iter().map(|text| sorted(text)).collect();
        assert_eq!(shown, expected.into_iter().map(sorted).collect::<Vec<_>>(), "{text}");
    }
}

#[test]
fn proxies_are_seen_by_runs_and_nobody_else() {
    let case = || Case::new("FROM b\nRUN x $HTTP_PROXY\n");
    let plain = case().stage();
    let stage = case().arg("http_proxy", "p").stage();
    assert_eq!(history(&plain), history(&stage));
    assert_eq!(plain.steps[0].recipe, stage.steps[0].recipe);
    let run = &runs(&stage)[0];
    assert_eq!(run.env, [("PATH".to_owned(), PATH[5..].to_owned())]);
    let both = [("HTTP_PROXY", "p"), ("http_proxy", "p")];
    assert_eq!(run.proxies, both.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let declared = Case::new("FROM b\nARG http_proxy\nRUN x\n").arg("http_proxy", "p").stage();
    assert_eq!(history(&declared)[1], "+RUN |1 http_proxy=p /bin/sh -c x # buildkit");
}

#[test]
fn unused_arguments_are_told() {
    let plan = Case::new("ARG A\nFROM b AS x\nARG B\nFROM b\n")
        .arg("A", "")
        .arg("B", "")
        .arg("C", "")
        .arg("NO_PROXY", "")
        .arg("TARGETARCH", "arm")
        .arg("SOURCE_DATE_EPOCH", "1")
        .plan();
    assert_eq!(plan.unused_arguments, ["C"]);
}

#[test]
fn labels_of_the_request_win_on_the_target_alone() {
    let case = Case::new("FROM b AS a\nLABEL x=a\nFROM a\nLABEL x=b y=b\n").with(|request| {
        request.labels.insert("x".into(), "cli".into());
    });
    let plan = case.plan();
    assert_eq!(plan.stages[0].config.config.labels["x"], "a");
    assert_eq!(plan.target_stage().config.config.labels["x"], "cli");
    assert_eq!(plan.target_stage().config.config.labels["y"], "b");
}

#[test]
fn the_result_is_for_the_platform_that_was_asked_for() {
    let arm = Platform::new("linux", "arm64").with_variant("v8");
    for (requested, base, expected) in [
        (false, "amd64", "linux/amd64/v2"),
        (true, "amd64", "linux/arm64"),
        (true, "arm64", "linux/arm64"),
    ] {
        let stage = Case::new("FROM full\n")
            .base("full", |config| {
                full(config);
                config.architecture = base.into();
            })
            .with(|request| {
                request.target_platform = arm.clone();
                request.platform_requested = requested;
            })
            .stage();
        assert_eq!(stage.config.platform().to_string(), expected, "{requested} {base}");
    }
}

#[test]
fn a_source_date_epoch_stands_in_config_and_history() {
    for (argument, option, expected) in [
        (None, None, None),
        (None, Some(60), Some("1970-01-01T00:01:00Z")),
        (Some("120"), Some(60), Some("1970-01-01T00:02:00Z")),
        (Some(""), Some(60), None),
    ] {
        let mut case = Case::new("FROM b\nENV A=1\nARG SOURCE_DATE_EPOCH\n")
            .with(|request| request.source_date_epoch = option);
        if let Some(argument) = argument {
            case = case.arg("SOURCE_DATE_EPOCH", argument);
        }
        let stage = case.stage();
        let shown = stage.config.created.as_ref().map(strata_oci::Timestamp::as_str);
        assert_eq!(shown, expected);
        assert_eq!(stage.config.history[0].created, stage.config.created);
    }
    let global = Case::new("ARG SOURCE_DATE_EPOCH=7\nFROM b\n").plan();
    assert_eq!(global.source_date_epoch, Some(7));
}

#[test]
fn onbuild_is_kept_and_not_inherited() {
    let case = Case::new("FROM b AS a\nONBUILD RUN x\nFROM a\nONBUILD ENV Y=1\n").plan();
    assert_eq!(case.stages[0].config.config.on_build, ["RUN x"]);
    assert_eq!(case.stages[1].config.config.on_build, ["ENV Y=1"]);
    assert_eq!(history(&case.stages[1]), ["+RUN /bin/sh -c x # buildkit"]);
}

#[test]
fn working_directories_are_where_runs_are() {
    for (text, config, run) in [
        ("RUN x", "", "/"),
        ("WORKDIR /a/../b/\nRUN x", "/a/../b/", "/b"),
        ("WORKDIR /a\nWORKDIR ../c\nRUN x", "/c", "/c"),
        ("ENV D=/e\nARG N=name\nWORKDIR $D/${N}\nRUN x", "/e/name", "/e/name"),
    ] {
        let stage = Case::new(&format!("FROM b\n{text}\n")).stage();
        let directory = &runs(&stage)[0].directory;
        assert_eq!((stage.config.config.working_dir.as_str(), directory.as_str()), (config, run));
    }
    assert_eq!(scratch("ENV A=1").working_dir, "/");
}
