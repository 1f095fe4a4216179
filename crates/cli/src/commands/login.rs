//! `strata login` and `strata logout`.

use std::io::{self, IsTerminal, Read};

use strata_registry::{Client, Credential, Credentials, LoginError, Secret};

use crate::args::registry::{LoginArgs, LogoutArgs};
use crate::diagnostic::{Diagnostic, Failure, fold};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::settings::registry;
use crate::streams;

/// Longer is no password.
const LONGEST: u64 = 64 << 10;

/// Asks the registry, then writes the credentials.
pub(crate) async fn login(arguments: &LoginArgs, environment: &Environment) -> Result<(), Failure> {
    with_password(arguments, None, environment).await
}

/// The same with a password that stands on the command line.
pub(crate) async fn with_password(
    arguments: &LoginArgs,
    password: Option<&str>,
    environment: &Environment,
) -> Result<(), Failure> {
    let file = registry::login_file(arguments.access.authfile.as_ref(), environment)?;
    let credential = credential(arguments, password)?;
    let settings = registry::settings(&arguments.access, environment)?;
    let client = Client::new(&settings, Credentials::anonymous())
        .map_err(|error| Failure::new(Exit::Usage, Diagnostic::of(&error)))?;
    client
        .check_login(&arguments.registry, credential.clone())
        .await
        .map_err(|error| fold::registry_error(&error))?;
    let directories = registry::helper_directories(environment);
    strata_registry::login(&file, &arguments.registry, &credential, &directories)
        .await
        .map_err(|error| written(&error))?;
    streams::talk(&format!(
        "logged in to `{}`; credentials are in `{}`\n",
        arguments.registry,
        file.display()
    ));
    Ok(())
}

/// Removes the credentials.
pub(crate) async fn logout(
    arguments: &LogoutArgs,
    environment: &Environment,
) -> Result<(), Failure> {
    let file = registry::login_file(arguments.authfile.as_ref(), environment)?;
    let directories = registry::helper_directories(environment);
    let found = strata_registry::logout(&file, &arguments.registry, &directories)
        .await
        .map_err(|error| written(&error))?;
    let (name, file) = (&arguments.registry, file.display());
    streams::talk(&if found {
        format!("logged out of `{name}`; `{file}` has no credentials for it any more\n")
    } else {
        format!("`{file}` has no credentials for `{name}`\n")
    });
    Ok(())
}

fn credential(arguments: &LoginArgs, password: Option<&str>) -> Result<Credential, Failure> {
    let Some(username) = &arguments.username else {
        return Err(
            Failure::usage("the name of the user is missing").help("give it with `--username`")
        );
    };
    let password = if let Some(password) = password {
        Secret::new(password)
    } else if arguments.password_stdin {
        from_stdin()?
    } else if io::stdin().is_terminal() {
        prompt(&format!("Password of `{username}` at `{}`: ", arguments.registry))?
    } else {
        return Err(Failure::usage("the password is missing, and there is no terminal to ask on")
            .help("pipe it in with `--password-stdin`"));
    };
    if password.is_empty() {
        return Err(Failure::usage("the password is empty"));
    }
    Ok(Credential::Basic { username: username.clone(), password })
}

fn from_stdin() -> Result<Secret, Failure> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|error| Failure::file("read the password from", "-".as_ref(), &error))?;
    // What `echo` adds is not part of the password.
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret::new(line.strip_suffix('\r').unwrap_or(line)))
}

/// Asks on the terminal, without showing what is typed.
fn prompt(question: &str) -> Result<Secret, Failure> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

    let failure = |error: io::Error| Failure::file("read the password from", "-".as_ref(), &error);
    let terminal = io::stdin();
    let before = tcgetattr(&terminal).map_err(|error| failure(error.into()))?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    streams::talk(question);
    tcsetattr(&terminal, OptionalActions::Flush, &silent).map_err(|error| failure(error.into()))?;
    let mut line = String::new();
    let read = terminal.read_line(&mut line);
    let restored = tcsetattr(&terminal, OptionalActions::Flush, &before);
    streams::talk("\n");
    read.map_err(failure)?;
    restored.map_err(|error| failure(error.into()))?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n'])))
}

fn written(error: &LoginError) -> Failure {
    Failure::new(Exit::Failed, Diagnostic::of(error))
}
