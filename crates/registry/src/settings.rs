//! How registries are reached, as one value.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::RetryPolicy;

/// Holds everything a [`crate::Client`] is told, besides credentials.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Sent as `User-Agent`.
    pub user_agent: String,
    /// Exceptions by registry, as `host[:port]` in the spelling of references (`docker.io` for Docker Hub).
    /// Hosts that a registry redirects to are looked up here too.
    pub hosts: BTreeMap<String, HostSettings>,
    /// What holds for every host that is not among `hosts`.
    pub others: HostSettings,
    /// Which certificate authorities are believed, everywhere.
    pub roots: TrustedRoots,
    /// How often and when a request is repeated.
    pub retry: RetryPolicy,
    /// The proxies on the way.
    pub proxies: Proxies,
    /// How long silence is waited out.
    pub timeouts: Timeouts,
    /// How many bytes a piece of an upload has, where one request does not carry the whole. Each upload holds one
    /// piece in memory.
    pub upload_piece: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user_agent: concat!("strata/", env!("CARGO_PKG_VERSION")).to_owned(),
            hosts: BTreeMap::new(),
            others: HostSettings::default(),
            roots: TrustedRoots::default(),
            retry: RetryPolicy::default(),
            proxies: Proxies::default(),
            timeouts: Timeouts::default(),
            upload_piece: 16 << 20,
        }
    }
}

/// Is what is special about one registry.
#[derive(Debug, Clone, Default)]
pub struct HostSettings {
    /// How much the connection is checked.
    pub security: HostSecurity,
    /// Files of certificate authorities in PEM, believed for this host in addition to the usual ones.
    pub certificate_authorities: Vec<PathBuf>,
    /// The certificate this client shows.
    pub client_certificate: Option<ClientCertificate>,
    /// Where images of this registry are looked for first, in order.
    pub mirrors: Vec<Mirror>,
    /// Asks the mirrors only, never the registry itself, when pulling.
    pub mirrors_only: bool,
}

/// Is how much a connection is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HostSecurity {
    /// HTTPS with a verified certificate. A loopback address without certificate settings is the exception: it is
    /// asked in plain HTTP first, and in HTTPS if it answers that it wants that.
    #[default]
    Verified,
    /// HTTPS with whatever certificate, never plain HTTP. Credentials are sent all the same.
    Unverified,
    /// HTTPS with whatever certificate; plain HTTP if that does not connect. Credentials are sent all the same.
    Insecure,
}

/// Is a certificate with its key, each a file in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and its chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Is another place to pull a registry's images from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// `host[:port]`; its own security and certificates are in [`Settings::hosts`].
    pub host: String,
    /// Put before each repository's path, without slashes at its ends; may be empty.
    pub prefix: String,
}

impl Mirror {
    /// Reads `HOST[:PORT][/PREFIX]`.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let (host, prefix) = text.split_once('/').unwrap_or((text, ""));
        let prefix = prefix.trim_matches('/');
        // A repository of one letter has the shape of every repository: this checks host and prefix.
        let path = if prefix.is_empty() { "a".to_owned() } else { format!("{prefix}/a") };
        strata_oci::Repository::new(host, &path)
            .map_err(|source| SettingsError::Mirror { mirror: text.to_owned(), source })?;
        Ok(Self { host: host.to_owned(), prefix: prefix.to_owned() })
    }
}

/// Names the places that hold certificate authorities.
///
/// Each file given must be readable; a directory may be missing, as OpenSSL lets it. If none is given, the usual
/// places of the system are tried. Where all this gives nothing, the authorities compiled into the program
/// (Mozilla's) are used, so that an image without CA files works.
///
/// A server's certificate that is itself in one of the files and directories is believed too, whoever signed it.
#[derive(Debug, Clone, Default)]
pub struct TrustedRoots {
    /// Files in PEM (`SSL_CERT_FILE`): they replace the system's.
    pub files: Vec<PathBuf>,
    /// Directories of files in PEM (`SSL_CERT_DIR`): they replace the system's.
    pub directories: Vec<PathBuf>,
    /// Files in PEM believed in addition.
    pub additional_files: Vec<PathBuf>,
    /// Directories of files in PEM believed in addition.
    pub additional_directories: Vec<PathBuf>,
}

/// Is the proxies on the way, as the usual variables give them.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// For plain HTTP (`http_proxy`).
    pub http: Option<String>,
    /// For HTTPS (`https_proxy`).
    pub https: Option<String>,
    /// Hosts that are reached directly (`no_proxy`), separated by commas. Loopback addresses always are.
    pub none: Option<String>,
}

/// Is how long silence is waited out.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the next byte of an answer, or the next buffer of an upload to be taken.
    pub idle: Duration,
    /// For the answer once an upload is sent: a registry may copy and hash the whole blob before it answers.
    pub commit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            idle: Duration::from_mins(1),
            commit: Duration::from_mins(10),
        }
    }
}

/// Says why [`Settings`] do not give a client.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file that cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file in which no certificate or key is found, or a broken one.
    #[error("`{}` does not hold {expected} in PEM", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
    },
    /// A certificate and key that do not belong together, or of an algorithm that is not supported.
    #[error("cannot use the client certificate `{}`", certificate.display())]
    ClientCertificate {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// A proxy that is no URL.
    #[error("cannot use the proxy for {scheme}")]
    Proxy {
        /// `http` or `https`.
        scheme: &'static str,
        /// Why; without the URL, which may hold a password.
        #[source]
        source: reqwest::Error,
    },
    /// A mirror that is no `HOST[:PORT][/PREFIX]`.
    #[error("`{mirror}` is not a mirror of the form `HOST[:PORT][/PREFIX]`")]
    Mirror {
        /// The text.
        mirror: String,
        /// Which piece.
        #[source]
        source: strata_oci::ReferenceError,
    },
    /// A user agent that is no header value, or a TLS library that does not start.
    #[error("cannot set up the HTTP client")]
    HttpClient {
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// Files and directories of authorities that hold none between them.
    #[error("no certificate authority is configured")]
    Roots {
        /// Why.
        #[source]
        source: rustls::client::VerifierBuilderError,
    },
    /// TLS versions that the cryptography provider does not have.
    #[error("cannot set up TLS")]
    Tls {
        /// Why.
        #[source]
        source: rustls::Error,
    },
}
