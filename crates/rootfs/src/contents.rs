//! Reading files back from workspaces.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use strata_layer::{Content, OpenContent};
use strata_sys::{Dir, PathError};
use strata_tree::TreePath;

use crate::descent::{Descent, Obstacle};

/// Opens [`Content::Disk`], which is all that workspaces give, and `Inline`; everything else is
/// [`Unsupported`](io::ErrorKind::Unsupported).
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskContents;

impl OpenContent for DiskContents {
    fn open(&self, content: &Content, _size: u64) -> io::Result<Box<dyn Read + Send>> {
        match content {
            Content::Disk { directory, path } => Ok(Box::new(open_file(directory, path)?)),
            Content::Inline(bytes) => Ok(Box::new(io::Cursor::new(bytes.clone()))),
            Content::Context { .. } | Content::Layer { .. } | Content::Slice { .. } => {
                Err(io::ErrorKind::Unsupported.into())
            }
        }
    }
}

/// Opens a regular file of a workspace, following no link.
pub(crate) fn open_file(directory: &Path, path: &TreePath) -> io::Result<File> {
    at(directory, path, |dir, name| dir.open_file(name))?.map_err(io)
}

/// Does something with the directory that a file of a workspace is in, following no link, and with the file's name.
pub(crate) fn at<T>(
    directory: &Path,
    path: &TreePath,
    act: impl FnOnce(&Dir, &[u8]) -> T,
) -> io::Result<T> {
    let mut descent = Descent::new(Dir::open(directory).map_err(io)?);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::IsADirectory.into());
    };
    let dir = descent.directory(&parent, Obstacle::Fail).map_err(io)?;
    Ok(act(dir, name))
}

fn io(error: PathError) -> io::Error {
    io::Error::new(io::Error::from(error.source).kind(), error)
}
