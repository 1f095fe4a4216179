//! The grammar of references, piece by piece, so that an error can name the piece.

use super::{DEFAULT_REGISTRY, OFFICIAL, Reference, ReferenceError, Repository, Tag};

const REPOSITORY_LIMIT: usize = 255;
const TAG_LIMIT: usize = 128;

/// ```text
/// localhost:5000/team/app:1.2@sha256:…
/// ^^^^^^^^^^^^^^ registry      ^^^^^^^^ digest
///                ^^^^^^^^ path
///                         ^^^ tag
/// ```
pub(super) fn parse(text: &str) -> Result<Reference, ReferenceError> {
    let is_id = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_id {
        return Err(ReferenceError::ImageId { text: text.to_owned() });
    }
    let (name_and_tag, digest) = match text.split_once('@') {
        Some((rest, digest)) => {
            let digest = digest
                .parse()
                .map_err(|source| ReferenceError::Digest { text: text.to_owned(), source })?;
            (rest, Some(digest))
        }
        None => (text, None),
    };
    let (registry, rest) = split_registry(name_and_tag);
    let (path, tag) = match rest.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (rest, None),
    };
    check_registry(registry, text)?;
    if path.is_empty() {
        return Err(ReferenceError::NoRepository { text: text.to_owned() });
    }
    let path = match registry {
        DEFAULT_REGISTRY if !path.contains('/') => format!("{OFFICIAL}{path}"),
        _ => path.to_owned(),
    };
    check_path(&path, text)?;
    let tag = match tag {
        Some(tag) => {
            check_tag(tag, text)?;
            Some(Tag(tag.to_owned()))
        }
        None => None,
    };
    Ok(Reference { repository: Repository { registry: registry.to_owned(), path }, tag, digest })
}

/// The first component is a registry if it could not be one of a path: it has a dot, a colon or a capital, or is
/// `localhost`.
fn split_registry(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some(("index.docker.io", rest)) => (DEFAULT_REGISTRY, rest),
        Some((first, rest))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_REGISTRY, text),
    }
}

pub(super) fn check_registry(registry: &str, text: &str) -> Result<(), ReferenceError> {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (registry, None),
    };
    let port_fits = port.is_none_or(|port| {
        !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
    });
    let host_fits = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_domain_component),
    };
    if host_fits && port_fits {
        return Ok(());
    }
    Err(ReferenceError::Registry { registry: registry.to_owned(), text: text.to_owned() })
}

fn is_domain_component(component: &str) -> bool {
    !component.is_empty()
        && component.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !component.starts_with('-')
        && !component.ends_with('-')
}

pub(super) fn check_path(path: &str, text: &str) -> Result<(), ReferenceError> {
    if path.is_empty() {
        return Err(ReferenceError::NoRepository { text: text.to_owned() });
    }
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        let repository = path.to_owned();
        return Err(ReferenceError::UpperCase { repository, text: text.to_owned() });
    }
    if let Some(component) = path.split('/').find(|component| !is_path_component(component)) {
        let component = component.to_owned();
        return Err(ReferenceError::Component { component, text: text.to_owned() });
    }
    if path.len() > REPOSITORY_LIMIT {
        return Err(ReferenceError::TooLong { length: path.len() });
    }
    Ok(())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(component: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_in_words =
        bytes.first().copied().is_some_and(is_word) && bytes.last().copied().is_some_and(is_word);
    let separators = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends_in_words
        && separators.filter(|separator| !separator.is_empty()).all(|separator| {
            matches!(separator, "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
        })
}

pub(super) fn check_tag(tag: &str, text: &str) -> Result<(), ReferenceError> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let fits = tag.len() <= TAG_LIMIT
        && tag.as_bytes().first().copied().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-');
    if fits {
        return Ok(());
    }
    Err(ReferenceError::Tag { tag: tag.to_owned(), text: text.to_owned() })
}
