//! The environment: read once, here, and documented.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

// The clouds' own crate reads them; here they are documented.
#[cfg(test)]
mod cloud;

#[cfg(test)]
pub(crate) use cloud::CLOUD;

/// A variable that means something to strata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    /// One sentence for the documentation.
    pub(crate) meaning: &'static str,
}

macro_rules! variables {
    ($($constant:ident $meaning:literal,)*) => {
        /// The variables, by name.
        pub(crate) mod variable {
            use super::Variable;
            $(pub(crate) const $constant: Variable =
                Variable { name: stringify!($constant), meaning: $meaning };)*
            /// All of them, in the order of the documentation.
            #[cfg(test)]
            pub(crate) const ALL: &[Variable] = &[$($constant),*];
        }
    };
}

variables! {
    BUILDKIT_PROGRESS "How progress is shown where `--progress` is not given: `auto`, `tty`, `plain`, `rawjson` or `json`, `quiet`.",
    CI_COMMIT_REF_NAME "In GitLab: the label `org.opencontainers.image.version` where there is no tag.",
    CI_COMMIT_SHA "In GitLab: the label `org.opencontainers.image.revision`.",
    CI_COMMIT_TAG "In GitLab: the label `org.opencontainers.image.version`.",
    CI_COMMIT_TIMESTAMP "In GitLab: the time of the image's config and history, and the label `org.opencontainers.image.created`.",
    CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX "In a GitLab job: a mirror of Docker Hub, asked before it.",
    CI_DEPENDENCY_PROXY_PASSWORD "In a GitLab job: the password at `CI_DEPENDENCY_PROXY_SERVER`.",
    CI_DEPENDENCY_PROXY_SERVER "In a GitLab job: the host of the dependency proxy.",
    CI_DEPENDENCY_PROXY_USER "In a GitLab job: the user at `CI_DEPENDENCY_PROXY_SERVER`.",
    CI_DEPLOY_PASSWORD "In a GitLab job: the password of `CI_DEPLOY_USER`.",
    CI_DEPLOY_USER "In a GitLab job: another user at `CI_REGISTRY`, tried after `CI_REGISTRY_USER`.",
    CI_PROJECT_DIR "In GitLab: the build context where none is given; reports go into `.strata` in it.",
    CI_PROJECT_URL "In GitLab: the label `org.opencontainers.image.source`.",
    CI_REGISTRY "In a GitLab job: the registry of the project.",
    CI_REGISTRY_PASSWORD "In a GitLab job: the password of `CI_REGISTRY_USER`.",
    CI_REGISTRY_USER "In a GitLab job: the user at `CI_REGISTRY`.",
    CI_SERVER_TLS_CA_FILE "In a GitLab job: a file of certificate authorities to trust in addition.",
    CLICOLOR_FORCE "Colours also where there is no terminal, if it is set and not `0`.",
    DOCKER_AUTH_CONFIG "Credentials, as the content of a `config.json` or as the path of one; as GitLab CI sets it.",
    DOCKER_CONFIG "A directory with a `config.json`, read before the one in `$HOME/.docker`.",
    DOCKER_DEFAULT_PLATFORM "The platform to build for where `--platform` is not given.",
    GITLAB_CI "`true` in a GitLab job; then, and only then, the variables `CI_…` are read: see `STRATA_GITLAB`.",
    GIT_PASSWORD "The password for a build context from a git server, where `GIT_TOKEN` is not set.",
    GIT_TOKEN "The token for a build context from a git server.",
    GIT_USERNAME "The user for a build context from a git server.",
    HOME "Where `.docker/config.json` and `.local/share/strata` are, and the files of clouds.",
    HTTPS_PROXY "The proxy for `https` registries; `https_proxy` too.",
    HTTP_PROXY "The proxy for `http` registries; only `http_proxy` in lower case is read where `REQUEST_METHOD` is set.",
    ALL_PROXY "The proxy where no other is set; `all_proxy` too.",
    KANIKO_DIR "Where jobs written for kaniko put `.docker/config.json` and `ssl/certs`; default `/kaniko`.",
    NO_COLOR "No colours if it is set and not empty.",
    NO_PROXY "Hosts that are reached without a proxy; `no_proxy` too.",
    PATH "Where credential helpers are looked for.",
    REGISTRY_AUTH_FILE "A file of credentials, as other container tools use it.",
    SOURCE_DATE_EPOCH "The time, in seconds since 1970, for config, history and new layers where `--source-date-epoch` is not given.",
    SSH_AUTH_SOCK "The socket of the agent that `--ssh default` means.",
    SSL_CERT_DIR "A directory of certificate authorities to trust in place of the system's.",
    SSL_CERT_FILE "A file of certificate authorities to trust in place of the system's.",
    STRATA_GITLAB "What is not to be done by itself in a job of GitLab: `off`, or some of `no-context`, `no-labels`, `no-time`, `no-sections`, `no-reports`, `no-credentials`, `no-mirror` (the dependency proxy) and `no-authorities`.",
    STRATA_LOG "What to log on standard error, for developers: `debug`, or `strata_registry=trace,info`. Nothing where it is not set.",
    TERM "`dumb` means no live view and no colours.",
    TMPDIR "Where temporary files go, and the state directory where no other can be written; default `/tmp`.",
    XDG_DATA_HOME "The state directory is `strata` in it; default `$HOME/.local/share`.",
    XDG_RUNTIME_DIR "Where other container tools keep credentials: `containers/auth.json` in it.",
}

/// The environment of the process, as a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Reads the environment of this process.
    pub(crate) fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// The value of a variable, if it is set and not empty.
    pub(crate) fn get(&self, variable: Variable) -> Option<&OsStr> {
        self.raw(variable.name).filter(|value| !value.is_empty())
    }

    /// The value as a path.
    pub(crate) fn path(&self, variable: Variable) -> Option<PathBuf> {
        self.get(variable).map(PathBuf::from)
    }

    /// The value as text; what is not UTF-8 counts as not set.
    pub(crate) fn text(&self, variable: Variable) -> Option<&str> {
        self.get(variable).and_then(OsStr::to_str)
    }

    /// The same with another value for a variable.
    pub(crate) fn with(mut self, variable: Variable, value: &str) -> Self {
        self.0.insert(variable.name.into(), value.into());
        self
    }

    /// The value of any variable, also an empty one: for build arguments and secrets, whose names
    /// the user chooses.
    pub(crate) fn raw(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// All variables that are text, for names that follow a pattern.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
    }
}

#[cfg(test)]
impl Environment {
    /// An environment for a test.
    pub(crate) fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// Changes one variable.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.into(), value.into());
    }
}
