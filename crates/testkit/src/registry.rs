//! A registry on loopback, with everything in memory.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::BuiltImage;

mod access;
mod fault;
mod http;
mod routes;
mod storage;

pub use access::Access;
pub use fault::Fault;
use storage::Storage;

/// Is a running registry. Dropping it closes all connections and joins its threads.
#[derive(Debug)]
pub struct TestRegistry {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    state: Mutex<State>,
    stopping: AtomicBool,
    /// So that stopping can close them; the threads end with their connections.
    connections: Mutex<Vec<(TcpStream, JoinHandle<()>)>>,
}

#[derive(Debug)]
struct State {
    storage: Storage,
    access: access::Guard,
    faults: Vec<fault::Armed>,
    log: Vec<String>,
}

impl TestRegistry {
    /// Starts an empty registry that lets everybody do everything.
    pub fn start() -> Self {
        Self::start_with(Access::Open)
    }

    /// Starts an empty registry.
    pub fn start_with(access: Access) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Mutex::new(State {
            storage: Storage::default(),
            access: access::Guard::new(access, address),
            faults: Vec::new(),
            log: Vec::new(),
        });
        let shared = Arc::new(Shared {
            address,
            state,
            stopping: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let listening = Arc::clone(&shared);
        let listener = std::thread::spawn(move || listening.listen(&listener));
        Self { address, shared, listener: Some(listener) }
    }

    /// Is `127.0.0.1:port`, which is what references name.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Spells a reference to something in this registry.
    pub fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    /// Makes the registry do something wrong. Of several faults that apply to a request, the first one added acts.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.state().faults.push(fault::Armed::new(fault));
    }

    /// Stores a blob and gives its digest.
    pub fn add_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = crate::sha256(bytes);
        self.shared.state().storage.put_blob(repository, &digest, bytes.to_vec());
        digest
    }

    /// Stores bytes under the digest of others.
    pub fn add_blob_as(&self, repository: &str, digest: &str, bytes: &[u8]) {
        self.shared.state().storage.put_blob(repository, digest, bytes.to_vec());
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
        let mut state = self.shared.state();
        state.storage.put_manifest(repository, &digest, media_type, bytes.to_vec());
        state.storage.put_tag(repository, tag, &digest);
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
        self.shared.state().storage.blob(repository, digest).map(<[u8]>::to_vec)
    }

    /// Reads a manifest back, by tag or digest, with its media type.
    pub fn manifest(&self, repository: &str, target: &str) -> Option<(String, Vec<u8>)> {
        let state = self.shared.state();
        let (media_type, bytes) = state.storage.manifest(repository, target)?;
        Some((media_type.to_owned(), bytes.to_vec()))
    }

    /// Forgets all tokens that were given out, as a registry does whose keys were changed.
    pub fn revoke_tokens(&self) {
        self.shared.state().access.revoke();
    }

    /// Lists the requests since the last call, in the order they were answered:
    /// `METHOD target status`, digests shortened to eight digits, and `-` for a request without an answer.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.state().log)
    }

    /// Closes the port and all connections: from now on a connection is refused.
    pub fn stop(&mut self) {
        self.shared.close();
        if let Some(listener) = self.listener.take() {
            listener.join().expect("the listener does not panic");
        }
        let connections = std::mem::take(&mut *self.shared.connections());
        for (stream, thread) in connections {
            let _already_closed = stream.shutdown(std::net::Shutdown::Both);
            let panicked = thread.join().is_err();
            assert!(!panicked || std::thread::panicking(), "the registry of this test panicked");
        }
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connections(&self) -> MutexGuard<'_, Vec<(TcpStream, JoinHandle<()>)>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the listener's thread end, which closes the port.
    fn close(&self) {
        if !self.stopping.swap(true, Ordering::SeqCst) {
            // Wakes `accept`. If it is refused, nobody waits there.
            let _refused = TcpStream::connect(self.address);
        }
    }

    fn listen(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let Ok(handle) = stream.try_clone() else { continue };
            let shared = Arc::clone(self);
            let thread = std::thread::spawn(move || routes::serve(&shared, &stream));
            self.connections().push((handle, thread));
        }
    }
}
