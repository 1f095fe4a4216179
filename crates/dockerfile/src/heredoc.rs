//! Texts that follow an instruction up to a terminator line.

use std::borrow::Cow;
use std::ops::Range;

use crate::expand::{ExpandError, Expander};
use crate::source::Span;

/// A heredoc: `<<NAME`, the lines up to `NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// The terminator, without quotes; for COPY also the name of the file.
    pub name: String,
    /// The `<<NAME` of the instruction.
    pub marker: Span,
    /// Whether variables expand in the content (the name was not quoted).
    pub expand: bool,
    /// Whether leading tabs are taken off (`<<-`).
    pub strip_tabs: bool,
    /// The lines as written, line ends and leading tabs included, without the terminator.
    pub raw: String,
    /// Where the lines are.
    pub span: Span,
}

impl Heredoc {
    /// The content, leading tabs taken off when asked for.
    pub fn content(&self) -> Cow<'_, str> {
        if !self.strip_tabs {
            return Cow::Borrowed(&self.raw);
        }
        let stripped =
            self.raw.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect();
        Cow::Owned(stripped)
    }
}

/// What `<<NAME` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) name: String,
    pub(crate) expand: bool,
    pub(crate) strip_tabs: bool,
}

/// A marker with its place in the line, when that can be told.
pub(crate) struct Placed {
    pub(crate) marker: Marker,
    pub(crate) place: Option<Range<usize>>,
}

/// Reads a word as a marker: digits, `<<`, perhaps `-`, a name that may be quoted.
pub(crate) fn marker(word: &str) -> Result<Option<Marker>, ExpandError> {
    let word = word.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let Some(rest) = word.strip_prefix("<<") else { return Ok(None) };
    let (rest, strip_tabs) = rest.strip_prefix('-').map_or((rest, false), |rest| (rest, true));
    let rest = rest.trim_ascii_start();
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    let nothing = |_: &str| None;
    let mut names = Expander::unquote().process_words(rest, &nothing)?.words;
    let (Some(name), true) = (names.pop(), names.is_empty()) else { return Ok(None) };
    let with_quotes = Expander::display(crate::Escape::Backslash).process_word(rest, &nothing)?;
    let count = |text: &str| text.bytes().filter(|byte| matches!(byte, b'\'' | b'"')).count();
    let expand = count(&name) == count(&with_quotes.text);
    Ok(Some(Marker { name, expand, strip_tabs }))
}

/// Whether a text as a whole is one heredoc marker.
pub(crate) fn is_marker(text: &str) -> bool {
    matches!(marker(text), Ok(Some(_)))
}

/// The markers of a line; or the word that begins like one and is broken.
pub(crate) fn markers(line: &str) -> Result<Vec<Placed>, String> {
    // A line that a shell would not take either, with a lone quote perhaps, has none.
    let Ok(expansion) = Expander::raw_words().process_words(line, &|_| None) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let mut from = 0;
    for word in expansion.words.into_iter().filter(|word| word.contains("<<")) {
        let place = line[from..].find(&word).map(|at| from + at..from + at + word.len());
        from = place.as_ref().map_or(line.len(), |place| place.end);
        match marker(&word) {
            Ok(Some(marker)) => found.push(Placed { marker, place }),
            Ok(None) => {}
            Err(_) => return Err(word),
        }
    }
    Ok(found)
}
