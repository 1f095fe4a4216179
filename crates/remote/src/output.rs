//! Writing images somewhere: registries, layouts, archives, root file systems, the local store.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strata_build::event::{Event, Events, Transfer};
use strata_oci::Descriptor;

use crate::aside::Aside;
use crate::error::WriteError;

pub(crate) mod archive;
pub(crate) mod layout;
pub(crate) mod registry;
pub(crate) mod rootfs;
pub(crate) mod store;

/// Where an archive goes, written aside or streamed.
pub(crate) struct Sink {
    target: BufWriter<Target>,
    path: PathBuf,
}

enum Target {
    File(Aside),
    Stream(Box<dyn Write + Send>),
}

impl Sink {
    pub(crate) fn file(path: &Path) -> Result<Self, WriteError> {
        Ok(Self::new(Target::File(Aside::create(path)?), path))
    }

    pub(crate) fn stream(stream: Box<dyn Write + Send>) -> Self {
        Self::new(Target::Stream(stream), Path::new("-"))
    }

    fn new(target: Target, path: &Path) -> Self {
        Self { target: BufWriter::with_capacity(1 << 18, target), path: path.to_owned() }
    }

    /// Where it goes, for messages; `-` for a stream.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn error(&self, source: io::Error) -> WriteError {
        WriteError::File { path: self.path.clone(), source }
    }

    pub(crate) fn finish(self) -> Result<(), WriteError> {
        let Self { target, path } = self;
        let fail = |source| WriteError::File { path, source };
        match target.into_inner() {
            Ok(Target::File(file)) => file.finish(),
            Ok(Target::Stream(mut stream)) => stream.flush().map_err(fail),
            Err(error) => Err(fail(error.into_error())),
        }
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.target.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stream(stream) => stream.flush(),
        }
    }
}

/// How far the parts of an output are, if they come from far enough for anybody to wait for them.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    events: Arc<dyn Events>,
    transfer: Option<Transfer>,
}

impl Progress {
    pub(crate) fn new(events: Arc<dyn Events>, transfer: Option<Transfer>) -> Self {
        Self { events, transfer }
    }

    /// Tells of one blob: where it stands, at most once a megabyte, and that it is complete.
    pub(crate) fn of_blob(&self, blob: &Descriptor) -> impl FnMut(u64) + Send + use<> {
        let (events, transfer) = (Arc::clone(&self.events), self.transfer);
        let (digest, size) = (blob.digest, blob.size);
        let mut told = 0;
        move |current| {
            if let Some(transfer) = transfer
                && (current >= size || current - told >= 1 << 20)
            {
                told = current;
                events.emit(Event::Blob { digest, transfer, current, total: Some(size) });
            }
        }
    }
}
