//! Where a pull is at: which endpoint it asks, and how often that failed.

use strata_oci::Repository;

use crate::client::{Client, Endpoint};
use crate::error::{ErrorKind, Operation, RegistryError};
use crate::retry::Attempts;

/// Walks the mirrors and the registry, with the attempts at each.
///
/// The caller asks [`Pull::endpoint`] and hands each failure to [`Pull::recover`]: a loop, where a closure would be
/// an async one, whose future the compiler cannot show to be `Send` (rust-lang/rust#110338).
#[derive(Debug)]
pub(crate) struct Pull {
    client: Client,
    operation: Operation,
    endpoints: Vec<Endpoint>,
    current: usize,
    failures: u32,
}

impl Client {
    pub(crate) fn pull(&self, repository: &Repository, operation: Operation) -> Pull {
        let endpoints = self.endpoints(repository);
        Pull { client: self.clone(), operation, endpoints, current: 0, failures: 0 }
    }
}

impl Pull {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoints[self.current]
    }

    /// Makes an error about the current endpoint.
    pub(crate) fn error(&self, kind: ErrorKind) -> RegistryError {
        self.endpoint().error(self.operation.clone(), kind)
    }

    /// Forgets the failures, after real progress.
    pub(crate) fn progressed(&mut self) {
        self.failures = 0;
    }

    /// Waits before the next attempt, or moves on to the next endpoint; the last endpoint's failure is the
    /// operation's.
    pub(crate) async fn recover(&mut self, kind: ErrorKind) -> Result<(), RegistryError> {
        let mut attempts: Attempts<'_> = self.client.attempts_after(self.failures);
        match attempts.wait_after(kind).await {
            Ok(()) => {
                self.failures = attempts.failures();
                Ok(())
            }
            Err(kind) => {
                let error = self.error(kind);
                if self.current + 1 == self.endpoints.len() {
                    return Err(error);
                }
                tracing::debug!(%error, "mirror does not help");
                self.current += 1;
                self.failures = 0;
                Ok(())
            }
        }
    }
}
