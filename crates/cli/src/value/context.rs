//! Build contexts: the one that is the operand, and those with a name.

use std::ffi::OsStr;
use std::path::PathBuf;

use strata_oci::{Reference, ReferenceError};

use crate::settings::clouds;

/// Where a context is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ContextSource {
    /// Standard input: an archive, or a Dockerfile alone.
    Stdin,
    /// A directory or an archive on this machine.
    Local(PathBuf),
    /// A repository.
    Git(String),
    /// An archive or a Dockerfile on a web server.
    Url(String),
    /// A file of an object store.
    Object(String),
    /// An image.
    Image(Reference),
    /// An image in a layout.
    Layout { directory: PathBuf, selector: Option<String> },
}

/// A named context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedContext {
    pub(crate) name: String,
    pub(crate) source: ContextSource,
}

/// What is wrong with a named context.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ContextError {
    #[error("a named context is `NAME=SRC`")]
    NotNamed,
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error("`oci-layout://` needs a directory")]
    NoDirectory,
    #[error("only the context itself can be standard input")]
    Stdin,
}

/// Says what the operand is.
pub(crate) fn operand(text: &OsStr) -> ContextSource {
    if text == "-" {
        return ContextSource::Stdin;
    }
    text.to_str().and_then(remote).unwrap_or_else(|| ContextSource::Local(text.into()))
}

/// Reads `NAME=SRC`.
pub(crate) fn named(text: &str) -> Result<NamedContext, ContextError> {
    let (name, source) = match text.split_once('=') {
        Some((name, source)) if !name.is_empty() && !source.is_empty() => (name, source),
        _ => return Err(ContextError::NotNamed),
    };
    let source = if let Some(image) = source.strip_prefix("docker-image://") {
        ContextSource::Image(Reference::parse(image)?)
    } else if let Some(layout) = source.strip_prefix("oci-layout://") {
        let (directory, selector) = layout_selector(layout);
        if directory.is_empty() {
            return Err(ContextError::NoDirectory);
        }
        ContextSource::Layout { directory: directory.into(), selector: selector.map(str::to_owned) }
    } else if source == "-" {
        return Err(ContextError::Stdin);
    } else {
        remote(source).unwrap_or_else(|| ContextSource::Local(source.into()))
    };
    Ok(NamedContext { name: name.to_owned(), source })
}

/// Splits `DIR@DIGEST` and `DIR:TAG`; a colon before a slash belongs to the directory.
pub(crate) fn layout_selector(text: &str) -> (&str, Option<&str>) {
    if let Some((directory, digest)) = text.rsplit_once('@') {
        return (directory, Some(digest));
    }
    match text.rsplit_once(':') {
        Some((directory, tag)) if !tag.contains('/') => (directory, Some(tag)),
        _ => (text, None),
    }
}

/// The forms that are not of this machine, in the order in which `docker build` tries them.
fn remote(text: &str) -> Option<ContextSource> {
    let owned = || text.to_owned();
    let path = text.split(['#', '?']).next().unwrap_or(text);
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| text.starts_with(prefix));
    if starts(&["git://", "ssh://", "git@", "github.com/"])
        || (starts(&["http://", "https://"]) && path.strip_suffix(".git").is_some())
    {
        return Some(ContextSource::Git(owned()));
    }
    if clouds::is_object(text) {
        return Some(ContextSource::Object(owned()));
    }
    if starts(&["http://", "https://"]) {
        return Some(ContextSource::Url(owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operand_is_recognised() {
        let git = |text: &str| ContextSource::Git(text.into());
        for (text, expected) in [
            (".", ContextSource::Local(".".into())),
            ("-", ContextSource::Stdin),
            ("context.tar.gz", ContextSource::Local("context.tar.gz".into())),
            ("git@example.com:a/b", git("git@example.com:a/b")),
            ("https://example.com/a.git#main:dir", git("https://example.com/a.git#main:dir")),
            ("https://example.com/a.tar", ContextSource::Url("https://example.com/a.tar".into())),
            ("s3://bucket/a", ContextSource::Object("s3://bucket/a".into())),
            ("dir/git://x", ContextSource::Local("dir/git://x".into())),
        ] {
            assert_eq!(operand(OsStr::new(text)), expected, "{text}");
        }
    }

    #[test]
    fn named_context_is_read() {
        let layout = |directory: &str, selector: Option<&str>| {
            Ok(ContextSource::Layout {
                directory: directory.into(),
                selector: selector.map(str::to_owned),
            })
        };
        for (text, expected) in [
            ("a=dir", Ok(ContextSource::Local("dir".into()))),
            ("a=oci-layout://d", layout("d", None)),
            ("a=oci-layout:///d:tag", layout("/d", Some("tag"))),
            ("a=oci-layout://d:1/e", layout("d:1/e", None)),
            ("a=oci-layout://d@sha256:00", layout("d", Some("sha256:00"))),
            ("a=oci-layout://", Err(ContextError::NoDirectory)),
            ("a=-", Err(ContextError::Stdin)),
            ("a", Err(ContextError::NotNamed)),
            ("=b", Err(ContextError::NotNamed)),
        ] {
            assert_eq!(named(text).map(|context| context.source), expected, "{text}");
        }
    }
}
