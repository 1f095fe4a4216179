//! Bringing blobs here, once however many ask, and reading them on the way.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read};

use strata_build::event::Transfer;
use strata_layer::{decompress, read_ahead};
use strata_oci::Descriptor;

use super::LazyImages;
use super::arrivals::{Arrivals, Found};
use crate::error::ReadError;
use crate::local::{Local, failed};
use crate::output::Progress;
use crate::stream::{Feed, consume};

/// How much is written, and told to readers, at once. Pieces come as small as packets, and each would wake a thread.
const TOLD: usize = 256 << 10;

/// Opens what is in a blob.
type Open = Box<dyn FnOnce() -> io::Result<Box<dyn Read + Send>> + Send>;

impl LazyImages {
    /// Brings a blob into the store. Of several callers one downloads and the others wait for it.
    pub(super) async fn fetch_blob(&self, blob: &Descriptor) -> Result<(), ReadError> {
        let _flight = self.0.downloads.enter(blob.digest).await;
        if self.is_local(blob).await? {
            return Ok(());
        }
        let _slot = self.0.slots.acquire().await.expect("the semaphore is never closed");
        let stream = self.remote_stream(blob).await?;
        let progress = Progress::new(self.0.events.clone(), Some(Transfer::Download));
        let (local, arrivals, wanted) =
            (self.0.local.clone(), self.0.arrivals.clone(), blob.clone());
        consume(stream, progress.of_blob(blob), move |feed| {
            receive(feed, &local, &arrivals, &wanted)
        })
        .await
    }

    /// [`fetch_blob`](Self::fetch_blob), and beside it a way to open the blob's inside as soon as it begins to
    /// arrive, which blocks until then. What was opened ends well only if all of the blob came and is right.
    pub(super) fn arrive<'a>(
        &'a self,
        blob: &'a Descriptor,
    ) -> (impl Future<Output = Result<(), ReadError>> + Send + 'a, Open) {
        let (promise, waiting) = self.0.arrivals.promise();
        let whole = async move {
            let _promise = promise;
            self.fetch_blob(blob).await
        };
        let (local, digest) = (self.0.local.clone(), blob.digest);
        let open = move || {
            let stored = || Ok(local.store().blob(digest)?);
            match waiting.wait(digest, stored)? {
                Found::Stored(file) => inside(file),
                Found::Arriving(follow) => inside(follow),
            }
        };
        (whole, Box::new(open))
    }
}

/// Inflates on a thread of its own. By the first bytes: media types are wrong more often than a tar begins like a
/// compressed file.
fn inside(blob: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    Ok(Box::new(read_ahead(decompress(blob, None)?)?))
}

/// Takes a blob whose feed verifies it, and lets others read along.
fn receive(
    mut feed: Feed,
    local: &Local,
    arrivals: &Arrivals,
    blob: &Descriptor,
) -> Result<(), ReadError> {
    let fail = || failed(format!("blob `{}`", blob.digest));
    let mut writer = local.store().verified_blob_writer(blob.digest).map_err(fail())?;
    let file: File = writer.file().map_err(fail())?;
    let arriving = arrivals.begin(blob.digest, file);
    let broken = |source| ReadError::Layer { digest: blob.digest, source };
    let mut gathered = Vec::with_capacity(2 * TOLD);
    loop {
        let piece = feed.piece().map_err(broken)?;
        let ended = piece.is_none();
        gathered.extend_from_slice(&piece.unwrap_or_default());
        if ended || gathered.len() >= TOLD {
            writer.append(&gathered).map_err(fail())?;
            arriving.reached(writer.length());
            gathered.clear();
        }
        if ended {
            break;
        }
    }
    writer.commit().map_err(fail())?;
    arriving.complete();
    Ok(())
}
