//! Clouds: who this process is there, for their registries and for contexts in their object stores.

use std::path::Path;

use strata_cloud::{Address, StorageError, Variables};
use strata_registry::{CredentialSource, ErrorKind, Settings};
use strata_remote::SaveError;

use crate::args::registry::{CredentialHelper, RegistryArgs};
use crate::diagnostic::{Diagnostic, Failure};
use crate::environment::Environment;
use crate::exit::Exit;

/// All of them.
#[derive(Debug)]
pub(crate) struct Clouds(strata_cloud::Clouds);

impl Clouds {
    pub(crate) fn of(environment: &Environment, settings: Settings) -> Self {
        Self(strata_cloud::Clouds::new(&Variables::new(environment.iter()), settings))
    }

    /// The helpers that make credentials for their registries.
    pub(crate) fn helpers(&self, arguments: &RegistryArgs) -> Vec<CredentialSource> {
        let helpers = [
            (CredentialHelper::Google, self.0.google()),
            (CredentialHelper::Ecr, self.0.ecr()),
            (CredentialHelper::Acr, self.0.acr()),
        ];
        let asked = helpers.into_iter().filter(|(helper, _)| arguments.asks(*helper));
        asked.map(|(_, provider)| CredentialSource::Provider(provider)).collect()
    }

    /// Writes a file of an object store to a new one here, and says when it was changed.
    pub(crate) async fn download(&self, text: &str, into: &Path) -> Result<i64, Failure> {
        let address = parse(text)?;
        let content = self.0.open(&address).await.map_err(|error| failure(&error))?;
        let time = content.last_modified;
        match strata_remote::save(content.pieces, into).await {
            Ok(_) => Ok(time),
            Err(SaveError::Pieces(error)) => Err(failure(&error)),
            Err(SaveError::File(error)) => Err(Failure::file("write", into, &error)),
        }
    }
}

/// Whether a text names a file of an object store.
pub(crate) fn is_object(text: &str) -> bool {
    Address::is_one(text)
}

/// Refuses what names no file of an object store although it looks like it.
pub(crate) fn check(text: &str) -> Result<(), Failure> {
    parse(text).map(drop)
}

fn parse(text: &str) -> Result<Address, Failure> {
    Address::parse(text).map_err(|error| Failure::usage(error.to_string()))
}

fn failure(error: &StorageError) -> Failure {
    let help = match error.kind() {
        Some(ErrorKind::NotFound { .. }) => {
            Some("check the names of the bucket and of the file in it")
        }
        Some(ErrorKind::Unauthorized { .. } | ErrorKind::Denied { .. }) => Some(
            "check that this identity may read the file; docs/environment.md lists the variables that say who to be",
        ),
        _ => None,
    };
    Failure::new(Exit::Registry, Diagnostic::of(error).helped(help.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use crate::environment::CLOUD;

    #[test]
    fn each_variable_is_documented() {
        let documented: Vec<&str> = CLOUD.iter().map(|variable| variable.name).collect();
        let read: Vec<&str> =
            strata_cloud::NAMES.iter().copied().filter(|name| *name != "HOME").collect();
        assert_eq!(documented, read);
    }
}
