//! A diagnostic as text.

use std::borrow::Cow;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Diagnostic, Excerpt, Severity};
use crate::render::line::{Colour, clean};

/// Lines around the place that are shown at most: an instruction with a long heredoc is cut.
const LINES: u32 = 6;

/// The text of a diagnostic, with a line end.
pub(crate) fn render(diagnostic: &Diagnostic, colour: Colour) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(safe(&diagnostic.message));
    let excerpt = diagnostic.excerpt.as_ref().map(snippet);
    let causes = diagnostic
        .causes
        .iter()
        .map(|cause| Level::ERROR.with_name("caused by").message(safe(cause)));
    let notes = diagnostic.notes.iter().map(|note| Level::NOTE.message(safe(note)));
    let help = diagnostic.help.iter().map(|help| Level::HELP.message(safe(help)));
    let group =
        Group::with_title(title).elements(excerpt).elements(causes).elements(notes).elements(help);
    let renderer = match colour {
        Colour::Always => Renderer::styled(),
        Colour::Never => Renderer::plain(),
    };
    let mut text = renderer.decor_style(DecorStyle::Ascii).render(&[group]);
    text.push('\n');
    if !diagnostic.output.is_empty() {
        text.push_str("last lines of its output:\n");
        for line in &diagnostic.output {
            text.push_str("  | ");
            text.push_str(&clean(line, colour));
            text.push('\n');
        }
    }
    text
}

fn safe(text: &str) -> String {
    clean(text, Colour::Never)
}

/// The lines of the place. Only these are handed over, so that a text of a megabyte costs nothing.
fn snippet(excerpt: &Excerpt) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
    let (start, end) = excerpt.source.positions(excerpt.span);
    let last = end.line.max(start.line).min(start.line.saturating_add(LINES - 1));
    let lines: Vec<&str> =
        (start.line..=last).map_while(|number| excerpt.source.line(number)).collect();
    let text = lines.join("\n");
    // The span within those lines, in bytes.
    let line_start = offset_of(excerpt, start.line);
    let from = (excerpt.span.range().start - line_start).min(text.len());
    let length = excerpt.span.range().len();
    let to = if end.line > last { text.len() } else { (from + length).min(text.len()) };
    let annotation = AnnotationKind::Primary
        .span(from..to.max(from))
        .label(excerpt.label.as_deref().map(|label| Cow::Owned::<str>(safe(label))));
    Snippet::source(text)
        .line_start(start.line as usize)
        .path(excerpt.source.name())
        .fold(false)
        .annotation(annotation)
}

/// The byte at which a line begins.
fn offset_of(excerpt: &Excerpt, line: u32) -> usize {
    let text = excerpt.source.text();
    let start = excerpt.span.range().start.min(text.len());
    debug_assert!(line >= 1);
    text.as_bytes()[..start].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use strata_dockerfile::{Source, Span};

    use super::*;

    const TEXT: &str = "FROM alpine\nCOPY bin/tool /app\nRUN <<END\na\nb\nc\nd\ne\nf\ng\nEND\n";

    fn at(diagnostic: Diagnostic, needle: &str) -> Diagnostic {
        let start = TEXT.find(needle).expect("is in the text");
        let offset = |at: usize| u32::try_from(at).expect("is small");
        let span = Span { source: 0, start: offset(start), end: offset(start + needle.len()) };
        diagnostic.at(&Source::new(0, "Dockerfile", TEXT), span)
    }

    #[test]
    fn place_is_shown_with_its_line() {
        let diagnostic =
            at(Diagnostic::error("`bin/tool` is not in the build context"), "bin/tool")
                .labelled("excluded by `.dockerignore` line 3 (`bin/`)")
                .help("add `!bin/tool` to `.dockerignore`");
        assert_snapshot!(render(&diagnostic, Colour::Never), @"
    error: `bin/tool` is not in the build context
     --> Dockerfile:2:6
      |
    2 | COPY bin/tool /app
      |      ^^^^^^^^ excluded by `.dockerignore` line 3 (`bin/`)
      |
      = help: add `!bin/tool` to `.dockerignore`
    ");
    }

    #[test]
    fn causes_are_listed_without_a_place() {
        let diagnostic = Diagnostic {
            causes: vec!["connection refused".into(), "os error 111".into()],
            ..Diagnostic::error("cannot fetch manifest `1` from `a/b`").noting("tried 3 times")
        };
        assert_snapshot!(render(&diagnostic, Colour::Never), @"
    error: cannot fetch manifest `1` from `a/b`
     |
     = caused by: connection refused
     = caused by: os error 111
     = note: tried 3 times
    ");
    }

    #[test]
    fn failed_command_shows_its_output() {
        let start = TEXT.find("RUN").expect("is in the text");
        let whole = TEXT[start..].trim_end();
        let diagnostic = Diagnostic {
            output: vec!["cc: \x1b[2Jno such file".into(), "make: *** [all] Error 1".into()],
            ..at(Diagnostic::warning("the command `make` exited with code 2"), whole)
        };
        assert_snapshot!(render(&diagnostic, Colour::Never), @"
    warning: the command `make` exited with code 2
     --> Dockerfile:3:1
      |
    3 | / RUN <<END
    4 | | a
    5 | | b
    6 | | c
    7 | | d
    8 | | e
      | |_^
    last lines of its output:
      | cc: no such file
      | make: *** [all] Error 1
    ");
    }
}
