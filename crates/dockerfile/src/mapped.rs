//! Text put together from pieces of a source, that still knows where each piece came from.

use std::ops::{Deref, Range};

use crate::source::Span;
use crate::word::{Literal, Word};

/// A text and, for each of its runs, where the run is in the source.
#[derive(Clone, Debug)]
pub(crate) struct Mapped {
    source: u16,
    text: String,
    /// Most texts have one run only, which needs no allocation.
    first: usize,
    later: Vec<Run>,
}

/// From `at` in the text up to the next run, bytes are those from `origin` on in the source.
#[derive(Clone, Copy, Debug)]
struct Run {
    at: usize,
    origin: usize,
}

impl Mapped {
    /// Nothing yet; `origin` is where it would be.
    pub(crate) fn new(source: u16, origin: usize) -> Self {
        Self { source, text: String::new(), first: origin, later: Vec::new() }
    }

    /// Appends a piece that begins at `origin` of the source.
    pub(crate) fn push(&mut self, text: &str, origin: usize) {
        let at = self.text.len();
        let last = self.later.last().copied().unwrap_or(Run { at: 0, origin: self.first });
        if at == 0 {
            self.first = origin;
        } else if last.origin + (at - last.at) != origin {
            self.later.push(Run { at, origin });
        }
        self.text.push_str(text);
    }

    pub(crate) fn as_slice(&self) -> Slice<'_> {
        Slice { whole: self, start: 0, end: self.text.len() }
    }

    fn origin(&self, at: usize) -> usize {
        let run = match self.later.partition_point(|run| run.at <= at) {
            0 => Run { at: 0, origin: self.first },
            after => self.later[after - 1],
        };
        run.origin + (at - run.at)
    }
}

/// A part of a [`Mapped`]; reads as its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice<'a> {
    whole: &'a Mapped,
    start: usize,
    end: usize,
}

impl Deref for Slice<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.text()
    }
}

impl<'a> Slice<'a> {
    pub(crate) fn text(self) -> &'a str {
        &self.whole.text[self.start..self.end]
    }

    pub(crate) fn source(self) -> u16 {
        self.whole.source
    }

    /// Where a byte of the slice is in the source.
    pub(crate) fn origin(self, at: usize) -> usize {
        self.whole.origin(self.start + at)
    }

    pub(crate) fn span(self) -> Span {
        let start = self.whole.origin(self.start);
        let end = if self.end > self.start { self.whole.origin(self.end - 1) + 1 } else { start };
        let offset = |at: usize| u32::try_from(at).expect("the parser refuses longer texts");
        Span { source: self.whole.source, start: offset(start), end: offset(end) }
    }

    pub(crate) fn part(self, range: Range<usize>) -> Self {
        let part = Self { start: self.start + range.start, end: self.start + range.end, ..self };
        debug_assert!(part.end <= self.end, "a part lies within its slice");
        part
    }

    /// The part that `text`, a subslice of this text, is.
    fn part_of(self, text: &str) -> Self {
        let start = text.as_ptr().addr() - self.text().as_ptr().addr();
        self.part(start..start + text.len())
    }

    pub(crate) fn trimmed(self) -> Self {
        self.part_of(self.text().trim())
    }

    /// Around the first `=`.
    pub(crate) fn around_equals(self) -> Option<(Self, Self)> {
        let at = self.text().find('=')?;
        Some((self.part(0..at), self.part(at + 1..self.len())))
    }

    /// The parts between runs of the white space that separates arguments.
    pub(crate) fn fields(self) -> Vec<Self> {
        self.text()
            .split(is_separator)
            .filter(|field| !field.is_empty())
            .map(|field| self.part_of(field))
            .collect()
    }

    /// Around the first run of separators.
    pub(crate) fn around_separator(self) -> Option<(Self, Self)> {
        let at = self.text().find(is_separator)?;
        let rest = self.text()[at..].trim_start_matches(is_separator);
        Some((self.part(0..at), self.part_of(rest)))
    }

    pub(crate) fn word(self) -> Word {
        Word { text: self.text().to_owned(), span: self.span() }
    }

    pub(crate) fn literal(self) -> Literal {
        Literal { text: self.text().to_owned(), span: self.span() }
    }
}

/// Separators of arguments are fewer than white space is: no line ends, no Unicode.
fn is_separator(character: char) -> bool {
    matches!(character, '\t' | '\x0b' | '\x0c' | '\r' | ' ')
}
