//! How registries are reached, and who to be there.

use std::path::PathBuf;

use strata_registry::{
    Client, ClientCertificate, ConfigFile, CredentialSources, Credentials, HostSecurity, Mirror,
    Proxies, Settings, TrustedRoots,
};

use crate::args::registry::RegistryArgs;
use crate::diagnostic::{Diagnostic, Failure};
use crate::environment::{Environment, Variable, variable};
use crate::exit::Exit;

/// Resolves everything about connections.
pub(crate) fn settings(arguments: &RegistryArgs, environment: &Environment) -> Settings {
    let mut settings = Settings::default();
    for host in &arguments.insecure_registry {
        settings.hosts.entry(host.clone()).or_default().security = HostSecurity::Insecure;
    }
    for authority in &arguments.registry_ca {
        let host = settings.hosts.entry(authority.host.clone()).or_default();
        host.certificate_authorities.push(authority.file.clone());
    }
    for identity in &arguments.registry_client_cert {
        let host = settings.hosts.entry(identity.host.clone()).or_default();
        host.client_certificate = Some(ClientCertificate {
            certificate: identity.certificate.clone(),
            key: identity.key.clone(),
        });
    }
    for mirror in &arguments.registry_mirror {
        let host = settings.hosts.entry(mirror.host.clone()).or_default();
        host.mirrors.push(Mirror { host: mirror.mirror.clone(), prefix: mirror.prefix.clone() });
        host.mirrors_only = arguments.mirrors_only;
    }
    settings.roots = TrustedRoots {
        files: environment.path(variable::SSL_CERT_FILE).into_iter().collect(),
        directories: environment
            .get(variable::SSL_CERT_DIR)
            .map(|value| std::env::split_paths(value).collect())
            .unwrap_or_default(),
        additional_files: Vec::new(),
    };
    settings.proxies = proxies(environment);
    if let Some(checked) = &arguments.unchecked_except {
        for host in checked {
            settings.hosts.entry(host.clone()).or_default();
        }
        settings.others.security = HostSecurity::Insecure;
        for (name, host) in &mut settings.hosts {
            if !checked.contains(name) {
                host.security = HostSecurity::Insecure;
            }
        }
    }
    if let Some(retries) = arguments.registry_retries {
        settings.retry.attempts = retries.saturating_add(1);
    }
    settings
}

/// The proxies of the environment. Lower case wins, as with curl.
fn proxies(environment: &Environment) -> Proxies {
    let either = |variable: Variable| {
        let lower = environment.raw(&variable.name.to_ascii_lowercase());
        let text = lower.and_then(|value| value.to_str()).filter(|value| !value.is_empty());
        text.or_else(|| environment.text(variable)).map(str::to_owned)
    };
    // In a CGI program a request's header `Proxy:` becomes `HTTP_PROXY`.
    let http = if environment.raw("REQUEST_METHOD").is_some() {
        environment.raw("http_proxy").and_then(|value| value.to_str()).map(str::to_owned)
    } else {
        either(variable::HTTP_PROXY)
    };
    let all = either(variable::ALL_PROXY);
    Proxies {
        http: http.or_else(|| all.clone()),
        https: either(variable::HTTPS_PROXY).or(all),
        none: either(variable::NO_PROXY),
    }
}

/// The files of credentials in question, best first. Those that do not exist are passed over, but
/// for one that was named with an option.
fn credential_files(arguments: &RegistryArgs, environment: &Environment) -> Vec<PathBuf> {
    if let Some(file) = &arguments.authfile {
        return vec![file.clone()];
    }
    let mut files = Vec::new();
    files.extend(environment.path(variable::REGISTRY_AUTH_FILE));
    files.extend(docker_configuration(environment));
    if let Some(runtime) = environment.path(variable::XDG_RUNTIME_DIR) {
        files.push(runtime.join("containers/auth.json"));
    }
    if let Some(home) = environment.path(variable::HOME) {
        files.push(home.join(".config/containers/auth.json"));
    }
    files
}

fn docker_configuration(environment: &Environment) -> Option<PathBuf> {
    let directory = environment
        .path(variable::DOCKER_CONFIG)
        .or_else(|| Some(environment.path(variable::HOME)?.join(".docker")))?;
    Some(directory.join("config.json"))
}

