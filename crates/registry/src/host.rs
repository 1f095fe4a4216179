//! One registry as this process knows it: its connections, its scheme, its login.

use std::collections::BTreeMap;
use std::net::IpAddr;

use reqwest::redirect::Policy;
use reqwest::{NoProxy, Proxy, StatusCode, Url};
use tokio::sync::OnceCell;

use crate::auth::Session;
use crate::error::ErrorKind;
use crate::{HostSecurity, HostSettings, Proxies, Settings, SettingsError, tls};

/// Is a registry that was talked to, or is about to be.
#[derive(Debug)]
pub(crate) struct Host {
    /// As references spell it.
    pub(crate) name: String,
    pub(crate) session: Session,
    origin: OnceCell<Url>,
}

impl Host {
    pub(crate) fn new(name: &str, session: Session) -> Self {
        Self { name: name.to_owned(), session, origin: OnceCell::new() }
    }

    /// Is a registry whose address was decided on before.
    pub(crate) fn at(name: &str, session: Session, origin: Url) -> Self {
        Self { name: name.to_owned(), session, origin: OnceCell::from(origin) }
    }

    /// Is `scheme://host[:port]/`, decided at the first request.
    ///
    /// A loopback address is asked in plain HTTP, as `BuildKit` and Docker do, unless settings for it speak of
    /// certificates; a TLS server answers such a request with a refusal at once. An insecure host is asked in
    /// HTTPS first. Any other host is HTTPS without asking.
    pub(crate) async fn origin(&self, connections: &Connections) -> Result<&Url, ErrorKind> {
        self.origin.get_or_try_init(|| self.find_origin(connections)).await
    }

    async fn find_origin(&self, connections: &Connections) -> Result<Url, ErrorKind> {
        let address = api_address(&self.name);
        let url = |scheme: &str| {
            Url::parse(&format!("{scheme}://{address}/")).map_err(|_| ErrorKind::Protocol {
                what: format!("`{address}` does not form a URL"),
            })
        };
        let (secure, plain) = (url("https")?, url("http")?);
        match connections.approach(&self.name) {
            Approach::Secure => Ok(secure),
            Approach::PlainFirst => match connections.ping(&plain).await {
                // Go's and nginx's words for "this is a TLS port"; a bare TLS stack just hangs up.
                Ok(StatusCode::BAD_REQUEST) => Ok(secure),
                Err(ErrorKind::Unreachable { .. }) if connections.ping(&secure).await.is_ok() => {
                    Ok(secure)
                }
                Ok(_) => Ok(plain),
                Err(error) => Err(error),
            },
            Approach::SecureFirst => match connections.ping(&secure).await {
                Ok(_) => Ok(secure),
                Err(error) => match connections.ping(&plain).await {
                    Ok(_) => Ok(plain),
                    Err(_) => Err(error),
                },
            },
        }
    }
}

/// Docker Hub's API does not live under the Hub's name.
fn api_address(registry: &str) -> &str {
    if registry == "docker.io" { "registry-1.docker.io" } else { registry }
}

