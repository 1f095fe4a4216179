//! Advice for the failures that have a usual cause.

use super::{ErrorKind, RegistryError};

pub(super) fn of(error: &RegistryError) -> Option<String> {
    let registry = &error.registry;
    match &*error.kind {
        ErrorKind::Unauthorized { .. } => Some(format!(
            "log in with `strata login {registry}`, or check that the repository's name is right: registries answer the same for both"
        )),
        ErrorKind::Denied { .. } => {
            Some("check that this user or token has the right to do this in the repository".to_owned())
        }
        ErrorKind::TooManyRequests { .. } => Some(format!(
            "log in to raise the limit, or use a mirror: `--registry-mirror {registry}=HOST`"
        )),
        ErrorKind::Tls { host, .. } => Some(format!(
            "name the authority with `--registry-ca {host}=FILE`, or `--insecure-registry {host}` to do without"
        )),
        ErrorKind::PlainHttp { host, .. } => Some(format!(
            "if the network is trusted, allow it with `--insecure-registry {host}`"
        )),
        ErrorKind::DigestMismatch { .. } | ErrorKind::SizeMismatch { .. } => Some(
            "the registry or something on the way changes content: a proxy or mirror is the usual cause"
                .to_owned(),
        ),
        ErrorKind::Refused { status: 405, .. } if error.operation.pushes() => {
            Some(format!("`{registry}` takes nothing: it is read-only, or a mirror"))
        }
        ErrorKind::Refused { status: 413, .. } => {
            Some("something before the registry limits the size of uploads".to_owned())
        }
        ErrorKind::NotFound { .. }
        | ErrorKind::Unavailable { .. }
        | ErrorKind::Refused { .. }
        | ErrorKind::Unreachable { .. }
        | ErrorKind::TimedOut { .. }
        | ErrorKind::Cut { .. }
        | ErrorKind::Document { .. }
        | ErrorKind::Protocol { .. }
        | ErrorKind::Source { .. }
        | ErrorKind::Credentials { .. } => None,
    }
}
