//! Expansion of variables in words, as a shell would, and as `BuildKit` does.

mod lexer;
mod pattern;

use std::collections::BTreeSet;

use crate::directive::Escape;

/// How words are expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expander {
    escape: char,
    quotes: Quotes,
    escapes: Escapes,
    unset: Unset,
}

/// What becomes of quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    /// They group and are taken off.
    Remove,
    /// They group and stay.
    Keep,
    /// They are characters like others.
    Ignore,
}

/// What becomes of the escape character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escapes {
    Remove,
    Keep,
}

/// What becomes of a variable that is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unset {
    /// Nothing.
    Empty,
    /// Its reference stays.
    Keep,
}

/// A word expanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WordExpansion {
    /// The result.
    pub text: String,
    /// The variables looked up that are set.
    pub matched: BTreeSet<String>,
    /// The variables looked up that are not.
    pub unmatched: BTreeSet<String>,
}

/// A word expanded and split at white space that is not quoted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// The results.
    pub words: Vec<String>,
    /// The variables looked up that are set.
    pub matched: BTreeSet<String>,
    /// The variables looked up that are not.
    pub unmatched: BTreeSet<String>,
}

/// Why a word does not expand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// A quote without its second half.
    #[error("missing closing {quote} in `{word}`")]
    UnclosedQuote {
        /// The quote's name.
        quote: &'static str,
        /// The word.
        word: String,
    },
    /// `${` without its end.
    #[error("missing `{missing}` of `${{…}}` in `{word}`")]
    UnclosedBrace {
        /// What is missing.
        missing: char,
        /// The word.
        word: String,
    },
    /// `${}` and the like.
    #[error("bad substitution in `{word}`")]
    BadSubstitution {
        /// The word.
        word: String,
    },
    /// An operator that does not exist.
    #[error("unsupported modifier `{modifier}` of a substitution in `{word}`")]
    UnsupportedModifier {
        /// The operator.
        modifier: String,
        /// The word.
        word: String,
    },
    /// A pattern with an escape that means nothing.
    #[error("invalid pattern `{pattern}` of a substitution in `{word}`")]
    InvalidPattern {
        /// The pattern.
        pattern: String,
        /// The word.
        word: String,
    },
    /// `${name?message}` and the variable is not there.
    #[error("{name}: {message}")]
    Required {
        /// The variable.
        name: String,
        /// The message given, or one that says so.
        message: String,
    },
    /// Substitutions within substitutions without end.
    #[error("substitutions are nested more than {limit} deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// A result that grows without end.
    #[error("the expansion is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
}

impl Expander {
    /// Expansion of words: quotes and escapes are taken off, an unset variable is empty.
    pub fn new(escape: Escape) -> Self {
        Self {
            escape: escape.character(),
            quotes: Quotes::Remove,
            escapes: Escapes::Remove,
            unset: Unset::Empty,
        }
    }

    /// Expansion of the content of a heredoc: quotes are characters like others; the escape
    /// character is the backslash, whatever the Dockerfile's is.
    pub fn heredoc() -> Self {
        Self { quotes: Quotes::Ignore, ..Self::new(Escape::Backslash) }
    }

    /// Expansion of a command for show: quotes stay, and so do references to unset variables.
    pub fn display(escape: Escape) -> Self {
        Self { quotes: Quotes::Keep, unset: Unset::Keep, ..Self::new(escape) }
    }

    /// Expands nothing, keeps quotes and escapes: finds words only.
    pub(crate) fn raw_words() -> Self {
        Self { escapes: Escapes::Keep, ..Self::display(Escape::Backslash) }
    }

    /// Expands nothing, but takes quotes and escapes off.
    pub(crate) fn unquote() -> Self {
        Self { unset: Unset::Keep, ..Self::new(Escape::Backslash) }
    }

    /// Expands a word to one text; white space stays.
    pub fn process_word(
        &self,
        word: &str,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<WordExpansion, ExpandError> {
        let (text, _, lexer) = lexer::run(*self, word, lookup)?;
        Ok(WordExpansion { text, matched: lexer.matched, unmatched: lexer.unmatched })
    }

    /// Expands a word and splits the result at white space that is not quoted.
    pub fn process_words(
        &self,
        word: &str,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Expansion, ExpandError> {
        let (_, words, lexer) = lexer::run(*self, word, lookup)?;
        Ok(Expansion { words, matched: lexer.matched, unmatched: lexer.unmatched })
    }
}
