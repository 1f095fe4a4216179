//! The scanner that expands: one pass over the characters, recursive in `${…}`.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

use super::{Escapes, ExpandError, Expander, Quotes, Unset, pattern};

/// `${a:-${b:-…}}` recurses; a hostile text must not end the stack.
const MAX_DEPTH: usize = 64;
/// `ENV A=$A$A` repeated doubles a value each time.
const MAX_LENGTH: usize = 16 << 20;

pub(super) struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    word: &'a str,
    expander: Expander,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    depth: usize,
    pub(super) matched: BTreeSet<String>,
    pub(super) unmatched: BTreeSet<String>,
}

/// Expands a word: as one text, and as words.
pub(super) fn run<'a>(
    expander: Expander,
    word: &'a str,
    lookup: &'a dyn Fn(&str) -> Option<String>,
) -> Result<(String, Vec<String>, Lexer<'a>), ExpandError> {
    let mut lexer = Lexer {
        rest: word.chars().peekable(),
        word,
        expander,
        lookup,
        depth: 0,
        matched: BTreeSet::new(),
        unmatched: BTreeSet::new(),
    };
    let (text, words) = lexer.until(None, expander.escapes)?;
    Ok((text, words, lexer))
}

/// Words as they are found: split at white space that came neither quoted nor escaped.
#[derive(Default)]
struct Words {
    words: Vec<String>,
    word: String,
}

impl Words {
    fn split(&mut self, text: &str) {
        for character in text.chars() {
            if character.is_whitespace() {
                self.end();
            } else {
                self.word.push(character);
            }
        }
    }

    fn end(&mut self) {
        if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }
}

