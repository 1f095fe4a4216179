//! Where an image is, for commands that read or write images: `REF`, `oci:DIR[:TAG]`, …

use std::path::PathBuf;

use strata_oci::{Reference, ReferenceError};
use strata_remote::Location;

use super::context::layout_selector;

/// What is wrong with a location.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LocationError {
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error("`{prefix}` needs a path")]
    NoPath { prefix: &'static str },
}

/// Reads a location. What begins with `./`, `/` or `../` is a path: an archive if it ends in `.tar`,
/// else a layout.
pub(crate) fn parse(text: &str) -> Result<Location, LocationError> {
    if let Some(rest) = text.strip_prefix("docker://") {
        return Ok(Location::Registry(Reference::parse(rest)?));
    }
    if let Some(rest) = text.strip_prefix("store:") {
        return Ok(Location::Store(Reference::parse(rest)?));
    }
    if let Some(rest) = text.strip_prefix("oci-archive:") {
        let (file, selector) = path("oci-archive:", rest)?;
        return Ok(Location::Archive { file, selector });
    }
    if let Some(rest) = text.strip_prefix("docker-archive:") {
        let (file, selector) = path("docker-archive:", rest)?;
        return Ok(Location::DockerArchive { file, selector });
    }
    if let Some(rest) = text.strip_prefix("oci-layout://").or_else(|| text.strip_prefix("oci:")) {
        let (directory, selector) = path("oci:", rest)?;
        return Ok(Location::Layout { directory, selector });
    }
    if text.starts_with('/') || text.starts_with("./") || text.starts_with("../") {
        let (place, selector) = path("oci:", text)?;
        return Ok(if place.extension().is_some_and(|extension| extension == "tar") {
            Location::Archive { file: place, selector }
        } else {
            Location::Layout { directory: place, selector }
        });
    }
    Ok(Location::Named(Reference::parse(text)?))
}

fn path(prefix: &'static str, text: &str) -> Result<(PathBuf, Option<String>), LocationError> {
    let (path, selector) = layout_selector(text);
    if path.is_empty() {
        return Err(LocationError::NoPath { prefix });
    }
    Ok((path.into(), selector.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_is_read() {
        let reference = Reference::parse("a/b:c").expect("is a reference");
        let layout = |directory: &str, selector: Option<&str>| {
            Ok(Location::Layout {
                directory: directory.into(),
                selector: selector.map(str::to_owned),
            })
        };
        let archive = |file: &str| Ok(Location::Archive { file: file.into(), selector: None });
        for (text, expected) in [
            ("a/b:c", Ok(Location::Named(reference.clone()))),
            ("docker://a/b:c", Ok(Location::Registry(reference.clone()))),
            ("store:a/b:c", Ok(Location::Store(reference))),
            ("oci:d:t", layout("d", Some("t"))),
            ("oci-layout://d", layout("d", None)),
            ("./d", layout("./d", None)),
            ("/d/e.tar", archive("/d/e.tar")),
            ("oci-archive:e", archive("e")),
            ("oci:", Err(LocationError::NoPath { prefix: "oci:" })),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
