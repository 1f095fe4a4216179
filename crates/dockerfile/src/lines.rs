//! Physical lines to logical ones: comments taken out, continuations joined.

use crate::directive::{self, Directive, Directives, Escape};
use crate::error::{ParseError, ParseErrorKind};
use crate::mapped::Mapped;
use crate::source::{Source, Span};
use crate::word::Literal;

/// Reads a source line by line.
pub(crate) struct Reader<'a> {
    source: &'a Source,
    at: usize,
    /// Whether a directive could still follow.
    at_top: bool,
    comments: Vec<Literal>,
    pub(crate) directives: Directives,
    pub(crate) escape: Escape,
    pub(crate) errors: Vec<ParseError>,
}

/// A logical line.
pub(crate) struct Logical {
    /// White space at its front is taken off.
    pub(crate) line: Mapped,
    /// The comments above it.
    pub(crate) comments: Vec<Literal>,
    /// The first blank line within it.
    pub(crate) empty_continuation: Option<Span>,
}

/// A physical line: its offset, and its text with the line end.
struct Physical<'a> {
    start: usize,
    text: &'a str,
}

impl<'a> Physical<'a> {
    /// Without any carriage returns and line feeds at its end.
    fn content(&self) -> &'a str {
        self.text.trim_end_matches(['\r', '\n'])
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Source) -> Self {
        let at = if source.text().starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self {
            source,
            at,
            at_top: true,
            comments: Vec::new(),
            directives: Directives::default(),
            escape: Escape::default(),
            errors: Vec::new(),
        }
    }

    /// The next line that holds an instruction.
    pub(crate) fn next_logical(&mut self) -> Option<Logical> {
        loop {
            let first = self.next_physical()?;
            let content = first.content();
            let text = content.trim_start();
            let start = first.start + (content.len() - text.len());
            if let Some(comment) = text.strip_prefix('#') {
                self.comment(start, comment);
                continue;
            }
            self.at_top = false;
            let mut line = Mapped::new(self.source.index(), start);
            let (text, mut continues) = self.without_continuation(text);
            if text.is_empty() && !continues {
                continue;
            }
            line.push(text, start);
            let mut empty_continuation = None;
            while continues {
                let Some(next) = self.next_physical() else { break };
                let content = next.content();
                let trimmed = content.trim_start();
                if trimmed.starts_with('#') {
                    continue;
                }
                if trimmed.is_empty() {
                    let end = next.start + content.len();
                    empty_continuation.get_or_insert_with(|| self.span(next.start, end));
                    continue;
                }
                let text;
                (text, continues) = self.without_continuation(content);
                line.push(text, next.start);
            }
            let comments = std::mem::take(&mut self.comments);
            return Some(Logical { line, comments, empty_continuation });
        }
    }

    /// Reads the lines of a heredoc: their text and place. `None` when no terminator comes.
    pub(crate) fn heredoc(&mut self, name: &str, strip_tabs: bool) -> Option<(&'a str, Span)> {
        let start = self.at;
        while let Some(line) = self.next_physical() {
            let content = line.content();
            let content = if strip_tabs { content.trim_start_matches('\t') } else { content };
            if content == name {
                let span = self.span(start, line.start);
                return Some((&self.source.text()[start..line.start], span));
            }
        }
        None
    }

    /// Where reading has come to, line ends not counted.
    pub(crate) fn end(&self) -> usize {
        self.source.text()[..self.at].trim_end_matches(['\r', '\n']).len()
    }

    pub(crate) fn span(&self, start: usize, end: usize) -> Span {
        let offset = |at: usize| u32::try_from(at).expect("the parser refuses longer texts");
        Span { source: self.source.index(), start: offset(start), end: offset(end) }
    }

    fn next_physical(&mut self) -> Option<Physical<'a>> {
        let rest = &self.source.text()[self.at..];
        if rest.is_empty() {
            return None;
        }
        let length = rest.find('\n').map_or(rest.len(), |at| at + 1);
        let line = Physical { start: self.at, text: &rest[..length] };
        self.at += length;
        Some(line)
    }

    /// Takes the escape character off the end, with the blanks after it, unless it is escaped.
    ///
    /// As in `BuildKit`, an escape before it is taken to escape it even when itself escaped.
    fn without_continuation<'t>(&self, text: &'t str) -> (&'t str, bool) {
        let escape = self.escape.character();
        match text.trim_end_matches([' ', '\t']).strip_suffix(escape) {
            Some(before) if !before.ends_with(escape) => (before, true),
            _ => (text, false),
        }
    }

    /// `start` is where the `#` is, `text` what follows it.
    fn comment(&mut self, start: usize, text: &str) {
        if self.at_top {
            if let Some((key, range)) = directive::read(text) {
                self.directive(key, start, text, range);
                return;
            }
            self.at_top = false;
        }
        let trimmed = text.trim();
        if trimmed.is_empty() {
            self.comments.clear();
            return;
        }
        let begin = start + 1 + (text.len() - text.trim_start().len());
        let span = self.span(begin, begin + trimmed.len());
        self.comments.push(Literal { text: trimmed.to_owned(), span });
    }

    fn directive(
        &mut self,
        key: directive::Key,
        start: usize,
        text: &str,
        range: std::ops::Range<usize>,
    ) {
        let value = text[range.clone()].to_owned();
        let value_span = self.span(start + 1 + range.start, start + 1 + range.end);
        let span = self.span(start, start + 1 + text.len());
        let slot = match key {
            directive::Key::Syntax => &mut self.directives.syntax,
            directive::Key::Escape => &mut self.directives.escape,
            directive::Key::Check => &mut self.directives.check,
        };
        if slot.is_some() {
            let kind = ParseErrorKind::DuplicateDirective { name: key.name() };
            self.errors.push(ParseError::new(span, kind));
            return;
        }
        if key == directive::Key::Escape {
            match value.as_str() {
                "\\" => self.escape = Escape::Backslash,
                "`" => self.escape = Escape::Backtick,
                _ => {
                    let kind = ParseErrorKind::InvalidEscape { value: value.clone() };
                    self.errors.push(ParseError::new(value_span, kind));
                }
            }
        }
        *slot = Some(Directive { value: Literal { text: value, span: value_span }, span });
    }
}
