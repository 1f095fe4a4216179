//! Amazon: who this process is there.
//!
//! The order is that of Amazon's own tools: keys of the environment, a profile that is named, a web identity, the
//! default profile, what a container is given, what the machine is.

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};
use object_store::{RetryConfig, StaticCredentialProvider};
use tokio::sync::OnceCell;

use crate::error::IdentityError;
use crate::http::{Carrier, Failure, Http, Way};
use crate::machine::{self, Owner};
use crate::variables::Variables;

mod container;
pub(crate) mod ecr;
mod profile;

use container::Container;
use profile::Profile;

const METADATA: &str = "http://169.254.169.254";

/// What the library calls something that gives credentials.
pub(crate) type Source = object_store::aws::AwsCredentialProvider;

/// Finds the identity once.
#[derive(Debug)]
pub(crate) struct Aws {
    http: Arc<Http>,
    variables: Variables,
    identity: OnceCell<Option<Identity>>,
    profile: OnceCell<Profile>,
}

/// Is somebody, with where that was found.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    source: Source,
    failure: Failure,
    pub(crate) name: &'static str,
}

impl Identity {
    fn new(name: &'static str, source: Source) -> Self {
        Self { source, failure: Failure::default(), name }
    }

    /// For a library that signs by itself.
    pub(crate) fn source(&self) -> Source {
        Arc::clone(&self.source)
    }

    /// How a service failed that the credentials were asked of.
    pub(crate) fn failure(&self) -> Option<IdentityError> {
        let kind = self.failure.take()?;
        Some(IdentityError::Service { service: self.name.to_owned(), source: Box::new(kind) })
    }

    /// The credentials of now.
    pub(crate) async fn credential(&self) -> Result<Arc<AwsCredential>, IdentityError> {
        self.source.get_credential().await.map_err(|error| {
            self.failure().unwrap_or_else(|| IdentityError::Request {
                service: self.name.to_owned(),
                source: Box::new(error),
            })
        })
    }
}

impl Aws {
    pub(crate) fn new(http: Arc<Http>, variables: Variables) -> Self {
        Self { http, variables, identity: OnceCell::new(), profile: OnceCell::new() }
    }

    pub(crate) fn http(&self) -> &Arc<Http> {
        &self.http
    }

