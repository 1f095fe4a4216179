//! Values as Go's `fmt` writes them, because rows of a history hold them.

use std::fmt::Write as _;

/// `%q` of a list of strings: `["a" "b"]`.
pub(crate) fn quoted_list(items: &[String]) -> String {
    let quoted: Vec<_> = items.iter().map(|item| quote(item)).collect();
    format!("[{}]", quoted.join(" "))
}

/// `%v` of a list of strings: `[a b]`.
pub(crate) fn list(items: &[String]) -> String {
    format!("[{}]", items.join(" "))
}

/// `%q` of a string.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            ' ' => quoted.push(' '),
            control if control < ' ' || control == '\u{7f}' => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(control));
            }
            // Go prints no other white space and no control character as it is.
            hidden if hidden.is_control() || hidden.is_whitespace() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(hidden));
            }
            shown => quoted.push(shown),
        }
    }
    quoted.push('"');
    quoted
}

/// `%v` of a duration: `1h0m0s`, `1.5s`, `20ms`, `0s`.
pub(crate) fn duration(nanoseconds: i64) -> String {
    let nanoseconds = nanoseconds.max(0);
    let fraction = |value: i64, unit: i64| {
        let whole = value / unit;
        let rest = format!("{:0width$}", value % unit, width = unit.ilog10() as usize);
        match rest.trim_end_matches('0') {
            "" => whole.to_string(),
            rest => format!("{whole}.{rest}"),
        }
    };
    match nanoseconds {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanoseconds}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(nanoseconds, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(nanoseconds, 1_000_000)),
        _ => {
            const MINUTE: i64 = 60_000_000_000;
            let (hours, minutes) = (nanoseconds / MINUTE / 60, nanoseconds / MINUTE % 60);
            let seconds = fraction(nanoseconds % MINUTE, 1_000_000_000);
            match (hours, minutes) {
                (0, 0) => format!("{seconds}s"),
                (0, _) => format!("{minutes}m{seconds}s"),
                _ => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_go_does() {
        for (text, expected) in [
            ("plain", r#""plain""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("tab\tnew\nline", r#""tab\tnew\nline""#),
            ("\u{1}\u{7f}", r#""\x01\x7f""#),
            ("żółć\u{a0}", r#""żółć\u00a0""#),
        ] {
            assert_eq!(quote(text), expected);
        }
        assert_eq!(quoted_list(&["a".into(), "b c".into()]), r#"["a" "b c"]"#);
        assert_eq!(list(&["/a".into(), "/b".into()]), "[/a /b]");
    }

    #[test]
    fn durations_are_written_as_go_does() {
        for (nanoseconds, expected) in [
            (0, "0s"),
            (1_500_000, "1.5ms"),
            (2_000_000_000, "2s"),
            (2_500_000_000, "2.5s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (3_661_010_000_000, "1h1m1.01s"),
        ] {
            assert_eq!(duration(nanoseconds), expected);
        }
    }
}
