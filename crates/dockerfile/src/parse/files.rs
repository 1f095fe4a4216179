//! COPY and ADD.

use super::line::Context;
use crate::directive::Escape;
use crate::error::{ParseError, ParseErrorKind};
use crate::expand::Expander;
use crate::flags::Takes;
use crate::heredoc::{self, Heredoc};
use crate::instruction::{Add, Copy};
use crate::mapped::Slice;
use crate::source::Span;
use crate::word::{Literal, Word};

pub(super) fn copy(context: &mut Context<'_, '_>) -> Option<Copy> {
    let flags = context.flags(&[
        ("chown", Takes::Text),
        ("from", Takes::Text),
        ("chmod", Takes::Text),
        ("link", Takes::Boolean),
        ("exclude", Takes::Texts),
        ("parents", Takes::Boolean),
    ]);
    let from = flags
        .value("from")
        .filter(|value| !value.is_empty())
        .and_then(|value| literal_from(context, value));
    let paths = paths(context)?;
    Some(Copy {
        sources: paths.sources,
        files: paths.files,
        destination: paths.destination,
        from,
        chown: flags.word("chown"),
        chmod: flags.word("chmod"),
        link: flags.boolean("link").unwrap_or(false),
        parents: flags.boolean("parents").unwrap_or(false),
        excludes: flags.literals("exclude"),
    })
}

pub(super) fn add(context: &mut Context<'_, '_>) -> Option<Add> {
    let flags = context.flags(&[
        ("chown", Takes::Text),
        ("chmod", Takes::Text),
        ("link", Takes::Boolean),
        ("keep-git-dir", Takes::Boolean),
        ("checksum", Takes::Text),
        ("unpack", Takes::Boolean),
        ("exclude", Takes::Texts),
    ]);
    let paths = paths(context)?;
    Some(Add {
        sources: paths.sources,
        files: paths.files,
        destination: paths.destination,
        chown: flags.word("chown"),
        chmod: flags.word("chmod"),
        link: flags.boolean("link").unwrap_or(false),
        checksum: flags.word("checksum"),
        keep_git_dir: flags.boolean("keep-git-dir"),
        unpack: flags.boolean("unpack"),
        excludes: flags.literals("exclude"),
    })
}

/// `--from` must be what it would expand to.
fn literal_from(context: &mut Context<'_, '_>, value: Slice<'_>) -> Option<Literal> {
    let escape = if context.escape == '`' { Escape::Backtick } else { Escape::Backslash };
    let expanded = Expander::new(escape).process_word(&value, &|_| None);
    if expanded.is_ok_and(|expanded| expanded.text == value.text()) {
        return Some(value.literal());
    }
    let kind = ParseErrorKind::VariableNotAllowed { place: "--from", value: value.to_string() };
    let help = "define a stage with `FROM … AS <name>`, where variables expand, and copy from that";
    context.errors.push(ParseError::new(value.span(), kind).with_help(help));
    None
}

struct Paths {
    sources: Vec<Word>,
    files: Vec<Heredoc>,
    destination: Word,
}

fn paths(context: &mut Context<'_, '_>) -> Option<Paths> {
    let keyword = context.keyword.name();
    let mut words = context.list()?;
    let Some(destination) = words.pop().filter(|_| !words.is_empty()) else {
        context.missing("at least two arguments: sources and a destination");
        return None;
    };
    if heredoc::is_marker(&destination.text) {
        context.error(destination.span, ParseErrorKind::HeredocDestination { keyword });
        return None;
    }
    // Texts that BuildKit drops, or takes for empty, are errors here: a name with blanks in it, a
    // marker in the JSON form. Markers and heredocs come in the same order.
    let mut heredocs = std::mem::take(&mut context.heredocs).into_iter();
    let mut sources = Vec::new();
    let mut files = Vec::new();
    for word in words {
        let Ok(Some(marker)) = heredoc::marker(&word.text) else {
            sources.push(word);
            continue;
        };
        let mut found = None;
        for heredoc in heredocs.by_ref() {
            if heredoc.name == marker.name {
                found = Some(heredoc);
                break;
            }
            not_source(context, heredoc.name, heredoc.marker);
        }
        match found {
            Some(heredoc) => files.push(heredoc),
            None => not_source(context, marker.name, word.span),
        }
    }
    for heredoc in heredocs {
        not_source(context, heredoc.name, heredoc.marker);
    }
    Some(Paths { sources, files, destination })
}

fn not_source(context: &mut Context<'_, '_>, name: String, span: Span) {
    let kind = ParseErrorKind::HeredocNotSource { keyword: context.keyword.name(), name };
    context.error(span, kind);
}
