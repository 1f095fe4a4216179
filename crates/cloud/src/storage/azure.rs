//! Containers of Azure's accounts.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::azure::{AzureAccessKey, AzureCredential, MicrosoftAzureBuilder, split_sas};
use object_store::{CredentialProvider, StaticCredentialProvider};

use super::{Address, Bucket, Store, unaskable, way};
use crate::azure::Azure;
use crate::clouds::Clouds;
use crate::error::{IdentityError, StorageError};
use crate::http::{Carrier, Failure};

type Source = object_store::azure::AzureCredentialProvider;

pub(super) async fn container(clouds: &Clouds, address: &Address) -> Result<Bucket, StorageError> {
    let Address::Azure { host, container, .. } = address else {
        unreachable!("`{address}` is not one of Azure")
    };
    let account = host.split('.').next().unwrap_or_default();
    let server = match clouds.variables.get("AZURE_STORAGE_SERVICE_ENDPOINT") {
        Some(given) => given.trim_end_matches('/').to_owned(),
        None => format!("https://{host}"),
    };
    let found = source(clouds).await?;
    let tried = found.as_ref().map_or("no credentials", |(name, _)| *name).to_owned();
    let failure = Failure::default();
    let carrier = Carrier {
        http: Arc::clone(&clouds.http),
        way: way(&server),
        tried,
        failure: failure.clone(),
    };
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name(container)
        .with_endpoint(server)
        .with_retry(clouds.http.retry())
        .with_http_connector(carrier);
    builder = match found {
        Some((_, source)) => builder.with_credentials(source),
        // As for a container that is open to everybody.
        None => builder.with_skip_signature(true),
    };
    let store = builder.build().map_err(|error| unaskable(address, &error))?;
    Ok(Bucket { store: Store::Azure(store), failure, identity: None })
}

/// Who to be: a key of the account, a signature for it, or this process' own identity.
async fn source(clouds: &Clouds) -> Result<Option<(&'static str, Source)>, IdentityError> {
    const SIGNATURE: &str = "AZURE_STORAGE_SAS_TOKEN";
    let of = |credential| -> Source { Arc::new(StaticCredentialProvider::new(credential)) };
    for name in ["AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY"] {
        let Some(key) = clouds.variables.get(name) else { continue };
        let key = AzureAccessKey::try_new(key)
            .map_err(|_| IdentityError::Variable { variable: name, problem: "is not base64" })?;
        return Ok(Some(("the account's key", of(AzureCredential::AccessKey(key)))));
    }
    if let Some(signature) = clouds.variables.get(SIGNATURE) {
        let pairs = split_sas(signature).map_err(|_| IdentityError::Variable {
            variable: SIGNATURE,
            problem: "is not a query",
        })?;
        return Ok(Some(("a shared access signature", of(AzureCredential::SASToken(pairs)))));
    }
    let token = clouds.azure.token().await?;
    let source = || -> Source { Arc::new(Tokens(Arc::clone(&clouds.azure))) };
    Ok(token.map(|token| (token.owner, source())))
}

/// Gives the library our tokens.
#[derive(Debug)]
struct Tokens(Arc<Azure>);

#[async_trait]
impl CredentialProvider for Tokens {
    type Credential = AzureCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AzureCredential>> {
        let failed = |source| object_store::Error::Generic { store: "MicrosoftAzure", source };
        match self.0.token().await {
            Ok(Some(token)) => {
                Ok(Arc::new(AzureCredential::BearerToken(token.secret.expose().to_owned())))
            }
            Ok(None) => Err(failed("there are no credentials".into())),
            Err(error) => Err(failed(Box::new(error))),
        }
    }
}
