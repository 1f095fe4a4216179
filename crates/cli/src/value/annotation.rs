//! `--annotation [manifest:]KEY=VALUE`.

use super::key_value::{self, KeyValueError};

/// What is wrong with an annotation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnnotationError {
    #[error(transparent)]
    Pair(#[from] KeyValueError),
    #[error("annotations of an `{place}` are not built yet: only those of the manifest are")]
    NotBuilt { place: String },
}

/// Reads an annotation of the manifest; the prefix may be left out, as with `docker buildx`.
pub(crate) fn parse(text: &str) -> Result<(String, String), AnnotationError> {
    let key = text.split_once('=').map_or(text, |(key, _)| key);
    let text = match key.split_once(':') {
        Some(("manifest", _)) => &text["manifest:".len()..],
        Some((place @ ("index" | "index-descriptor" | "manifest-descriptor"), _)) => {
            return Err(AnnotationError::NotBuilt { place: place.to_owned() });
        }
        _ => text,
    };
    Ok(key_value::required(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotation_is_of_the_manifest() {
        let is = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        for (text, expected) in [
            ("a=b", is("a", "b")),
            ("manifest:a=b", is("a", "b")),
            ("a=index:b", is("a", "index:b")),
            ("x:a=b", is("x:a", "b")),
            ("index:a=b", Err(AnnotationError::NotBuilt { place: "index".into() })),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
