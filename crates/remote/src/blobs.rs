//! Where new layers go.

use std::io::{self, Write};

use strata_build::event::StepNumber;
use strata_build::ports::{BlobWriter, Blobs};
use strata_oci::{Descriptor, MediaType};

use crate::local::Local;
use crate::uploads::{Following, Uploads};

/// A layer with this many bytes is sent while more are written. A smaller one is sent as a whole in a moment, and not
/// at all where the registry has it.
const LARGE: u64 = 4 << 20;
/// How much is told at once to whoever sends it along: each time wakes a thread.
const TOLD: u64 = 256 << 10;

/// New layers go into the local store, and large ones of the result from there to where it is pushed.
#[derive(Clone, Debug)]
pub struct StoreBlobs {
    local: Local,
    uploads: Uploads,
}

impl StoreBlobs {
    /// Blobs for this store. Of a layer that ships, `uploads` is told early.
    pub fn new(local: Local, uploads: Uploads) -> Self {
        Self { local, uploads }
    }
}

impl Blobs for StoreBlobs {
    fn writer(&self, ships: Option<StepNumber>) -> io::Result<Box<dyn BlobWriter>> {
        let writer = self.local.store().blob_writer()?;
        let along = match ships {
            Some(step) => Along::Small(step, self.uploads.clone()),
            None => Along::Stays,
        };
        Ok(Box::new(Writer { writer, along }))
    }
}

#[derive(Debug)]
struct Writer {
    writer: strata_store::BlobWriter,
    along: Along,
}

/// What is sent along of a blob that is being written.
#[derive(Debug)]
enum Along {
    /// Nothing.
    Stays,
    /// Nothing yet.
    Small(StepNumber, Uploads),
    /// What is written.
    Follows { following: Following, told: u64 },
}

impl Writer {
    /// Lets what was just written be sent, if it is.
    fn tell(&mut self) {
        let length = self.writer.length();
        match &mut self.along {
            Along::Small(step, uploads) if length >= LARGE => {
                // Without it the layer is sent when it is complete.
                let file = self.writer.file().ok();
                self.along = match file.and_then(|file| uploads.follow(*step, file)) {
                    Some(following) => {
                        following.reached(length);
                        Along::Follows { following, told: length }
                    }
                    None => Along::Stays,
                };
            }
            Along::Follows { following, told } if length - *told >= TOLD => {
                following.reached(length);
                *told = length;
            }
            Along::Stays | Along::Small(..) | Along::Follows { .. } => {}
        }
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        self.tell();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl BlobWriter for Writer {
    fn commit(self: Box<Self>, media_type: MediaType) -> io::Result<Descriptor> {
        let Self { writer, along } = *self;
        let (digest, size) = writer.commit()?;
        let blob = Descriptor::new(media_type, digest, size);
        if let Along::Follows { following, .. } = along {
            following.complete(&blob);
        }
        Ok(blob)
    }
}
