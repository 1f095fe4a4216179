//! Tokens for Microsoft's registries: the registry itself gives one for a token of Entra ID.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use strata_registry::{
    Candidate, Credential, CredentialError, CredentialProvider, ErrorKind, Secret,
};
use tokio::sync::Mutex;

use super::{AUTHORITY, Azure, unaskable};
use crate::cached::Cached;
use crate::error::IdentityError;
use crate::http::{Http, Way, form};
use crate::variables::Variables;

/// A registry's refresh token lives three hours.
const LIFETIME: Duration = Duration::from_hours(3);

/// The clouds: where registries are, what a token for them is for, and who gives it.
const CLOUDS: &[(&str, &str, &str)] = &[
    (".azurecr.io", "https://management.azure.com/", AUTHORITY),
    (".azurecr.cn", "https://management.chinacloudapi.cn/", "https://login.chinacloudapi.cn"),
    (".azurecr.us", "https://management.usgovcloudapi.net/", "https://login.microsoftonline.us"),
];

/// Is the helper `acr`.
#[derive(Debug)]
pub(crate) struct AzureRegistry {
    http: Arc<Http>,
    /// One for each cloud.
    identities: Vec<(&'static str, Azure)>,
    exchanged: Mutex<BTreeMap<String, Arc<Cached<Secret>>>>,
}

#[derive(Deserialize)]
struct Exchanged {
    refresh_token: String,
}

impl AzureRegistry {
    pub(crate) fn new(http: &Arc<Http>, variables: &Variables) -> Self {
        let identity = |&(domain, resource, authority)| {
            (domain, Azure::new(Arc::clone(http), variables.clone(), resource, authority))
        };
        Self {
            http: Arc::clone(http),
            identities: CLOUDS.iter().map(identity).collect(),
            exchanged: Mutex::default(),
        }
    }

    fn identity(&self, registry: &str) -> Option<&Azure> {
        self.identities.iter().find(|(domain, _)| registry.ends_with(domain)).map(|(_, one)| one)
    }

    async fn candidate(&self, registry: &str) -> Result<Option<Candidate>, IdentityError> {
        let Some(identity) = self.identity(registry) else { return Ok(None) };
        let Some(token) = identity.token().await? else { return Ok(None) };
        let cached = {
            let mut exchanged = self.exchanged.lock().await;
            Arc::clone(exchanged.entry(registry.to_owned()).or_default())
        };
        let exchange = async {
            let token = self.exchange(registry, identity, &token.secret).await?;
            Ok::<_, IdentityError>((token, Some(LIFETIME)))
        };
        let credential = Credential::Identity(cached.get(exchange).await?);
        Ok(Some(Candidate { credential, source: format!("helper `acr` ({})", token.owner) }))
    }

    async fn exchange(
        &self,
        registry: &str,
        identity: &Azure,
        token: &Secret,
    ) -> Result<Secret, IdentityError> {
        let failed = |kind: ErrorKind| IdentityError::Service {
            service: format!("`{registry}`"),
            source: Box::new(kind),
        };
        let client = self.http.client(Way::Usual).await?;
        let address = client.address(registry).await.map_err(failed)?;
        let mut pairs = vec![
            ("grant_type", "access_token"),
            ("service", registry),
            ("access_token", token.expose()),
        ];
        pairs.extend(identity.variables.get("AZURE_TENANT_ID").map(|tenant| ("tenant", tenant)));
        let request = form(&format!("{address}oauth2/exchange"), &pairs).map_err(unaskable)?;
        let words = ["the registry", "a token of Entra ID", "token"];
        let exchanged: Exchanged = self.http.ask(Way::Usual, request, words).await?;
        Ok(Secret::new(exchanged.refresh_token))
    }
}

impl CredentialProvider for AzureRegistry {
    fn knows(&self, registry: &str) -> bool {
        self.identity(registry).is_some()
    }

    fn find<'a>(
        &'a self,
        registry: &'a str,
    ) -> BoxFuture<'a, Result<Option<Candidate>, CredentialError>> {
        let finding = async {
            let found = self.candidate(registry).await;
            found.map_err(|source| CredentialError::Provider {
                name: "acr",
                source: Box::new(source),
            })
        };
        finding.boxed()
    }
}
