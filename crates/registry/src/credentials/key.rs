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

/// Tells how well a key fits a repository: `None` if it is for something else, else the count of components it
/// shares, so that `host/group/project` beats `host/group` beats `host`.
pub(super) fn specificity(key: &str, registry: &str, repository: Option<&str>) -> Option<usize> {
    let key = normalize(key);
    let mut wanted = normalize(registry);
    if let Some(repository) = repository {
        wanted.push('/');
        wanted.push_str(repository);
    }
    let fits =
        wanted.strip_prefix(&key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    fits.then(|| key.split('/').count())
}

/// Is the name under which helpers and `docker login` know a registry.
pub(super) fn canonical(registry: &str) -> String {
    match normalize(registry).as_str() {
        "docker.io" => "https://index.docker.io/v1/".to_owned(),
        other => other.to_owned(),
    }
}
