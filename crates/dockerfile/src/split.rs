//! Splitting of a logical line: keyword, flags, words.

use crate::mapped::{Mapped, Slice};

/// Splits off the keyword; the rest is empty when there is none.
pub(crate) fn keyword(line: Slice<'_>) -> (Slice<'_>, Slice<'_>) {
    let line = line.trimmed();
    line.around_separator().unwrap_or((line, line.part(line.len()..line.len())))
}

/// Splits off the words at the front that begin with `--`, quotes and escapes taken off them.
/// A lone `--` ends them and is dropped. The rest is trimmed.
pub(crate) fn flags(line: Slice<'_>, escape: char) -> (Vec<Mapped>, Slice<'_>) {
    let mut flags = Vec::new();
    let mut at = 0;
    loop {
        let rest = &line.text()[at..];
        let start = at + (rest.len() - rest.trim_start().len());
        if !line.text()[start..].starts_with("--") {
            return (flags, line.part(start..line.len()).trimmed());
        }
        let (flag, end) = unquoted(line, start, escape);
        at = end;
        if flag.as_slice().text() == "--" {
            return (flags, line.part(at..line.len()).trimmed());
        }
        flags.push(flag);
    }
}

/// Reads one word, without its quotes and escapes, up to white space; and where it ends.
fn unquoted(line: Slice<'_>, start: usize, escape: char) -> (Mapped, usize) {
    let mut word = Mapped::new(line.source(), line.origin(start));
    let mut quote = None;
    let mut characters = line.text()[start..].char_indices();
    while let Some((at, mut character)) = characters.next() {
        let mut at = start + at;
        match quote {
            None if character.is_whitespace() => return (word, at),
            None if matches!(character, '\'' | '"') => {
                quote = Some(character);
                continue;
            }
            Some(open) if character == open => {
                quote = None;
                continue;
            }
            _ => {}
        }
        if character == escape {
            match characters.next() {
                Some((next, escaped)) => (at, character) = (start + next, escaped),
                None => break,
            }
        }
        word.push(character.encode_utf8(&mut [0; 4]), line.origin(at));
    }
    (word, line.len())
}

/// Splits into words at white space outside of quotes; quotes and escapes stay in the words. An
/// escape as the last character of all is dropped.
pub(crate) fn words(line: Slice<'_>, escape: char) -> Vec<Slice<'_>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut end = line.len();
    let mut characters = line.text().char_indices();
    while let Some((at, character)) = characters.next() {
        match (start, quote) {
            (None, _) if character.is_whitespace() => continue,
            (None, _) => start = Some(at),
            (Some(begin), None) if character.is_whitespace() => {
                words.push(line.part(begin..at));
                start = None;
                continue;
            }
            (Some(_), _) => {}
        }
        // Within single quotes nothing is escaped.
        if character == escape && quote != Some('\'') {
            if characters.next().is_none() {
                end = at;
            }
        } else if quote == Some(character) {
            quote = None;
        } else if quote.is_none() && matches!(character, '\'' | '"') {
            quote = Some(character);
        }
    }
    if let Some(begin) = start
        && begin < end
    {
        words.push(line.part(begin..end));
    }
    words
}
