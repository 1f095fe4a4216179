//! Google: who this process is there.
//!
//! The order is that of Google's own libraries: the file that `GOOGLE_APPLICATION_CREDENTIALS` names, the file that
//! `gcloud auth application-default login` writes, what the machine is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use strata_registry::Secret;

use crate::cached::Cached;
use crate::error::IdentityError;
use crate::file;
use crate::http::{Http, Way, form, pairs_of};
use crate::machine::{self, Owner};
use crate::variables::Variables;

mod external;
mod registry;
mod service_account;

pub(crate) use registry::GoogleRegistry;

/// What a token is for: everything that the identity may do.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const METADATA: &str = "169.254.169.254";
const SERVICE: &str = "the token service of Google";

/// Finds an access token, and keeps it until it expires.
#[derive(Debug)]
pub(crate) struct Google {
    http: Arc<Http>,
    variables: Variables,
    token: Cached<Option<Token>>,
}

/// Is an access token, with whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    pub(crate) owner: String,
}

/// What a file of credentials holds, by its `type`.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Stored {
    ServiceAccount(service_account::Key),
    AuthorizedUser(User),
    ExternalAccount(external::Account),
}

#[derive(Deserialize)]
struct User {
    client_id: String,
    client_secret: String,
    refresh_token: String,
    token_uri: Option<String>,
}

/// What token services answer.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Granted").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

impl Google {
    pub(crate) fn new(http: Arc<Http>, variables: Variables) -> Self {
        Self { http, variables, token: Cached::default() }
    }

    pub(crate) fn http(&self) -> &Arc<Http> {
        &self.http
    }

    pub(crate) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// An access token; nothing if this process is nobody.
    pub(crate) async fn token(&self) -> Result<Option<Token>, IdentityError> {
        self.token.get(self.fetch()).await
    }

    async fn fetch(&self) -> Result<(Option<Token>, Option<Duration>), IdentityError> {
        let found = match self.stored().await? {
            Some((path, text)) => Some(self.of_file(&path, &text).await?),
            None => self.of_machine().await?,
        };
        let Some((granted, owner)) = found else { return Ok((None, None)) };
        let lifetime = granted.expires_in.map_or(Duration::from_mins(10), Duration::from_secs);
        let secret = Secret::new(granted.access_token);
        Ok((Some(Token { secret, owner }), Some(lifetime)))
    }

    async fn stored(&self) -> Result<Option<(PathBuf, String)>, IdentityError> {
        if let Some(path) = self.variables.path("GOOGLE_APPLICATION_CREDENTIALS") {
            let text = file::read(&path).await?;
            return Ok(Some((path, text)));
        }
        let directory = self.variables.path("CLOUDSDK_CONFIG");
        let directory = directory.or_else(|| self.variables.at_home(".config/gcloud"));
        let Some(directory) = directory else { return Ok(None) };
        let path = directory.join("application_default_credentials.json");
        Ok(file::read_if_there(path.clone()).await?.map(|text| (path, text)))
    }

    async fn of_file(&self, path: &Path, text: &str) -> Result<(Granted, String), IdentityError> {
        let wrong = |problem: &str| IdentityError::Content {
            path: path.to_owned(),
            problem: problem.to_owned(),
        };
        let stored: Stored = serde_json::from_str(text).map_err(|_| {
            wrong(
                "holds neither a service account, nor an authorized user, nor an external account",
            )
        })?;
        match stored {
            Stored::ServiceAccount(key) => {
                let assertion = key.assertion(jiff::Timestamp::now().as_second());
                let assertion = assertion.map_err(wrong)?;
                let grant = [
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", assertion.expose()),
                ];
                let owner = format!("service account `{}`", key.client_email);
                Ok((self.grant(key.token_uri(), &grant).await?, owner))
            }
            Stored::AuthorizedUser(user) => {
                let grant = [
                    ("grant_type", "refresh_token"),
                    ("client_id", &user.client_id),
                    ("client_secret", &user.client_secret),
                    ("refresh_token", &user.refresh_token),
                ];
                let address = user.token_uri.as_deref().unwrap_or(service_account::TOKEN_URI);
                Ok((self.grant(address, &grant).await?, "authorized user".to_owned()))
            }
            Stored::ExternalAccount(account) => {
                Ok((account.token(self, path).await?, "external account".to_owned()))
            }
        }
    }

    /// Asks a token service.
    async fn grant(&self, address: &str, pairs: &[(&str, &str)]) -> Result<Granted, IdentityError> {
        let request = form(address, pairs).map_err(unaskable)?;
        let words = [SERVICE, "the stored credentials", "token"];
        self.http.ask(Way::Usual, request, words).await
    }

    /// What the machine is, as its metadata server says.
    async fn of_machine(&self) -> Result<Option<(Granted, String)>, IdentityError> {
        let given = self.variables.get("GCE_METADATA_HOST");
        if given.is_none() && !machine::may_be_of(Owner::Google) {
            return Ok(None);
        }
        let host = given.unwrap_or(METADATA);
        let scopes = pairs_of(&[("scopes", SCOPE)]);
        let request = http::Request::get(format!(
            "http://{host}/computeMetadata/v1/instance/service-accounts/default/token?{scopes}"
        ));
        let request = request.header("metadata-flavor", "Google").body(Bytes::new());
        let words = ["the metadata server of Google", "no credentials", "token"];
        let asked = self.http.ask(Way::Nearby, request.map_err(unaskable)?, words).await;
        let granted = if given.is_none() { machine::unnamed(asked) } else { Some(asked?) };
        Ok(granted.map(|granted| (granted, "the machine's service account".to_owned())))
    }
}

fn unaskable(error: http::Error) -> IdentityError {
    IdentityError::Request { service: SERVICE.to_owned(), source: Box::new(error) }
}
