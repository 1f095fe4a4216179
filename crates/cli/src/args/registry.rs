//! Options about registries, and `strata login` and `strata logout`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::value::host::{self, HostAuthority, HostIdentity, HostMirror};

/// How registries are reached.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Registries")]
pub(crate) struct RegistryArgs {
    /// Talk to this registry without TLS, or without checking its certificate
    ///
    /// Registries on the loopback interface need no such permission.
    #[arg(long, value_name = "HOST", value_parser = host::host)]
    pub(crate) insecure_registry: Vec<String>,
    /// Do not check the certificate of this registry, and never talk to it without TLS
    #[arg(long, value_name = "HOST", value_parser = host::host)]
    pub(crate) registry_skip_verify: Vec<String>,
    /// Trust this certificate authority for a registry
    ///
    /// In addition to the system's, and to those of `/etc/docker/certs.d/HOST` and
    /// `/etc/containers/certs.d/HOST`.
    #[arg(long, value_name = "HOST=FILE", value_parser = host::authority)]
    pub(crate) registry_ca: Vec<HostAuthority>,
    /// Show this certificate to a registry
    #[arg(long, value_name = "HOST=CERT,KEY", value_parser = host::identity)]
    pub(crate) registry_client_cert: Vec<HostIdentity>,
    /// Ask this mirror before the registry; may be given several times
    #[arg(long, value_name = "HOST=MIRROR[/PREFIX]", value_parser = host::mirror)]
    pub(crate) registry_mirror: Vec<HostMirror>,
    /// Pull images of this registry from its mirrors only
    #[arg(long, value_name = "HOST", value_parser = host::host)]
    pub(crate) registry_mirror_only: Vec<String>,
    /// Read credentials from this file only
    ///
    /// Default: `DOCKER_AUTH_CONFIG`, `REGISTRY_AUTH_FILE`, `config.json` in `$DOCKER_CONFIG`,
    /// `$HOME/.docker` and `/kaniko/.docker`, those of other container tools, then what
    /// `--credential-helpers` names. What is most specific is tried first, and the next when a
    /// registry refuses it; `strata doctor --registry REF` shows all of it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) authfile: Option<PathBuf>,
    /// Try a request again as often where the network or the registry fails; default 5, and 2 where the port is closed
    #[arg(long, value_name = "N")]
    pub(crate) registry_retries: Option<u32>,
    /// Pull from mirrors only, where a registry has some
    #[arg(skip)]
    pub(crate) mirrors_only: bool,
    /// Check no certificate, but those of these.
    #[arg(skip)]
    pub(crate) unchecked_except: Option<Vec<String>>,
    /// Which credentials of the environment are used; default all, `""` for none
    ///
    /// `env`: variables of kaniko's; `gitlab`: those of a job; `google`, `ecr`, `acr`: who this process is in
    /// a cloud, for the registries of that cloud alone, asked after all that is configured.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = credential_helper)]
    pub(crate) credential_helpers: Option<Vec<CredentialHelper>>,
}

impl RegistryArgs {
    /// Whether a source of credentials is to be used.
    pub(crate) fn asks(&self, helper: CredentialHelper) -> bool {
        self.credential_helpers.as_ref().is_none_or(|chosen| chosen.contains(&helper))
    }
}

/// A source of credentials that is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CredentialHelper {
    /// None: what an empty text says.
    Nothing,
    /// `KANIKO_HOST_USER` and `KANIKO_HOST_PASSWORD`.
    Env,
    /// The variables of a GitLab job.
    Gitlab,
    /// Who this process is in Google's cloud.
    #[cfg_attr(not(feature = "cloud"), expect(dead_code, reason = "refused by name"))]
    Google,
    /// Who it is in Amazon's.
    #[cfg_attr(not(feature = "cloud"), expect(dead_code, reason = "refused by name"))]
    Ecr,
    /// Who it is in Microsoft's.
    #[cfg_attr(not(feature = "cloud"), expect(dead_code, reason = "refused by name"))]
    Acr,
}

/// Reads the name of a source of credentials.
pub(crate) fn credential_helper(text: &str) -> Result<CredentialHelper, String> {
    match text {
        "" => Ok(CredentialHelper::Nothing),
        "env" => Ok(CredentialHelper::Env),
        "gitlab" => Ok(CredentialHelper::Gitlab),
        #[cfg(feature = "cloud")]
        "google" => Ok(CredentialHelper::Google),
        #[cfg(feature = "cloud")]
        "ecr" => Ok(CredentialHelper::Ecr),
        #[cfg(feature = "cloud")]
        "acr" => Ok(CredentialHelper::Acr),
        #[cfg(not(feature = "cloud"))]
        "google" | "ecr" | "acr" => Err("it is left out of this program: name another one in \
                                         `credHelpers` of a `config.json`"
            .to_owned()),
        _ => Err("it is one of `env`, `gitlab`, `google`, `ecr` and `acr`".to_owned()),
    }
}

/// Writes credentials for a registry, after trying them
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  printf %s \"$CI_REGISTRY_PASSWORD\" | strata login -u \"$CI_REGISTRY_USER\" --password-stdin \"$CI_REGISTRY\"
  strata login --username me registry.example.com")]
pub(crate) struct LoginArgs {
    /// The registry, `HOST[:PORT]`; `docker.io` for Docker Hub
    #[arg(value_name = "REGISTRY", value_parser = host::host)]
    pub(crate) registry: String,
    /// The name of the user
    #[arg(short, long, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// Read the password from standard input
    ///
    /// There is no option that takes the password itself: every process of the machine could see
    /// it.
    #[arg(long)]
    pub(crate) password_stdin: bool,
    #[command(flatten)]
    pub(crate) access: RegistryArgs,
}

/// Removes the credentials for a registry
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// The registry, `HOST[:PORT]`
    #[arg(value_name = "REGISTRY", value_parser = host::host)]
    pub(crate) registry: String,
    /// Remove them from this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) authfile: Option<PathBuf>,
}