/// The file that `login` writes and `logout` edits.
pub(crate) fn login_file(
    authfile: Option<&PathBuf>,
    environment: &Environment,
) -> Result<PathBuf, Failure> {
    authfile
        .cloned()
        .or_else(|| environment.path(variable::REGISTRY_AUTH_FILE))
        .or_else(|| docker_configuration(environment))
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

/// Reads the credentials that are configured.
pub(crate) fn credentials(
    arguments: &RegistryArgs,
    environment: &Environment,
) -> Result<Credentials, Failure> {
    let mut sources = CredentialSources {
        helper_directories: helper_directories(environment),
        ..CredentialSources::default()
    };
    let parse = |name: &str, text: &str| {
        ConfigFile::parse(name, text)
            .map_err(|error| Failure::new(Exit::Usage, Diagnostic::of(&error)))
    };
    if arguments.authfile.is_none()
        && let Some(text) = environment.text(variable::DOCKER_AUTH_CONFIG)
    {
        sources.files.push(parse("`DOCKER_AUTH_CONFIG`", text)?);
    }
    for path in credential_files(arguments, environment) {
        match std::fs::read_to_string(&path) {
            Ok(text) => sources.files.push(parse(&format!("`{}`", path.display()), &text)?),
            Err(error) if arguments.authfile.is_some() => {
                return Err(Failure { exit: Exit::Usage, ..Failure::file("read", &path, &error) });
            }
            // Also those that cannot be read: a home directory of somebody else is no reason to
            // fail for a build that needs no credentials.
            Err(error) => tracing::debug!(path = %path.display(), %error, "no credentials here"),
        }
    }
    Ok(Credentials::new(sources))
}

/// A client with everything that is configured.
pub(crate) fn client(
    arguments: &RegistryArgs,
    environment: &Environment,
) -> Result<Client, Failure> {
    let credentials = credentials(arguments, environment)?;
    Client::new(&settings(arguments, environment), credentials)
        .map_err(|error| Failure::new(Exit::Usage, Diagnostic::of(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_credentials_are_in_order() {
        let environment = Environment::from_pairs(&[
            ("REGISTRY_AUTH_FILE", "/r"),
            ("DOCKER_CONFIG", "/d"),
            ("HOME", "/h"),
            ("XDG_RUNTIME_DIR", "/x"),
        ]);
        let home = Environment::from_pairs(&[("HOME", "/h")]);
        let named = RegistryArgs { authfile: Some("/a".into()), ..RegistryArgs::default() };
        let none = RegistryArgs::default();
        let cases: [(&RegistryArgs, &Environment, &[&str]); 4] = [
            (&named, &environment, &["/a"]),
            (
                &none,
                &environment,
                &[
                    "/r",
                    "/d/config.json",
                    "/x/containers/auth.json",
                    "/h/.config/containers/auth.json",
                ],
            ),
            (&none, &home, &["/h/.docker/config.json", "/h/.config/containers/auth.json"]),
            (&none, &Environment::default(), &[]),
        ];
        for (arguments, environment, expected) in cases {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(credential_files(arguments, environment), expected);
        }
    }

    #[test]
    fn proxies_are_read_as_by_curl() {
        for (pairs, expected) in [
            (&[("HTTP_PROXY", "a"), ("HTTPS_PROXY", "b")][..], (Some("a"), Some("b"), None)),
            (&[("http_proxy", "a"), ("HTTP_PROXY", "b")], (Some("a"), None, None)),
            (&[("ALL_PROXY", "a"), ("no_proxy", "c")], (Some("a"), Some("a"), Some("c"))),
            (&[("HTTP_PROXY", "a"), ("REQUEST_METHOD", "GET")], (None, None, None)),
            (&[("http_proxy", ""), ("HTTP_PROXY", "b")], (Some("b"), None, None)),
        ] {
            let found = proxies(&Environment::from_pairs(pairs));
            let found = (found.http.as_deref(), found.https.as_deref(), found.none.as_deref());
            assert_eq!(found, expected, "{pairs:?}");
        }
    }

    #[test]
    fn options_of_a_host_come_together() {
        let arguments = RegistryArgs {
            insecure_registry: vec!["a".into()],
            registry_ca: vec![crate::value::host::authority("a=ca.pem").expect("is valid")],
            registry_mirror: vec![crate::value::host::mirror("b=m/p").expect("is valid")],
            ..RegistryArgs::default()
        };
        let settings = settings(&arguments, &Environment::default());
        assert_eq!(settings.hosts["a"].security, HostSecurity::Insecure);
        assert_eq!(settings.hosts["a"].certificate_authorities, [PathBuf::from("ca.pem")]);
        assert_eq!(settings.hosts["b"].mirrors, [Mirror { host: "m".into(), prefix: "p".into() }]);
    }
}
