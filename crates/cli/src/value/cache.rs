//! `--cache-from` and `--cache-to`.

use std::path::PathBuf;

use strata_oci::{Reference, ReferenceError};
use strata_remote::{CachePlace, CacheSource, CacheTarget, Extent};

use super::duration::{self, DurationError};
use super::fields::{self, Field, FieldsError};
use super::size::{self, SizeError};

/// The tag of a cache in a directory.
const TAG: &str = "latest";
const KINDS: &[&str] = &["registry", "local", "inline"];

/// Where the results of a build are put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CacheTo {
    /// Into the image itself.
    Inline,
    /// Somewhere of its own.
    Target(CacheTarget),
}

/// What is wrong with the place of a cache.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CacheError {
    #[error(transparent)]
    Fields(#[from] FieldsError),
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error("`type={kind}` is not built yet: there are {}", fields::list(KINDS))]
    NotBuilt { kind: String },
    #[error("`type={kind}` needs `{key}=…`")]
    Missing { kind: &'static str, key: &'static str },
    #[error("`type=inline` is only for `--cache-to`: to read it, name the image")]
    InlineSource,
    #[error("`mode={mode}` is neither `min` nor `max`")]
    Mode { mode: String },
    #[error("`mounts={value}` is neither `true` nor `false`")]
    Mounts { value: String },
    #[error("`mounts-limit` needs `mounts=true`")]
    LimitOfNothing,
    #[error(transparent)]
    Size(#[from] SizeError),
    #[error(transparent)]
    Duration(#[from] DurationError),
    #[error("`{reference}` has a digest, which only writing it can tell")]
    Digest { reference: String },
}

/// Reads `--cache-from`; a reference alone is `type=registry`.
pub(crate) fn parse_from(text: &str) -> Result<CacheSource, CacheError> {
    let fields = fields::split(text)?;
    if let Some(reference) = alone(text, &fields) {
        return Ok(CacheSource::Registry(Reference::parse(reference)?));
    }
    let keys = |known: &[&str]| only(&fields, known);
    match kind(&fields)? {
        "registry" => {
            keys(&["type", "ref"])?;
            Ok(CacheSource::Registry(Reference::parse(needed(&fields, "registry", "ref")?)?))
        }
        "local" => {
            keys(&["type", "src", "tag", "digest"])?;
            let directory = PathBuf::from(needed(&fields, "local", "src")?);
            let selector = value(&fields, "digest")?.or(value(&fields, "tag")?);
            Ok(CacheSource::Directory { directory, selector: selector.map(str::to_owned) })
        }
        "inline" => Err(CacheError::InlineSource),
        other => Err(CacheError::NotBuilt { kind: other.to_owned() }),
    }
}

/// Reads `--cache-to`; a reference alone is `type=registry`.
pub(crate) fn parse_to(text: &str) -> Result<CacheTo, CacheError> {
    let fields = fields::split(text)?;
    if let Some(reference) = alone(text, &fields) {
        return Ok(CacheTo::Target(CacheTarget::new(registry(reference)?)));
    }
    let place = match kind(&fields)? {
        "registry" => {
            only(&fields, &["type", "ref", "mode", "unused", "mounts", "mounts-limit"])?;
            registry(needed(&fields, "registry", "ref")?)?
        }
        "local" => {
            only(&fields, &["type", "dest", "tag", "mode", "unused", "mounts", "mounts-limit"])?;
            let directory = PathBuf::from(needed(&fields, "local", "dest")?);
            let tag = value(&fields, "tag")?.unwrap_or(TAG).to_owned();
            CachePlace::Directory { directory, tag }
        }
        "inline" => {
            only(&fields, &["type"])?;
            return Ok(CacheTo::Inline);
        }
        other => return Err(CacheError::NotBuilt { kind: other.to_owned() }),
    };
    let mut target = CacheTarget::new(place);
    target.extent = match value(&fields, "mode")? {
        None | Some("min") => Extent::Result,
        Some("max") => Extent::Everything,
        Some(mode) => return Err(CacheError::Mode { mode: mode.to_owned() }),
    };
    if let Some(text) = value(&fields, "unused")? {
        target.unused = duration::parse(text)?;
    }
    let limit = value(&fields, "mounts-limit")?.map(size::parse).transpose()?;
    target.mounts = match value(&fields, "mounts")? {
        Some("true") => Some(limit.unwrap_or(CacheTarget::MOUNTS)),
        None | Some("false") if limit.is_some() => return Err(CacheError::LimitOfNothing),
        None | Some("false") => None,
        Some(value) => return Err(CacheError::Mounts { value: value.to_owned() }),
    };
    Ok(CacheTo::Target(target))
}

/// A name with a tag is one manifest, one without is a repository that gets a tag for each step.
fn registry(text: &str) -> Result<CachePlace, CacheError> {
    let reference = Reference::parse(text)?;
    match (reference.tag(), reference.digest()) {
        (_, Some(_)) => Err(CacheError::Digest { reference: text.to_owned() }),
        (Some(_), None) => Ok(CachePlace::Registry(reference)),
        (None, None) => Ok(CachePlace::Tags(reference.repository().clone())),
    }
}

/// The text of an option that is one word.
fn alone<'a>(text: &'a str, fields: &[Field]) -> Option<&'a str> {
    matches!(fields, [Field { value: None, .. }]).then_some(text.trim())
}

