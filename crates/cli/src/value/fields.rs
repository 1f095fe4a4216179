//! `key=value,key=value`, as one line of CSV: `"dest=a,b"` keeps its comma.

use strata_dockerfile::suggest;

/// One `key=value`, or a word alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

impl Field {
    /// The value, which this key must have.
    pub(crate) fn required(&self) -> Result<&str, FieldsError> {
        match self.value.as_deref() {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(FieldsError::NoValue { key: self.key.clone() }),
        }
    }

    /// The value as a truth value; the word alone is true.
    pub(crate) fn truth(&self) -> Result<bool, FieldsError> {
        match self.value.as_deref() {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(value) => Err(FieldsError::Truth { key: self.key.clone(), value: value.into() }),
        }
    }

    /// The complaint about a key that none of `known` is.
    pub(crate) fn unknown(&self, known: &[&str]) -> FieldsError {
        let advice = match suggest(&self.key, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known are {}", list(known)),
        };
        FieldsError::Unknown { key: self.key.clone(), advice }
    }
}

/// What is wrong with a list of fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FieldsError {
    #[error("unknown key `{key}`: {advice}")]
    Unknown { key: String, advice: String },
    #[error("`{key}` needs a value: `{key}=…`")]
    NoValue { key: String },
    #[error("`{key}={value}` is neither `true` nor `false`")]
    Truth { key: String, value: String },
    #[error("`{key}` is given twice")]
    Twice { key: String },
    #[error("a quotation mark is not closed")]
    Quote,
}

/// Splits a list into its fields; keys are lower case, and each occurs once.
pub(crate) fn split(text: &str) -> Result<Vec<Field>, FieldsError> {
    let mut fields: Vec<Field> = Vec::new();
    for piece in pieces(text)? {
        let (key, value) = match piece.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (piece.as_str(), None),
        };
        let key = key.trim().to_ascii_lowercase();
        if fields.iter().any(|field| field.key == key) {
            return Err(FieldsError::Twice { key });
        }
        fields.push(Field { key, value });
    }
    Ok(fields)
}

/// Splits at commas outside quotation marks; `""` inside of them is one.
fn pieces(text: &str) -> Result<Vec<String>, FieldsError> {
    let mut pieces = vec![String::new()];
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let piece = pieces.last_mut().expect("begins with one piece and only grows");
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                piece.push('"');
            }
            '"' if quoted || piece.is_empty() => quoted = !quoted,
            ',' if !quoted => pieces.push(String::new()),
            other => piece.push(other),
        }
    }
    if quoted { Err(FieldsError::Quote) } else { Ok(pieces) }
}

/// Names in backticks, with commas and an `and`.
pub(crate) fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|name| format!("`{name}`")).collect();
            format!("{} and `{last}`", first.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_like_one_line_of_csv() {
        let field = |key: &str, value: Option<&str>| Field {
            key: key.to_owned(),
            value: value.map(str::to_owned),
        };
        for (text, expected) in [
            ("a=1,b=2", Ok(vec![field("a", Some("1")), field("b", Some("2"))])),
            ("Type=oci", Ok(vec![field("type", Some("oci"))])),
            ("word", Ok(vec![field("word", None)])),
            ("a=b=c", Ok(vec![field("a", Some("b=c"))])),
            ("\"dest=a,b\",c=d", Ok(vec![field("dest", Some("a,b")), field("c", Some("d"))])),
            ("\"a=say \"\"x\"\"\"", Ok(vec![field("a", Some("say \"x\""))])),
            ("a=1,a=2", Err(FieldsError::Twice { key: "a".into() })),
            ("\"a=1", Err(FieldsError::Quote)),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }
}