impl Lexer<'_> {
    /// Reads up to `stop`, which is taken, or to the end.
    fn until(
        &mut self,
        stop: Option<char>,
        escapes: Escapes,
    ) -> Result<(String, Vec<String>), ExpandError> {
        let outer = std::mem::replace(&mut self.expander.escapes, escapes);
        let result = self.scan(stop);
        self.expander.escapes = outer;
        result
    }

    fn scan(&mut self, stop: Option<char>) -> Result<(String, Vec<String>), ExpandError> {
        let mut text = String::new();
        let mut words = Words::default();
        let quotes = self.expander.quotes != Quotes::Ignore;
        while let Some(&character) = self.rest.peek() {
            if text.len() > MAX_LENGTH {
                return Err(ExpandError::TooLong { limit: MAX_LENGTH });
            }
            if Some(character) == stop {
                self.rest.next();
                words.end();
                return Ok((text, words.words));
            }
            let piece = match character {
                '$' => {
                    let value = self.dollar()?;
                    words.split(&value);
                    text.push_str(&value);
                    continue;
                }
                '<' => self.possible_heredoc(),
                '\'' if quotes => self.single_quoted()?,
                '"' if quotes => self.double_quoted()?,
                _ if character == self.expander.escape => {
                    self.rest.next();
                    let mut piece = String::new();
                    if self.expander.escapes == Escapes::Keep {
                        piece.push(character);
                    }
                    piece.extend(self.rest.next());
                    piece
                }
                _ => {
                    self.rest.next();
                    let mut buffer = [0; 4];
                    let piece = character.encode_utf8(&mut buffer);
                    words.split(piece);
                    text.push_str(piece);
                    continue;
                }
            };
            words.word.push_str(&piece);
            text.push_str(&piece);
        }
        if text.len() > MAX_LENGTH {
            return Err(ExpandError::TooLong { limit: MAX_LENGTH });
        }
        if let Some(missing) = stop {
            return Err(self.unclosed(missing));
        }
        words.end();
        Ok((text, words.words))
    }

    /// `<<` keeps the blanks after it in the same word.
    fn possible_heredoc(&mut self) -> String {
        self.rest.next();
        let mut text = String::from("<");
        if let Some(second) = self.rest.next_if_eq(&'<') {
            text.push(second);
            while let Some(blank) = self.rest.next_if(|next| matches!(next, ' ' | '\t' | '\r')) {
                text.push(blank);
            }
        }
        text
    }

    fn single_quoted(&mut self) -> Result<String, ExpandError> {
        let keep = self.expander.quotes == Quotes::Keep;
        let mut text = String::new();
        let quote = self.rest.next();
        text.extend(quote.filter(|_| keep));
        loop {
            match self.rest.next() {
                None => return Err(self.unclosed_quote("single quote")),
                Some('\'') => {
                    text.extend(quote.filter(|_| keep));
                    return Ok(text);
                }
                Some(character) => text.push(character),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<String, ExpandError> {
        let keep = self.expander.quotes == Quotes::Keep;
        let escape = self.expander.escape;
        let mut text = String::new();
        let quote = self.rest.next();
        text.extend(quote.filter(|_| keep));
        loop {
            if text.len() > MAX_LENGTH {
                return Err(ExpandError::TooLong { limit: MAX_LENGTH });
            }
            match self.rest.peek().copied() {
                None => return Err(self.unclosed_quote("double quote")),
                Some('"') => {
                    self.rest.next();
                    text.extend(quote.filter(|_| keep));
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(character) => {
                    self.rest.next();
                    if character != escape {
                        text.push(character);
                        continue;
                    }
                    if self.expander.escapes == Escapes::Keep {
                        text.push(character);
                    }
                    // Only these can be escaped; before others the escape stands for itself.
                    let escaped =
                        self.rest.next_if(|next| matches!(next, '"' | '$') || *next == escape);
                    match escaped {
                        Some(next) => text.push(next),
                        None if self.rest.peek().is_none() => {}
                        None => text.push(character),
                    }
                }
            }
        }
    }

    fn dollar(&mut self) -> Result<String, ExpandError> {
        self.rest.next();
        if self.rest.next_if_eq(&'{').is_none() {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".into());
            }
            return Ok(match self.get(&name) {
                Some(value) => value,
                None if self.expander.unset == Unset::Keep => format!("${name}"),
                None => String::new(),
            });
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ExpandError::TooDeep { limit: MAX_DEPTH });
        }
        let value = self.braced();
        self.depth -= 1;
        value
    }

    /// After `${`.
    fn braced(&mut self) -> Result<String, ExpandError> {
        match self.rest.peek() {
            None => return Err(self.unclosed('}')),
            Some('{' | '}' | ':') => {
                return Err(ExpandError::BadSubstitution { word: self.excerpt() });
            }
            Some(_) => {}
        }
        let name = self.name();
        let Some(operator) = self.rest.next() else {
            return Err(self.unclosed('}'));
        };
        match operator {
            '}' => Ok(match self.get(&name) {
                Some(value) => value,
                None if self.expander.unset == Unset::Keep => format!("${{{name}}}"),
                None => String::new(),
            }),
            ':' => match self.rest.next() {
                Some(operator @ ('-' | '+' | '?')) => self.conditional(&name, operator, true),
                Some(other) => Err(self.unsupported(format!(":{other}"))),
                None => Err(self.unclosed('}')),
            },
            '-' | '+' | '?' => self.conditional(&name, operator, false),
            '#' | '%' => self.trimmed(&name, operator),
            '/' => self.replaced(&name),
            other => Err(self.unsupported(other.into())),
        }
    }

    fn conditional(
        &mut self,
        name: &str,
        operator: char,
        empty_is_unset: bool,
    ) -> Result<String, ExpandError> {
        let (word, _) = self.until(Some('}'), Escapes::Remove)?;
        let value = self.get(name);
        if value.is_none() && self.expander.unset == Unset::Keep {
            let colon = if empty_is_unset { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{operator}{word}}}"));
        }
        let was_set = value.is_some();
        let usable = value.filter(|value| !(empty_is_unset && value.is_empty()));
        match (operator, usable) {
            ('-', value) => Ok(value.unwrap_or(word)),
            ('+', None) => Ok(String::new()),
            ('+', Some(_)) => Ok(word),
            (_, Some(value)) => Ok(value),
            (_, None) => {
                let message = match (word.is_empty(), was_set) {
                    (false, _) => word,
                    (true, true) => "is not allowed to be empty".into(),
                    (true, false) => "is not allowed to be unset".into(),
                };
                Err(ExpandError::Required { name: name.into(), message })
            }
        }
    }

    fn trimmed(&mut self, name: &str, operator: char) -> Result<String, ExpandError> {
        let (word, _) = self.until(Some('}'), Escapes::Keep)?;
        let Some(value) = self.get(name) else {
            return Ok(match self.expander.unset {
                Unset::Keep => format!("${{{name}{operator}{word}}}"),
                Unset::Empty => {
                    // The pattern is checked all the same.
                    self.trim(&word, "", operator)?
                }
            });
        };
        self.trim(&word, &value, operator)
    }

    fn trim(&self, word: &str, value: &str, operator: char) -> Result<String, ExpandError> {
        let (pattern, length) = match word.strip_prefix(operator) {
            Some(rest) => (rest, pattern::Length::Longest),
            None => (word, pattern::Length::Shortest),
        };
        let trimmed = if operator == '#' {
            pattern::trim_prefix(pattern, value, length)
        } else {
            pattern::trim_suffix(pattern, value, length)
        };
        trimmed.ok_or_else(|| self.invalid_pattern(pattern))
    }

    fn replaced(&mut self, name: &str) -> Result<String, ExpandError> {
        let all = self.rest.next_if_eq(&'/').is_some();
        let (pattern, _) = self.until(Some('/'), Escapes::Keep)?;
        let (replacement, _) = self.until(Some('}'), Escapes::Keep)?;
        let value = self.get(name);
        if value.is_none() && self.expander.unset == Unset::Keep {
            let slash = if all { "//" } else { "/" };
            return Ok(format!("${{{name}{slash}{pattern}/{replacement}}}"));
        }
        let occurrences = if all { pattern::Occurrences::All } else { pattern::Occurrences::First };
        pattern::replace(&pattern, &value.unwrap_or_default(), &replacement, occurrences)
            .ok_or_else(|| self.invalid_pattern(&pattern))
    }

    /// A name, all digits of a positional parameter, or one special parameter.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.rest.peek() {
            Some(first) if first.is_ascii_digit() => {
                while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
                    name.push(digit);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.rest.next()),
            _ => {
                while let Some(next) =
                    self.rest.next_if(|next| next.is_alphanumeric() || *next == '_')
                {
                    name.push(next);
                }
            }
        }
        name
    }

    fn get(&mut self, name: &str) -> Option<String> {
        let value = (self.lookup)(name);
        let seen = if value.is_some() { &mut self.matched } else { &mut self.unmatched };
        if !seen.contains(name) {
            seen.insert(name.to_owned());
        }
        value
    }

    /// The word for a message: heredocs can be long.
    fn excerpt(&self) -> String {
        let line = self.word.lines().next().unwrap_or("");
        let mut excerpt: String = line.chars().take(60).collect();
        if excerpt.len() < self.word.len() {
            excerpt.push('…');
        }
        excerpt
    }

    fn unclosed(&self, missing: char) -> ExpandError {
        ExpandError::UnclosedBrace { missing, word: self.excerpt() }
    }

    fn unclosed_quote(&self, quote: &'static str) -> ExpandError {
        ExpandError::UnclosedQuote { quote, word: self.excerpt() }
    }

    fn unsupported(&self, modifier: String) -> ExpandError {
        ExpandError::UnsupportedModifier { modifier, word: self.excerpt() }
    }

    fn invalid_pattern(&self, pattern: &str) -> ExpandError {
        ExpandError::InvalidPattern { pattern: pattern.into(), word: self.excerpt() }
    }
}
