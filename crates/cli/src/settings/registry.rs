//! How registries are reached, and who to be there.

use std::path::PathBuf;

use strata_registry::{Client, ClientCertificate, Credentials, HostSecurity, Mirror, Settings};

use crate::args::registry::RegistryArgs;
use crate::diagnostic::{Diagnostic, Failure};
use crate::environment::{Environment, variable};
use crate::exit::Exit;
use crate::settings::clouds::Clouds;

mod credentials;
mod gitlab;
mod proxies;
mod trust;

pub(crate) use credentials::{helper_directories, login_file};
use gitlab::Job;

/// Resolves everything about connections.
pub(crate) fn settings(
    arguments: &RegistryArgs,
    environment: &Environment,
) -> Result<Settings, Failure> {
    let job = Job::of(environment)?;
    let mut settings = Settings { proxies: proxies::proxies(environment), ..Settings::default() };
    trust::collect(&mut settings, environment, &job);
    for host in &arguments.insecure_registry {
        settings.hosts.entry(host.clone()).or_default().security = HostSecurity::Insecure;
    }
    for host in &arguments.registry_skip_verify {
        settings.hosts.entry(host.clone()).or_default().security = HostSecurity::Unverified;
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
    if let Some(mirror) = job.dependency_proxy() {
        let hub = settings.hosts.entry("docker.io".to_owned()).or_default();
        // Who names mirrors of the Hub has chosen.
        if hub.mirrors.is_empty() {
            hub.mirrors.push(mirror);
        }
    }
    for host in &arguments.registry_mirror_only {
        settings.hosts.entry(host.clone()).or_default().mirrors_only = true;
    }
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
    Ok(settings)
}

/// A client with everything that is configured.
pub(crate) fn client(
    arguments: &RegistryArgs,
    environment: &Environment,
) -> Result<Client, Failure> {
    let settings = settings(arguments, environment)?;
    let clouds = Clouds::of(environment, settings.clone());
    let sources = credentials::sources(arguments, environment, &clouds)?;
    Client::new(&settings, Credentials::new(sources))
        .map_err(|error| Failure::new(Exit::Usage, Diagnostic::of(&error)))
}

/// Where kaniko keeps its files, and where jobs that were written for it put theirs.
fn kaniko_directory(environment: &Environment) -> PathBuf {
    environment.path(variable::KANIKO_DIR).unwrap_or_else(|| "/kaniko".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_a_host_come_together() {
        let arguments = RegistryArgs {
            insecure_registry: vec!["a".into()],
            registry_skip_verify: vec!["c".into()],
            registry_ca: vec![crate::value::host::authority("a=ca.pem").expect("is valid")],
            registry_mirror: vec![crate::value::host::mirror("b=m/p").expect("is valid")],
            registry_mirror_only: vec!["b".into()],
            ..RegistryArgs::default()
        };
        let settings = settings(&arguments, &Environment::default()).expect("is valid");
        assert_eq!(settings.hosts["a"].security, HostSecurity::Insecure);
        assert_eq!(settings.hosts["a"].certificate_authorities, [PathBuf::from("ca.pem")]);
        assert_eq!(settings.hosts["c"].security, HostSecurity::Unverified);
        assert_eq!(settings.hosts["b"].mirrors, [Mirror { host: "m".into(), prefix: "p".into() }]);
        assert!(settings.hosts["b"].mirrors_only && !settings.hosts["a"].mirrors_only);
    }

    #[test]
    fn dependency_proxy_is_a_mirror_of_the_hub_unless_one_was_named() {
        let job = Environment::from_pairs(&[
            ("GITLAB_CI", "true"),
            (
                "CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX",
                "g.example:443/group/dependency_proxy/containers",
            ),
        ]);
        let mirrors = |arguments: &RegistryArgs, environment: &Environment| {
            let settings = settings(arguments, environment).expect("is valid");
            settings.hosts.get("docker.io").map(|host| host.mirrors.clone()).unwrap_or_default()
        };
        let none = RegistryArgs::default();
        let proxy =
            Mirror { host: "g.example".into(), prefix: "group/dependency_proxy/containers".into() };
        assert_eq!(mirrors(&none, &job), [proxy]);
        assert_eq!(mirrors(&none, &Environment::default()), []);
        let named = RegistryArgs {
            registry_mirror: vec![crate::value::host::mirror("docker.io=m").expect("is valid")],
            ..RegistryArgs::default()
        };
        let own = Mirror { host: "m".into(), prefix: String::new() };
        assert_eq!(mirrors(&named, &job), [own]);
    }
}
