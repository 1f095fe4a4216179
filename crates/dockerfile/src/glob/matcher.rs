//! Compilation of patterns to tokens, and their simulation as a finite automaton: time is the
//! product of pattern and path, whatever the pattern.

use super::PatternError;

/// Which pattern language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `filepath.Match`: `**` is two `*`.
    Path,
    /// `.dockerignore`: `**` crosses directories.
    Recursive,
}

/// A character, or a byte that is not part of one.
type Unit = u32;

/// Bytes outside of UTF-8 are units above all characters.
const RAW_BYTE: Unit = 0x11_0000;

/// One step of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// This character.
    Exactly(Unit),
    /// `?`: any character but `/`.
    Any,
    /// `[…]`: any character in, or not in, one of the ranges; `/` too.
    Class { negated: bool, ranges: Vec<(Unit, Unit)> },
    /// `*`: any characters but `/`.
    Star,
    /// `**` at the end: any characters.
    Rest,
    /// `**/` or `**` before more: nothing, or any characters up to a `/`.
    Directories,
}

/// Reads a pattern.
pub(crate) fn compile(pattern: &[u8], dialect: Dialect) -> Result<Vec<Token>, PatternError> {
    let bad = || PatternError { pattern: String::from_utf8_lossy(pattern).into_owned() };
    let units: Vec<Unit> = units(pattern).collect();
    let mut tokens = Vec::with_capacity(units.len());
    let mut at = 0;
    let is = |at: usize, character: char| units.get(at) == Some(&Unit::from(character));
    while let Some(unit) = units.get(at).copied() {
        at += 1;
        match char::from_u32(unit) {
            Some('*') if dialect == Dialect::Recursive && is(at, '*') => {
                at += 1;
                if is(at, '/') {
                    at += 1;
                }
                tokens.push(if at == units.len() { Token::Rest } else { Token::Directories });
            }
            Some('*') => {
                if tokens.last() != Some(&Token::Star) {
                    tokens.push(Token::Star);
                }
            }
            Some('?') => tokens.push(Token::Any),
            Some('[') => {
                let (class, next) = class(&units, at).ok_or_else(bad)?;
                tokens.push(class);
                at = next;
            }
            Some('\\') => {
                tokens.push(Token::Exactly(*units.get(at).ok_or_else(bad)?));
                at += 1;
            }
            _ => tokens.push(Token::Exactly(unit)),
        }
    }
    Ok(tokens)
}

/// Reads a class from after its `[`; gives the place after its `]`.
fn class(units: &[Unit], mut at: usize) -> Option<(Token, usize)> {
    let is = |at: usize, character: char| units.get(at) == Some(&Unit::from(character));
    let negated = is(at, '^');
    if negated {
        at += 1;
    }
    let mut ranges = Vec::new();
    loop {
        if is(at, ']') && !ranges.is_empty() {
            return Some((Token::Class { negated, ranges }, at + 1));
        }
        let (low, next) = class_member(units, at)?;
        at = next;
        let mut high = low;
        if is(at, '-') {
            (high, at) = class_member(units, at + 1)?;
        }
        ranges.push((low, high));
    }
}

fn class_member(units: &[Unit], at: usize) -> Option<(Unit, usize)> {
    let unit = *units.get(at)?;
    let (unit, next) = match char::from_u32(unit) {
        Some('-' | ']') => return None,
        Some('\\') => (*units.get(at + 1)?, at + 2),
        _ => (unit, at + 1),
    };
    // A class must be closed: nothing may be its last member and the pattern's end at once.
    (next < units.len()).then_some((unit, next))
}

/// Whether the tokens match all of a path.
pub(crate) fn matches(tokens: &[Token], path: &[u8]) -> bool {
    States::after(tokens, units(path)).accepts()
}

/// Whether the tokens can match some path below a directory.
pub(crate) fn could_match_below(tokens: &[Token], directory: &[u8]) -> bool {
    let path = units(directory).chain(std::iter::once(Unit::from('/')));
    !States::after(tokens, path).none()
}

/// The set of places in a pattern that are reached by what was read.
struct States {
    /// Before token `i`, or accepted for the last one.
    at: Vec<bool>,
    /// Inside of the `Directories` token `i`, not after a `/`.
    inside: Vec<bool>,
}

impl States {
    fn after(tokens: &[Token], path: impl Iterator<Item = Unit>) -> Self {
        let mut now = Self::empty(tokens.len());
        now.reach(tokens, 0);
        let mut next = Self::empty(tokens.len());
        for unit in path {
            next.at.fill(false);
            next.inside.fill(false);
            for (index, token) in tokens.iter().enumerate() {
                if now.inside[index] || (now.at[index] && matches!(token, Token::Directories)) {
                    next.inside[index] = true;
                    if unit == Unit::from('/') {
                        next.reach(tokens, index + 1);
                    }
                }
                if !now.at[index] {
                    continue;
                }
                match token {
                    Token::Directories => {}
                    Token::Star if unit == Unit::from('/') => {}
                    Token::Rest | Token::Star => next.reach(tokens, index),
                    _ if token.accepts(unit) => next.reach(tokens, index + 1),
                    _ => {}
                }
            }
            std::mem::swap(&mut now, &mut next);
            if now.none() {
                break;
            }
        }
        now
    }

    fn empty(length: usize) -> Self {
        Self { at: vec![false; length + 1], inside: vec![false; length + 1] }
    }

    /// Marks a place and those that are reached from it by reading nothing.
    fn reach(&mut self, tokens: &[Token], mut index: usize) {
        while !self.at[index] {
            self.at[index] = true;
            match tokens.get(index) {
                Some(Token::Star | Token::Rest | Token::Directories) => index += 1,
                _ => break,
            }
        }
    }

    fn accepts(&self) -> bool {
        self.at.last() == Some(&true)
    }

    fn none(&self) -> bool {
        !self.at.contains(&true) && !self.inside.contains(&true)
    }
}

impl Token {
    fn accepts(&self, unit: Unit) -> bool {
        match self {
            Self::Exactly(expected) => unit == *expected,
            Self::Any => unit != Unit::from('/'),
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&unit)) != *negated
            }
            Self::Star | Self::Rest | Self::Directories => false,
        }
    }
}

/// The characters of bytes; a byte that is in no character is a unit of its own.
fn units(bytes: &[u8]) -> impl Iterator<Item = Unit> + '_ {
    bytes.utf8_chunks().flat_map(|chunk| {
        let raw = chunk.invalid().iter().map(|byte| RAW_BYTE + Unit::from(*byte));
        chunk.valid().chars().map(Unit::from).chain(raw)
    })
}
