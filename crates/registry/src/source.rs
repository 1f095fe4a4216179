//! Content to push, which can be opened again for another attempt.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::client::Client;

/// Opens a reader from the first byte.
type Opener = dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync;

/// Is content that can be read from its beginning as often as a push has to be repeated.
#[derive(Clone)]
pub struct BlobSource(Kind);

#[derive(Clone)]
enum Kind {
    Bytes(Bytes),
    File(PathBuf),
    Reader(Arc<Opener>),
    Remote { client: Client, repository: strata_oci::Repository, blob: Box<strata_oci::Descriptor> },
}

/// What an upload sends at a time, and what a blocking reader reads at a time.
const BUFFER: usize = 128 << 10;
/// Buffers that wait between the reading thread and the connection.
const BUFFERS_AHEAD: usize = 4;

impl BlobSource {
    /// Is content in memory: configs and other small things.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Bytes(bytes.into()))
    }

    /// Is a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::File(path.into()))
    }

    /// Is whatever `open` opens; it is called, and its reader read, on a thread that may block.
    pub fn reader(
        open: impl Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync + 'static,
    ) -> Self {
        Self(Kind::Reader(Arc::new(open)))
    }

    /// Is a blob of a registry, piped through without touching the disk.
    pub(crate) fn remote(
        client: Client,
        repository: strata_oci::Repository,
        blob: strata_oci::Descriptor,
    ) -> Self {
        Self(Kind::Remote { client, repository, blob: Box::new(blob) })
    }

    /// Names the content for messages.
    pub(crate) fn describe(&self) -> String {
        match &self.0 {
            Kind::Bytes(_) => "content in memory".to_owned(),
            Kind::File(path) => format!("`{}`", path.display()),
            Kind::Reader(_) => "the content to push".to_owned(),
            Kind::Remote { repository, .. } => format!("a blob of `{repository}`"),
        }
    }

    /// Opens the content. The stream holds a few buffers at most, and ends with an error if reading does.
    pub(crate) fn open(&self) -> BoxStream<'static, io::Result<Bytes>> {
        match &self.0 {
            Kind::Bytes(bytes) => {
                let whole = bytes.clone();
                let pieces = (0..whole.len()).step_by(BUFFER);
                let pieces: Vec<io::Result<Bytes>> = pieces
                    .map(|from| Ok(whole.slice(from..whole.len().min(from + BUFFER))))
                    .collect();
                stream::iter(pieces).boxed()
            }
            Kind::File(path) => {
                let path = path.clone();
                from_thread(move || Ok(Box::new(File::open(&path)?) as Box<dyn Read + Send>))
            }
            Kind::Reader(open) => {
                let open = Arc::clone(open);
                from_thread(move || open())
            }
            Kind::Remote { client, repository, blob } => {
                let state = (client.blob(repository, blob), None);
                stream::try_unfold(state, |(mut reader, mut held)| async move {
                    // The last piece is held back until the blob is known to be right: without it the upload
                    // is never complete, and the error tells which end was wrong.
                    loop {
                        let next = reader.chunk().await.map_err(io::Error::other)?;
                        let ended = next.is_none();
                        match std::mem::replace(&mut held, next) {
                            Some(piece) => return Ok(Some((piece, (reader, held)))),
                            None if ended => return Ok(None),
                            None => {}
                        }
                    }
                })
                .boxed()
            }
        }
    }
}

/// Reads on a blocking thread, a few buffers ahead. The thread ends when the stream is dropped, at its next
/// buffer.
fn from_thread(
    open: impl FnOnce() -> io::Result<Box<dyn Read + Send>> + Send + 'static,
) -> BoxStream<'static, io::Result<Bytes>> {
    let (sender, receiver) = tokio::sync::mpsc::channel(BUFFERS_AHEAD);
    tokio::task::spawn_blocking(move || {
        let result = open().and_then(|mut reader| {
            loop {
                let mut buffer = vec![0; BUFFER];
                let length = match reader.read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(length) => length,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                };
                buffer.truncate(length);
                // Nobody listens any more: the upload was given up.
                if sender.blocking_send(Ok(buffer.into())).is_err() {
                    return Ok(());
                }
            }
        });
        if let Err(error) = result {
            let _nobody_listens = sender.blocking_send(Err(error));
        }
    });
    stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    })
    .boxed()
}

impl fmt::Debug for BlobSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobSource({})", self.describe())
    }
}
