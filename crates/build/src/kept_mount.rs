//! A cache mount's directory as an archive that can be kept elsewhere, and back.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use strata_layer::{EncodeOptions, encode};
use strata_oci::{Compression, DiffId, Digest};
use strata_rootfs::{
    BaseLayer, DiskContents, Snapshotter, WalkSnapshotter, Workspace, read_directory,
};

use crate::error::ErrorKind;

/// A cache mount of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheMount {
    /// Its name on every machine.
    pub name: Digest,
    /// Its id in the Dockerfile.
    pub id: String,
    /// Where this machine keeps it: `lock`, and `data` once there is something.
    pub slot: PathBuf,
}

/// Writes what a mount holds as an archive: the same bytes for the same files. Nothing if somebody uses it.
pub fn pack(
    mount: &CacheMount,
    output: &mut (dyn Write + Send),
) -> Result<Option<DiffId>, ErrorKind> {
    let failed = |source| ErrorKind::Io {
        action: "open",
        what: format!("the cache mount `{}`", mount.id),
        source,
    };
    let lock = File::open(mount.slot.join("lock")).map_err(failed)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(failed(error.into())),
    }
    let changes = read_directory(&mount.slot.join("data"))?;
    let options = EncodeOptions { compression: Compression::None, ..EncodeOptions::default() };
    let mut output = output;
    let encoded = encode(&changes, &DiskContents, &options, &mut output)?;
    Ok(Some(encoded.diff_id))
}

/// Makes what an archive holds the `data` of a slot that has none. Whoever is stopped on the way, and an archive
/// that is not what it should be, leaves no half of it.
pub fn unpack(
    slot: &Path,
    diff_id: DiffId,
    archive: impl Read + Send + 'static,
) -> Result<(), ErrorKind> {
    let nursery = nursery(slot)?;
    let open = Box::new(move || Ok(Box::new(archive) as Box<dyn Read + Send>));
    let base = vec![BaseLayer { diff_id, size: 0, open }];
    let workspace = WalkSnapshotter::open(nursery.path())?.create(base)?;
    settle(slot, workspace)
}

/// A place beside `data` in which it can grow.
pub(crate) fn nursery(slot: &Path) -> Result<tempfile::TempDir, ErrorKind> {
    tempfile::Builder::new().prefix("new-").tempdir_in(slot).map_err(filling)
}

/// Makes the root of a workspace the `data` of a slot, at once.
pub(crate) fn settle(slot: &Path, mut workspace: Box<dyn Workspace>) -> Result<(), ErrorKind> {
    let root = workspace.root()?;
    std::fs::rename(&root, slot.join("data")).map_err(filling)?;
    // It cleans up after itself, and has to find what it made.
    std::fs::create_dir(&root).map_err(filling)
}

fn filling(source: io::Error) -> ErrorKind {
    ErrorKind::Io { action: "fill", what: "a cache mount".to_owned(), source }
}

/// Opens a file that is locked to keep others out.
pub(crate) fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(path)
}
