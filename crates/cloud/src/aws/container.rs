//! What ECS, EKS Pod Identity and other container services give: an address near the container, with a token for it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use serde::Deserialize;

use crate::cached::Cached;
use crate::error::IdentityError;
use crate::file;
use crate::http::{Http, Way};
use crate::variables::Variables;

/// Where ECS answers.
const ECS: &str = "http://169.254.170.2";
/// Whom a token may be sent to without TLS, besides loopback: ECS and EKS.
const NEARBY: &[&str] = &["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];

pub(super) struct Container {
    http: Arc<Http>,
    address: String,
    way: Way,
    token: Option<Token>,
    credential: Cached<Arc<AwsCredential>>,
}

#[derive(Clone)]
enum Token {
    Text(String),
    /// Read each time: its content changes.
    File(PathBuf),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<jiff::Timestamp>,
}

impl Container {
    pub(super) fn of(
        variables: &Variables,
        http: &Arc<Http>,
    ) -> Result<Option<Self>, IdentityError> {
        const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
        let relative = variables.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        let (address, way) = match (relative, variables.get(FULL)) {
            (Some(path), _) => (format!("{ECS}{path}"), Way::Nearby),
            (None, Some(address)) => {
                let way = reach(address).ok_or(IdentityError::Variable {
                    variable: FULL,
                    problem: "is neither `https` nor an address that containers are served from",
                })?;
                (address.to_owned(), way)
            }
            (None, None) => return Ok(None),
        };
        let file = variables.path("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(Token::File);
        let text = variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN");
        let token = file.or_else(|| text.map(|text| Token::Text(text.to_owned())));
        Ok(Some(Self {
            http: Arc::clone(http),
            address,
            way,
            token,
            credential: Cached::default(),
        }))
    }

    async fn fetch(&self) -> Result<(Arc<AwsCredential>, Option<Duration>), IdentityError> {
        const SERVICE: &str = "the container service";
        let token = match &self.token {
            None => None,
            Some(Token::Text(text)) => Some(text.clone()),
            Some(Token::File(path)) => Some(file::read(path).await?.trim().to_owned()),
        };
        let mut request = http::Request::get(&self.address);
        if let Some(token) = token {
            request = request.header(http::header::AUTHORIZATION, token);
        }
        let request = request.body(Bytes::new()).map_err(|error| IdentityError::Request {
            service: SERVICE.to_owned(),
            source: Box::new(error),
        })?;
        let words = [SERVICE, "the container's token", "credential"];
        let given: Given = self.http.ask(self.way, request, words).await?;
        let lifetime = given.expiration.map(|time| {
            Duration::try_from(time.duration_since(jiff::Timestamp::now())).unwrap_or_default()
        });
        let credential = AwsCredential {
            key_id: given.access_key_id,
            secret_key: given.secret_access_key,
            token: given.token,
        };
        Ok((Arc::new(credential), lifetime))
    }
}

#[async_trait]
impl CredentialProvider for Container {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.credential
            .get(self.fetch())
            .await
            .map_err(|error| object_store::Error::Generic { store: "S3", source: Box::new(error) })
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container").field("address", &self.address).finish_non_exhaustive()
    }
}

/// How an address is reached; `None` if a token must not go there.
fn reach(address: &str) -> Option<Way> {
    if address.starts_with("https://") {
        return Some(Way::Usual);
    }
    let uri: http::Uri = address.parse().ok()?;
    let host = uri.host()?;
    let bare = host.trim_matches(['[', ']']);
    let loopback = bare == "localhost"
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    (uri.scheme_str() == Some("http") && (loopback || NEARBY.contains(&host)))
        .then_some(Way::Nearby)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_goes_to_the_container_service_alone() {
        for (address, expected) in [
            ("https://credentials.example/a", Some(Way::Usual)),
            ("http://169.254.170.23/v1/credentials", Some(Way::Nearby)),
            ("http://[fd00:ec2::23]/v1/credentials", Some(Way::Nearby)),
            ("http://127.0.0.1:80/a", Some(Way::Nearby)),
            ("http://[::1]/a", Some(Way::Nearby)),
            ("http://localhost/a", Some(Way::Nearby)),
            ("http://169.254.169.254/a", None),
            ("http://example.com/a", None),
            ("ftp://127.0.0.1/a", None),
            ("/a", None),
        ] {
            assert_eq!(reach(address), expected, "{address}");
        }
    }
}
