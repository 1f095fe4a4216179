//! Passwords for Amazon's registries.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use object_store::aws::AwsAuthorizer;
use serde::Deserialize;
use strata_registry::{Candidate, Credential, CredentialError, CredentialProvider, Secret};
use tokio::sync::Mutex;

use super::{Aws, way};
use crate::cached::Cached;
use crate::error::IdentityError;

/// How the public registry is called everywhere.
const PUBLIC: &str = "public.ecr.aws";
const SERVICE: &str = "the registry service of AWS";

/// Is the helper `ecr`.
#[derive(Debug)]
pub(crate) struct Ecr {
    aws: Arc<Aws>,
    /// One password opens all registries of an account in a region.
    passwords: Mutex<Vec<(Place, Arc<Cached<Candidate>>)>>,
}

/// Is where passwords for a registry are made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    region: String,
    /// `api.ecr.…`, to which a signature is bound.
    host: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Private,
    Public,
}

impl Place {
    /// Reads `ACCOUNT.dkr.ecr.REGION.DOMAIN`.
    fn of(registry: &str) -> Option<Self> {
        if registry == PUBLIC {
            let host = "api.ecr-public.us-east-1.amazonaws.com".to_owned();
            return Some(Self { region: "us-east-1".to_owned(), host, kind: Kind::Public });
        }
        let (account, rest) = registry.split_once('.')?;
        let rest = rest.strip_prefix("dkr.").or_else(|| rest.strip_prefix("dkr-"))?;
        let (service, rest) = rest.split_once('.')?;
        let (region, domain) = rest.split_once('.')?;
        let is_word = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let known = match domain {
            "amazonaws.com" | "amazonaws.com.cn" | "amazonaws.eu" => domain,
            // The same services by their newer names.
            "on.aws" => "amazonaws.com",
            "on.amazonwebservices.com.cn" => "amazonaws.com.cn",
            _ => return None,
        };
        let host = match service {
            "ecr" => format!("api.ecr.{region}.{known}"),
            "ecr-fips" => format!("ecr-fips.{region}.{known}"),
            _ => return None,
        };
        (is_word(account) && is_word(region)).then(|| Self {
            region: region.to_owned(),
            host,
            kind: Kind::Private,
        })
    }

    /// The name of the service in signatures, and of its operation.
    fn names(&self) -> (&'static str, &'static str) {
        match self.kind {
            Kind::Private => ("ecr", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"),
            Kind::Public => ("ecr-public", "SpencerFrontendService.GetAuthorizationToken"),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "authorizationData")]
    data: OneOrMany,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Authorization>),
    One(Authorization),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    authorization_token: String,
    expires_at: Option<f64>,
}

impl Ecr {
    pub(crate) fn new(aws: Arc<Aws>) -> Self {
        Self { aws, passwords: Mutex::default() }
    }

    async fn candidate(&self, registry: &str) -> Result<Option<Candidate>, IdentityError> {
        let Some(place) = Place::of(registry) else { return Ok(None) };
        if self.aws.identity().await?.is_none() {
            return Ok(None);
        }
        let cached = {
            let mut passwords = self.passwords.lock().await;
            match passwords.iter().find(|(known, _)| *known == place) {
                Some((_, cached)) => Arc::clone(cached),
                None => {
                    let cached = Arc::new(Cached::default());
                    passwords.push((place.clone(), Arc::clone(&cached)));
                    cached
                }
            }
        };
        cached.get(self.password(&place)).await.map(Some)
    }

    async fn password(
        &self,
        place: &Place,
    ) -> Result<(Candidate, Option<Duration>), IdentityError> {
        let Some(identity) = self.aws.identity().await? else {
            unreachable!("there is an identity, as `candidate` found")
        };
        let names = match place.kind {
            Kind::Private => ["AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL"],
            Kind::Public => ["AWS_ENDPOINT_URL_ECR_PUBLIC", "AWS_ENDPOINT_URL"],
        };
        let given = self.aws.variables().first(&names);
        let address = match given {
            Some(address) => format!("{}/", address.trim_end_matches('/')),
            None => format!("https://{}/", place.host),
        };
        let (service, operation) = place.names();
        let refused = |source| IdentityError::Request { service: SERVICE.to_owned(), source };
        let mut request = http::Request::post(address)
            .header(http::header::CONTENT_TYPE, "application/x-amz-json-1.1")
            .header("x-amz-target", operation)
            .body(Bytes::from_static(b"{}").into())
            .map_err(|error| refused(error.into()))?;
        let credential = identity.credential().await?;
        AwsAuthorizer::new(&credential, service, &place.region)
            .try_authorize(&mut request, None)
            .map_err(|error| refused(error.into()))?;
        let request = request.map(|_body| Bytes::from_static(b"{}"));
        let words = [SERVICE, identity.name, "authorization"];
        let answer: Answer = self.aws.http().ask(way(given), request, words).await?;
        let no_password =
            || IdentityError::Answer { service: SERVICE.to_owned(), expected: "password" };
        let authorization = match answer.data {
            OneOrMany::One(one) => one,
            OneOrMany::Many(many) => many.into_iter().next().ok_or_else(no_password)?,
        };
        let pair = base64::engine::general_purpose::STANDARD
            .decode(authorization.authorization_token)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(no_password)?;
        let (username, password) = pair.split_once(':').ok_or_else(no_password)?;
        let credential =
            Credential::Basic { username: username.to_owned(), password: Secret::new(password) };
        let source = format!("helper `ecr` ({})", identity.name);
        let lifetime = authorization.expires_at.map(|expires| {
            let expires = Duration::try_from_secs_f64(expires).unwrap_or_default();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            expires.saturating_sub(now)
        });
        Ok((Candidate { credential, source }, lifetime))
    }
}

impl CredentialProvider for Ecr {
    fn knows(&self, registry: &str) -> bool {
        Place::of(registry).is_some()
    }

    fn find<'a>(
        &'a self,
        registry: &'a str,
    ) -> BoxFuture<'a, Result<Option<Candidate>, CredentialError>> {
        let finding = async {
            let found = self.candidate(registry).await;
            found.map_err(|source| CredentialError::Provider {
                name: "ecr",
                source: Box::new(source),
            })
        };
        finding.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_of_amazon_are_recognised() {
        for (registry, expected) in [
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                Some("api.ecr.eu-west-1.amazonaws.com"),
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                Some("api.ecr.cn-north-1.amazonaws.com.cn"),
            ),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                Some("ecr-fips.us-gov-west-1.amazonaws.com"),
            ),
            ("123456789012.dkr-ecr.us-east-1.on.aws", Some("api.ecr.us-east-1.amazonaws.com")),
            ("public.ecr.aws", Some("api.ecr-public.us-east-1.amazonaws.com")),
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com.example.org", None),
            ("123456789012.dkr.ecr.eu-west-1.example.com", None),
            ("a.dkr.ecr.x/y.amazonaws.com", None),
            ("dkr.ecr.eu-west-1.amazonaws.com", None),
            ("registry.example.com", None),
            ("docker.io", None),
        ] {
            let found = Place::of(registry).map(|place| place.host);
            assert_eq!(found.as_deref(), expected, "{registry}");
        }
    }
}
