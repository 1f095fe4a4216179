//! Credentials that are made on demand.

use std::fmt;

use futures_util::future::BoxFuture;

use super::{Candidate, CredentialError};

/// Makes credentials where nothing that is configured was good enough: it may ask a cloud, so it is asked last, and
/// only for registries that it knows.
///
/// What it gives may expire; it is asked again then, and keeps what it gave until then.
pub trait CredentialProvider: fmt::Debug + Send + Sync {
    /// Whether the registry is one of those that it is for. Asks nobody.
    fn knows(&self, registry: &str) -> bool;

    /// Who to be at a registry; nothing where there is nothing to make a credential of.
    fn find<'a>(
        &'a self,
        registry: &'a str,
    ) -> BoxFuture<'a, Result<Option<Candidate>, CredentialError>>;
}
