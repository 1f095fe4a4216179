//! Passwords for Google's registries: the access token itself.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use strata_registry::{Candidate, Credential, CredentialError, CredentialProvider};

use super::Google;

/// Is the helper `google`.
#[derive(Debug)]
pub(crate) struct GoogleRegistry(Arc<Google>);

impl GoogleRegistry {
    pub(crate) fn new(google: Arc<Google>) -> Self {
        Self(google)
    }
}

impl CredentialProvider for GoogleRegistry {
    fn knows(&self, registry: &str) -> bool {
        registry == "gcr.io" || registry.ends_with(".gcr.io") || registry.ends_with(".pkg.dev")
    }

    fn find<'a>(
        &'a self,
        _registry: &'a str,
    ) -> BoxFuture<'a, Result<Option<Candidate>, CredentialError>> {
        let finding = async {
            let token = self.0.token().await.map_err(|source| CredentialError::Provider {
                name: "google",
                source: Box::new(source),
            })?;
            Ok(token.map(|token| Candidate {
                credential: Credential::Basic {
                    username: "oauth2accesstoken".to_owned(),
                    password: token.secret,
                },
                source: format!("helper `google` ({})", token.owner),
            }))
        };
        finding.boxed()
    }
}
