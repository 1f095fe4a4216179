//! Patterns for names: Go's `filepath.Match`, and the same with `**`.

mod matcher;

/// A pattern as Go's `filepath.Match` (Unix): `*` any characters but `/`, `?` one of them,
/// `[a-z]` and `[^a-z]` classes, `\` takes the next character as it is. It matches whole paths.
///
/// Paths and patterns are bytes: what is not UTF-8 is matched byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    tokens: Vec<matcher::Token>,
}

/// A pattern that is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern `{pattern}`")]
pub struct PatternError {
    /// The pattern; what is not UTF-8 is replaced.
    pub pattern: String,
}

impl Pattern {
    /// Reads a pattern.
    pub fn new(pattern: &[u8]) -> Result<Self, PatternError> {
        Ok(Self { tokens: matcher::compile(pattern, matcher::Dialect::Path)? })
    }

    /// Whether the pattern matches all of a path.
    pub fn matches(&self, path: &[u8]) -> bool {
        matcher::matches(&self.tokens, path)
    }
}

/// Whether a text holds a character that [`Pattern`] treats specially, outside of escapes.
pub fn has_wildcards(text: &str) -> bool {
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' | '?' | '[' => return true,
            '\\' => _ = characters.next(),
            _ => {}
        }
    }
    false
}

pub(crate) use matcher::{Dialect, Token, compile, could_match_below, matches};
