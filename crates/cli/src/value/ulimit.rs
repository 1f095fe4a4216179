//! `--ulimit NAME=SOFT[:HARD]`.

use strata_dockerfile::suggest;
use strata_sandbox::{Resource, Ulimit};

/// What is wrong with a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UlimitError {
    #[error("`{text}` is not `NAME=SOFT[:HARD]`")]
    NotAPair { text: String },
    #[error("unknown limit `{name}`{advice}")]
    Unknown { name: String, advice: String },
    #[error("`{value}` is neither a number nor `unlimited`")]
    Value { value: String },
    #[error("the soft limit {soft} is above the hard limit {hard}")]
    SoftAboveHard { soft: String, hard: String },
}

/// Reads a limit; `-1` and `unlimited` are none, and without a hard limit it is the soft one.
pub(crate) fn parse(text: &str) -> Result<Ulimit, UlimitError> {
    let Some((name, values)) = text.split_once('=') else {
        return Err(UlimitError::NotAPair { text: text.to_owned() });
    };
    let Some(resource) = Resource::from_name(name) else {
        let advice = suggest(name, Resource::ALL.map(Resource::name))
            .map_or_else(String::new, |meant| format!(": did you mean `{meant}`?"));
        return Err(UlimitError::Unknown { name: name.to_owned(), advice });
    };
    let (soft_text, hard_text) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (limit(soft_text)?, limit(hard_text)?);
    let above = match (soft, hard) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(soft), Some(hard)) => soft > hard,
    };
    if above {
        return Err(UlimitError::SoftAboveHard { soft: soft_text.into(), hard: hard_text.into() });
    }
    Ok(Ulimit { resource, soft, hard })
}

fn limit(text: &str) -> Result<Option<u64>, UlimitError> {
    match text {
        "-1" | "unlimited" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| UlimitError::Value { value: text.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_read() {
        let nofile = |soft, hard| Ok(Ulimit { resource: Resource::Nofile, soft, hard });
        for (text, expected) in [
            ("nofile=1024", nofile(Some(1024), Some(1024))),
            ("nofile=1024:4096", nofile(Some(1024), Some(4096))),
            ("nofile=-1", nofile(None, None)),
            ("nofile=1:unlimited", nofile(Some(1), None)),
            ("nofile=x", Err(UlimitError::Value { value: "x".into() })),
            ("nofile", Err(UlimitError::NotAPair { text: "nofile".into() })),
            ("nofile=2:1", Err(UlimitError::SoftAboveHard { soft: "2".into(), hard: "1".into() })),
            (
                "nofiles=1",
                Err(UlimitError::Unknown {
                    name: "nofiles".into(),
                    advice: ": did you mean `nofile`?".into(),
                }),
            ),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
