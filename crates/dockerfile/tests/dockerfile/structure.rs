//! Stages, directives, spans and source texts.

use strata_dockerfile::{Escape, Source, Span, parse};

use crate::render::{body, from, parsed, source};

#[test]
fn global_args_and_stages_are_told_apart() {
    let dockerfile = parsed("ARG A=1\nARG B\nFROM x AS One\nARG A\nFROM one\nRUN a\n");
    let args: Vec<&str> = dockerfile
        .global_args
        .iter()
        .map(|statement| statement.node.args[0].name.text.as_str())
        .collect();
    assert_eq!(args, ["A", "B"]);
    let stages: Vec<(String, usize)> = dockerfile
        .stages
        .iter()
        .map(|stage| (from(&stage.from.node), stage.instructions.len()))
        .collect();
    assert_eq!(stages, [("[x] as one".into(), 1), ("[one]".into(), 1)]);
}

#[test]
fn the_last_stage_of_a_name_wins() {
    let dockerfile = parsed("FROM x AS a\nFROM x AS b\nFROM x AS A\nFROM x\n");
    for (name, before, expected) in
        [("A", 4, Some(2)), ("a", 2, Some(0)), ("b", 4, Some(1)), ("b", 1, None), ("c", 9, None)]
    {
        assert_eq!(dockerfile.stage_by_name(name, before), expected, "{name} before {before}");
    }
}

#[test]
fn directives_are_read_only_at_the_top() {
    for (text, syntax, escape, check) in [
        (
            "# syntax=docker/dockerfile:1\n# escape=`\nFROM a",
            Some("docker/dockerfile:1"),
            Escape::Backtick,
            None,
        ),
        ("#Escape = ` \n#check= skip=all\nFROM a", None, Escape::Backtick, Some("skip=all")),
        ("# escape=`\r\nFROM a\r\n", None, Escape::Backtick, None),
        ("# comment\n# escape=`\nFROM a", None, Escape::Backslash, None),
        ("# unknown=x\n# escape=`\nFROM a", None, Escape::Backslash, None),
        ("\n# escape=`\nFROM a", None, Escape::Backslash, None),
        ("FROM a\n# escape=`\n", None, Escape::Backslash, None),
        ("# escape=\nFROM a", None, Escape::Backslash, None),
        ("\u{feff}# escape=`\nFROM a", None, Escape::Backtick, None),
    ] {
        let dockerfile = parsed(text);
        let value = |directive: &Option<strata_dockerfile::Directive>| {
            directive.as_ref().map(|directive| directive.value.text.clone())
        };
        let actual = (
            value(&dockerfile.directives.syntax),
            dockerfile.escape,
            value(&dockerfile.directives.check),
        );
        assert_eq!(actual, (syntax.map(Into::into), escape, check.map(Into::into)), "{text:?}");
    }
}

#[test]
fn line_ends_and_continuations() {
    for (text, expected) in [
        (
            "FROM a\r\nENV A=1 \\\r\n    B=2\r\nLABEL x=y\r\n",
            vec!["ENV [A]=[1] [B]=[2]", "LABEL [x]=[y]"],
        ),
        ("FROM a\nRUN a \\  \t\n b", vec![r#"RUN sh "a  b""#]),
        ("FROM a\nRUN a \\\\\nRUN b", vec![r#"RUN sh "a \\\\""#, r#"RUN sh "b""#]),
        ("FROM a\nRUN a \\\n\n\n b", vec![r#"RUN sh "a  b""#]),
        ("FROM a\nRUN a \\\n # x\n b # y", vec![r#"RUN sh "a  b # y""#]),
        ("FROM a\nRUN a \\", vec![r#"RUN sh "a""#]),
        ("FROM a\n   RUN a", vec![r#"RUN sh "a""#]),
        ("FROM a\nRUN echo 'a\\\n   b'", vec![r#"RUN sh "echo 'a   b'""#]),
        ("FROM a\n\\\nRUN b", vec![r#"RUN sh "b""#]),
    ] {
        assert_eq!(body(text), expected, "{text:?}");
    }
}

#[test]
fn statements_keep_code_and_comments() {
    let text =
        "# one\n#\n# app the thing\n  # two\nFROM a AS app\n\n# x the x\nARG \\\n # in\n x=1   \n";
    let dockerfile = parsed(text);
    let from = &dockerfile.stages[0].from;
    assert_eq!(from.code, "FROM a AS app");
    assert_eq!(from.node.description.as_deref(), Some("the thing"));
    let comments: Vec<&str> = from.comments.iter().map(|comment| comment.text.as_str()).collect();
    assert_eq!(comments, ["app the thing", "two"]);
    let arg = &dockerfile.stages[0].instructions[0];
    assert_eq!(arg.code, "ARG  x=1");
    assert_eq!(arg.keyword.text, "ARG");
    let strata_dockerfile::Instruction::Arg(node) = &arg.node else { panic!("an ARG") };
    assert_eq!(node.args[0].description.as_deref(), Some("the x"));
}

#[test]
fn spans_point_at_the_text() {
    let text = "# x\nFROM --platform=$P a AS b\nCOPY --chown=\"u\":g \\\n  src \\\n  [\"x\n ENV k=\"v w\"\n";
    let source = source(text);
    let dockerfile = parse(&source).expect("it is valid");
    let stage = &dockerfile.stages[0];
    let from = &stage.from;
    assert_eq!(source.slice(from.span), "FROM --platform=$P a AS b");
    assert_eq!(source.slice(from.keyword.span), "FROM");
    assert_eq!(source.slice(from.node.image.span), "a");
    assert_eq!(source.slice(from.node.platform.as_ref().expect("given").span), "$P");
    assert_eq!(source.slice(from.node.name.as_ref().expect("given").written.span), "b");
    let strata_dockerfile::Instruction::Copy(copy) = &stage.instructions[0].node else {
        panic!("a COPY")
    };
    // A closing quote taken off the middle is within the span, an opening one before it is not.
    assert_eq!(source.slice(copy.chown.as_ref().expect("given").span), "u\":g");
    assert_eq!(source.slice(copy.sources[0].span), "src");
    assert_eq!(source.slice(copy.destination.span), "[\"x");
    assert_eq!(source.position(copy.destination.span.start).to_string(), "5:3");
    let strata_dockerfile::Instruction::Env(env) = &stage.instructions[1].node else {
        panic!("an ENV")
    };
    assert_eq!(source.slice(env.pairs[0].value.span), "\"v w\"");
    assert_eq!(source.slice(stage.instructions[1].span), "ENV k=\"v w\"");
}

#[test]
fn positions_count_lines_and_characters() {
    let source = Source::new(3, "Dockerfile", "añb\r\nc\n");
    for (offset, expected) in
        [(0, "1:1"), (1, "1:2"), (3, "1:3"), (6, "2:1"), (7, "2:2"), (8, "3:1"), (99, "3:1")]
    {
        assert_eq!(source.position(offset).to_string(), expected, "{offset}");
    }
    assert_eq!(source.line(1), Some("añb"));
    assert_eq!(source.line(2), Some("c"));
    assert_eq!(source.line(3), Some(""));
    assert_eq!((source.line(0), source.line(4)), (None, None));
    assert_eq!(source.slice(Span { source: 3, start: 1, end: 3 }), "ñ");
    assert_eq!(source.slice(Span { source: 2, start: 1, end: 3 }), "");
}
