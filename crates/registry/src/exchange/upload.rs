//! Sending a blob as the body of a request: streamed, counted, watched.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::header::CONTENT_LENGTH;
use reqwest::{RequestBuilder, Response, Url};

use super::transport_error;
use crate::BlobSource;
use crate::error::ErrorKind;
use crate::host::registry_of;
use crate::settings::Timeouts;

/// Is told how many bytes went out since the last time. A push that starts over tells them again.
pub(crate) type Sent = Arc<dyn Fn(u64) + Send + Sync>;

/// Is a body of known length that is opened anew each time it is sent.
#[derive(Clone)]
pub(crate) struct Upload {
    pub(crate) source: BlobSource,
    pub(crate) length: u64,
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
    sent: u64,
    failure: Option<io::Error>,
}

impl Upload {
    pub(super) async fn send(
        &self,
        builder: RequestBuilder,
        url: &Url,
        timeouts: &Timeouts,
    ) -> Result<Response, ErrorKind> {
        let watch = Arc::new(Mutex::new(Watch { moved: Instant::now(), sent: 0, failure: None }));
        let body = reqwest::Body::wrap_stream(self.watched(Arc::clone(&watch)));
        // With the length said, the body is not sent in chunks, which some storage back ends refuse.
        let sending = builder.header(CONTENT_LENGTH, self.length).body(body).send();
        tokio::pin!(sending);
        loop {
            let (moved, patience) = {
                let watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
                let all = watch.sent == self.length;
                (watch.moved, if all { timeouts.commit } else { timeouts.idle })
            };
            tokio::select! {
                answer = &mut sending => {
                    return answer.map_err(|error| self.failure(&watch, url, &error));
                }
                () = tokio::time::sleep_until((moved + patience).into()) => {
                    let last = watch.lock().unwrap_or_else(PoisonError::into_inner).moved;
                    if last == moved {
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
        let end = futures_util::stream::once(async { None });
        let pieces = self.source.open().map(Some).chain(end);
        pieces.filter_map(move |piece| {
            let piece = {
                let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
                watch.step(piece, length)
            };
            if let (Some(Ok(bytes)), Some(told)) = (&piece, &told) {
                told(bytes.len() as u64);
            }
            std::future::ready(piece)
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
    /// Looks at the next piece, or at the end, and turns a source of another length than announced into an error.
    fn step(&mut self, piece: Option<io::Result<Bytes>>, length: u64) -> Option<io::Result<Bytes>> {
        self.moved = Instant::now();
        let failure = match piece {
            Some(Ok(bytes)) => {
                self.sent += bytes.len() as u64;
                if self.sent <= length {
                    return Some(Ok(bytes));
                }
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("it is longer than {length} bytes"),
                )
            }
            None if self.sent >= length || self.failure.is_some() => return None,
            None => io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("it ends after {} of {length} bytes", self.sent),
            ),
            Some(Err(error)) => error,
        };
        self.failure = Some(failure);
        Some(Err(io::Error::other("the body's source failed")))
    }
}
