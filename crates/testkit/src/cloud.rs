//! The clouds on loopback: object stores in three dialects, and everything that gives identities, one server for all.

use std::collections::BTreeMap;

use crate::server::{Answer, Fault, Request, Server, Service};

mod identity;
mod objects;
mod shared_key;
mod signature;

/// Is a running server that stands for Amazon, Google and Microsoft. What it lets in is fixed:
///
/// | who | how |
/// |---|---|
/// | [`TestCloud::KEY`] with [`TestCloud::SECRET`] | signs for S3 and ECR |
/// | a session of Amazon's | for the token `web-identity-token`, at `/container` with `container-token`, or as the machine |
/// | an access token of Google's | for a signed claim of `robot@example.com`, the refresh token `google-refresh`, the subject `subject`, or as the machine |
/// | an access token of Microsoft's | for the client `client` with `client-secret` or the assertion `federated`, at `/identity` with `service-secret`, or as the machine |
/// | the account `account` | by its key [`TestCloud::ACCOUNT_KEY`] or the signature `sig=signed` |
///
/// Objects are at `/BUCKET/KEY`. It answers for registries too: Amazon's passwords, and `/oauth2/exchange`.
#[derive(Debug)]
pub struct TestCloud(Server<State>);

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    /// Buckets that everybody may read.
    open: Vec<String>,
}

impl TestCloud {
    /// A key of Amazon's.
    pub const KEY: &str = "AKIATESTKEY";
    /// Its secret.
    pub const SECRET: &str = "amazon-secret/+";
    /// The key of the account, in base64.
    pub const ACCOUNT_KEY: &str = "YWNjb3VudC1rZXk=";
    /// The password that Amazon's registries take.
    pub const ECR_PASSWORD: &str = "ecr-password";
    /// The access token that Google's services take.
    pub const GOOGLE_TOKEN: &str = "google-token";
    /// The refresh token that Microsoft's registries take.
    pub const ACR_TOKEN: &str = "acr-refresh-token";
    /// All that must never be seen.
    pub const SECRETS: &[&str] = &[
        Self::SECRET,
        Self::ACCOUNT_KEY,
        Self::ECR_PASSWORD,
        Self::GOOGLE_TOKEN,
        Self::ACR_TOKEN,
        "session-secret",
        "session-token",
        "google-refresh",
        "azure-token",
        "client-secret",
        "federated",
        "web-identity-token",
        "container-token",
        "service-secret",
        "sig=signed",
    ];

    /// Starts it, with no objects.
    pub fn start() -> Self {
        Self(Server::start(|_address| State::default()))
    }

    /// Is `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address())
    }

    /// Is `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.0.address().to_string()
    }

    /// Stores an object.
    pub fn add_object(&self, bucket: &str, key: &str, bytes: &[u8]) {
        self.0.with(|state| state.objects.insert(format!("/{bucket}/{key}"), bytes.to_vec()));
    }

    /// Lets everybody read a bucket.
    pub fn open_bucket(&self, bucket: &str) {
        self.0.with(|state| state.open.push(format!("/{bucket}/")));
    }

    /// Makes it do something wrong, as [`crate::TestRegistry::add_fault`] does.
    pub fn add_fault(&self, fault: Fault) {
        self.0.add_fault(fault);
    }

    /// Lists the requests since the last call: `METHOD target status`.
    pub fn take_log(&self) -> Vec<String> {
        self.0.take_log()
    }
}

impl Service for State {
    fn answer(&mut self, request: &Request) -> Answer {
        identity::answer(request).unwrap_or_else(|| objects::answer(self, request))
    }

    fn revoke_tokens(&mut self) {}
}
