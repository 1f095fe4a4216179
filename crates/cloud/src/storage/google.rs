//! Buckets of Google's.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};

use super::{Address, Bucket, Store, unaskable, way};
use crate::error::StorageError;
use crate::google::Google;
use crate::http::{Carrier, Failure};

const SERVER: &str = "https://storage.googleapis.com";

pub(super) async fn bucket(
    google: &Arc<Google>,
    address: &Address,
    bucket: &str,
) -> Result<Bucket, StorageError> {
    let variables = google.variables();
    // An emulator knows nobody.
    let emulator = variables.get("STORAGE_EMULATOR_HOST");
    let server = match (emulator, variables.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE")) {
        (Some(host), _) if host.contains("://") => host,
        (Some(host), _) => &format!("http://{host}"),
        (None, Some(given)) => given,
        (None, None) => SERVER,
    };
    let server = server.trim_end_matches('/').to_owned();
    let token = if emulator.is_some() { None } else { google.token().await? };
    let tried = token.as_ref().map_or("no credentials", |token| token.owner.as_str()).to_owned();
    let failure = Failure::default();
    let carrier = Carrier {
        http: Arc::clone(google.http()),
        way: way(&server),
        tried,
        failure: failure.clone(),
    };
    let source = Tokens(Arc::clone(google));
    let store = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_base_url(&server)
        .with_credentials(Arc::new(source))
        .with_skip_signature(token.is_none())
        .with_retry(google.http().retry())
        .with_http_connector(carrier)
        .build()
        .map_err(|error| unaskable(address, &error))?;
    Ok(Bucket { store: Store::Google(store), failure, identity: None })
}

/// Gives the library our tokens.
#[derive(Debug)]
struct Tokens(Arc<Google>);

#[async_trait]
impl CredentialProvider for Tokens {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpCredential>> {
        let failed = |source| object_store::Error::Generic { store: "GCS", source };
        match self.0.token().await {
            Ok(Some(token)) => {
                Ok(Arc::new(GcpCredential { bearer: token.secret.expose().to_owned() }))
            }
            Ok(None) => Err(failed("there are no credentials".into())),
            Err(error) => Err(failed(Box::new(error))),
        }
    }
}
