//! The many spellings of a registry in configuration files, made one.

/// Brings `host[:port][/namespace]` into the spelling of references: no scheme, no `:443`, no API version, and
/// `docker.io` for all of Docker Hub's names.
///
/// Docker itself writes `https://index.docker.io/v1/` for the Hub, and the GitLab documentation spells the same
/// server with and without `:443`.
pub(super) fn normalize(key: &str) -> String {
    let (rest, default_port) = match (key.strip_prefix("https://"), key.strip_prefix("http://")) {
        (Some(rest), _) => (rest, ":443"),
        (None, Some(rest)) => (rest, ":80"),
        (None, None) => (key, ":443"),
    };
    let rest = rest.trim_end_matches('/');
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix(default_port).unwrap_or(&host);
    let host = match host {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => "docker.io",
        other => other,
    };
    let path = match path {
        "v1" | "v2" => "",
        other => other.strip_prefix("v2/").unwrap_or(other),
    };
    if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") }
}

/// Is how well something configured fits a repository; the greater, the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It is for every registry.
    Anything,
    /// It is for a domain of so many labels, to which the host belongs.
    Domain(usize),
    /// It shares so many components of registry and repository: `host/group/project` beats `host/group` beats
    /// `host`.
    Components(usize),
}

/// Tells how well a key fits a repository: `None` if it is for something else.
pub(super) fn fit(key: &str, registry: &str, repository: Option<&str>) -> Option<Fit> {
    let key = normalize(key);
    let mut wanted = normalize(registry);
    if let Some(repository) = repository {
        wanted.push('/');
        wanted.push_str(repository);
    }
    let fits =
        wanted.strip_prefix(&key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    fits.then(|| Fit::Components(key.split('/').count()))
}

/// Tells how well a domain fits a registry that is spelled as variables spell it: in capitals, with `_` for what a
/// variable's name cannot hold. A port may be part of it or not.
pub(super) fn fit_of_domain(name: &str, registry: &str) -> Option<Fit> {
    let registry = normalize(registry);
    let host = registry.split_once(':').map_or(registry.as_str(), |(host, _port)| host);
    let hub: &[&str] = if registry == "docker.io" { &["index.docker.io"] } else { &[] };
    let spell = |text: &str| text.replace(['.', '-', ':'], "_").to_ascii_uppercase();
    [registry.as_str(), host].into_iter().chain(hub.iter().copied()).find_map(|whole| {
        let labels: Vec<&str> = whole.split('.').collect();
        let below = (0..labels.len()).find(|from| spell(&labels[*from..].join(".")) == name)?;
        Some(if below == 0 { Fit::Components(1) } else { Fit::Domain(labels.len() - below) })
    })
}

/// Is the name under which helpers and `docker login` know a registry.
pub(super) fn canonical(registry: &str) -> String {
    match normalize(registry).as_str() {
        "docker.io" => "https://index.docker.io/v1/".to_owned(),
        other => other.to_owned(),
    }
}
