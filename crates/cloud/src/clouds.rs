//! The way in: all clouds, over the same connections.

use std::sync::Arc;

use strata_registry::{CredentialProvider, Settings};

use crate::aws::Aws;
use crate::aws::ecr::Ecr;
use crate::azure::{AUTHORITY, Azure, AzureRegistry};
use crate::google::{Google, GoogleRegistry};
use crate::http::Http;
use crate::variables::Variables;

/// What tokens for Azure's object stores are for.
const STORAGE: &str = "https://storage.azure.com/";

/// Holds what is known of the clouds. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Clouds {
    pub(crate) aws: Arc<Aws>,
    pub(crate) google: Arc<Google>,
    pub(crate) azure: Arc<Azure>,
    pub(crate) variables: Variables,
    pub(crate) http: Arc<Http>,
}

impl Clouds {
    /// Takes what a process was given. Connects to nothing.
    pub fn new(variables: &Variables, settings: Settings) -> Self {
        let http = Arc::new(Http::new(settings));
        let shared = || (Arc::clone(&http), variables.clone());
        let (of_aws, of_google, of_azure) = (shared(), shared(), shared());
        Self {
            aws: Arc::new(Aws::new(of_aws.0, of_aws.1)),
            google: Arc::new(Google::new(of_google.0, of_google.1)),
            azure: Arc::new(Azure::new(of_azure.0, of_azure.1, STORAGE, AUTHORITY)),
            variables: variables.clone(),
            http,
        }
    }

    /// The helper for Amazon's registries.
    pub fn ecr(&self) -> Arc<dyn CredentialProvider> {
        Arc::new(Ecr::new(Arc::clone(&self.aws)))
    }

    /// The helper for Google's registries.
    pub fn google(&self) -> Arc<dyn CredentialProvider> {
        Arc::new(GoogleRegistry::new(Arc::clone(&self.google)))
    }

    /// The helper for Microsoft's registries.
    pub fn acr(&self) -> Arc<dyn CredentialProvider> {
        Arc::new(AzureRegistry::new(&self.http, &self.variables))
    }
}
