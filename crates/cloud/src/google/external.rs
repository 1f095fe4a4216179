//! Workload identity federation: a token of somebody else's, as a CI system gives its jobs, buys one of Google's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Google, Granted, SCOPE, SERVICE, unaskable};
use crate::error::IdentityError;
use crate::file;
use crate::http::{Way, form};

#[derive(Deserialize)]
pub(super) struct Account {
    audience: String,
    subject_token_type: String,
    token_url: String,
    service_account_impersonation_url: Option<String>,
    credential_source: Source,
}

/// Where the token comes from. Other kinds run programs or sign requests to Amazon.
#[derive(Deserialize)]
struct Source {
    file: Option<PathBuf>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    format: Format,
}

#[derive(Default, Deserialize)]
struct Format {
    #[serde(rename = "type", default)]
    kind: String,
    subject_token_field_name: Option<String>,
}

/// What impersonation answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Impersonated {
    access_token: String,
    expire_time: Option<jiff::Timestamp>,
}

impl Account {
    pub(super) async fn token(
        &self,
        google: &Google,
        path: &Path,
    ) -> Result<Granted, IdentityError> {
        let subject = self.subject(google, path).await?;
        let grant = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", &self.audience),
            ("scope", SCOPE),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", &self.subject_token_type),
            ("subject_token", &subject),
        ];
        let request = form(&self.token_url, &grant).map_err(unaskable)?;
        let words = [SERVICE, "the external account's token", "token"];
        let granted: Granted = google.http.ask(Way::Usual, request, words).await?;
        let Some(address) = &self.service_account_impersonation_url else { return Ok(granted) };
        let request = http::Request::post(address)
            .header(http::header::AUTHORIZATION, format!("Bearer {}", granted.access_token))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(json!({"scope": [SCOPE]}).to_string()))
            .map_err(unaskable)?;
        let words = ["the service of Google's accounts", "the external account", "token"];
        let given: Impersonated = google.http.ask(Way::Usual, request, words).await?;
        let left =
            given.expire_time.map(|time| time.as_second() - jiff::Timestamp::now().as_second());
        let expires_in = left.and_then(|left| u64::try_from(left).ok());
        Ok(Granted { access_token: given.access_token, expires_in })
    }

    async fn subject(&self, google: &Google, path: &Path) -> Result<String, IdentityError> {
        let wrong = |problem: &str| IdentityError::Content {
            path: path.to_owned(),
            problem: problem.to_owned(),
        };
        let Source { file, url, headers, format } = &self.credential_source;
        let text = match (file, url) {
            (Some(file), _) => file::read(file).await?,
            (None, Some(url)) => {
                let mut request = http::Request::get(url);
                for (name, value) in headers {
                    request = request.header(name, value);
                }
                let request = request.body(Bytes::new()).map_err(unaskable)?;
                let words = ["the source of the external account's token", "its headers", "JSON"];
                let answer: Value = google.http.ask(Way::Usual, request, words).await?;
                answer.to_string()
            }
            (None, None) => {
                return Err(wrong(
                    "has a `credential_source` that is neither a file nor a URL, which is not built in",
                ));
            }
        };
        if format.kind != "json" {
            return Ok(text.trim().to_owned());
        }
        let field = format.subject_token_field_name.as_deref().unwrap_or("access_token");
        let value: Option<Value> = serde_json::from_str(&text).ok();
        let token = value.as_ref().and_then(|value| value[field].as_str());
        token.map(str::to_owned).ok_or_else(|| wrong("names a source that does not hold its field"))
    }
}
