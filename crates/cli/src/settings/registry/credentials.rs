//! Where credentials are, in order: files, then variables.

use std::path::{Path, PathBuf};

use strata_registry::{
    Candidate, ConfigFile, Credential, CredentialSource, CredentialSources, Secret,
};

use super::gitlab::Job;
use crate::args::registry::{CredentialHelper, RegistryArgs};
use crate::diagnostic::{Diagnostic, Failure};
use crate::environment::{Environment, variable};
use crate::exit::Exit;
use crate::settings::clouds::Clouds;

/// Reads the credentials that are configured, the best first among equals: what names registries outright, then
/// what a CI job brings along.
pub(super) fn sources(
    arguments: &RegistryArgs,
    environment: &Environment,
    clouds: &Clouds,
) -> Result<CredentialSources, Failure> {
    let mut sources = Vec::new();
    if let Some(file) = &arguments.authfile {
        let text = std::fs::read_to_string(file).map_err(|error| Failure {
            exit: Exit::Usage,
            ..Failure::file("read", file, &error)
        })?;
        sources.push(CredentialSource::File(parse(&shown(file), &text)?));
    } else {
        sources.extend(in_variable(environment)?);
        for path in files(environment) {
            match std::fs::read_to_string(&path) {
                Ok(text) => sources.push(CredentialSource::File(parse(&shown(&path), &text)?)),
                // Also those that cannot be read: a home directory of somebody else is no reason to
                // fail for a build that needs no credentials.
                Err(error) => {
                    tracing::debug!(path = %path.display(), %error, "no credentials here");
                }
            }
        }
        if arguments.asks(CredentialHelper::Env) {
            sources.extend(by_domain(environment));
        }
        if arguments.asks(CredentialHelper::Gitlab) {
            sources.extend(Job::of(environment)?.credentials());
        }
        sources.extend(clouds.helpers(arguments));
    }
    Ok(CredentialSources { sources, helper_directories: helper_directories(environment) })
}

/// What `DOCKER_AUTH_CONFIG` holds, or the file that it names: a variable of GitLab's type `file` holds a path.
fn in_variable(environment: &Environment) -> Result<Option<CredentialSource>, Failure> {
    const NAME: &str = "`DOCKER_AUTH_CONFIG`";
    let Some(text) = environment.text(variable::DOCKER_AUTH_CONFIG) else { return Ok(None) };
    let path = Path::new(text.trim());
    let file = if text.trim_start().starts_with('{') || !path.is_absolute() {
        parse(NAME, text)?
    } else {
        let content = std::fs::read_to_string(path).map_err(|error| Failure {
            exit: Exit::Usage,
            ..Failure::file("read the file that `DOCKER_AUTH_CONFIG` names,", path, &error)
        })?;
        parse(&format!("{} ({NAME})", shown(path)), &content)?
    };
    Ok(Some(CredentialSource::File(file)))
}

/// The files in question, best first, each once. Those that do not exist are passed over.
fn files(environment: &Environment) -> Vec<PathBuf> {
    let mut files = Vec::new();
    files.extend(environment.path(variable::REGISTRY_AUTH_FILE));
    files.extend(docker_configurations(environment));
    if let Some(runtime) = environment.path(variable::XDG_RUNTIME_DIR) {
        files.push(runtime.join("containers/auth.json"));
    }
    if let Some(home) = environment.path(variable::HOME) {
        files.push(home.join(".config/containers/auth.json"));
    }
    let mut seen = std::collections::BTreeSet::new();
    files.retain(|file| seen.insert(file.clone()));
    files
}

/// Docker's own places, and the one that jobs written for kaniko write to.
fn docker_configurations(environment: &Environment) -> impl Iterator<Item = PathBuf> {
    let home = environment.path(variable::HOME).map(|home| home.join(".docker"));
    let kaniko = super::kaniko_directory(environment).join(".docker");
    let directories = [environment.path(variable::DOCKER_CONFIG), home, Some(kaniko)];
    directories.into_iter().flatten().map(|directory| directory.join("config.json"))
}

/// `KANIKO_<HOST>_USER` with `KANIKO_<HOST>_PASSWORD`.
fn by_domain(environment: &Environment) -> impl Iterator<Item = CredentialSource> {
    environment.iter().filter_map(|(variable, username)| {
        let name = variable.strip_prefix("KANIKO_")?.strip_suffix("_USER")?;
        let password = environment.raw(&format!("KANIKO_{name}_PASSWORD"))?.to_str()?;
        let credential =
            Credential::Basic { username: username.to_owned(), password: Secret::new(password) };
        let candidate = Candidate { credential, source: format!("`{variable}`") };
        Some(CredentialSource::Domain { name: name.to_owned(), candidate })
    })
}

fn parse(name: &str, text: &str) -> Result<ConfigFile, Failure> {
    ConfigFile::parse(name, text).map_err(|error| Failure::new(Exit::Usage, Diagnostic::of(&error)))
}

fn shown(path: &Path) -> String {
    format!("`{}`", path.display())
}

/// The file that `login` writes and `logout` edits.
pub(crate) fn login_file(
    authfile: Option<&PathBuf>,
    environment: &Environment,
) -> Result<PathBuf, Failure> {
    let docker = [
        environment.path(variable::DOCKER_CONFIG),
        environment.path(variable::HOME).map(|home| home.join(".docker")),
    ];
    authfile
        .cloned()
        .or_else(|| environment.path(variable::REGISTRY_AUTH_FILE))
        .or_else(|| docker.into_iter().flatten().next().map(|one| one.join("config.json")))
        .ok_or_else(|| {
            Failure::usage("there is no place for credentials: `HOME` is not set")
                .help("name a file with `--authfile`, or set `DOCKER_CONFIG`")
        })
}

/// Where credential helpers are looked for.
pub(crate) fn helper_directories(environment: &Environment) -> Vec<PathBuf> {
    environment
        .get(variable::PATH)
        .map(|value| std::env::split_paths(value).filter(|path| path.is_absolute()).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
