//! Texts, and places in them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A half-open range of bytes in one source text.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Span {
    /// Which text: the [`Source::index`] it was parsed from.
    pub source: u16,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// The range of offsets.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The smallest span that holds both; they must be of the same source.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self {
            source: self.source,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// A line and a column, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The character in the line, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

/// A text with a name: the Dockerfile, or an ONBUILD trigger found in a base image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    index: u16,
    name: String,
    text: String,
    /// Offsets at which lines begin; the first is 0.
    lines: Vec<u32>,
}

impl Source {
    /// Takes a text; `index` is what spans into it will carry.
    ///
    /// Offsets are 32 bits wide: [`parse`](fn@crate::parse) refuses a longer text.
    pub fn new(index: u16, name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let mut lines = vec![0];
        lines.extend(
            text.bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n')
                .filter_map(|(at, _)| u32::try_from(at + 1).ok()),
        );
        Self { index, name: name.into(), text, lines }
    }

    /// The index that spans of this source carry.
    pub fn index(&self) -> u16 {
        self.index
    }

    /// The name to show before line numbers.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text, a byte order mark included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text below a span; empty when the span is not of this source.
    pub fn slice(&self, span: Span) -> &str {
        if span.source == self.index { self.text.get(span.range()).unwrap_or("") } else { "" }
    }

    /// Where an offset is; one past the end is the end.
    pub fn position(&self, offset: u32) -> Position {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line - 1] as usize;
        let end = (offset as usize).min(self.text.len());
        let column = self.text.get(start..end).map_or(end - start, |text| text.chars().count());
        Position {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column + 1).unwrap_or(u32::MAX),
        }
    }

    /// Where a span begins and ends.
    pub fn positions(&self, span: Span) -> (Position, Position) {
        (self.position(span.start), self.position(span.end))
    }

    /// The text of a line counted from 1, without its line end.
    pub fn line(&self, line: u32) -> Option<&str> {
        let start = *self.lines.get((line as usize).checked_sub(1)?)? as usize;
        let end = self.lines.get(line as usize).map_or(self.text.len(), |next| *next as usize);
        Some(self.text[start..end].trim_end_matches(['\r', '\n']))
    }
}
