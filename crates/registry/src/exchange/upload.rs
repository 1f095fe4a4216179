//! Sending a blob as the body of a request: streamed, counted, watched.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use reqwest::header::CONTENT_LENGTH;
use reqwest::{RequestBuilder, Response, Url};

use super::transport_error;
use crate::BlobSource;
use crate::error::ErrorKind;
use crate::host::registry_of;
use crate::settings::Timeouts;

/// Is told how many bytes went out since the last time. A push that starts over tells them again.
pub(crate) type Sent = Arc<dyn Fn(u64) + Send + Sync>;

/// Is a body that is opened anew each time it is sent.
#[derive(Clone)]
pub(crate) struct Upload {
    pub(crate) source: BlobSource,
    /// How long it is; nothing if only its end will tell.
    pub(crate) length: Option<u64>,
    pub(crate) sent: Option<Sent>,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload")
            .field("source", &self.source)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// Is what the body tells the task that waits for the answer.
#[derive(Debug)]
struct Watch {
    moved: Instant,
    waits_for: WaitsFor,
    sent: u64,
    failure: Option<io::Error>,
}

/// Is whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitsFor {
    /// The registry took all there was, and wants more: it is not the one that is silent.
    Source,
    /// The registry has not taken yet what it was given.
    Registry,
    /// The registry has everything, and has not answered.
    Answer,
}

impl Upload {
    pub(super) async fn send(
        &self,
        builder: RequestBuilder,
        url: &Url,
        timeouts: &Timeouts,
    ) -> Result<Response, ErrorKind> {
        let watch = Arc::new(Mutex::new(Watch {
            moved: Instant::now(),
            waits_for: WaitsFor::Registry,
            sent: 0,
            failure: None,
        }));
        let body = reqwest::Body::wrap_stream(self.watched(Arc::clone(&watch)));
        // With the length said, the body is not sent in chunks, which some storage back ends refuse.
        let builder = match self.length {
            Some(length) => builder.header(CONTENT_LENGTH, length),
            None => builder,
        };
        let sending = builder.body(body).send();
        tokio::pin!(sending);
        loop {
            let before = Watch::look(&watch);
            let (since, patience) = match before.1 {
                WaitsFor::Source => (Instant::now(), timeouts.idle),
                WaitsFor::Registry => (before.0, timeouts.idle),
                WaitsFor::Answer => (before.0, timeouts.commit),
            };
            tokio::select! {
                answer = &mut sending => {
                    return answer.map_err(|error| self.failure(&watch, url, &error));
                }
                () = tokio::time::sleep_until((since + patience).into()) => {
                    if Watch::look(&watch) == before && before.1 != WaitsFor::Source {
                        let host = registry_of(url);
                        return Err(ErrorKind::TimedOut { host, silence: patience });
                    }
                }
            }
        }
    }

    /// The library reports a failing body as a failing connection; what the body left behind tells better.
    fn failure(&self, watch: &Mutex<Watch>, url: &Url, error: &reqwest::Error) -> ErrorKind {
        let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
        match watch.failure.take() {
            Some(error) => source_error(&self.source, error),
            None => transport_error(url, error),
        }
    }

    fn watched(
        &self,
        watch: Arc<Mutex<Watch>>,
    ) -> impl futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static {
        let (length, told) = (self.length, self.sent.clone());
        let mut pieces = self.source.open().fuse();
        stream::poll_fn(move |context| {
            let lock = || watch.lock().unwrap_or_else(PoisonError::into_inner);
            lock().asked();
            let piece = ready!(pieces.poll_next_unpin(context));
            let piece = lock().step(piece, length);
            if let (Some(Ok(bytes)), Some(told)) = (&piece, &told) {
                told(bytes.len() as u64);
            }
            Poll::Ready(piece)
        })
    }
}

/// Puts a failure of what is sent into this crate's words.
pub(crate) fn source_error(source: &BlobSource, error: io::Error) -> ErrorKind {
    match error.downcast::<crate::RegistryError>() {
        // A copy whose other end failed: that end's error is the one to tell.
        Ok(far) => *far.kind,
        Err(error) => ErrorKind::Source { what: source.describe(), source: error },
    }
}

impl Watch {
    fn look(watch: &Mutex<Self>) -> (Instant, WaitsFor) {
        let watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
        (watch.moved, watch.waits_for)
    }

    /// Notes that the connection wants the next piece.
    fn asked(&mut self) {
        if self.waits_for == WaitsFor::Registry {
            (self.moved, self.waits_for) = (Instant::now(), WaitsFor::Source);
        }
    }

    /// Looks at the next piece, or at the end, and turns a source of another length than announced into an error.
    fn step(
        &mut self,
        piece: Option<io::Result<Bytes>>,
        length: Option<u64>,
    ) -> Option<io::Result<Bytes>> {
        self.moved = Instant::now();
        self.sent +=
            piece.as_ref().and_then(|piece| piece.as_ref().ok()).map_or(0, Bytes::len) as u64;
        let all = length.map_or(piece.is_none(), |length| self.sent >= length);
        self.waits_for = if all { WaitsFor::Answer } else { WaitsFor::Registry };
        let failure = match (piece, length) {
            (Some(Ok(_)), Some(length)) if self.sent > length => io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it is longer than {length} bytes"),
            ),
            (Some(Ok(bytes)), _) => return Some(Ok(bytes)),
            (None, Some(length)) if self.sent < length && self.failure.is_none() => io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("it ends after {} of {length} bytes", self.sent),
            ),
            (None, _) => return None,
            (Some(Err(error)), _) => error,
        };
        self.failure = Some(failure);
        Some(Err(io::Error::other("the body's source failed")))
    }
}
