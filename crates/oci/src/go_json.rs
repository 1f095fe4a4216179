//! JSON as Go's `encoding/json` writes it, so that equal values give equal digests.
//!
//! Two things differ from `serde_json`: Go escapes `<`, `>`, `&`, U+2028 and U+2029 inside strings, and writes
//! backspace and form feed as `\b` and `\f` as `serde_json` does too (since Go 1.22). Field order is the type's.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

/// Writes without white space: `json.Marshal`.
pub(crate) fn compact<T: Serialize>(value: &T) -> Vec<u8> {
    write(value, CompactFormatter)
}

/// Writes with an indent of two spaces: `json.MarshalIndent(value, "", "  ")`.
pub(crate) fn indented<T: Serialize>(value: &T) -> Vec<u8> {
    write(value, PrettyFormatter::with_indent(b"  "))
}

fn write<T: Serialize, F: Formatter>(value: &T, inner: F) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Escaping { inner });
    value
        .serialize(&mut serializer)
        .expect("the types of this crate have string keys and writing to memory cannot fail");
    bytes
}

/// Passes the layout on to another formatter and escapes what Go escapes.
struct Escaping<F> {
    inner: F,
}

/// Generates the methods that only pass on; `Formatter` has one for each kind of token.
macro_rules! pass_on {
    ($($method:ident($($argument:ident: $type:ty),*)),* $(,)?) => {
        $(fn $method<W: ?Sized + io::Write>(
            &mut self, writer: &mut W $(, $argument: $type)*
        ) -> io::Result<()> {
            self.inner.$method(writer $(, $argument)*)
        })*
    };
}

impl<F: Formatter> Formatter for Escaping<F> {
    pass_on! {
        begin_array(), end_array(), begin_array_value(first: bool), end_array_value(),
        begin_object(), end_object(), begin_object_key(first: bool), end_object_key(),
        begin_object_value(), end_object_value(),
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, tail) = rest.split_at(at);
            let mut characters = tail.chars();
            let escaped = characters.next().map_or(0, u32::from);
            writer.write_all(plain.as_bytes())?;
            write!(writer, "\\u{escaped:04x}")?;
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_go_escapes() {
        let text = "a <b> && c\u{2028}\u{2029}\u{8}\u{c}\u{1}\"\\é/";
        let expected = r#""a \u003cb\u003e \u0026\u0026 c\u2028\u2029\b\f\u0001\"\\é/""#;
        assert_eq!(String::from_utf8_lossy(&compact(&text)), expected);
    }

    #[test]
    fn indents_as_marshal_indent_does() {
        let value = serde_json::json!({"a": [1, {"b": "x"}], "c": [], "d": {}});
        let expected = "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"x\"\n    }\n  ],\n  \"c\": [],\n  \"d\": {}\n}";
        assert_eq!(String::from_utf8_lossy(&indented(&value)), expected);
    }
}
