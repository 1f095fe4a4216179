//! Files that ADD names by address.

use std::path::Path;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use strata_build::ports::{Downloaded, Downloads, PortError, PortErrorClass};
use strata_oci::Hasher;
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
        let mut download = download.map_err(|error| failed(&error))?;
        let last_modified = download.last_modified();
        let (sender, receiver) = mpsc::channel(PIECES);
        let path = into.to_owned();
        let writing = blocking(move || write(&path, receiver));
        let sending = async {
            while let Some(piece) = download.chunk().await? {
                // The writer only stops early when it failed, and says so itself.
                if sender.send(piece).await.is_err() {
                    break;
                }
            }
            drop(sender);
            Ok::<(), DownloadError>(())
        };
        let (sent, written) = tokio::join!(sending, writing);
        sent.map_err(|error| failed(&error))?;
        let (digest, size) = written.map_err(|source| PortError {
            message: "cannot write a download to the scratch directory".to_owned(),
            class: PortErrorClass::Storage,
            hint: None,
            source: Some(Box::new(source)),
        })?;
        Ok(Downloaded { digest, size, last_modified })
    }
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

fn write(
    path: &Path,
    mut pieces: mpsc::Receiver<bytes::Bytes>,
) -> std::io::Result<(strata_oci::Digest, u64)> {
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
