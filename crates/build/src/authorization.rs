//! Secrets that open servers for ADD, by the names that `BuildKit` gives them.
//!
//! ```text
//! HTTP_AUTH_TOKEN_<host>   HTTP_AUTH_HEADER_<host>                           downloads
//! GIT_AUTH_TOKEN[.<host>]  GIT_AUTH_HEADER[.<host>]   the host with its port  repositories over HTTP
//! ```

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use strata_context::Repository;

use crate::settings::Secret;

type Secrets = BTreeMap<String, Secret>;

/// The header for a download.
pub fn http(secrets: &Secrets, url: &str) -> Option<String> {
    let host = host(url)?;
    let token = text(secrets, &format!("HTTP_AUTH_TOKEN_{host}")).map(|it| format!("Bearer {it}"));
    token.or_else(|| text(secrets, &format!("HTTP_AUTH_HEADER_{host}")))
}

/// The header for a repository.
pub fn git(secrets: &Secrets, repository: &Repository) -> Option<String> {
    let authority = authority(&repository.remote)?;
    let header = |suffix: &str| text(secrets, &format!("GIT_AUTH_HEADER{suffix}"));
    let token = |suffix: &str| {
        let token = text(secrets, &format!("GIT_AUTH_TOKEN{suffix}"))?;
        Some(basic("x-access-token", &token))
    };
    let own = format!(".{authority}");
    header(&own).or_else(|| token(&own)).or_else(|| header("")).or_else(|| token(""))
}

/// The header of a user and a password.
pub fn basic(username: &str, password: &str) -> String {
    format!("basic {}", STANDARD.encode(format!("{username}:{password}")))
}

// What an editor puts at the end of a file is not meant.
fn text(secrets: &Secrets, name: &str) -> Option<String> {
    let bytes = secrets.get(name)?.expose();
    Some(String::from_utf8_lossy(bytes).trim_end_matches(['\r', '\n']).to_owned())
}

fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
}

fn host(url: &str) -> Option<&str> {
    let authority = authority(url)?;
    match authority.strip_prefix('[') {
        Some(address) => address.split(']').next(),
        None => authority.split(':').next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_for_their_servers() {
        let secrets: Secrets = [
            ("HTTP_AUTH_TOKEN_a", "t\n"),
            ("HTTP_AUTH_HEADER_a", "unused"),
            ("HTTP_AUTH_HEADER_b", "Basic x"),
            ("GIT_AUTH_TOKEN.g:8", "t"),
            ("GIT_AUTH_HEADER", "Basic y"),
        ]
        .map(|(name, value)| (name.to_owned(), Secret::new(value.as_bytes())))
        .into();
        for (url, expected) in [
            ("https://a/x", Some("Bearer t")),
            ("https://me@a:80/x@b", Some("Bearer t")),
            ("https://b?a", Some("Basic x")),
            ("https://c/a", None),
        ] {
            assert_eq!(http(&secrets, url).as_deref(), expected, "{url}");
        }
        for (remote, expected) in [
            ("http://g:8/r.git", Some("basic eC1hY2Nlc3MtdG9rZW46dA==")),
            ("http://g/r.git", Some("Basic y")),
            ("git@g:r.git", None),
        ] {
            let repository =
                Repository { remote: remote.to_owned(), reference: None, checksum: None };
            assert_eq!(git(&secrets, &repository).as_deref(), expected, "{remote}");
        }
    }
}
