//! A server on loopback that does what it is scripted to do wrong, and else what its service says.

use std::io::BufReader;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

mod fault;
mod http;

pub use fault::Fault;
pub(crate) use http::{Answer, Request, decode, pairs};

use fault::Action;

/// Is what a server is for.
pub(crate) trait Service: std::fmt::Debug + Send + 'static {
    /// Answers a request.
    fn answer(&mut self, request: &Request) -> Answer;

    /// Forgets all tokens that were given out.
    fn revoke_tokens(&mut self);
}

/// Is a running server. Dropping it closes all connections and joins its threads.
#[derive(Debug)]
pub(crate) struct Server<S> {
    shared: Arc<Shared<S>>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared<S> {
    address: SocketAddr,
    state: Mutex<State<S>>,
    stopping: AtomicBool,
    /// So that stopping can close them; the threads end with their connections.
    connections: Mutex<Vec<(TcpStream, JoinHandle<()>)>>,
}

#[derive(Debug)]
struct State<S> {
    service: S,
    faults: Vec<fault::Armed>,
    log: Vec<String>,
}

impl<S> Server<S> {
    /// Is `127.0.0.1:port`.
    pub(crate) fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Looks at the service, or changes it.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut S) -> T) -> T {
        look(&mut self.shared.state().service)
    }

    pub(crate) fn add_fault(&self, fault: Fault) {
        self.shared.state().faults.push(fault::Armed::new(fault));
    }

    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.state().log)
    }

    /// Closes the port and all connections: from now on a connection is refused.
    pub(crate) fn stop(&mut self) {
        self.shared.close();
        if let Some(listener) = self.listener.take() {
            listener.join().expect("the listener does not panic");
        }
        let connections = std::mem::take(&mut *self.shared.connections());
        for (stream, thread) in connections {
            let _already_closed = stream.shutdown(Shutdown::Both);
            let panicked = thread.join().is_err();
            assert!(!panicked || std::thread::panicking(), "the server of this test panicked");
        }
    }
}

impl<S: Service> Server<S> {
    /// Starts what `service` makes, given the address.
    pub(crate) fn start(service: impl FnOnce(SocketAddr) -> S) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = State { service: service(address), faults: Vec::new(), log: Vec::new() };
        let shared = Arc::new(Shared {
            address,
            state: Mutex::new(state),
            stopping: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let listening = Arc::clone(&shared);
        let listener = std::thread::spawn(move || listening.listen(&listener));
        Self { shared, listener: Some(listener) }
    }
}

impl<S> Drop for Server<S> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<S> Shared<S> {
    fn state(&self) -> MutexGuard<'_, State<S>> {
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

    /// Appends to the log, with digests short enough to read.
    fn note(&self, request: &Request, status: Option<u16>) {
        let mut target = request.target.replace("sha256%3A", "sha256:").replace("%2F", "/");
        let mut from = 0;
        while let Some(at) = target[from..].find("sha256:").map(|at| from + at + "sha256:".len()) {
            let digits = target[at..].bytes().take_while(u8::is_ascii_hexdigit).count();
            target.replace_range(at + digits.min(8)..at + digits, "");
            from = at;
        }
        let status = status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        self.state().log.push(format!("{} {target} {status}", request.method));
    }
}

impl<S: Service> Shared<S> {
    fn listen(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let Ok(handle) = stream.try_clone() else { continue };
            let shared = Arc::clone(self);
            let thread = std::thread::spawn(move || shared.serve(&stream));
            self.connections().push((handle, thread));
        }
    }

    /// Answers the requests of one connection until it ends.
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        // An error here is a client that went away.
        while let Ok(Some(mut request)) = http::read_head(&mut reader) {
            let action = self.strike(&request);
            let (limit, goes_down) = match &action {
                Some(Action::Hang { after }) => (Some(*after), false),
                Some(Action::GoDown { after }) => (Some(*after), true),
                _ => (None, false),
            };
            let kept = match &action {
                Some(Action::KeepAndHang { after }) => Some(*after),
                _ => limit,
            };
            if http::read_body(&mut reader, &mut request, kept.unwrap_or(u64::MAX)).is_err() {
                break;
            }
            if limit.is_some() {
                self.note(&request, None);
                if goes_down {
                    self.close();
                }
                break;
            }
            if let Some(Action::Delay(time)) = action {
                std::thread::sleep(time);
            }
            let mut answer = self.answer(&mut request, action.as_ref());
            let mut cut_after = None;
            match &action {
                Some(Action::LoseAnswer | Action::KeepAndHang { .. }) => {
                    self.note(&request, None);
                    break;
                }
                Some(Action::CutBody(after)) => cut_after = Some(*after),
                Some(Action::CorruptBody) => {
                    let middle = answer.body.len() / 2;
                    if let Some(byte) = answer.body.get_mut(middle) {
                        *byte ^= 0x20;
                    }
                }
                Some(Action::OmitHeader(omitted)) => {
                    answer.headers.retain(|(name, _)| name != omitted);
                }
                _ => {}
            }
            self.note(&request, Some(answer.status));
            let is_head = request.method == "HEAD";
            let written = http::write(stream, &answer, is_head, cut_after);
            if written.is_err() || cut_after.is_some() {
                break;
            }
        }
        let _already_closed = stream.shutdown(Shutdown::Both);
    }

    fn strike(&self, request: &Request) -> Option<Action> {
        let mut state = self.state();
        // All faults count the request, also those behind the one that acts.
        let mut actions: Vec<Action> = Vec::new();
        for fault in &mut state.faults {
            actions.extend(fault.strike(&request.method, &request.target));
        }
        actions.into_iter().next()
    }

    fn answer(&self, request: &mut Request, action: Option<&Action>) -> Answer {
        let mut state = self.state();
        match action {
            Some(Action::Answer(answer)) => return answer.clone(),
            Some(Action::LimitBody(most)) if request.body.len() > *most => {
                return Answer::error(413, "TOO_LARGE");
            }
            Some(Action::RevokeTokens) => state.service.revoke_tokens(),
            Some(Action::IgnoreRange) => {
                request.headers.remove("range");
            }
            _ => {}
        }
        state.service.answer(request)
    }
}
