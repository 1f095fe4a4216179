//! Where new layers go.

use std::io::{self, Write};

use strata_build::ports::{BlobWriter, Blobs};
use strata_oci::{Descriptor, MediaType};

use crate::local::Local;

/// New layers go into the local store.
#[derive(Clone, Debug)]
pub struct StoreBlobs(Local);

impl StoreBlobs {
    /// Blobs for this store.
    pub fn new(local: Local) -> Self {
        Self(local)
    }
}

impl Blobs for StoreBlobs {
    fn writer(&self) -> io::Result<Box<dyn BlobWriter>> {
        let writer = self.0.store().blob_writer()?;
        Ok(Box::new(Writer(writer)))
    }
}

#[derive(Debug)]
struct Writer(strata_store::BlobWriter);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl BlobWriter for Writer {
    /// The descriptor knows bytes, not meaning: its media type says so.
    fn commit(self: Box<Self>) -> io::Result<Descriptor> {
        let (digest, size) = self.0.commit()?;
        let media_type = MediaType::Other("application/octet-stream".to_owned());
        Ok(Descriptor::new(media_type, digest, size))
    }
}