/// Is true for `localhost` and loopback addresses, with or without a port.
pub(crate) fn is_loopback(host_and_port: &str) -> bool {
    let host = match host_and_port.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => match host_and_port.rsplit_once(':') {
            Some((host, _)) if !host.contains(':') => host,
            Some(_) | None => host_and_port,
        },
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Is in which order the schemes are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Approach {
    Secure,
    PlainFirst,
    SecureFirst,
}

/// Holds the HTTP clients: one for most hosts, one for each host with settings of its own.
#[derive(Debug)]
pub(crate) struct Connections {
    usual: (HostSettings, reqwest::Client),
    special: BTreeMap<String, (HostSettings, reqwest::Client)>,
    ping_timeout: std::time::Duration,
}

impl Connections {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let roots = tls::load_roots(&settings.roots)?;
        let client = |host: &HostSettings| http_client(settings, tls::configure(&roots, host)?);
        let usual = (settings.others.clone(), client(&settings.others)?);
        let mut special = BTreeMap::new();
        for (name, host) in &settings.hosts {
            special.insert(without_default_port(name), (host.clone(), client(host)?));
        }
        Ok(Self { usual, special, ping_timeout: settings.timeouts.idle })
    }

    pub(crate) fn settings(&self, registry: &str) -> Option<&HostSettings> {
        let special = self.special.get(&without_default_port(registry));
        special.or(Some(&self.usual)).map(|(settings, _)| settings)
    }

    /// Finds the client for a URL, whoever named it.
    pub(crate) fn client(&self, url: &Url) -> &reqwest::Client {
        self.special.get(&registry_of(url)).map_or(&self.usual.1, |(_, client)| client)
    }

    /// Is true if what is secret, or not verified otherwise, may go to a URL.
    pub(crate) fn may_trust(&self, url: &Url) -> bool {
        let registry = registry_of(url);
        let insecure = || {
            self.settings(&registry)
                .is_some_and(|settings| settings.security == HostSecurity::Insecure)
        };
        url.scheme() == "https" || is_loopback(&registry) || insecure()
    }

    fn approach(&self, registry: &str) -> Approach {
        match self.settings(registry) {
            Some(HostSettings { security: HostSecurity::Insecure, .. })
                if is_loopback(registry) =>
            {
                Approach::PlainFirst
            }
            Some(HostSettings { security: HostSecurity::Insecure, .. }) => Approach::SecureFirst,
            Some(settings)
                if settings.security == HostSecurity::Unverified
                    || !settings.certificate_authorities.is_empty()
                    || settings.client_certificate.is_some() =>
            {
                Approach::Secure
            }
            Some(_) | None if is_loopback(registry) => Approach::PlainFirst,
            Some(_) | None => Approach::Secure,
        }
    }

    async fn ping(&self, origin: &Url) -> Result<StatusCode, ErrorKind> {
        let url = origin
            .join("v2/")
            .map_err(|_| ErrorKind::Protocol { what: format!("`{origin}` does not form a URL") })?;
        let sending = self.client(&url).get(url.clone()).send();
        match tokio::time::timeout(self.ping_timeout, sending).await {
            Ok(Ok(response)) => Ok(response.status()),
            Ok(Err(error)) => Err(crate::exchange::transport_error(&url, &error)),
            Err(_) => {
                Err(ErrorKind::TimedOut { host: registry_of(&url), silence: self.ping_timeout })
            }
        }
    }
}

/// Spells a registry as URLs do: references and settings may say the port that goes without saying.
fn without_default_port(registry: &str) -> String {
    registry.strip_suffix(":443").unwrap_or(registry).to_owned()
}

/// Spells a URL's host as settings and references do.
pub(crate) fn registry_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match (host, url.port()) {
        ("registry-1.docker.io", None) => "docker.io".to_owned(),
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    }
}

fn http_client(
    settings: &Settings,
    tls: rustls::ClientConfig,
) -> Result<reqwest::Client, SettingsError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(&settings.user_agent)
        .http1_only()
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(settings.timeouts.connect)
        .tcp_keepalive(std::time::Duration::from_mins(1))
        .tls_backend_preconfigured(tls);
    for proxy in proxies(&settings.proxies)? {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|source| SettingsError::HttpClient { source })
}

fn proxies(proxies: &Proxies) -> Result<Vec<Proxy>, SettingsError> {
    let direct =
        format!("localhost,127.0.0.0/8,::1,{}", proxies.none.as_deref().unwrap_or_default());
    let mut list = Vec::new();
    if let Some(url) = proxies.http.as_deref().filter(|url| !url.is_empty()) {
        let proxy = Proxy::http(url).map_err(|error| SettingsError::Proxy {
            scheme: "http",
            source: error.without_url(),
        })?;
        list.push(proxy.no_proxy(NoProxy::from_string(&direct)));
    }
    if let Some(url) = proxies.https.as_deref().filter(|url| !url.is_empty()) {
        let proxy = Proxy::https(url).map_err(|error| SettingsError::Proxy {
            scheme: "https",
            source: error.without_url(),
        })?;
        list.push(proxy.no_proxy(NoProxy::from_string(&direct)));
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_from_the_rest() {
        let table = [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.8.9.10", true),
            ("[::1]:5000", true),
            ("[::1]", true),
            ("localhost.example:5000", false),
            ("10.0.0.1:5000", false),
            ("[2001:db8::1]:5000", false),
            ("127.0.0.1.example", false),
        ];
        for (host, expected) in table {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }
}