    pub(crate) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The region that is configured.
    pub(crate) async fn region(&self) -> Result<Option<String>, IdentityError> {
        match self.variables.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]) {
            Some(region) => Ok(Some(region.to_owned())),
            None => Ok(self.profile().await?.region.clone()),
        }
    }

    async fn profile(&self) -> Result<&Profile, IdentityError> {
        self.profile.get_or_try_init(|| Profile::read(&self.variables)).await
    }

    /// Who this process is; nothing if it is nobody.
    pub(crate) async fn identity(&self) -> Result<Option<&Identity>, IdentityError> {
        Ok(self.identity.get_or_try_init(|| self.find()).await?.as_ref())
    }

    async fn find(&self) -> Result<Option<Identity>, IdentityError> {
        let of = |credential| -> Source { Arc::new(StaticCredentialProvider::new(credential)) };
        if let Some(credential) = self.of_environment()? {
            return Ok(Some(Identity::new("`AWS_ACCESS_KEY_ID`", of(credential))));
        }
        let is_named = self.variables.get("AWS_PROFILE").is_some();
        let keys = self.profile().await?.keys.clone().map(Into::into).map(of);
        if let Some(keys) = keys.clone().filter(|_| is_named) {
            return Ok(Some(Identity::new("the profile of `AWS_PROFILE`", keys)));
        }
        if let Some(identity) = self.web_identity().await? {
            return Ok(Some(identity));
        }
        if let Some(keys) = keys {
            return Ok(Some(Identity::new("the default profile of `~/.aws`", keys)));
        }
        if let Some(container) = Container::of(&self.variables, &self.http)? {
            return Ok(Some(Identity::new("the container's role", Arc::new(container))));
        }
        if is_named {
            return Err(IdentityError::Variable {
                variable: "AWS_PROFILE",
                problem: "names a profile that has no `aws_access_key_id` with its secret, which is all that is read of profiles",
            });
        }
        self.instance().await
    }

    fn of_environment(&self) -> Result<Option<AwsCredential>, IdentityError> {
        let get = |name| self.variables.get(name).map(str::to_owned);
        let missing = |variable| {
            Err(IdentityError::Variable { variable, problem: "is not set, and its other half is" })
        };
        match (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
            (Some(key_id), Some(secret_key)) => {
                Ok(Some(AwsCredential { key_id, secret_key, token: get("AWS_SESSION_TOKEN") }))
            }
            (None, None) => Ok(None),
            (None, Some(_)) => missing("AWS_ACCESS_KEY_ID"),
            (Some(_), None) => missing("AWS_SECRET_ACCESS_KEY"),
        }
    }

    /// The role that a token of somebody else's buys, as for Kubernetes' service accounts and CI jobs.
    async fn web_identity(&self) -> Result<Option<Identity>, IdentityError> {
        const NAME: &str = "the web identity of `AWS_ROLE_ARN`";
        let get = |name| self.variables.get(name);
        let (Some(file), Some(role)) = (get("AWS_WEB_IDENTITY_TOKEN_FILE"), get("AWS_ROLE_ARN"))
        else {
            return Ok(None);
        };
        let region = self.region().await?.unwrap_or_else(|| "us-east-1".to_owned());
        let given = self.variables.first(&["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"]);
        let address = match given {
            Some(address) => address.trim_end_matches('/').to_owned(),
            None => format!("https://sts.{region}.{}", domain(&region)),
        };
        let builder = AmazonS3Builder::new()
            .with_region(&region)
            .with_config(AmazonS3ConfigKey::WebIdentityTokenFile, file)
            .with_config(AmazonS3ConfigKey::RoleArn, role)
            .with_config(
                AmazonS3ConfigKey::RoleSessionName,
                get("AWS_ROLE_SESSION_NAME").unwrap_or("strata"),
            )
            .with_config(AmazonS3ConfigKey::StsEndpoint, address)
            .with_retry(self.http.retry());
        self.of_builder(NAME, builder, way(given)).map(Some)
    }

    /// The role of the machine, of its metadata server.
    async fn instance(&self) -> Result<Option<Identity>, IdentityError> {
        let given = self.variables.get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        let asked = given.is_some() || machine::may_be_of(Owner::Amazon);
        if self.variables.is_true("AWS_EC2_METADATA_DISABLED") || !asked {
            return Ok(None);
        }
        let address = given.unwrap_or(METADATA).trim_end_matches('/');
        let builder = AmazonS3Builder::new()
            .with_config(AmazonS3ConfigKey::MetadataEndpoint, address)
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
        let identity = self.of_builder("the machine's role", builder, Way::Nearby)?;
        // Kept by the library, so nothing is asked twice.
        let asked = identity.credential().await;
        if given.is_none() {
            return Ok(machine::unnamed(asked).map(|_kept| identity));
        }
        asked.map(|_kept| Some(identity))
    }

    /// The library makes credentials as part of a bucket; which one does not matter.
    fn of_builder(
        &self,
        name: &'static str,
        builder: AmazonS3Builder,
        way: Way,
    ) -> Result<Identity, IdentityError> {
        let failure = Failure::default();
        let http = Arc::clone(&self.http);
        let carrier = Carrier { http, way, tried: name.to_owned(), failure: failure.clone() };
        let built = builder.with_bucket_name("any").with_http_connector(carrier).build();
        let store = built.map_err(|error| IdentityError::Request {
            service: name.to_owned(),
            source: Box::new(error),
        })?;
        Ok(Identity { source: Arc::clone(store.credentials()), failure, name })
    }
}

/// How an address is reached that may be the user's own.
pub(crate) fn way(given: Option<&str>) -> Way {
    if given.is_some() { Way::Chosen } else { Way::Usual }
}

/// The domain of a region's services.
pub(crate) fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}
