//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::WriteError;

/// A file that is written beside its destination and takes its place in [`Aside::finish`]. Dropped before, it
/// leaves nothing behind and the destination as it was.
///
/// A destination that is no regular file (a pipe, `/dev/stdout`) cannot be replaced and is written directly.
#[derive(Debug)]
pub(crate) struct Aside {
    target: Target,
    path: PathBuf,
}

#[derive(Debug)]
enum Target {
    Beside(NamedTempFile),
    Direct(File),
}

impl Aside {
    pub(crate) fn create(path: &Path) -> Result<Self, WriteError> {
        let fail = |source| WriteError::File { path: path.to_owned(), source };
        let target = match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                let problem = "it is a directory";
                return Err(WriteError::InTheWay { path: path.to_owned(), problem });
            }
            Ok(found) if found.file_type().is_fifo() || found.file_type().is_char_device() => {
                Target::Direct(OpenOptions::new().write(true).open(path).map_err(fail)?)
            }
            Ok(_) | Err(_) => Target::Beside(beside(path).map_err(fail)?),
        };
        Ok(Self { target, path: path.to_owned() })
    }

    pub(crate) fn finish(self) -> Result<(), WriteError> {
        let Self { target, path } = self;
        match target {
            Target::Beside(file) => file
                .persist(&path)
                .map(drop)
                .map_err(|error| WriteError::File { path, source: error.error }),
            Target::Direct(_) => Ok(()),
        }
    }
}

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.target {
            Target::Beside(file) => file.as_file_mut().write(bytes),
            Target::Direct(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Beside(file) => file.as_file_mut().flush(),
            Target::Direct(file) => file.flush(),
        }
    }
}

/// Opens a temporary file in the destination's directory, with the mode a plain `open` would have given it.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = parent(path);
    tempfile::Builder::new()
        .prefix(".strata-")
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(directory)
}

/// The directory a path lies in; a bare name lies in the current one.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}
