//! Who to be at which registry.
//!
//! Everything configured is a candidate, best first; the anonymous user comes last. A registry that refuses one
//! candidate is asked with the next, so a stale entry in one file does not hide a good one in another. What is most
//! specific is best; among equals the order of the sources decides.

use std::path::PathBuf;
use std::sync::Arc;

use crate::Secret;

mod config_file;
mod helper;
mod key;
mod login;
mod provider;

pub use config_file::ConfigFile;
use key::Fit;
pub use login::{LoginError, login, logout};
pub use provider::CredentialProvider;

/// Says who to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A user with a password or personal token.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token that buys access tokens (`identitytoken`).
    Identity(Secret),
    /// A token that is sent as it is (`registrytoken`).
    Registry(Secret),
}

/// Is one possible identity, with where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Who to be.
    pub credential: Credential,
    /// Where it was found, for people: `config.json (entry `registry.example`)`.
    pub source: String,
}

impl Candidate {
    /// Names the identity without its secret, for messages.
    pub fn describe(&self) -> String {
        match &self.credential {
            Credential::Basic { username, .. } => {
                format!("credentials of `{username}` from {}", self.source)
            }
            Credential::Identity(_) | Credential::Registry(_) => {
                format!("a token from {}", self.source)
            }
        }
    }
}

/// Lists where credentials come from. The caller reads environment and disk; helpers are run from here.
#[derive(Debug, Clone, Default)]
pub struct CredentialSources {
    /// In the order of precedence. What is most specific wins across all of them; the order decides among equals.
    pub sources: Vec<CredentialSource>,
    /// Where `docker-credential-*` programs are looked for: the entries of `PATH`.
    pub helper_directories: Vec<PathBuf>,
}

/// Is one place that credentials come from.
#[derive(Debug, Clone)]
pub enum CredentialSource {
    /// One identity, for a registry or a namespace of it.
    Entry {
        /// `host[:port]`, or with a namespace behind it.
        key: String,
        /// The identity.
        candidate: Candidate,
    },
    /// One identity, for all hosts of a domain that is spelled as part of a variable's name.
    Domain {
        /// `REGISTRY_EXAMPLE_COM` for `registry.example.com` and whatever is below it.
        name: String,
        /// The identity.
        candidate: Candidate,
    },
    /// A configuration file, with the helpers that it names.
    File(ConfigFile),
    /// Something that makes credentials, asked after all that is configured.
    Provider(Arc<dyn CredentialProvider>),
}

/// Says why configured credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A file that is no JSON object of the expected form.
    #[error("{source_name} is not a registry configuration")]
    Syntax {
        /// What the file is called.
        source_name: String,
        /// What is wrong. It shows no values.
        #[source]
        source: serde_json::Error,
    },
    /// An entry whose `auth` is not base64 of `user:password`.
    #[error("entry `{key}` of {source_name} has an `auth` that is not base64 of `user:password`")]
    MalformedAuth {
        /// The entry.
        key: String,
        /// What the file is called.
        source_name: String,
    },
    /// A helper's name that could lead elsewhere.
    #[error("`{name}` is not the name of a credential helper")]
    HelperName {
        /// The name.
        name: String,
    },
    /// A helper that is configured and is nowhere to be found.
    #[error("credential helper `{program}` is not installed")]
    HelperMissing {
        /// The program.
        program: String,
    },
    /// A helper that cannot be run.
    #[error("cannot run credential helper `{program}`")]
    HelperUnrunnable {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A helper that answers with a failure.
    #[error("credential helper `{program}` fails: {message}")]
    HelperFailed {
        /// The program.
        program: String,
        /// Its words, cut short.
        message: String,
    },
    /// A helper that is built in, and cannot do it.
    #[error("credential helper `{name}` fails")]
    Provider {
        /// What it is called.
        name: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A helper that answers with something else than it should.
    #[error("credential helper `{program}` answers with something that is no credential")]
    HelperAnswer {
        /// The program.
        program: String,
    },
}

/// Finds candidates. See [`CredentialSources`].
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    sources: CredentialSources,
}

