//! The proxies on the way to registries.

use strata_registry::Proxies;

use crate::environment::{Environment, Variable, variable};

/// The proxies of the environment. Lower case wins, as with curl.
pub(super) fn proxies(environment: &Environment) -> Proxies {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
