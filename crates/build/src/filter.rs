//! Patterns that pick paths inside a source directory: `--exclude` and the pattern of `--parents`.

use strata_dockerfile::{IgnoreError, MatchState, PatternSet};

/// A set of patterns as `--exclude` takes them.
#[derive(Debug, Clone)]
pub struct Filter {
    patterns: PatternSet,
}

/// What matched a directory, for the paths inside it.
#[derive(Debug, Clone, Default)]
pub struct FilterState(MatchState);

impl Filter {
    /// Takes patterns; later ones and those with `!` decide over earlier ones.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, IgnoreError> {
        let patterns = PatternSet::new(patterns.into_iter().map(str::as_bytes))?;
        Ok(Self { patterns })
    }

    /// Whether a path at the top is picked.
    pub fn matches(&self, path: &[u8]) -> bool {
        self.patterns.matches(path, &MatchState::default()).excluded
    }

    /// Whether a path is picked, given the state of its directory; and the state for what is in it.
    pub fn matches_below(&self, path: &[u8], parent: &FilterState) -> (bool, FilterState) {
        let verdict = self.patterns.matches(path, &parent.0);
        (verdict.excluded, FilterState(verdict.state))
    }

    /// Whether something inside a picked directory may not be picked.
    pub fn has_exceptions(&self) -> bool {
        self.patterns.has_exceptions()
    }
}
