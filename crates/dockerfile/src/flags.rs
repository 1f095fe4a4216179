//! The flags of an instruction, checked against those it knows.

use crate::error::{ParseError, ParseErrorKind};
use crate::instruction::Keyword;
use crate::mapped::{Mapped, Slice};
use crate::source::Span;
use crate::suggest::suggest;
use crate::word::{Literal, Word};

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing, `=true` or `=false`.
    Boolean,
    /// One value.
    Text,
    /// One value, and the flag may come again.
    Texts,
}

/// The flags that were given and known.
pub(crate) struct Flags<'a> {
    given: Vec<Given<'a>>,
}

struct Given<'a> {
    name: &'static str,
    flag: Slice<'a>,
    /// Empty for a boolean without one.
    value: Slice<'a>,
}

impl<'a> Flags<'a> {
    /// Checks flags; errors go to `errors`, the flags that have them are left out.
    pub(crate) fn read(
        keyword: Keyword,
        flags: &'a [Mapped],
        known: &[(&'static str, Takes)],
        errors: &mut Vec<ParseError>,
    ) -> Self {
        let mut given: Vec<Given<'a>> = Vec::new();
        for flag in flags {
            let flag = flag.as_slice();
            let (name, value) = match flag.around_equals() {
                Some((name, value)) => (name, Some(value)),
                None => (flag, None),
            };
            let written = name.trim_start_matches("--").to_owned();
            let Some((name, takes)) = known.iter().copied().find(|(name, _)| *name == written)
            else {
                let near = suggest(&written, known.iter().map(|(name, _)| *name))
                    .map(|name| format!("--{name}"));
                let kind = ParseErrorKind::UnknownFlag { keyword: keyword.name(), flag: written };
                errors.push(ParseError::new(name.span(), kind).with_suggestion(near.as_deref()));
                continue;
            };
            if takes != Takes::Texts && given.iter().any(|given| given.name == name) {
                let kind = ParseErrorKind::DuplicateFlag { flag: written };
                errors.push(ParseError::new(flag.span(), kind));
                continue;
            }
            let value = match (takes, value) {
                (Takes::Boolean, None) => flag.part(flag.len()..flag.len()),
                (Takes::Boolean, Some(value)) if !value.is_empty() => {
                    if !["true", "false"].iter().any(|word| value.eq_ignore_ascii_case(word)) {
                        let kind = ParseErrorKind::InvalidFlagValue {
                            flag: name,
                            value: value.to_string(),
                            expected: "`true` or `false`",
                        };
                        errors.push(ParseError::new(value.span(), kind));
                        continue;
                    }
                    value
                }
                (Takes::Text | Takes::Texts, Some(value)) => value,
                (_, None) | (Takes::Boolean, Some(_)) => {
                    let kind = ParseErrorKind::MissingFlagValue { flag: written };
                    errors.push(ParseError::new(flag.span(), kind));
                    continue;
                }
            };
            given.push(Given { name, flag, value });
        }
        Self { given }
    }

    /// The value of a flag, if it was given.
    pub(crate) fn value(&self, name: &str) -> Option<Slice<'a>> {
        self.given.iter().find(|given| given.name == name).map(|given| given.value)
    }

    /// The values of a flag that may come again, each with the place of the whole flag.
    pub(crate) fn values(&self, name: &'static str) -> impl Iterator<Item = (Slice<'a>, Span)> {
        self.given
            .iter()
            .filter(move |given| given.name == name)
            .map(|given| (given.value, given.flag.span()))
    }

    /// A value that expands; an empty one is none.
    pub(crate) fn word(&self, name: &str) -> Option<Word> {
        self.value(name).filter(|value| !value.is_empty()).map(Slice::word)
    }

    /// Values that do not expand.
    pub(crate) fn literals(&self, name: &'static str) -> Vec<Literal> {
        self.values(name).map(|(value, _)| value.literal()).collect()
    }

    /// A boolean, if it was given.
    pub(crate) fn boolean(&self, name: &str) -> Option<bool> {
        self.value(name).map(|value| !value.eq_ignore_ascii_case("false"))
    }
}
