//! The patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*` and `?`, no classes.

use std::fmt::Write as _;

use regex::{NoExpand, Regex};

/// Which of several matches a trim takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Shortest,
    Longest,
}

/// Which matches a replacement takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Occurrences {
    First,
    All,
}

/// Takes a match off the front; `None` when the pattern is invalid.
pub(super) fn trim_prefix(pattern: &str, value: &str, length: Length) -> Option<String> {
    let regex = compile(pattern, length, "^")?;
    Some(regex.find(value).map_or(value, |found| &value[found.end()..]).to_owned())
}

/// Takes a match off the end; `None` when the pattern is invalid.
///
/// A regular expression finds the leftmost match, not the shortest at the end: so both are
/// reversed.
pub(super) fn trim_suffix(pattern: &str, value: &str, length: Length) -> Option<String> {
    let value: String = value.chars().rev().collect();
    let trimmed = trim_prefix(&reverse(pattern), &value, length)?;
    Some(trimmed.chars().rev().collect())
}

/// Replaces matches, the replacement taken literally; `None` when the pattern is invalid.
pub(super) fn replace(
    pattern: &str,
    value: &str,
    replacement: &str,
    occurrences: Occurrences,
) -> Option<String> {
    let regex = compile(pattern, Length::Longest, "")?;
    let replacement = NoExpand(replacement);
    let replaced = match occurrences {
        Occurrences::First => regex.replace(value, replacement),
        Occurrences::All => regex.replace_all(value, replacement),
    };
    Some(replaced.into_owned())
}

/// Reverses a pattern, each escape staying before what it escapes.
fn reverse(pattern: &str) -> String {
    let mut pieces = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let escaped = if character == '\\' { characters.next() } else { None };
        pieces.push((character, escaped));
    }
    pieces.iter().rev().flat_map(|(first, second)| [Some(*first), *second]).flatten().collect()
}

fn compile(pattern: &str, length: Length, anchor: &str) -> Option<Regex> {
    let mut source = String::from(anchor);
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '*' if length == Length::Longest => source.push_str(".*"),
            '*' => source.push_str(".*?"),
            '?' => source.push('.'),
            '\\' => match characters.next() {
                // These had to be escaped because of the `${…}` around, not for the pattern.
                Some(delimiter @ ('}' | '/')) => literal(&mut source, delimiter),
                Some(escaped @ ('*' | '?' | '\\')) => literal(&mut source, escaped),
                _ => return None,
            },
            other => literal(&mut source, other),
        }
    }
    Regex::new(&source).ok()
}

fn literal(source: &mut String, character: char) {
    write!(source, "{}", regex::escape(character.encode_utf8(&mut [0; 4])))
        .expect("writing to a string cannot fail");
}
