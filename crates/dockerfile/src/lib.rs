//! Turns the text of a Dockerfile or of a `.dockerignore` into typed syntax with spans.
//!
//! What it does not do: look at files, the environment or the clock; resolve images, stages or
//! paths; decide what a build executes. It expands words only when asked, with variables given.
//!
//! Invariants:
//! - The meaning is that of `BuildKit`'s frontend. Where this crate differs on purpose it refuses
//!   what `BuildKit` accepts and then ignores or fails at later, or does what was evidently meant
//!   (flags in UTF-8, a `$` in the replacement of `${v//p/r}`, `80${X}` as one word of several).
//! - A text that may still hold `$VARIABLE`s is a [`Word`], one that never expands a [`Literal`], an
//!   expanded one a `String`.
//! - Every [`Span`] lies inside the text of the [`Source`] whose index it carries, on character
//!   boundaries. Parsing never panics and takes time linear in the text.
//! - All errors of a text are reported, in source order, up to a bound.
//!
//! Map: [`source`] texts, spans and positions; `lines`, `mapped` physical to logical lines;
//! `split`, `json`, `flags`, `csv`, `number` the pieces of a line; [`heredoc`]; [`directive`];
//! [`instruction`] the typed syntax; `parse` builds it; [`expand`] variables in words;
//! [`glob`] and [`ignore`] patterns; [`lint`] warnings; [`error`] and `suggest` what went wrong.

pub mod directive;
pub mod error;
pub mod expand;
pub mod glob;
pub mod heredoc;
pub mod ignore;
pub mod instruction;
pub mod lint;
pub mod source;

mod csv;
mod flags;
mod json;
mod lines;
mod mapped;
mod number;
mod parse;
mod split;
mod suggest;
mod word;

pub use directive::{Directive, Directives, Escape};
pub use error::{Diagnostic, ParseError, ParseErrorKind, ParseErrors};
pub use expand::{ExpandError, Expander, Expansion, WordExpansion};
pub use glob::{Pattern, PatternError};
pub use heredoc::Heredoc;
pub use ignore::{IgnoreError, IgnoreFile, MatchState, PatternSet, Verdict};
pub use instruction::{Dockerfile, Instruction, Keyword, Stage, StageName, Statement};
pub use lint::{LintSettings, Rule, Warning};
pub use parse::{parse, parse_trigger, parse_with_lint};
pub use source::{Position, Source, Span};
pub use suggest::suggest;
pub use word::{Literal, Word};
