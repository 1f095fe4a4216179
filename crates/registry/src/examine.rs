//! How a registry answers each identity that is configured: what people look at when a login does not work.

use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Url};
use strata_oci::Reference;

use crate::auth::{Access, Challenge, Scopes, Session};
use crate::client::{Client, Endpoint};
use crate::error::{ErrorKind, Operation, RegistryError, body};
use crate::exchange::Request;
use crate::host::Host;
use crate::{Candidate, Credentials};

/// Is what was found out about one place that a reference may be pulled from. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examination {
    /// The registry, or the mirror, as `host[:port]`.
    pub registry: String,
    /// The repository there.
    pub repository: String,
    /// The address that was decided on, with its scheme.
    pub address: String,
    /// What it wants to see of somebody whom it does not know.
    pub wants: Wants,
    /// Each identity in the order in which it is tried; the anonymous one comes last.
    pub trials: Vec<Trial>,
    /// Sources that could not be used, each with the reason.
    pub passed_over: Vec<String>,
}

/// Is what a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wants {
    /// Nothing: it lets everybody in.
    Nothing,
    /// A user and a password with each request.
    Password,
    /// A token.
    Token {
        /// The server that gives it, without query.
        server: String,
        /// What the registry calls itself there.
        service: Option<String>,
    },
}

/// Is how one identity fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The identity, without its secret.
    pub identity: String,
    /// Whether it may pull.
    pub pull: Verdict,
    /// Whether it may push; `None` for a mirror, which is never pushed to.
    pub push: Option<Verdict>,
}

/// Is what a registry said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Allowed,
    /// It lets the identity in, and has no such thing.
    NotFound,
    /// No, and why.
    Refused(String),
}

impl Client {
    /// Tries every identity at every place that a reference is looked for at, mirrors first. Each request is sent
    /// once. What is pushed is nothing: an upload is begun and cancelled.
    pub async fn examine(&self, reference: &Reference) -> Vec<Result<Examination, RegistryError>> {
        let origin = self.origin(reference.repository());
        let mut endpoints = self.endpoints(reference.repository());
        // A registry that is not pulled from, as its mirrors are all that is asked, is still pushed to.
        if endpoints.iter().all(|one| one.host.name != origin.host.name) {
            endpoints.push(origin.clone());
        }
        let mut found = Vec::new();
        for endpoint in endpoints {
            let pushed_to = endpoint.host.name == origin.host.name;
            let examined = self.examine_endpoint(&endpoint, reference, pushed_to).await;
            found.push(examined.map_err(|kind| endpoint.error(Operation::Ping, kind)));
        }
        found
    }

    async fn examine_endpoint(
        &self,
        endpoint: &Endpoint,
        reference: &Reference,
        pushed_to: bool,
    ) -> Result<Examination, ErrorKind> {
        let name = &endpoint.host.name;
        let origin = endpoint.host.origin(self.connections()).await?.clone();
        let wants = self.wants(name, &origin).await?;
        let found = self.credentials().find_all(name, Some(&endpoint.path)).await;
        let mut trials = Vec::new();
        let identities = found.candidates.into_iter().map(Some).chain([None]);
        for identity in identities {
            trials.push(self.trial(endpoint, &origin, reference, identity, pushed_to).await);
        }
        Ok(Examination {
            registry: name.clone(),
            repository: endpoint.path.clone(),
            address: origin.to_string(),
            wants,
            trials,
            passed_over: found.problems.iter().map(|problem| with_causes(problem)).collect(),
        })
    }

    /// Asks as nobody, to learn what the registry wants.
    async fn wants(&self, name: &str, origin: &Url) -> Result<Wants, ErrorKind> {
        let session = Session::new(name, Credentials::anonymous());
        let host = Host::at(name, session, origin.clone());
        let url = self.url(&host, "v2/").await?;
        let asked = self.exchange(&host, &Request::new(Method::GET, url, Scopes::none())).await;
        match (asked, host.session.challenge().await) {
            (_, Some(Challenge::Basic)) => Ok(Wants::Password),
            (_, Some(Challenge::Bearer { realm, service })) => {
                Ok(Wants::Token { server: without_query(&realm), service })
            }
            (Ok(_), None) => Ok(Wants::Nothing),
            (Err(kind), None) => Err(kind),
        }
    }

    async fn trial(
        &self,
        endpoint: &Endpoint,
        origin: &Url,
        reference: &Reference,
        identity: Option<Candidate>,
        pushed_to: bool,
    ) -> Trial {
        let name = &endpoint.host.name;
        let described = identity.as_ref().map_or("no credentials".to_owned(), Candidate::describe);
        let session = match identity {
            Some(candidate) => Session::only(name, candidate),
            None => Session::new(name, Credentials::anonymous()),
        };
        let host = std::sync::Arc::new(Host::at(name, session, origin.clone()));
        let endpoint = Endpoint { host, path: endpoint.path.clone() };
        let pull = verdict(self.may_pull(&endpoint, reference).await);
        let push = if pushed_to { Some(verdict(self.try_upload(&endpoint).await)) } else { None };
        Trial { identity: described, pull, push }
    }

    async fn may_pull(&self, endpoint: &Endpoint, reference: &Reference) -> Result<(), ErrorKind> {
        let named = reference.tag().is_some() || reference.digest().is_some();
        let path = if named {
            format!("v2/{}/manifests/{}", endpoint.path, reference.target())
        } else {
            format!("v2/{}/tags/list", endpoint.path)
        };
        let url = self.url(&endpoint.host, &path).await?;
        let method = if named { Method::HEAD } else { Method::GET };
        let scopes = Scopes::of(&endpoint.path, Access::Pull);
        let mut request = Request::new(method, url, scopes);
        let accepted = HeaderValue::from_static(crate::manifest::ACCEPTED);
        request.headers.insert(ACCEPT, accepted);
        self.exchange(&endpoint.host, &request).await.map(drop)
    }
}

fn verdict(result: Result<(), ErrorKind>) -> Verdict {
    match result {
        Ok(()) => Verdict::Allowed,
        Err(ErrorKind::NotFound { .. }) => Verdict::NotFound,
        // Who was tried is said already.
        Err(ErrorKind::Unauthorized { message, .. }) => {
            Verdict::Refused(format!("not authorized (401){}", body::suffix(&message)))
        }
        Err(ErrorKind::Denied { message, .. }) => {
            Verdict::Refused(format!("denied (403){}", body::suffix(&message)))
        }
        Err(kind) => Verdict::Refused(with_causes(&kind)),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        text = format!("{text}: {current}");
        cause = current.source();
    }
    text
}

/// A token server's address, without what may be secret in it.
fn without_query(realm: &str) -> String {
    match Url::parse(realm) {
        Ok(mut url) => {
            url.set_query(None);
            url.set_fragment(None);
            // Neither fails for a URL that has a host, and one without has neither.
            let _no_host = url.set_username("").and_then(|()| url.set_password(None));
            url.to_string()
        }
        Err(_) => "an address that is none".to_owned(),
    }
}
