//! The client: what all operations share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::{Method, Url};
use strata_oci::Repository;

use crate::auth::{Scopes, Session};
use crate::error::{ErrorKind, Operation, RegistryError};
use crate::exchange::Request;
use crate::host::{Connections, Host};
use crate::retry::Attempts;
use crate::{Candidate, Credential, Credentials, RetryPolicy, Settings, SettingsError, Timeouts};

/// Talks to registries. Cloning shares connections, tokens and what was learned about each registry.
///
/// All operations retry what is worth retrying, within [`RetryPolicy`]. Pulls go to the mirrors of a registry
/// first, pushes to the registry itself. Dropping the future of any operation is safe: at worst an upload is left
/// behind that the registry forgets.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    credentials: Credentials,
    connections: Connections,
    retry: RetryPolicy,
    timeouts: Timeouts,
    upload_piece: usize,
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
}

/// Is one place to ask for a repository: the registry itself or a mirror.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) host: Arc<Host>,
    /// The repository's path there.
    pub(crate) path: String,
}

impl Client {
    /// Makes a client. Reads the files of certificates that the settings name, and nothing else; connects to
    /// nothing.
    pub fn new(settings: &Settings, credentials: Credentials) -> Result<Self, SettingsError> {
        Ok(Self(Arc::new(Inner {
            credentials,
            connections: Connections::new(settings)?,
            retry: settings.retry,
            timeouts: settings.timeouts,
            upload_piece: settings.upload_piece.max(1),
            hosts: Mutex::default(),
        })))
    }

    /// Asks a registry whether a credential is good, and nobody's else.
    pub async fn check_login(
        &self,
        registry: &str,
        credential: Credential,
    ) -> Result<(), RegistryError> {
        let candidate = Candidate { credential, source: "the login".to_owned() };
        let host = Host::new(registry, Session::only(registry, candidate));
        self.ping_host(&host).await
    }

    /// Asks a registry whether it answers, with the credentials that are configured, or with none.
    pub async fn ping(&self, registry: &str) -> Result<(), RegistryError> {
        let host = self.host(registry);
        self.ping_host(&host).await
    }

    async fn ping_host(&self, host: &Host) -> Result<(), RegistryError> {
        let mut attempts = self.attempts();
        loop {
            let asked = async {
                let url = self.url(host, "v2/").await?;
                self.exchange(host, &Request::new(Method::GET, url, Scopes::none())).await
            };
            let result = match asked.await {
                Ok(_) => return Ok(()),
                Err(kind) => attempts.wait_after(kind).await,
            };
            result.map_err(|kind| RegistryError {
                registry: host.name.clone(),
                repository: None,
                operation: Operation::Ping,
                kind: Box::new(kind),
            })?;
        }
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.0.connections
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.0.credentials
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.0.timeouts
    }

    pub(crate) fn upload_piece(&self) -> usize {
        self.0.upload_piece
    }

    pub(crate) fn attempts(&self) -> Attempts<'_> {
        self.attempts_after(0)
    }

    pub(crate) fn attempts_after(&self, failures: u32) -> Attempts<'_> {
        Attempts::after(&self.0.retry, failures)
    }

    pub(crate) fn host(&self, registry: &str) -> Arc<Host> {
        let mut hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts.entry(registry.to_owned()).or_insert_with(|| {
            Arc::new(Host::new(registry, Session::new(registry, self.0.credentials.clone())))
        });
        Arc::clone(host)
    }

    /// Is the registry itself.
    pub(crate) fn origin(&self, repository: &Repository) -> Endpoint {
        Endpoint { host: self.host(repository.registry()), path: repository.path().to_owned() }
    }

    /// Lists where to pull from: the mirrors, then the registry itself unless that is switched off. Never empty.
    pub(crate) fn endpoints(&self, repository: &Repository) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        let settings = self.0.connections.settings(repository.registry());
        for mirror in settings.iter().flat_map(|settings| &settings.mirrors) {
            let path = match mirror.prefix.as_str() {
                "" => repository.path().to_owned(),
                prefix => format!("{prefix}/{}", repository.path()),
            };
            endpoints.push(Endpoint { host: self.host(&mirror.host), path });
        }
        let mirrors_only = settings.is_some_and(|settings| settings.mirrors_only);
        if endpoints.is_empty() || !mirrors_only {
            endpoints.push(self.origin(repository));
        }
        endpoints
    }

    /// Builds a URL of a host's API.
    pub(crate) async fn url(&self, host: &Host, path: &str) -> Result<Url, ErrorKind> {
        let origin = host.origin(&self.0.connections).await?;
        origin
            .join(path)
            .map_err(|_| ErrorKind::Protocol { what: format!("`{path}` does not form a URL") })
    }
}

impl Endpoint {
    /// Makes an error about this endpoint.
    pub(crate) fn error(&self, operation: Operation, kind: ErrorKind) -> RegistryError {
        RegistryError {
            registry: self.host.name.clone(),
            repository: Some(self.path.clone()),
            operation,
            kind: Box::new(kind),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("retry", &self.0.retry).finish_non_exhaustive()
    }
}
