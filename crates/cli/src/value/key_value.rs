//! `KEY=VALUE` and `KEY[=VALUE]`.

/// A key, and the value that was given with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyValue {
    pub(crate) key: String,
    /// `None` where the text has no `=`: for a build argument, the environment has the value.
    pub(crate) value: Option<String>,
}

/// What is wrong with a pair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyValueError {
    #[error("the name before the `=` is empty")]
    NoKey,
    #[error("`{text}` has no `=`: write `{text}=VALUE`")]
    NoValue { text: String },
}

/// Reads `KEY[=VALUE]`.
pub(crate) fn optional(text: &str) -> Result<KeyValue, KeyValueError> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (text, None),
    };
    if key.is_empty() {
        return Err(KeyValueError::NoKey);
    }
    Ok(KeyValue { key: key.to_owned(), value })
}

/// Reads `KEY=VALUE`; the value may be empty.
pub(crate) fn required(text: &str) -> Result<(String, String), KeyValueError> {
    match optional(text)? {
        KeyValue { key, value: Some(value) } => Ok((key, value)),
        KeyValue { key, value: None } => Err(KeyValueError::NoValue { text: key }),
    }
}

/// Reads a label: `KEY[=VALUE]`, where no value is an empty one, as for `docker build`.
pub(crate) fn label(text: &str) -> Result<(String, String), KeyValueError> {
    let KeyValue { key, value } = optional(text)?;
    Ok((key, value.unwrap_or_default()))
}

/// Reads the lines of a `--build-arg-file`: `KEY[=VALUE]`, blank lines and `#` comments left out.
pub(crate) fn lines(text: &str) -> Result<Vec<KeyValue>, (usize, KeyValueError)> {
    text.lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.trim_start()))
        .filter(|(_, line)| !line.trim_end().is_empty() && !line.starts_with('#'))
        .map(|(number, line)| optional(line).map_err(|error| (number, error)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: Option<&str>) -> KeyValue {
        KeyValue { key: key.into(), value: value.map(str::to_owned) }
    }

    #[test]
    fn value_is_optional() {
        for (text, expected) in [
            ("A=b", Ok(pair("A", Some("b")))),
            ("A=", Ok(pair("A", Some("")))),
            ("A", Ok(pair("A", None))),
            ("A=b=c", Ok(pair("A", Some("b=c")))),
            ("=b", Err(KeyValueError::NoKey)),
            ("", Err(KeyValueError::NoKey)),
        ] {
            assert_eq!(optional(text), expected, "{text}");
        }
    }

    #[test]
    fn value_is_required() {
        assert_eq!(required("A=b"), Ok(("A".into(), "b".into())));
        assert_eq!(required("A"), Err(KeyValueError::NoValue { text: "A".into() }));
        assert_eq!(label("A"), Ok(("A".into(), String::new())));
    }

    #[test]
    fn file_has_comments_and_blank_lines() {
        assert_eq!(
            lines("# note\n\nA=1 # kept\n  B\n"),
            Ok(vec![pair("A", Some("1 # kept")), pair("B", None)])
        );
        assert_eq!(lines("A=1\n=2\n"), Err((2, KeyValueError::NoKey)));
    }
}