fn kind(fields: &[Field]) -> Result<&str, CacheError> {
    Ok(value(fields, "type")?.unwrap_or("registry"))
}

fn value<'a>(fields: &'a [Field], key: &str) -> Result<Option<&'a str>, CacheError> {
    let field = fields.iter().find(|field| field.key == key);
    Ok(field.map(Field::required).transpose()?)
}

fn needed<'a>(
    fields: &'a [Field],
    kind: &'static str,
    key: &'static str,
) -> Result<&'a str, CacheError> {
    value(fields, key)?.ok_or(CacheError::Missing { kind, key })
}

fn only(fields: &[Field], known: &[&str]) -> Result<(), CacheError> {
    match fields.iter().find(|field| !known.contains(&field.key.as_str())) {
        Some(field) => Err(field.unknown(known).into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn reference(text: &str) -> Reference {
        Reference::parse(text).expect("is a reference")
    }

    #[test]
    fn sources_are_read() {
        let directory = |selector: Option<&str>| CacheSource::Directory {
            directory: "d".into(),
            selector: selector.map(str::to_owned),
        };
        let registry = |text: &str| CacheSource::Registry(reference(text));
        for (text, expected) in [
            ("example.com/a:Cache", Ok(registry("example.com/a:Cache"))),
            ("type=registry,ref=a/b", Ok(registry("a/b"))),
            ("ref=a/b", Ok(registry("a/b"))),
            ("type=local,src=d", Ok(directory(None))),
            ("type=local,src=d,tag=t", Ok(directory(Some("t")))),
            ("type=local", Err(CacheError::Missing { kind: "local", key: "src" })),
            ("type=inline", Err(CacheError::InlineSource)),
            ("type=gha", Err(CacheError::NotBuilt { kind: "gha".into() })),
        ] {
            assert_eq!(parse_from(text), expected, "{text}");
        }
        let error = parse_from("type=registry,reff=a").map_err(|error| error.to_string());
        assert_eq!(error, Err("unknown key `reff`: did you mean `ref`?".into()));
    }

    #[test]
    fn targets_are_read() {
        let registry = |extent| {
            let place = CachePlace::Registry(reference("a/b:c"));
            CacheTo::Target(CacheTarget { extent, ..CacheTarget::new(place) })
        };
        let mounts = |limit| {
            let place = CachePlace::Registry(reference("a/b:c"));
            CacheTo::Target(CacheTarget { mounts: Some(limit), ..CacheTarget::new(place) })
        };
        let tags = |extent| {
            let place = CachePlace::Tags(reference("a/b").repository().clone());
            CacheTo::Target(CacheTarget { extent, ..CacheTarget::new(place) })
        };
        let directory = |tag: &str, unused| {
            let place = CachePlace::Directory { directory: "d".into(), tag: tag.to_owned() };
            let extent = Extent::Everything;
            CacheTo::Target(CacheTarget { extent, unused, ..CacheTarget::new(place) })
        };
        let usual = CacheTarget::UNUSED;
        for (text, expected) in [
            ("a/b:c", Ok(registry(Extent::Result))),
            ("type=registry,ref=a/b:c", Ok(registry(Extent::Result))),
            ("type=registry,ref=a/b:c,mode=max", Ok(registry(Extent::Everything))),
            ("type=registry,ref=a/b:c,mode=mid", Err(CacheError::Mode { mode: "mid".into() })),
            ("a/b", Ok(tags(Extent::Result))),
            ("type=registry,ref=a/b,mode=max", Ok(tags(Extent::Everything))),
            ("type=registry,ref=a/b:c,mounts=true", Ok(mounts(CacheTarget::MOUNTS))),
            ("type=registry,ref=a/b:c,mounts=true,mounts-limit=1k", Ok(mounts(1024))),
            ("type=registry,ref=a/b:c,mounts=false", Ok(registry(Extent::Result))),
            ("type=registry,ref=a/b:c,mounts=1", Err(CacheError::Mounts { value: "1".into() })),
            ("type=registry,ref=a/b:c,mounts-limit=1k", Err(CacheError::LimitOfNothing)),
            ("type=local,dest=d,mode=max", Ok(directory("latest", usual))),
            ("type=local,dest=d,tag=t,mode=max", Ok(directory("t", usual))),
            (
                "type=local,dest=d,unused=2d,mode=max",
                Ok(directory("latest", Duration::from_hours(48))),
            ),
            ("type=inline", Ok(CacheTo::Inline)),
            ("type=s3", Err(CacheError::NotBuilt { kind: "s3".into() })),
        ] {
            assert_eq!(parse_to(text), expected, "{text}");
        }
    }
}
