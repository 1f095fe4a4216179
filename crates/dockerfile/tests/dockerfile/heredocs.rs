//! Heredocs: where they are found, and what they hold.

use strata_dockerfile::Instruction;
use strata_dockerfile::instruction::Script;

use crate::render::{body, heredoc, one, parsed};

#[test]
fn forms() {
    for (text, expected) in [
        ("COPY <<EOF /x\na\nb\nEOF", r#"COPY <<EOF expands "a\nb\n" -> [/x]"#),
        ("COPY <<EOF /x\nEOF", r#"COPY <<EOF expands "" -> [/x]"#),
        ("COPY <<'EOF' /x\n$a\nEOF", r#"COPY <<EOF verbatim "$a\n" -> [/x]"#),
        ("COPY <<\"EOF\" /x\n$a\nEOF", r#"COPY <<EOF verbatim "$a\n" -> [/x]"#),
        ("COPY <<E\"O\"F /x\na\nEOF", r#"COPY <<EOF verbatim "a\n" -> [/x]"#),
        ("COPY <<-EOF /x\n\ta\n\t\tb\n\tEOF", r#"COPY <<EOF expands "a\nb\n" -> [/x]"#),
        ("COPY <<EOF /x\n\tEOF\nEOF", r#"COPY <<EOF expands "\tEOF\n" -> [/x]"#),
        (
            "COPY a <<f1 b <<f2 /d/\n1\nf1\n2\nf2",
            r#"COPY [a] [b] <<f1 expands "1\n" <<f2 expands "2\n" -> [/d/]"#,
        ),
        ("COPY 3<<EOF /x\na\nEOF", r#"COPY <<EOF expands "a\n" -> [/x]"#),
        (
            "ADD --chmod=1 <<EOF /x\n# not a comment\n\\\nEOF",
            r##"ADD <<EOF expands "# not a comment\n\\\n" -> [/x] chmod=[1]"##,
        ),
        ("COPY <<EOF /x\r\na\r\nEOF\r\n", r#"COPY <<EOF expands "a\r\n" -> [/x]"#),
        ("COPY \\\n <<EOF \\\n /x\na\nEOF", r#"COPY <<EOF expands "a\n" -> [/x]"#),
        ("RUN <<EOF\na\nEOF", r#"RUN sh "<<EOF" <<EOF expands "a\n""#),
        (
            "RUN cat <<A <<B\n1\nA\n2\nB",
            r#"RUN sh "cat <<A <<B" <<A expands "1\n" <<B expands "2\n""#,
        ),
        ("RUN << EOF cat\na\nEOF", r#"RUN sh "<< EOF cat" <<EOF expands "a\n""#),
        ("RUN echo '<<EOF' > /x", r#"RUN sh "echo '<<EOF' > /x""#),
        ("RUN cat <<<word", r#"RUN sh "cat <<<word""#),
        ("RUN echo $((1<<2))", r#"RUN sh "echo $((1<<2))""#),
        ("RUN it's <<EOF", r#"RUN sh "it's <<EOF""#),
        (r#"RUN ["<<EOF"]"#, r#"RUN exec ["<<EOF"]"#),
        ("CMD cat <<EOF", r#"CMD sh "cat <<EOF""#),
        (
            "ONBUILD RUN <<EOF\na\nEOF",
            r#"ONBUILD "RUN <<EOF\na\nEOF" = RUN sh "<<EOF" <<EOF expands "a\n""#,
        ),
        (
            "ONBUILD COPY <<A <<B /\n1\nA\n2\nB",
            r#"ONBUILD "COPY <<A <<B /\n1\nA\n2\nB" = COPY <<A expands "1\n" <<B expands "2\n" -> [/]"#,
        ),
    ] {
        assert_eq!(one(text), expected, "{text:?}");
    }
}

#[test]
fn what_follows_is_read_again() {
    let text = "FROM a\nRUN <<EOF\nRUN no\nEOF\nRUN yes\n";
    assert_eq!(body(text), [r#"RUN sh "<<EOF" <<EOF expands "RUN no\n""#, r#"RUN sh "yes""#]);
}

#[test]
fn spans_hold_markers_and_contents() {
    let text = "FROM a\nCOPY --link <<'E F' <<-X /d\n$1\nE F\n\tq\n\tX\nRUN x\n"
        .replace("'E F'", "'EF'")
        .replace("\nE F\n", "\nEF\n");
    let source = crate::render::source(&text);
    let dockerfile = parsed(&text);
    let statement = &dockerfile.stages[0].instructions[0];
    assert_eq!(source.slice(statement.span), "COPY --link <<'EF' <<-X /d\n$1\nEF\n\tq\n\tX");
    assert_eq!(statement.code, "COPY --link <<'EF' <<-X /d");
    let Instruction::Copy(copy) = &statement.node else { panic!("a COPY") };
    let places: Vec<(&str, &str)> = copy
        .files
        .iter()
        .map(|file| (source.slice(file.marker), source.slice(file.span)))
        .collect();
    assert_eq!(places, [("<<'EF'", "$1\n"), ("<<-X", "\tq\n")]);
    assert_eq!(heredoc(&copy.files[1]), r#"<<X expands "q\n""#);
}

#[test]
fn a_quoted_marker_is_not_the_place() {
    let text = "FROM a\nRUN echo '<<X' <<X\nX\n";
    let dockerfile = parsed(text);
    let Instruction::Run(run) = &dockerfile.stages[0].instructions[0].node else { panic!("a RUN") };
    assert_eq!(run.heredocs[0].marker.start, 22);
}

#[test]
fn scripts() {
    for (text, expected) in [
        ("RUN echo", "sh \"echo\""),
        (r#"RUN ["a"]"#, "exec [\"a\"]"),
        ("RUN <<EOF\na\nEOF", "sh \"a\\n\""),
        ("RUN <<-EOF\n\ta\n\tEOF", "sh \"a\\n\""),
        ("RUN <<EOF\n#!/bin/x\na\nEOF", "file EOF \"#!/bin/x\\na\\n\""),
        ("RUN sh <<EOF\na\nEOF", "sh \"sh <<EOF\\na\\nEOF\""),
        ("RUN sh <<-'A' <<B\n\ta\n\tA\nb\nB", "sh \"sh <<-'A' <<B\\n\\ta\\nA\\nb\\nB\""),
    ] {
        let dockerfile = parsed(&format!("FROM a\n{text}"));
        let Instruction::Run(run) = &dockerfile.stages[0].instructions[0].node else {
            panic!("a RUN")
        };
        let script = match run.script() {
            Script::Exec(argv) => format!("exec {argv:?}"),
            Script::Shell(text) => format!("sh {text:?}"),
            Script::File { name, content } => format!("file {name} {content:?}"),
        };
        assert_eq!(script, expected, "{text:?}");
    }
}
