//! Microsoft: who this process is in Entra ID.
//!
//! The order is that of Microsoft's own libraries: a client's secret, a workload identity, the identity of an App
//! Service, that of the machine.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use strata_registry::Secret;

use crate::cached::Cached;
use crate::error::IdentityError;
use crate::file;
use crate::http::{Http, Way, form, pairs_of};
use crate::machine::{self, Owner};
use crate::variables::Variables;

mod registry;

pub(crate) use registry::AzureRegistry;

pub(crate) const AUTHORITY: &str = "https://login.microsoftonline.com";
const METADATA: &str = "http://169.254.169.254";
const SERVICE: &str = "the token service of Entra ID";

/// Finds access tokens. Each is for one resource, and so is each of these.
#[derive(Debug)]
pub(crate) struct Azure {
    http: Arc<Http>,
    variables: Variables,
    token: Cached<Option<Token>>,
    resource: &'static str,
    /// Who gives tokens, where `AZURE_AUTHORITY_HOST` does not say.
    authority: &'static str,
}

/// Is an access token, with whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    pub(crate) owner: &'static str,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// A number, or one as text.
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Granted").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_u64().or_else(|| value.as_str()?.parse().ok()))
}

impl Azure {
    pub(crate) fn new(
        http: Arc<Http>,
        variables: Variables,
        resource: &'static str,
        authority: &'static str,
    ) -> Self {
        Self { http, variables, token: Cached::default(), resource, authority }
    }

    /// An access token; nothing if this process is nobody.
    pub(crate) async fn token(&self) -> Result<Option<Token>, IdentityError> {
        self.token.get(self.fetch()).await
    }

    async fn fetch(&self) -> Result<(Option<Token>, Option<Duration>), IdentityError> {
        let Some((granted, owner)) = self.find().await? else { return Ok((None, None)) };
        let lifetime = granted.expires_in.map_or(Duration::from_mins(10), Duration::from_secs);
        let secret = Secret::new(granted.access_token);
        Ok((Some(Token { secret, owner }), Some(lifetime)))
    }

    async fn find(&self) -> Result<Option<(Granted, &'static str)>, IdentityError> {
        let get = |name| self.variables.get(name);
        if let (Some(tenant), Some(client)) = (get("AZURE_TENANT_ID"), get("AZURE_CLIENT_ID")) {
            if let Some(secret) = get("AZURE_CLIENT_SECRET") {
                let granted = self.grant(tenant, client, &[("client_secret", secret)]).await?;
                return Ok(Some((granted, "the client of `AZURE_CLIENT_ID`")));
            }
            if let Some(path) = self.variables.path("AZURE_FEDERATED_TOKEN_FILE") {
                let assertion = file::read(&path).await?;
                let more = [
                    (
                        "client_assertion_type",
                        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                    ),
                    ("client_assertion", assertion.trim()),
                ];
                let granted = self.grant(tenant, client, &more).await?;
                return Ok(Some((granted, "the workload identity of `AZURE_CLIENT_ID`")));
            }
        }
        self.managed().await
    }

    async fn grant(
        &self,
        tenant: &str,
        client: &str,
        more: &[(&str, &str)],
    ) -> Result<Granted, IdentityError> {
        let scope = format!("{}.default", self.resource);
        let mut pairs = vec![
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("scope", scope.as_str()),
        ];
        pairs.extend_from_slice(more);
        let authority = self.variables.get("AZURE_AUTHORITY_HOST").unwrap_or(self.authority);
        let authority = authority.trim_end_matches('/');
        let address = format!("{authority}/{tenant}/oauth2/v2.0/token");
        let request = form(&address, &pairs).map_err(unaskable)?;
        self.http.ask(Way::Usual, request, [SERVICE, "the client's credentials", "token"]).await
    }

    /// What the App Service or the machine is.
    async fn managed(&self) -> Result<Option<(Granted, &'static str)>, IdentityError> {
        let service = self.variables.get("IDENTITY_ENDPOINT");
        let given = self.variables.get("AZURE_POD_IDENTITY_AUTHORITY_HOST");
        let (mut request, owner) = match (service, self.variables.get("IDENTITY_HEADER")) {
            (Some(address), Some(header)) => {
                let query = self.query("2019-08-01");
                let request = http::Request::get(format!("{address}?{query}"));
                (request.header("x-identity-header", header), "the service's managed identity")
            }
            _ if given.is_none() && !machine::may_be_of(Owner::Microsoft) => return Ok(None),
            _ => {
                let host = given.unwrap_or(METADATA).trim_end_matches('/');
                let query = self.query("2018-02-01");
                let address = format!("{host}/metadata/identity/oauth2/token?{query}");
                (http::Request::get(address), "the machine's managed identity")
            }
        };
        request = request.header("metadata", "true");
        let request = request.body(Bytes::new()).map_err(unaskable)?;
        let words = ["the managed identities of Azure", "no credentials", "token"];
        let asked = self.http.ask(Way::Nearby, request, words).await;
        let is_named = given.or(service).is_some();
        let granted = if is_named { Some(asked?) } else { machine::unnamed(asked) };
        Ok(granted.map(|granted| (granted, owner)))
    }

    fn query(&self, version: &str) -> String {
        let mut pairs = vec![("api-version", version), ("resource", self.resource)];
        pairs.extend(self.variables.get("AZURE_CLIENT_ID").map(|client| ("client_id", client)));
        pairs_of(&pairs)
    }
}

fn unaskable(error: http::Error) -> IdentityError {
    IdentityError::Request { service: SERVICE.to_owned(), source: Box::new(error) }
}
