//! Options about one registry: `HOST=…`.

use std::path::PathBuf;

/// A certificate authority for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostAuthority {
    pub(crate) host: String,
    pub(crate) file: PathBuf,
}

/// What this client shows to a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostIdentity {
    pub(crate) host: String,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Where to ask before the registry itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostMirror {
    pub(crate) host: String,
    pub(crate) mirror: String,
    /// Goes before every repository's name; empty or `a/b`.
    pub(crate) prefix: String,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostError {
    #[error("`{text}` is not a registry, `HOST[:PORT]` without a scheme or a path")]
    Host { text: String },
    #[error("`{text}` is not `{form}`")]
    Form { text: String, form: &'static str },
}

/// Reads `HOST[:PORT]`.
pub(crate) fn host(text: &str) -> Result<String, HostError> {
    let bad = text.is_empty()
        || text.contains("://")
        || text.contains(|character: char| {
            character == '/' || character == '@' || character.is_whitespace()
        });
    if bad { Err(HostError::Host { text: text.to_owned() }) } else { Ok(text.to_owned()) }
}

fn pair<'a>(text: &'a str, form: &'static str) -> Result<(String, &'a str), HostError> {
    match text.split_once('=') {
        Some((name, value)) if !value.is_empty() => Ok((host(name)?, value)),
        _ => Err(HostError::Form { text: text.to_owned(), form }),
    }
}

/// Reads `HOST=FILE`.
pub(crate) fn authority(text: &str) -> Result<HostAuthority, HostError> {
    let (host, file) = pair(text, "HOST=FILE")?;
    Ok(HostAuthority { host, file: file.into() })
}

/// Reads `HOST=CERT,KEY`.
pub(crate) fn identity(text: &str) -> Result<HostIdentity, HostError> {
    const FORM: &str = "HOST=CERT,KEY";
    let (host, files) = pair(text, FORM)?;
    match files.split_once(',') {
        Some((certificate, key)) if !certificate.is_empty() && !key.is_empty() => {
            Ok(HostIdentity { host, certificate: certificate.into(), key: key.into() })
        }
        _ => Err(HostError::Form { text: text.to_owned(), form: FORM }),
    }
}

/// Reads `HOST=MIRROR[/PREFIX]`.
pub(crate) fn mirror(text: &str) -> Result<HostMirror, HostError> {
    let (name, value) = pair(text, "HOST=MIRROR[/PREFIX]")?;
    let (mirror, prefix) = value.split_once('/').unwrap_or((value, ""));
    Ok(HostMirror {
        host: name,
        mirror: host(mirror)?,
        prefix: prefix.trim_matches('/').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_has_neither_scheme_nor_path() {
        for (text, expected) in [
            ("registry.example.com", true),
            ("localhost:5000", true),
            ("[::1]:5000", true),
            ("https://a", false),
            ("a/b", false),
            ("", false),
            ("a b", false),
        ] {
            assert_eq!(host(text).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn values_of_a_host_are_read() {
        assert_eq!(
            authority("a:1=ca.pem"),
            Ok(HostAuthority { host: "a:1".into(), file: "ca.pem".into() })
        );
        assert_eq!(
            identity("a=c.pem,k.pem"),
            Ok(HostIdentity { host: "a".into(), certificate: "c.pem".into(), key: "k.pem".into() })
        );
        assert_eq!(
            identity("a=c.pem"),
            Err(HostError::Form { text: "a=c.pem".into(), form: "HOST=CERT,KEY" })
        );
        assert_eq!(
            mirror("docker.io=mirror:5000/hub/x/"),
            Ok(HostMirror {
                host: "docker.io".into(),
                mirror: "mirror:5000".into(),
                prefix: "hub/x".into()
            })
        );
    }
}
