//! `--secret id=ID[,src=FILE|,env=VAR]`.

use std::path::PathBuf;

use super::fields::{self, FieldsError};

/// A secret, and where its bytes are; the bytes are read when the build begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secret {
    pub(crate) id: String,
    pub(crate) source: SecretSource,
}

/// Where the bytes of a secret are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretSource {
    File(PathBuf),
    Variable(String),
    /// Neither was said: the variable of that name if it is set, else the file of that name.
    SameName,
}

/// What is wrong with a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecretError {
    #[error(transparent)]
    Fields(#[from] FieldsError),
    #[error("a secret needs `id=ID`")]
    NoId,
    #[error("a secret has either `src` or `env`, not both")]
    TwoSources,
    #[error("`type={name}` is neither `file` nor `env`")]
    Type { name: String },
}

const KEYS: [&str; 5] = ["id", "src", "source", "env", "type"];

/// Reads a secret. With `type=env`, `src` names a variable, as for `docker buildx`.
pub(crate) fn parse(text: &str) -> Result<Secret, SecretError> {
    let mut id = None;
    let mut file = None;
    let mut variable = None;
    let mut kind = None;
    for field in fields::split(text)? {
        let value = || field.required().map(str::to_owned);
        match field.key.as_str() {
            "id" => id = Some(value()?),
            "src" | "source" if file.is_some() => {
                return Err(FieldsError::Twice { key: "src".into() }.into());
            }
            "src" | "source" => file = Some(value()?),
            "env" => variable = Some(value()?),
            "type" => kind = Some(value()?),
            _ => return Err(field.unknown(&KEYS).into()),
        }
    }
    let id = id.ok_or(SecretError::NoId)?;
    let source = match (kind.as_deref(), file, variable) {
        (_, Some(_), Some(_)) | (Some("file"), None, Some(_)) => {
            return Err(SecretError::TwoSources);
        }
        (Some("file") | None, Some(file), None) => SecretSource::File(file.into()),
        (Some("env"), Some(name), None) | (Some("env") | None, None, Some(name)) => {
            SecretSource::Variable(name)
        }
        (Some("file"), None, None) => SecretSource::File(id.clone().into()),
        (Some("env"), None, None) => SecretSource::Variable(id.clone()),
        (None, None, None) => SecretSource::SameName,
        (Some(name), _, _) => return Err(SecretError::Type { name: name.to_owned() }),
    };
    Ok(Secret { id, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_read() {
        let secret = |id: &str, source| Ok(Secret { id: id.into(), source });
        let variable = |name: &str| SecretSource::Variable(name.into());
        for (text, expected) in [
            ("id=a,src=b", secret("a", SecretSource::File("b".into()))),
            ("id=a,source=b", secret("a", SecretSource::File("b".into()))),
            ("id=a,env=B", secret("a", variable("B"))),
            ("id=a,type=env,src=B", secret("a", variable("B"))),
            ("type=env,id=A", secret("A", variable("A"))),
            ("type=file,id=a", secret("a", SecretSource::File("a".into()))),
            ("id=a", secret("a", SecretSource::SameName)),
            ("src=a", Err(SecretError::NoId)),
            ("id=a,src=b,env=C", Err(SecretError::TwoSources)),
            ("id=a,type=vault", Err(SecretError::Type { name: "vault".into() })),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