/// What was found, and what was configured but could not be used.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) problems: Vec<CredentialError>,
    /// Those that may have more candidates, in the order in which they are asked.
    pub(crate) providers: Vec<Arc<dyn CredentialProvider>>,
}

impl Credentials {
    /// Takes the sources.
    pub fn new(sources: CredentialSources) -> Self {
        Self { sources }
    }

    /// Is nobody everywhere.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Lists the identities for a repository of a registry, best first; the anonymous one is not among them.
    ///
    /// Runs the credential helpers that apply. A helper that is missing or fails is a problem only if nothing
    /// else applies: the first such is then the error, so that a user does not hunt for a 401.
    pub async fn candidates(
        &self,
        registry: &str,
        repository: Option<&str>,
    ) -> Result<Vec<Candidate>, CredentialError> {
        let found = self.find_all(registry, repository).await;
        match found.problems.into_iter().next() {
            Some(problem) if found.candidates.is_empty() => Err(problem),
            Some(problem) => {
                tracing::debug!(%problem, registry, "a credential source is passed over");
                Ok(found.candidates)
            }
            None => Ok(found.candidates),
        }
    }

    /// Like [`Credentials::find`], with what the providers give.
    pub(crate) async fn find_all(&self, registry: &str, repository: Option<&str>) -> Found {
        let mut found = self.find(registry, repository).await;
        for provider in std::mem::take(&mut found.providers) {
            match provider.find(registry).await {
                Ok(candidate) => found.candidates.extend(candidate),
                Err(problem) => found.problems.push(problem),
            }
        }
        found
    }

    /// Lists what is configured, best first, with every problem met on the way.
    pub(crate) async fn find(&self, registry: &str, repository: Option<&str>) -> Found {
        let mut found = Found::default();
        let mut ranked: Vec<(Fit, Candidate)> = Vec::new();
        for source in &self.sources.sources {
            match source {
                CredentialSource::Entry { key, candidate } => {
                    let fit = key::fit(key, registry, repository);
                    ranked.extend(fit.map(|fit| (fit, candidate.clone())));
                }
                CredentialSource::Domain { name, candidate } => {
                    let fit = key::fit_of_domain(name, registry);
                    ranked.extend(fit.map(|fit| (fit, candidate.clone())));
                }
                CredentialSource::File(file) => {
                    self.look_into(file, registry, repository, &mut ranked, &mut found.problems)
                        .await;
                }
                CredentialSource::Provider(provider) => {
                    found.providers.extend(provider.knows(registry).then(|| Arc::clone(provider)));
                }
            }
        }
        // A stable sort keeps the order of the sources among equals.
        ranked.sort_by_key(|(fit, _)| std::cmp::Reverse(*fit));
        found.candidates.extend(ranked.into_iter().map(|(_, candidate)| candidate));
        let mut seen: Vec<Credential> = Vec::new();
        found.candidates.retain(|candidate| {
            let new = !seen.contains(&candidate.credential);
            if new {
                seen.push(candidate.credential.clone());
            }
            new
        });
        found
    }

    /// Takes what a file has: its entries, and what the one helper says that is responsible.
    async fn look_into(
        &self,
        file: &ConfigFile,
        registry: &str,
        repository: Option<&str>,
        ranked: &mut Vec<(Fit, Candidate)>,
        problems: &mut Vec<CredentialError>,
    ) {
        match file.entries(registry, repository) {
            Ok(entries) => ranked.extend(entries),
            Err(problem) => problems.push(problem),
        }
        let own = file.helper_for(registry, repository).map(|(fit, name)| (fit, "helper", name));
        let store = || file.store().map(|name| (Fit::Anything, "store", name));
        let Some((fit, what, name)) = own.or_else(store) else { return };
        match helper::get(name, registry, &self.sources.helper_directories).await {
            Ok(Some(credential)) => {
                let source = format!("credential {what} `{name}` of {}", file.name());
                ranked.push((fit, Candidate { credential, source }));
            }
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
}

#[cfg(test)]
mod tests;
