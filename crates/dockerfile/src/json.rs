//! The JSON form of arguments, as Go's decoder reads it.

use std::ops::Range;

use serde_json::value::RawValue;

/// What a text is that may be a JSON array of strings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Array {
    /// Not a JSON array: the shell form.
    NotJson,
    /// An array with something else than strings in it.
    NotStrings,
    /// The strings, each with the place of its literal in the text.
    Strings(Vec<(String, Range<usize>)>),
}

/// Reads a text as a JSON array of strings.
pub(crate) fn array(text: &str) -> Array {
    if !text.starts_with('[') {
        return Array::NotJson;
    }
    let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(text) else {
        return Array::NotJson;
    };
    // A number too large is an error for Go while it decodes, before types are compared.
    let too_large = |value: &&&RawValue| {
        value.get().parse::<f64>().is_ok_and(f64::is_infinite)
            && !value.get().starts_with(['"', '[', '{'])
    };
    if values.iter().find(too_large).is_some() {
        return Array::NotJson;
    }
    let mut strings = Vec::with_capacity(values.len());
    for value in values {
        let literal = value.get();
        let Some(inner) = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return Array::NotStrings;
        };
        let start = literal.as_ptr().addr() - text.as_ptr().addr();
        strings.push((unescape(inner), start..start + literal.len()));
    }
    Array::Strings(strings)
}

/// Decodes what is between the quotes of a valid literal; half a surrogate pair becomes U+FFFD.
fn unescape(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        decoded.push_str(&rest[..at]);
        let Some(kind) = rest[at + 1..].chars().next() else { break };
        rest = &rest[at + 1 + kind.len_utf8()..];
        decoded.push(match kind {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (character, after) = unicode(rest);
                rest = after;
                character
            }
            other => other,
        });
    }
    decoded.push_str(rest);
    decoded
}

/// Decodes the digits after `\u`, and a second half that belongs to them.
fn unicode(text: &str) -> (char, &str) {
    let digits = |text: &str| text.get(..4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let Some(first) = digits(text) else {
        return (char::REPLACEMENT_CHARACTER, text);
    };
    let after = &text[4..];
    if (0xd800..0xdc00).contains(&first)
        && let Some(pair) = after.strip_prefix("\\u")
        && let Some(second) = digits(pair)
        && (0xdc00..0xe000).contains(&second)
    {
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), &pair[4..]);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn arrays_of_strings() {
        for (text, expected) in [
            (r#"["a", "b"]"#, Some(owned(&["a", "b"]))),
            (r#"[  "a" ,	"b"  ]  "#, Some(owned(&["a", "b"]))),
            ("[]", Some(owned(&[]))),
            (r#"["a\"q\\\/\b\f\n\r\t"]"#, Some(owned(&["a\"q\\/\u{8}\u{c}\n\r\t"]))),
            (r#"["\u0041\u00fc\ud83d\ude00"]"#, Some(owned(&["Aü😀"]))),
            (
                r#"["\ud83d", "\ude00x", "\ud83d\u0041"]"#,
                Some(owned(&["\u{fffd}", "\u{fffd}x", "\u{fffd}A"])),
            ),
            (r#"["안녕"]"#, Some(owned(&["안녕"]))),
            (r#"["a",]"#, None),
            ("['a']", None),
            (r#"["a"] b"#, None),
            (r#"["a" "b"]"#, None),
            (r#"["a"#, None),
            (r#"["\x41"]"#, None),
            ("[1e999]", None),
            (r#"{"a": 1}"#, None),
            ("", None),
        ] {
            let actual = match array(text) {
                Array::Strings(values) => Some(values.into_iter().map(|(text, _)| text).collect()),
                Array::NotJson => None,
                Array::NotStrings => panic!("{text}"),
            };
            assert_eq!(actual, expected, "{text}");
        }
    }

    #[test]
    fn arrays_of_other_things() {
        for text in ["[1]", "[null]", r#"["a", true]"#, r#"["a", ["b"]]"#, r#"[{"a": 1}]"#] {
            assert_eq!(array(text), Array::NotStrings, "{text}");
        }
    }

    #[test]
    fn literals_have_places() {
        let text = r#"[ "a", "b\n"]"#;
        let Array::Strings(values) = array(text) else { panic!("strings") };
        let literals: Vec<&str> = values.iter().map(|(_, range)| &text[range.clone()]).collect();
        assert_eq!(literals, [r#""a""#, r#""b\n""#]);
    }

    #[test]
    fn deep_nesting_does_not_end_the_stack() {
        let text = format!("[{}{}]", "[".repeat(1 << 17), "]".repeat(1 << 17));
        assert_ne!(array(&text), Array::Strings(vec![]));
    }
}
