//! Small files: keys, tokens, configurations.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::IdentityError;

/// No key and no token comes near it.
const LIMIT: u64 = 1 << 20;

/// Reads a text that has to be there.
pub(crate) async fn read(path: &Path) -> Result<String, IdentityError> {
    let failed = |source| IdentityError::File { path: path.to_owned(), source };
    load(path.to_owned()).await.map_err(failed)
}

/// Reads a text that may be there.
pub(crate) async fn read_if_there(path: PathBuf) -> Result<Option<String>, IdentityError> {
    match load(path.clone()).await {
        Ok(text) => Ok(Some(text)),
        // A home directory of somebody else is as good as none.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(None)
        }
        Err(source) => Err(IdentityError::File { path, source }),
    }
}

async fn load(path: PathBuf) -> io::Result<String> {
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        std::fs::File::open(path)?.take(LIMIT).read_to_string(&mut text)?;
        Ok(text)
    });
    reading.await.map_err(io::Error::other)?
}
