//! External credential helpers: `docker-credential-NAME get|store|erase`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Credential, CredentialError, key};
use crate::Secret;

/// A helper may ask a person or a cloud's metadata server; it gets this long.
const PATIENCE: Duration = Duration::from_mins(1);
/// The most that is read of a helper's answer.
const ANSWER_LIMIT: u64 = 256 << 10;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(rename = "ServerURL", default)]
    server_url: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

/// Asks a helper who to be; `None` if it knows nothing of the registry.
pub(super) async fn get(
    name: &str,
    registry: &str,
    directories: &[PathBuf],
) -> Result<Option<Credential>, CredentialError> {
    let program = format!("docker-credential-{name}");
    let output = match run(name, "get", key::canonical(registry).as_bytes(), directories).await {
        // The protocol's one way to say "nothing here" is this sentence.
        Err(CredentialError::HelperFailed { message, .. })
            if message.contains("credentials not found") =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
        Ok(output) => output,
    };
    let answer: Answer = serde_json::from_slice(&output)
        .map_err(|_| CredentialError::HelperAnswer { program: program.clone() })?;
    Ok(match (answer.username.as_str(), answer.secret.as_str()) {
        (_, "") => None,
        ("<token>" | "", token) => Some(Credential::Identity(Secret::new(token))),
        (username, password) => Some(Credential::Basic {
            username: username.to_owned(),
            password: Secret::new(password),
        }),
    })
}

/// Gives a helper a credential to keep.
pub(super) async fn store(
    name: &str,
    registry: &str,
    credential: &Credential,
    directories: &[PathBuf],
) -> Result<(), CredentialError> {
    let (username, secret) = match credential {
        Credential::Basic { username, password } => (username.as_str(), password),
        Credential::Identity(token) | Credential::Registry(token) => ("<token>", token),
    };
    let request = Answer {
        server_url: key::canonical(registry),
        username: username.to_owned(),
        secret: secret.expose().to_owned(),
    };
    let request = serde_json::to_vec(&request).expect("three strings always serialise");
    run(name, "store", &request, directories).await.map(drop)
}

/// Lets a helper forget a registry.
pub(super) async fn erase(
    name: &str,
    registry: &str,
    directories: &[PathBuf],
) -> Result<(), CredentialError> {
    match run(name, "erase", key::canonical(registry).as_bytes(), directories).await {
        Err(CredentialError::HelperFailed { message, .. })
            if message.contains("credentials not found") =>
        {
            Ok(())
        }
        other => other.map(drop),
    }
}

async fn run(
    name: &str,
    action: &str,
    input: &[u8],
    directories: &[PathBuf],
) -> Result<Vec<u8>, CredentialError> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(is_word) {
        return Err(CredentialError::HelperName { name: name.to_owned() });
    }
    let program = format!("docker-credential-{name}");
    let missing = || CredentialError::HelperMissing { program: program.clone() };
    let path = directories.iter().map(|d| d.join(&program)).find(|p| p.is_file());
    let path = path.ok_or_else(missing)?;
    let unrunnable =
        |source| CredentialError::HelperUnrunnable { program: program.clone(), source };
    let failed =
        |message: String| CredentialError::HelperFailed { program: program.clone(), message };
    match tokio::time::timeout(PATIENCE, converse(&path, action, input)).await {
        Err(_) => Err(failed(format!("no answer for {} s", PATIENCE.as_secs()))),
        Ok(Err(source)) => Err(unrunnable(source)),
        Ok(Ok((true, output))) => Ok(output),
        Ok(Ok((false, output))) => Err(failed(crate::error::body::excerpt(&output))),
    }
}

/// Runs the program and tells whether it succeeded, with its standard output; helpers report failures there too.
async fn converse(path: &Path, action: &str, input: &[u8]) -> std::io::Result<(bool, Vec<u8>)> {
    let mut child = tokio::process::Command::new(path)
        .arg(action)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let stdin = child.stdin.take();
    let stdout = child.stdout.take();
    let give = async {
        if let Some(mut stdin) = stdin {
            // A helper that does not want its input may be gone already; its status tells what matters.
            let _gone = stdin.write_all(input).await;
        }
    };
    let take = async {
        let mut output = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(ANSWER_LIMIT).read_to_end(&mut output).await?;
        }
        Ok::<_, std::io::Error>(output)
    };
    let ((), output) = tokio::join!(give, take);
    let output = output?;
    let status = child.wait().await?;
    Ok((status.success(), output))
}
