//! Parser directives: the `# key=value` comments at the very top.

use crate::source::Span;
use crate::word::Literal;

/// The character that escapes others and continues lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Escape {
    /// `\`, unless a directive says otherwise.
    #[default]
    Backslash,
    /// `` ` ``.
    Backtick,
}

impl Escape {
    /// The character itself.
    pub fn character(self) -> char {
        match self {
            Self::Backslash => '\\',
            Self::Backtick => '`',
        }
    }
}

/// One directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// The value as written, trimmed.
    pub value: Literal,
    /// The whole line.
    pub span: Span,
}

/// The directives of a text; each occurs at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// `syntax`: the frontend the author had in mind.
    pub syntax: Option<Directive>,
    /// `escape`: which character escapes.
    pub escape: Option<Directive>,
    /// `check`: options of the lint.
    pub check: Option<Directive>,
}

/// The three names that are directives; any other is a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Syntax,
    Escape,
    Check,
}

impl Key {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Escape => "escape",
            Self::Check => "check",
        }
    }
}

/// Reads a directive from the text after the `#`: its key and the range of its value in `text`.
pub(crate) fn read(text: &str) -> Option<(Key, std::ops::Range<usize>)> {
    let body = text.trim_start();
    let equals = body.find('=')?;
    let name = body[..equals].trim_end_matches(ascii_space);
    if !name.starts_with(|first: char| first.is_ascii_alphabetic())
        || !name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        return None;
    }
    let key = [Key::Syntax, Key::Escape, Key::Check]
        .into_iter()
        .find(|key| key.name().eq_ignore_ascii_case(name))?;
    let value = body[equals + 1..].trim_matches(ascii_space);
    if value.is_empty() {
        return None;
    }
    let start = text.len() - body[equals + 1..].trim_start_matches(ascii_space).len();
    Some((key, start..start + value.len()))
}

/// White space of a Go regular expression's `\s`.
fn ascii_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0c')
}
