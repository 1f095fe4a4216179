//! `.dockerignore`, and the ordered sets of patterns that it and `--exclude` are.

mod clean;
mod set;

pub use set::{MatchState, PatternSet, Verdict};

/// The patterns of a `.dockerignore`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoreFile {
    /// The patterns, each with its line.
    pub patterns: PatternSet,
}

/// A pattern that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// Malformed.
    #[error("line {line}: syntax error in pattern `{pattern}`")]
    Syntax {
        /// From 1.
        line: u32,
        /// As written.
        pattern: String,
    },
    /// A `!` with nothing to except.
    #[error("line {line}: illegal exclusion pattern `{pattern}`")]
    LoneExclusion {
        /// From 1.
        line: u32,
        /// As written.
        pattern: String,
    },
}

impl IgnoreFile {
    /// Reads the text of a `.dockerignore`.
    ///
    /// A byte order mark is skipped; a `#` in the first column makes a comment; white space around
    /// a pattern is taken off; the path is cleaned and a leading `/` dropped; `!` excepts.
    pub fn parse(text: &[u8]) -> Result<Self, IgnoreError> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut lines = Vec::new();
        for (line, number) in text.split(|byte| *byte == b'\n').zip(1..) {
            if line.starts_with(b"#") {
                continue;
            }
            let pattern = clean::trim(line);
            if pattern.is_empty() {
                continue;
            }
            let (exception, path) = match pattern.strip_prefix(b"!") {
                Some(path) => (true, clean::trim(path)),
                None => (false, pattern),
            };
            let mut cleaned = if exception { vec![b'!'] } else { Vec::new() };
            if !path.is_empty() {
                let path = clean::clean(path);
                let relative = if path.len() > 1 { path.strip_prefix(b"/") } else { None };
                cleaned.extend_from_slice(relative.unwrap_or(&path));
            }
            lines.push((number, pattern, cleaned));
        }
        let patterns = PatternSet::build(
            lines.iter().map(|(line, written, cleaned)| (*line, *written, cleaned.as_slice())),
        )?;
        Ok(Self { patterns })
    }
}
