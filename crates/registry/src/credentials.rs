//! Who to be at which registry.
//!
//! Everything configured is a candidate, best first; the anonymous user comes last. A registry that refuses one
//! candidate is asked with the next, so a stale entry in one file does not hide a good one in another.

use std::path::PathBuf;

use crate::Secret;

mod config_file;
mod helper;
mod key;
mod login;

pub use config_file::ConfigFile;
pub use login::{LoginError, login, logout};

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
    /// Given outright, each for a registry (`host[:port]`, or with a namespace behind it); they come first.
    pub explicit: Vec<(String, Candidate)>,
    /// Configuration files in the order of precedence. What is most specific wins across all of them; the order
    /// decides among equals.
    pub files: Vec<ConfigFile>,
    /// Where `docker-credential-*` programs are looked for: the entries of `PATH`.
    pub helper_directories: Vec<PathBuf>,
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
        let found = self.find(registry, repository).await;
        match found.problems.into_iter().next() {
            Some(problem) if found.candidates.is_empty() => Err(problem),
            Some(problem) => {
                tracing::debug!(%problem, registry, "a credential source is passed over");
                Ok(found.candidates)
            }
            None => Ok(found.candidates),
        }
    }

    /// Like [`Credentials::candidates`], with every problem met on the way.
    pub(crate) async fn find(&self, registry: &str, repository: Option<&str>) -> Found {
        let mut found = Found::default();
        // (how specific, candidate); a stable sort keeps the order of the sources among equals.
        let mut ranked: Vec<(usize, Candidate)> = Vec::new();
        for (entry, candidate) in &self.sources.explicit {
            if let Some(specificity) = key::specificity(entry, registry, repository) {
                ranked.push((specificity, candidate.clone()));
            }
        }
        ranked.sort_by_key(|(specificity, _)| std::cmp::Reverse(*specificity));
        found.candidates.extend(ranked.drain(..).map(|(_, candidate)| candidate));

        let mut from_stores = Vec::new();
        for file in &self.sources.files {
            match file.entries(registry, repository) {
                Ok(entries) => ranked.extend(entries),
                Err(problem) => found.problems.push(problem),
            }
            let helper = file.helper_for(registry, repository);
            if let Some((specificity, name)) = helper {
                match helper::get(name, registry, &self.sources.helper_directories).await {
                    Ok(Some(credential)) => {
                        let source = format!("credential helper `{name}` of {}", file.name());
                        ranked.push((specificity, Candidate { credential, source }));
                    }
                    Ok(None) => {}
                    Err(problem) => found.problems.push(problem),
                }
            } else if let Some(name) = file.store() {
                match helper::get(name, registry, &self.sources.helper_directories).await {
                    Ok(Some(credential)) => {
                        let source = format!("credential store `{name}` of {}", file.name());
                        from_stores.push(Candidate { credential, source });
                    }
                    Ok(None) => {}
                    Err(problem) => found.problems.push(problem),
                }
            }
        }
        ranked.sort_by_key(|(specificity, _)| std::cmp::Reverse(*specificity));
        found.candidates.extend(ranked.into_iter().map(|(_, candidate)| candidate));
        found.candidates.extend(from_stores);
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
}

#[cfg(test)]
mod tests;
