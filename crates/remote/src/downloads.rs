//! Files that ADD names by address.

use std::path::Path;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, TryStreamExt, stream};
use strata_build::ports::{Downloaded, Downloads, PortError, PortErrorClass};
use strata_oci::{Digest, Hasher};
use strata_registry::{Client, DownloadError, ErrorKind};
use tokio::sync::mpsc;

use crate::stream::blocking;

/// How many pieces wait for the disk.
const PIECES: usize = 16;

/// Downloads over the connections of a registry client.
#[derive(Debug, Clone)]
pub struct ClientDownloads(Client);

impl ClientDownloads {
    /// Downloads with the certificates, proxies and patience of `client`.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    async fn fetch(
        &self,
        url: &str,
        authorization: Option<&str>,
        into: &Path,
    ) -> Result<Downloaded, PortError> {
        let download = self.0.download(url, authorization).await;
        let download = download.map_err(|error| failed(&error))?;
        let last_modified = download.last_modified();
        let pieces = stream::try_unfold(download, |mut download| async move {
            Ok(download.chunk().await?.map(|piece| (piece, download)))
        });
        let (digest, size) = save(pieces, into).await.map_err(|error| match error {
            SaveError::Pieces(error) => failed(&error),
            SaveError::File(source) => PortError {
                message: "cannot write a download to the scratch directory".to_owned(),
                class: PortErrorClass::Storage,
                hint: None,
                source: Some(Box::new(source)),
            },
        })?;
        Ok(Downloaded { digest, size, last_modified })
    }
}

/// Why what comes in pieces does not become a file.
#[derive(Debug)]
pub enum SaveError<E> {
    /// There are no more pieces.
    Pieces(E),
    /// The file cannot be written.
    File(std::io::Error),
}

/// Writes pieces to a new file as they come, and gives its digest and size. A few of them are held in memory.
pub async fn save<E>(
    pieces: impl Stream<Item = Result<Bytes, E>>,
    into: &Path,
) -> Result<(Digest, u64), SaveError<E>> {
    let (sender, receiver) = mpsc::channel(PIECES);
    let path = into.to_owned();
    let writing = blocking(move || write(&path, receiver));
    let sending = async {
        let mut pieces = std::pin::pin!(pieces);
        while let Some(piece) = pieces.try_next().await? {
            // The writer only stops early when it failed, and says so itself.
            if sender.send(piece).await.is_err() {
                break;
            }
        }
        drop(sender);
        Ok::<(), E>(())
    };
    let (sent, written) = tokio::join!(sending, writing);
    sent.map_err(SaveError::Pieces)?;
    written.map_err(SaveError::File)
}

impl Downloads for ClientDownloads {
    fn download<'a>(
        &'a self,
        url: &'a str,
        authorization: Option<&'a str>,
        into: &'a Path,
    ) -> BoxFuture<'a, Result<Downloaded, PortError>> {
        self.fetch(url, authorization, into).boxed()
    }
}

fn write(path: &Path, mut pieces: mpsc::Receiver<Bytes>) -> std::io::Result<(Digest, u64)> {
    use std::io::Write;
    let mut file = std::fs::File::create_new(path)?;
    let mut hasher = Hasher::new();
    while let Some(piece) = pieces.blocking_recv() {
        hasher.update(&piece);
        file.write_all(&piece)?;
    }
    let size = hasher.length();
    Ok((hasher.finish(), size))
}

fn failed(error: &DownloadError) -> PortError {
    let class = match error.kind() {
        ErrorKind::NotFound { .. } => PortErrorClass::NotFound,
        _ => PortErrorClass::Registry,
    };
    PortError { message: format!("{error}: {}", error.kind()), class, hint: None, source: None }
}
