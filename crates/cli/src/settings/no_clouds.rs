//! Clouds, in a program without the feature `cloud`: what asks for them is refused by name.

use std::path::Path;

use strata_registry::{CredentialSource, Settings};

use crate::args::registry::RegistryArgs;
use crate::diagnostic::Failure;
use crate::environment::Environment;

/// None of them.
#[derive(Debug)]
pub(crate) struct Clouds;

impl Clouds {
    pub(crate) fn of(_environment: &Environment, _settings: Settings) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn helpers(&self, _arguments: &RegistryArgs) -> Vec<CredentialSource> {
        Vec::new()
    }

    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub(crate) async fn download(&self, text: &str, _into: &Path) -> Result<i64, Failure> {
        Err(refusal(text))
    }
}

pub(crate) fn is_object(text: &str) -> bool {
    ["s3://", "gs://", "az://", "azure://"].iter().any(|scheme| text.starts_with(scheme))
}

pub(crate) fn check(text: &str) -> Result<(), Failure> {
    Err(refusal(text))
}

fn refusal(text: &str) -> Failure {
    Failure::usage(format!("`{text}`: object stores are left out of this program"))
        .help("build it with the feature `cloud`")
}
