//! What a GitLab job brings along: credentials, a mirror of Docker Hub, certificate authorities.

use std::path::PathBuf;

use strata_registry::{Candidate, Credential, CredentialSource, Mirror, Secret};

use crate::diagnostic::Failure;
use crate::environment::{Environment, Variable, variable};
use crate::settings::gitlab::{GitLab, Part};

/// The variables of a job, or nothing outside of one.
#[derive(Debug)]
pub(super) struct Job<'a> {
    environment: &'a Environment,
    gitlab: GitLab,
}

impl<'a> Job<'a> {
    /// Looks whether this is a job, and what it is to bring along.
    pub(super) fn of(environment: &'a Environment) -> Result<Self, Failure> {
        Ok(Self { environment, gitlab: GitLab::of(environment)? })
    }

    fn environment(&self, part: Part) -> Option<&'a Environment> {
        self.gitlab.does(part).then_some(self.environment)
    }

    /// The registry of the project as the job, then with a deploy token; and the dependency proxy.
    ///
    /// The job comes before the token: it may push to its own project, and where it may do nothing the registry's
    /// refusal makes the token's turn.
    pub(super) fn credentials(&self) -> impl Iterator<Item = CredentialSource> {
        let entries = [
            (variable::CI_REGISTRY, variable::CI_REGISTRY_USER, variable::CI_REGISTRY_PASSWORD),
            (variable::CI_REGISTRY, variable::CI_DEPLOY_USER, variable::CI_DEPLOY_PASSWORD),
            (
                variable::CI_DEPENDENCY_PROXY_SERVER,
                variable::CI_DEPENDENCY_PROXY_USER,
                variable::CI_DEPENDENCY_PROXY_PASSWORD,
            ),
        ];
        let environment = self.environment(Part::Credentials);
        entries
            .into_iter()
            .filter_map(move |(host, user, password)| entry(environment?, host, user, password))
    }

    /// The dependency proxy, as a mirror of Docker Hub: no Dockerfile has to name it.
    pub(super) fn dependency_proxy(&self) -> Option<Mirror> {
        let environment = self.environment(Part::Mirror)?;
        let prefix = environment.text(variable::CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX)?;
        let mirror = match Mirror::parse(prefix.trim_end_matches('/')) {
            Ok(mirror) => mirror,
            Err(error) => {
                // Nobody wrote this variable by hand, so nobody could correct it.
                tracing::warn!(prefix, %error, "the dependency proxy is no mirror");
                return None;
            }
        };
        let host = mirror.host.strip_suffix(":443").unwrap_or(&mirror.host).to_owned();
        Some(Mirror { host, ..mirror })
    }

    /// The files of authorities that the runner put there.
    pub(super) fn authorities(&self) -> impl Iterator<Item = PathBuf> {
        let environment = self.environment(Part::Authorities);
        let named = environment.and_then(|found| found.path(variable::CI_SERVER_TLS_CA_FILE));
        let mounted = environment.map(|_| PathBuf::from("/etc/gitlab-runner/certs/ca.crt"));
        [named, mounted].into_iter().flatten()
    }
}

fn entry(
    environment: &Environment,
    host: Variable,
    user: Variable,
    password: Variable,
) -> Option<CredentialSource> {
    let (key, username) = (environment.text(host)?, environment.text(user)?);
    let password = Secret::new(environment.text(password)?);
    let credential = Credential::Basic { username: username.to_owned(), password };
    let candidate = Candidate { credential, source: format!("`{}`", user.name) };
    Some(CredentialSource::Entry { key: key.to_owned(), candidate })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(skip: &str) -> Environment {
        Environment::from_pairs(&[
            ("GITLAB_CI", "true"),
            ("STRATA_GITLAB", skip),
            ("CI_REGISTRY", "r.example"),
            ("CI_REGISTRY_USER", "gitlab-ci-token"),
            ("CI_REGISTRY_PASSWORD", "p"),
            (
                "CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX",
                "g.example:443/group/dependency_proxy/containers",
            ),
            ("CI_SERVER_TLS_CA_FILE", "/builds/ca.pem"),
        ])
    }

    #[test]
    fn each_part_can_be_switched_off() {
        // What is skipped → credentials, mirrors, authorities.
        for (skip, expected) in [
            ("", (1, 1, 2)),
            ("no-credentials", (0, 1, 2)),
            ("no-mirror", (1, 0, 2)),
            ("no-authorities", (1, 1, 0)),
            ("no-credentials, no-mirror,no-authorities", (0, 0, 0)),
        ] {
            let environment = job(skip);
            let gitlab = Job::of(&environment).expect("is a list");
            let mirrors = gitlab.dependency_proxy().into_iter().count();
            let found = (gitlab.credentials().count(), mirrors, gitlab.authorities().count());
            assert_eq!(found, expected, "{skip}");
        }
        Job::of(&job("labels,x")).expect_err("is unknown");
    }

    #[test]
    fn nothing_is_taken_outside_of_a_job() {
        for value in ["", "false", "1"] {
            let mut environment = job("");
            environment.set("GITLAB_CI", value);
            let gitlab = Job::of(&environment).expect("is empty");
            assert_eq!(gitlab.credentials().count(), 0);
            assert_eq!(gitlab.dependency_proxy(), None);
            assert_eq!(gitlab.authorities().count(), 0);
        }
    }
}
