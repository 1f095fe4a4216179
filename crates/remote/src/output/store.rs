//! Puts images into the local store.

use futures_util::{TryStreamExt, stream};
use strata_oci::{Descriptor, Reference};

use super::Progress;
use crate::error::WriteError;
use crate::local::Local;
use crate::origin::Bundle;
use crate::stream::{blocking, consume};

/// Blobs on their way at one time.
const PARALLEL: usize = 4;

/// Brings every blob of a bundle into the store, then its manifests, then gives it its names.
pub(crate) async fn write(
    bundle: &Bundle,
    names: &[Reference],
    local: &Local,
    progress: &Progress,
) -> Result<(), WriteError> {
    let blobs = bundle.blobs();
    bundle.origin().prepare(&blobs).await?;
    stream::iter(blobs.into_iter().map(Ok))
        .try_for_each_concurrent(PARALLEL, |blob| keep(bundle, blob, local, progress))
        .await?;
    let (local, bundle, names) = (local.clone(), bundle.clone(), names.to_vec());
    blocking(move || {
        for manifest in bundle.manifests().iter().chain([bundle.root()]) {
            local.put_blob(&mut manifest.bytes(), &manifest.descriptor())?;
        }
        for name in names {
            let what = format!("image `{}`", name.familiar());
            local
                .store()
                .put_image(&name.or_latest(), &bundle.root().descriptor())
                .map_err(|source| WriteError::Store { what, source })?;
        }
        Ok(())
    })
    .await
}

async fn keep(
    bundle: &Bundle,
    blob: Descriptor,
    local: &Local,
    progress: &Progress,
) -> Result<(), WriteError> {
    let (asked, wanted) = (local.clone(), blob.clone());
    if blocking(move || asked.has_blob(&wanted)).await? {
        return Ok(());
    }
    let stream = bundle.origin().blob(&blob).await?;
    let (local, progress) = (local.clone(), progress.of_blob(&blob));
    consume(stream, progress, move |mut feed| Ok(local.put_blob(&mut feed, &blob)?)).await
}
