//! Any text parses, or is refused, with spans that lie inside it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strata_dockerfile::{Source, Span, parse, parse_trigger};

fn check(source: &Source, span: Span) {
    assert!(source.text().get(span.range()).is_some(), "{span:?}");
}

fuzz_target!(|text: &str| {
    let source = Source::new(0, "Dockerfile", text);
    match parse(&source) {
        Ok(dockerfile) => {
            for stage in &dockerfile.stages {
                check(&source, stage.from.span);
                for statement in &stage.instructions {
                    check(&source, statement.span);
                    check(&source, statement.keyword.span);
                }
            }
            for warning in &dockerfile.warnings {
                check(&source, warning.span);
            }
        }
        Err(errors) => {
            for error in errors.iter() {
                check(&source, error.span);
            }
        }
    }
    let _ = parse_trigger(&source);
});
