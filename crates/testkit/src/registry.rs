//! A registry on loopback, with everything in memory.

use crate::BuiltImage;
use crate::server::{Answer, Fault, Request, Server, Service};

mod access;
mod routes;
mod storage;

pub use access::Access;
use storage::Storage;

/// Is a running registry. Dropping it closes all connections and joins its threads.
#[derive(Debug)]
pub struct TestRegistry(Server<State>);

#[derive(Debug)]
struct State {
    storage: Storage,
    access: access::Guard,
}

impl Service for State {
    fn answer(&mut self, request: &Request) -> Answer {
        routes::answer(self, request)
    }

    fn revoke_tokens(&mut self) {
        self.access.revoke();
    }
}

impl TestRegistry {
    /// Starts an empty registry that lets everybody do everything.
    pub fn start() -> Self {
        Self::start_with(Access::Open)
    }

    /// Starts an empty registry.
    pub fn start_with(access: Access) -> Self {
        Self(Server::start(|address| State {
            storage: Storage::default(),
            access: access::Guard::new(access, address),
        }))
    }

    /// Is `127.0.0.1:port`, which is what references name.
    pub fn host(&self) -> String {
        self.0.address().to_string()
    }

    /// Spells a reference to something in this registry.
    pub fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.0.address())
    }

    /// Makes the registry do something wrong. Of several faults that apply to a request, the first one added acts.
    pub fn add_fault(&self, fault: Fault) {
        self.0.add_fault(fault);
    }

    /// Stores a blob and gives its digest.
    pub fn add_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = crate::sha256(bytes);
        self.0.with(|state| state.storage.put_blob(repository, &digest, bytes.to_vec()));
        digest
    }

    /// Stores bytes under the digest of others.
    pub fn add_blob_as(&self, repository: &str, digest: &str, bytes: &[u8]) {
        self.0.with(|state| state.storage.put_blob(repository, digest, bytes.to_vec()));
    }

    /// Stores a manifest, under a tag too, and gives its digest.
    pub fn add_manifest(
        &self,
        repository: &str,
        tag: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> String {
        let digest = crate::sha256(bytes);
        self.0.with(|state| {
            state.storage.put_manifest(repository, &digest, media_type, bytes.to_vec());
            state.storage.put_tag(repository, tag, &digest);
        });
        digest
    }

    /// Stores an image under a tag and gives its manifest's digest.
    pub fn add_image(&self, repository: &str, tag: &str, image: &BuiltImage) -> String {
        for layer in &image.layers {
            self.add_blob_as(repository, &layer.digest, &layer.blob);
        }
        self.add_blob(repository, &image.config);
        self.add_manifest(repository, tag, image.manifest_media_type, &image.manifest)
    }

    /// Reads a blob back.
    pub fn blob(&self, repository: &str, digest: &str) -> Option<Vec<u8>> {
        self.0.with(|state| state.storage.blob(repository, digest).map(<[u8]>::to_vec))
    }

    /// Reads a manifest back, by tag or digest, with its media type.
    pub fn manifest(&self, repository: &str, target: &str) -> Option<(String, Vec<u8>)> {
        self.0.with(|state| {
            let (media_type, bytes) = state.storage.manifest(repository, target)?;
            Some((media_type.to_owned(), bytes.to_vec()))
        })
    }

    /// Forgets all tokens that were given out, as a registry does whose keys were changed.
    pub fn revoke_tokens(&self) {
        self.0.with(Service::revoke_tokens);
    }

    /// Lists the requests since the last call, in the order they were answered:
    /// `METHOD target status`, digests shortened to eight digits, and `-` for a request without an answer.
    pub fn take_log(&self) -> Vec<String> {
        self.0.take_log()
    }

    /// Closes the port and all connections: from now on a connection is refused.
    pub fn stop(&mut self) {
        self.0.stop();
    }
}
