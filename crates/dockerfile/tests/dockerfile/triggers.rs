//! Triggers that a base image brings.

use strata_dockerfile::{Source, parse_trigger};

use crate::render::{errors, instruction};

#[test]
fn triggers_parse_alone() {
    for (text, expected) in [
        ("RUN touch /x", r#"RUN sh "touch /x""#),
        ("COPY <<A /x\n1\nA", r#"COPY <<A expands "1\n" -> [/x]"#),
        ("ARG A=1", "ARG [A]=[1]"),
        ("", "1:1: the file has no instructions"),
        ("FROM x", "1:1: `FROM` is not allowed as a trigger of `ONBUILD`"),
        ("ONBUILD RUN x", "1:1: `ONBUILD` is not allowed as a trigger of `ONBUILD`"),
        ("MAINTAINER x", "1:1: `MAINTAINER` is not allowed as a trigger of `ONBUILD`"),
        ("RUN a\nRUN b", "2:1: a trigger must be one instruction"),
        ("RUN --nope=1 b", "1:5: unknown flag `--nope` of `RUN`"),
    ] {
        let source = Source::new(7, "ONBUILD trigger 1", text);
        let rendered = match parse_trigger(&source) {
            Ok(statement) => {
                assert_eq!(statement.span.source, 7);
                instruction(&statement.node)
            }
            Err(found) => errors(&source, &found).join("; "),
        };
        assert_eq!(rendered, expected, "{text:?}");
    }
}
