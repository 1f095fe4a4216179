//! What was parsed, printed and parsed again, is the same but for places.

use proptest::prelude::*;
use regex::Regex;
use strata_dockerfile::{Dockerfile, Escape, Heredoc, Instruction, Source, Statement, parse};

/// Instructions of a stage, with much of what can stand between their words.
fn instruction() -> impl Strategy<Value = String> {
    let word = "[a-z$/.]{1,6}|\"[a-z $]{0,6}\"|'[a-z ]{0,6}'|\\$\\{[a-z]{1,3}:-[a-z]{1,3}\\}";
    let gap = prop_oneof![Just(" "), Just("  "), Just("\t"), Just(" \\\n  "), Just(" \\\n# c\n ")];
    let words = prop::collection::vec((gap, word), 1..4).prop_map(|words| {
        words.into_iter().map(|(gap, word)| [gap, &word].concat()).collect::<Vec<_>>().concat()
    });
    prop_oneof![
        words.clone().prop_map(|words| format!("run{words}\n")),
        words
            .clone()
            .prop_map(|words| format!("RUN --network=none --mount=type=tmpfs,target=/t{words}\n")),
        words.clone().prop_map(|words| format!("CMD{words}\n")),
        words.clone().prop_map(|words| format!("COPY --link --chown=1:2{words} /to/\n")),
        words.clone().prop_map(|words| format!("ADD{words} <<'A B' <<-C /to/\n$x\nA B\n\ty\nC\n")),
        words.clone().prop_map(|words| format!("RUN <<E{words}\na\n  b\nE\n")),
        words.clone().prop_map(|words| format!("VOLUME{words}\n")),
        words.clone().prop_map(|words| format!("ONBUILD RUN{words}\n")),
        words.prop_map(|words| format!("HEALTHCHECK --retries=2 CMD{words}\n")),
        "ENV [a-z]{1,3}=[a-z$]{0,3} [a-z]{1,3}=\"[a-z ]{0,3}\"\n",
        "LABEL [a-z]{1,3} [a-z ]{1,5}\n",
        "ENTRYPOINT \\[\"[a-z ]{0,3}\", \"[a-z]\"\\]\n",
        "ARG [a-z]{1,3} [a-z]{1,3}=[a-z]{0,3}\n",
        Just("# comment\n\nSHELL [\"/s\", \"-c\"]\n".to_owned()),
        Just("EXPOSE 80 7-9/udp\n".to_owned()),
    ]
}

fn heredocs(instruction: &Instruction) -> &[Heredoc] {
    match instruction {
        Instruction::Run(run) => &run.heredocs,
        Instruction::Copy(copy) => &copy.files,
        Instruction::Add(add) => &add.files,
        Instruction::Onbuild(onbuild) => heredocs(&onbuild.trigger.node),
        _ => &[],
    }
}

fn print(dockerfile: &Dockerfile) -> String {
    let mut lines = Vec::new();
    if dockerfile.escape == Escape::Backtick {
        lines.push("# escape=`\n".to_owned());
    }
    lines.extend(dockerfile.global_args.iter().map(|arg| format!("{}\n", arg.code)));
    for stage in &dockerfile.stages {
        lines.push(format!("{}\n", stage.from.code));
        for statement in &stage.instructions {
            lines.push(format!("{}\n", statement.code));
            let texts = heredocs(&statement.node).iter();
            lines.extend(texts.map(|heredoc| format!("{}{}\n", heredoc.raw, heredoc.name)));
        }
    }
    lines.concat()
}

/// The syntax as text, without places.
fn shape(dockerfile: &Dockerfile) -> Vec<String> {
    let span = Regex::new(r"Span \{[^}]*\}").expect("is a pattern");
    let shown = |code: &str, node: String| format!("{code} {}", span.replace_all(&node, "_"));
    let instruction = |statement: &Statement<Instruction>| {
        shown(&statement.code, format!("{:?}", statement.node))
    };
    let args = dockerfile.global_args.iter().map(|arg| shown(&arg.code, format!("{:?}", arg.node)));
    let stages = dockerfile.stages.iter().flat_map(|stage| {
        let from = shown(&stage.from.code, format!("{:?}", stage.from.node));
        std::iter::once(from).chain(stage.instructions.iter().map(instruction))
    });
    args.chain(stages).collect()
}

proptest! {
    #[test]
    fn printing_and_parsing_keeps_the_syntax(
        instructions in prop::collection::vec(instruction(), 0..8),
    ) {
        let text = format!("ARG v=1 w\nFROM --platform=$v a:$w AS Name\n{}", instructions.concat());
        let first = parse(&Source::new(0, "Dockerfile", text.clone()));
        let Ok(first) = first else { return Ok(()) };
        let printed = print(&first);
        let second = parse(&Source::new(0, "Dockerfile", printed.clone()));
        let second = second.map_err(|errors| TestCaseError::fail(format!("{printed:?}: {errors}")))?;
        prop_assert_eq!(shape(&first), shape(&second), "{:?} printed as {:?}", text, printed);
    }
}
