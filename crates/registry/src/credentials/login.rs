//! Writing credentials: what `login` and `logout` do to `config.json`.

use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use serde_json::{Map, Value, json};

use super::{Credential, CredentialError, helper, key};

/// Says why credentials are not written.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// A file that cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that holds something else than a JSON object; it is left alone.
    #[error("`{}` is not a registry configuration", path.display())]
    NotConfiguration {
        /// The file.
        path: PathBuf,
    },
    /// A file that cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A helper that does not do what it is configured for.
    #[error("cannot use the credential helper that `{}` names", path.display())]
    Helper {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: CredentialError,
    },
}

/// Adds a credential to a configuration file, or to the helper that the file names for the registry.
///
/// Everything else in the file stays. The file is replaced whole, readable by its owner alone; a symbolic link is
/// followed. Call it from a thread that may block on a small file.
pub async fn login(
    path: &Path,
    registry: &str,
    credential: &Credential,
    helper_directories: &[PathBuf],
) -> Result<(), LoginError> {
    let mut config = read(path)?;
    if let Some(name) = helper_name(&config, registry) {
        helper::store(&name, registry, credential, helper_directories)
            .await
            .map_err(|source| LoginError::Helper { path: path.to_owned(), source })?;
        // An empty entry is how Docker remembers for which registries the helper holds something.
        return edit(path, &mut config, registry, Some(json!({})));
    }
    let entry = match credential {
        Credential::Basic { username, password } => {
            let pair = format!("{username}:{}", password.expose());
            json!({"auth": base64::engine::general_purpose::STANDARD.encode(pair)})
        }
        Credential::Identity(token) => json!({"identitytoken": token.expose()}),
        Credential::Registry(token) => json!({"registrytoken": token.expose()}),
    };
    edit(path, &mut config, registry, Some(entry))
}

/// Removes a registry from a configuration file, in every spelling, and from the helper the file names for it.
/// Tells whether anything was there.
pub async fn logout(
    path: &Path,
    registry: &str,
    helper_directories: &[PathBuf],
) -> Result<bool, LoginError> {
    let mut config = read(path)?;
    let wanted = key::normalize(registry);
    let known = config
        .get("auths")
        .and_then(Value::as_object)
        .is_some_and(|auths| auths.keys().any(|entry| key::normalize(entry) == wanted));
    if let Some(name) = helper_name(&config, registry) {
        helper::erase(&name, registry, helper_directories)
            .await
            .map_err(|source| LoginError::Helper { path: path.to_owned(), source })?;
    }
    if known {
        edit(path, &mut config, registry, None)?;
    }
    Ok(known)
}

fn read(path: &Path) -> Result<Map<String, Value>, LoginError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Map::new()),
        Err(source) => return Err(LoginError::Read { path: path.to_owned(), source }),
    };
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(&text) {
        Ok(Value::Object(config)) => Ok(config),
        // The cause would quote the file, passwords and all.
        Ok(_) | Err(_) => Err(LoginError::NotConfiguration { path: path.to_owned() }),
    }
}

fn helper_name(config: &Map<String, Value>, registry: &str) -> Option<String> {
    let wanted = key::normalize(registry);
    let helpers = config.get("credHelpers").and_then(Value::as_object);
    let own = helpers.into_iter().flatten().find(|(entry, _)| key::normalize(entry) == wanted);
    let name = own.map(|(_, name)| name).or_else(|| config.get("credsStore"));
    name.and_then(Value::as_str).filter(|name| !name.is_empty()).map(str::to_owned)
}

fn edit(
    path: &Path,
    config: &mut Map<String, Value>,
    registry: &str,
    entry: Option<Value>,
) -> Result<(), LoginError> {
    let not_configuration = || LoginError::NotConfiguration { path: path.to_owned() };
    let auths = config.entry("auths").or_insert_with(|| json!({}));
    if auths.is_null() {
        *auths = json!({});
    }
    let auths = auths.as_object_mut().ok_or_else(not_configuration)?;
    let wanted = key::normalize(registry);
    auths.retain(|existing, _| key::normalize(existing) != wanted);
    if let Some(entry) = entry {
        auths.insert(key::canonical(registry), entry);
    }
    replace(path, config).map_err(|source| LoginError::Write { path: path.to_owned(), source })
}

/// Writes beside the file and renames, so that a reader sees the old file or the new one.
fn replace(path: &Path, config: &Map<String, Value>) -> io::Result<()> {
    let target = match std::fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    if let Some(directory) = target.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let aside = target.with_file_name(name);
    let mut text = serde_json::to_string_pretty(config)?;
    text.push('\n');
    let written = (|| {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        // A file left over from a crash keeps its mode on opening.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&aside, &target)
    })();
    if written.is_err() {
        // What matters is the first error; the leftover is harmless.
        let _leftover = std::fs::remove_file(&aside);
    }
    written
}
