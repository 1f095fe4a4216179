//! An ordered set of patterns, the last match of which decides.

use super::{IgnoreError, clean};
use crate::glob::{self, Dialect, Token};

/// Patterns in order, exceptions among them, as moby's `patternmatcher`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatternSet {
    rules: Vec<PatternRule>,
}

/// One pattern of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PatternRule {
    line: u32,
    written: String,
    exception: bool,
    /// Clean, without `!`.
    cleaned: Vec<u8>,
    shape: Shape,
}

/// How a pattern is compared; the first three are cheap, and the third is a meaning of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// No special characters.
    Exactly(Vec<u8>),
    /// `prefix**`.
    StartsWith(Vec<u8>),
    /// `**suffix`: unlike in `**suffix*` this need not begin a component.
    EndsWith(Vec<u8>),
    /// Anything else.
    Tokens(Vec<Token>),
}

/// Which patterns matched a directory: what [`PatternSet::matches`] needs for its children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchState {
    /// By rule; absent for what has no parent.
    matched: Option<Vec<bool>>,
}

impl MatchState {
    fn has(&self, rule: usize) -> bool {
        self.matched.as_ref().is_some_and(|matched| matched.get(rule) == Some(&true))
    }
}

/// What a set says about a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the path is excluded.
    pub excluded: bool,
    /// Which pattern decided, exception or not; none when none matched.
    pub rule: Option<usize>,
    /// For the children of the path.
    pub state: MatchState,
}

impl PatternSet {
    /// Reads patterns such as those of `--exclude`, numbering them from 1.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, IgnoreError> {
        Self::build(patterns.into_iter().zip(1..).map(|(pattern, line)| (line, pattern, pattern)))
    }

    /// Reads patterns that come as line, text as written, text to be read.
    pub(super) fn build<'a>(
        patterns: impl Iterator<Item = (u32, &'a [u8], &'a [u8])>,
    ) -> Result<Self, IgnoreError> {
        let mut rules = Vec::new();
        for (line, written, pattern) in patterns {
            let written = String::from_utf8_lossy(written).into_owned();
            let pattern = clean::trim(pattern);
            if pattern.is_empty() {
                continue;
            }
            // The `!` is part of what is cleaned, as in moby: `!/` is a lone `!`.
            let cleaned = clean::clean(pattern);
            let (exception, cleaned) = match cleaned.strip_prefix(b"!") {
                Some(b"") => return Err(IgnoreError::LoneExclusion { line, pattern: written }),
                Some(rest) => (true, rest),
                None => (false, cleaned.as_slice()),
            };
            let Some(shape) = Shape::new(cleaned) else {
                return Err(IgnoreError::Syntax { line, pattern: written });
            };
            let cleaned = cleaned.to_vec();
            rules.push(PatternRule { line, written, exception, cleaned, shape });
        }
        Ok(Self { rules })
    }

    /// Whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether some pattern is an exception.
    pub fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.exception)
    }

    /// Whether some pattern excludes all that is at the top.
    pub fn excludes_everything(&self) -> bool {
        let everything = |rule: &PatternRule| {
            !rule.exception && matches!(rule.cleaned.as_slice(), b"*" | b"**" | b"**/*")
        };
        self.rules.iter().any(everything)
    }

    /// The line, and the text as written, of a rule that a verdict names.
    pub fn rule(&self, rule: usize) -> Option<(u32, &str)> {
        self.rules.get(rule).map(|rule| (rule.line, rule.written.as_str()))
    }

    /// Says whether a path is excluded.
    ///
    /// `path` is relative, clean and has `/`s. `parent` is the state of the verdict on its parent
    /// directory; with the default one the parents are judged first, from the top.
    ///
    /// A pattern that was not asked because another one had already decided on a directory does
    /// not count as matching it when its children are judged. So it is in a walk of `BuildKit`'s
    /// (`MatchesUsingParentResults`), though not in its `MatchesOrParentMatches`.
    pub fn matches(&self, path: &[u8], parent: &MatchState) -> Verdict {
        if parent.matched.is_some() {
            return self.judge(path, parent);
        }
        let mut state = MatchState::default();
        for directory in parents(path) {
            state = self.judge(directory, &state).state;
        }
        self.judge(path, &state)
    }

    fn judge(&self, path: &[u8], parent: &MatchState) -> Verdict {
        let mut matched = vec![false; self.rules.len()];
        let mut excluded = false;
        let mut decided = None;
        for (index, rule) in self.rules.iter().enumerate() {
            if !parent.has(index) {
                // Another exclusion of what is excluded, or an exception to what is not, says
                // nothing.
                if rule.exception != excluded || !rule.shape.matches(path) {
                    continue;
                }
            }
            matched[index] = true;
            excluded = !rule.exception;
            decided = Some(index);
        }
        Verdict { excluded, rule: decided, state: MatchState { matched: Some(matched) } }
    }

    /// Whether nothing below a directory can be included, so that it need not be looked into.
    ///
    /// May say no where yes would be right, never the other way round.
    pub fn excludes_all_below(&self, directory: &[u8], verdict: &Verdict) -> bool {
        if !verdict.excluded {
            return false;
        }
        // The deciding pattern matches all children too: only later exceptions can undo it.
        let later = verdict.rule.map_or(0, |rule| rule + 1);
        !self.rules[later..]
            .iter()
            .any(|rule| rule.exception && rule.shape.could_match_below(directory))
    }
}

/// The parent directories of a path, outermost first.
fn parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..at])
}

impl Shape {
    fn new(pattern: &[u8]) -> Option<Self> {
        // What `filepath.Match` refuses is refused, whatever it would mean here.
        glob::compile(pattern, Dialect::Path).ok()?;
        let plain = |text: &[u8]| !text.iter().any(|byte| b"*?[]\\".contains(byte));
        if plain(pattern) {
            return Some(Self::Exactly(pattern.to_vec()));
        }
        if let Some(suffix) = pattern.strip_prefix(b"**")
            && plain(suffix)
        {
            return Some(Self::EndsWith(suffix.to_vec()));
        }
        if let Some(prefix) = pattern.strip_suffix(b"**")
            && plain(prefix)
        {
            return Some(Self::StartsWith(prefix.to_vec()));
        }
        glob::compile(pattern, Dialect::Recursive).ok().map(Self::Tokens)
    }

    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exactly(name) => path == name,
            Self::StartsWith(prefix) => path.starts_with(prefix),
            Self::EndsWith(suffix) => {
                path.ends_with(suffix) || suffix.strip_prefix(b"/") == Some(path)
            }
            Self::Tokens(tokens) => glob::matches(tokens, path),
        }
    }

    fn could_match_below(&self, directory: &[u8]) -> bool {
        let below = |name: &[u8]| {
            name.len() > directory.len()
                && name.starts_with(directory)
                && name[directory.len()] == b'/'
        };
        match self {
            Self::Exactly(name) => below(name),
            Self::StartsWith(prefix) => {
                below(prefix) || [directory, b"/"].concat().starts_with(prefix)
            }
            Self::EndsWith(_) => true,
            Self::Tokens(tokens) => glob::could_match_below(tokens, directory),
        }
    }
}
