//! Bytes on their way between the asynchronous side (registries) and the blocking one (files, compression).

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use strata_oci::{Descriptor, Hasher};
use tokio::sync::mpsc;

use crate::error::ReadError;

/// The bytes of one blob. It ends without an error only if all of them came and are those that the blob's
/// digest promises.
pub type ByteStream = BoxStream<'static, Result<Bytes, ReadError>>;

/// What one blocking read asks for.
const CHUNK: u64 = 1 << 20;
/// How many pieces may wait for a slow consumer; with pieces of a megabyte, eight megabytes a transfer.
const QUEUE: usize = 8;

enum Piece {
    Bytes(Bytes),
    End,
}

/// The blocking end of [`consume`].
///
/// A channel that is closed without an `End` means that the other side failed or was dropped: that is an error
/// here, so that a consumer never takes the part for the whole.
#[derive(Debug)]
pub(crate) struct Feed {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

impl Feed {
    /// The next bytes as they came, without a copy; nothing at the end.
    pub(crate) fn piece(&mut self) -> io::Result<Option<Bytes>> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.current = bytes,
                Some(Piece::End) => self.ended = true,
                None => return Err(io::Error::new(io::ErrorKind::BrokenPipe, "transfer stopped")),
            }
        }
        let piece = std::mem::take(&mut self.current);
        Ok((!piece.is_empty()).then_some(piece))
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() {
            self.current = self.piece()?.unwrap_or_default();
        }
        let length = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::End => f.write_str("End"),
        }
    }
}

/// Runs `consumer` on a blocking thread with the bytes of `stream` as its reader.
///
/// If the stream fails, its error is the result, whatever the consumer made of the broken reader. Dropping the
/// future ends the consumer with a read error at its next read.
pub(crate) async fn consume<T, E>(
    mut stream: ByteStream,
    mut progress: impl FnMut(u64) + Send,
    consumer: impl FnOnce(Feed) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<ReadError> + Send + 'static,
{
    let (sender, pieces) = mpsc::channel(QUEUE);
    let feed = Feed { pieces, current: Bytes::new(), ended: false };
    let worker = tokio::task::spawn_blocking(move || consumer(feed));
    let mut moved = 0;
    let mut failure = None;
    while let Some(item) = stream.next().await {
        match item {
            Ok(bytes) => {
                moved += bytes.len() as u64;
                // A consumer that went away has its reason as its result.
                if sender.send(Piece::Bytes(bytes)).await.is_err() {
                    break;
                }
                progress(moved);
            }
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    if failure.is_none() {
        // Again: a consumer that needs no end of file has said what it had to say.
        let _ = sender.send(Piece::End).await;
    }
    drop(sender);
    let result = joined(worker).await;
    match failure {
        Some(error) => Err(error.into()),
        None => result,
    }
}

/// Runs something blocking on a thread of its own and waits for it.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    joined(tokio::task::spawn_blocking(work)).await
}

async fn joined<T>(worker: tokio::task::JoinHandle<T>) -> T {
    match worker.await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => unreachable!("blocking work is never aborted: {error}"),
        },
    }
}

/// Reads piece by piece on blocking threads. `fail` puts a read error into words.
pub(crate) fn from_reader(
    reader: impl Read + Send + 'static,
    fail: impl FnOnce(io::Error) -> ReadError + Send + 'static,
) -> ByteStream {
    stream::unfold(Some((reader, fail)), |state| async move {
        let (mut reader, fail) = state?;
        let (outcome, reader) = blocking(move || {
            let mut buffer = Vec::new();
            let outcome = reader.by_ref().take(CHUNK).read_to_end(&mut buffer).map(|_| buffer);
            (outcome, reader)
        })
        .await;
        match outcome {
            Ok(buffer) if buffer.is_empty() => None,
            Ok(buffer) => Some((Ok(Bytes::from(buffer)), Some((reader, fail)))),
            Err(error) => Some((Err(fail(error)), None)),
        }
    })
    .boxed()
}

/// All of a blob that is in memory already.
pub(crate) fn from_bytes(bytes: Bytes) -> ByteStream {
    stream::iter([Ok(bytes)]).boxed()
}

/// Lets bytes through and fails at the end, or as soon as there are too many, if they are not those that a
/// descriptor promises.
#[derive(Debug)]
pub(crate) struct Verified<R> {
    reader: R,
    hasher: Option<Hasher>,
    expected: Descriptor,
}

impl<R> Verified<R> {
    pub(crate) fn new(reader: R, expected: &Descriptor) -> Self {
        Self { reader, hasher: Some(Hasher::new()), expected: expected.clone() }
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        let Some(hasher) = &mut self.hasher else { return Ok(count) };
        hasher.update(&buffer[..count]);
        let length = hasher.length();
        let wrong = |what: String| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        let (size, at_end) = (self.expected.size, count == 0 && !buffer.is_empty());
        if length > size {
            return wrong(format!("blob has more than its {size} bytes"));
        }
        if at_end {
            if length < size {
                return wrong(format!("blob ends after {length} of {size} bytes"));
            }
            let actual = self.hasher.take().unwrap_or_default().finish();
            if actual != self.expected.digest {
                return wrong(format!("blob has digest `{actual}`"));
            }
        }
        Ok(count)
    }
}
