//! One line of comma-separated values, as Go's `encoding/csv`.

use crate::mapped::{Mapped, Slice};

/// Reads the fields of a line; gives what is wrong, with the offset of where, otherwise.
pub(crate) fn fields(line: Slice<'_>) -> Result<Vec<Mapped>, (&'static str, usize)> {
    let text = line.text();
    if text.is_empty() {
        return Err(("it is empty", 0));
    }
    let mut fields = Vec::new();
    let mut at = 0;
    loop {
        let mut field = Mapped::new(line.source(), line.origin(at));
        if !text[at..].starts_with('"') {
            let end = text[at..].find(',').map_or(text.len(), |comma| at + comma);
            if let Some(quote) = text[at..end].find('"') {
                return Err(("a bare `\"` in a field", at + quote));
            }
            push(&mut field, line, at, end);
            fields.push(field);
            if end == text.len() {
                return Ok(fields);
            }
            at = end + 1;
            continue;
        }
        at += 1;
        loop {
            let Some(quote) = text[at..].find('"').map(|quote| at + quote) else {
                return Err(("a missing `\"` at the end of a field", text.len()));
            };
            push(&mut field, line, at, quote);
            at = quote + 1;
            match text.as_bytes().get(at) {
                Some(b'"') => {
                    push(&mut field, line, at, at + 1);
                    at += 1;
                }
                Some(b',') => break,
                None => {
                    fields.push(field);
                    return Ok(fields);
                }
                Some(_) => return Err(("an extraneous `\"` in a field", quote)),
            }
        }
        fields.push(field);
        at += 1;
    }
}

/// Copies character by character: the line may itself be put together from pieces.
fn push(field: &mut Mapped, line: Slice<'_>, start: usize, end: usize) {
    for (at, character) in line.text()[start..end].char_indices() {
        field.push(character.encode_utf8(&mut [0; 4]), line.origin(start + at));
    }
}
