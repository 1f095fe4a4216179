//! `config.json` of Docker and `auth.json` of containers, read.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use serde::Deserialize;

use super::{Candidate, Credential, CredentialError, Fit, key};
use crate::Secret;

/// Is a parsed configuration file (or the value of `DOCKER_AUTH_CONFIG`).
#[derive(Debug, Clone)]
pub struct ConfigFile {
    name: String,
    content: Content,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Content {
    #[serde(default)]
    auths: Option<BTreeMap<String, Option<Entry>>>,
    #[serde(rename = "credHelpers", default)]
    helpers: Option<BTreeMap<String, String>>,
    #[serde(rename = "credsStore", default)]
    store: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry(…)")
    }
}

impl ConfigFile {
    /// Reads the text of a file. `name` is what messages call it: its path, or a variable.
    pub fn parse(name: &str, text: &str) -> Result<Self, CredentialError> {
        let text = text.trim();
        // An empty file is what `touch` and an unset CI variable leave.
        let content = if text.is_empty() {
            Content::default()
        } else {
            serde_json::from_str(text).map_err(|source| CredentialError::Syntax {
                source_name: name.to_owned(),
                source: without_values(&source),
            })?
        };
        Ok(Self { name: name.to_owned(), content })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Lists the entries that fit, each with how well it does.
    pub(super) fn entries(
        &self,
        registry: &str,
        repository: Option<&str>,
    ) -> Result<Vec<(Fit, Candidate)>, CredentialError> {
        let mut fitting = Vec::new();
        for (entry_key, entry) in self.content.auths.iter().flatten() {
            let fit = key::fit(entry_key, registry, repository);
            let (Some(fit), Some(entry)) = (fit, entry) else {
                continue;
            };
            let credential =
                entry.credential().map_err(|MalformedAuth| CredentialError::MalformedAuth {
                    key: entry_key.clone(),
                    source_name: self.name.clone(),
                })?;
            if let Some(credential) = credential {
                let source = format!("{} (entry `{entry_key}`)", self.name);
                fitting.push((fit, Candidate { credential, source }));
            }
        }
        Ok(fitting)
    }

    /// Finds the helper that is configured for exactly this registry or a namespace of it.
    pub(super) fn helper_for(
        &self,
        registry: &str,
        repository: Option<&str>,
    ) -> Option<(Fit, &str)> {
        let helpers = self.content.helpers.iter().flatten();
        helpers
            .filter_map(|(entry_key, name)| {
                Some((key::fit(entry_key, registry, repository)?, name.as_str()))
            })
            .filter(|(_, name)| !name.is_empty())
            .max_by_key(|(fit, _)| *fit)
    }

    /// Is the helper for everything else.
    pub(super) fn store(&self) -> Option<&str> {
        self.content.store.as_deref().filter(|name| !name.is_empty())
    }
}

/// `serde_json` quotes the offending value in messages about types, and here a value may be a password.
fn without_values(error: &serde_json::Error) -> serde_json::Error {
    let what = match error.classify() {
        serde_json::error::Category::Data => "a value of another type than expected",
        serde_json::error::Category::Eof => "the text ends early",
        serde_json::error::Category::Io | serde_json::error::Category::Syntax => "not JSON",
    };
    let (line, column) = (error.line(), error.column());
    serde::de::Error::custom(format!("{what} at line {line} column {column}"))
}

struct MalformedAuth;

impl Entry {
    /// Tokens come before passwords, as in Docker: a file with both has them from one login.
    fn credential(&self) -> Result<Option<Credential>, MalformedAuth> {
        let said = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        if let Some(token) = said(&self.registrytoken) {
            return Ok(Some(Credential::Registry(Secret::new(token))));
        }
        if let Some(token) = said(&self.identitytoken) {
            return Ok(Some(Credential::Identity(Secret::new(token))));
        }
        if let Some(auth) = said(&self.auth) {
            return decode(&auth).map(Some);
        }
        Ok(said(&self.username).map(|username| Credential::Basic {
            username,
            password: Secret::new(self.password.clone().unwrap_or_default()),
        }))
    }
}

/// Reads base64 of `user:password`. Line breaks of `base64` without `-w0` and missing padding are let pass: CI
/// scripts make both.
fn decode(auth: &str) -> Result<Credential, MalformedAuth> {
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, lenient);
    let packed: String = auth.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes = engine.decode(packed).map_err(|_| MalformedAuth)?;
    let text = String::from_utf8(bytes).map_err(|_| MalformedAuth)?;
    let (username, password) = text.split_once(':').ok_or(MalformedAuth)?;
    let password = password.trim_end_matches(['\0', '\n', '\r']);
    // Docker's own convention for a token behind `auth`.
    Ok(if username == "<token>" {
        Credential::Identity(Secret::new(password))
    } else {
        Credential::Basic { username: username.to_owned(), password: Secret::new(password) }
    })
}
