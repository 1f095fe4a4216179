//! The client against the scripted registry: what is sent, and what comes of it.

#![allow(clippy::unwrap_used, reason = "a test that fails here is a test that fails")]
#![allow(clippy::type_complexity, reason = "the columns of a table are told apart by their order")]

#[path = "distribution/auth.rs"]
mod auth;
#[path = "distribution/examine.rs"]
mod examine;
#[path = "distribution/providers.rs"]
mod providers;
#[path = "distribution/proxies.rs"]
mod proxies;
#[path = "distribution/pull.rs"]
mod pull;
#[path = "distribution/push.rs"]
mod push;
#[path = "distribution/real.rs"]
mod real;
#[path = "distribution/retry.rs"]
mod retry;
#[path = "distribution/stream.rs"]
mod stream;

use std::collections::BTreeMap;
use std::time::Duration;

use strata_oci::{Descriptor, MediaType, Reference, Repository};
use strata_registry::{
    BlobReader, Candidate, Client, Credential, CredentialSource, CredentialSources, Credentials,
    HostSettings, Mirror, RegistryError, RetryPolicy, Secret, Settings,
};
use strata_testkit::TestRegistry;

/// Settings that fail fast.
fn settings() -> Settings {
    let retry = RetryPolicy {
        attempts: 3,
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_millis(1),
        longest_wait: Duration::from_secs(1),
    };
    Settings { retry, ..Settings::default() }
}

fn client() -> Client {
    client_as(&[])
}

fn client_as(logins: &[(&TestRegistry, &str, &str)]) -> Client {
    let entries = logins.iter().map(|(registry, username, password)| {
        let credential = Credential::Basic {
            username: (*username).to_owned(),
            password: Secret::new(*password),
        };
        identity(registry, credential)
    });
    let sources = CredentialSources { sources: entries.collect(), ..CredentialSources::default() };
    Client::new(&settings(), Credentials::new(sources)).unwrap()
}

fn identity(registry: &TestRegistry, credential: Credential) -> CredentialSource {
    let candidate = Candidate { credential, source: "the test".to_owned() };
    CredentialSource::Entry { key: registry.host(), candidate }
}

fn mirrored(registry: &TestRegistry, mirror: &TestRegistry, prefix: &str, only: bool) -> Client {
    let host = HostSettings {
        mirrors: vec![Mirror { host: mirror.host(), prefix: prefix.to_owned() }],
        mirrors_only: only,
        ..HostSettings::default()
    };
    let settings = Settings { hosts: BTreeMap::from([(registry.host(), host)]), ..settings() };
    Client::new(&settings, Credentials::anonymous()).unwrap()
}

fn repository(registry: &TestRegistry, path: &str) -> Repository {
    Repository::new(&registry.host(), path).unwrap()
}

fn reference(registry: &TestRegistry, rest: &str) -> Reference {
    Reference::parse(&registry.reference(rest)).unwrap()
}

fn layer(bytes: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::parse("application/vnd.oci.image.layer.v1.tar"), bytes)
}

/// Bytes that differ everywhere, so that a piece in the wrong place shows.
fn content(length: u32) -> Vec<u8> {
    (0..length / 4).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

async fn read(mut reader: BlobReader) -> Result<Vec<u8>, RegistryError> {
    let mut bytes = Vec::new();
    while let Some(piece) = reader.chunk().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Puts the short form of digests, and the registry's address, into a text.
fn short(text: &str, registry: &TestRegistry) -> String {
    let mut text = text.replace(&registry.host(), "HOST");
    let mut from = 0;
    while let Some(at) = text[from..].find("sha256:").map(|at| from + at + 7) {
        let digits = text[at..].bytes().take_while(u8::is_ascii_hexdigit).count();
        text.replace_range(at + digits.min(8)..at + digits, "");
        from = at;
    }
    text
}
