//! Giving the state directory to the user who is root inside a namespace without user 0.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

use super::EnterError;

/// Who is root inside, seen from outside: the first user that can be mapped.
const ROOT_INSIDE: u32 = 1;

/// Where file systems of images stand, whose owners say something.
const KEEPS_OWNERS: &str = "unpacked";

/// Gives what belongs to root to the user who will be root. What commands run outside of the namespace
/// (`strata images`) leave there belongs to the real one; so this is done each time.
pub(crate) fn hand_over(path: &Path) -> Result<(), EnterError> {
    let failed = |source| EnterError::HandOver { path: path.to_owned(), source };
    let metadata = path.symlink_metadata().map_err(failed)?;
    if metadata.uid() == 0 {
        lchown(path, Some(ROOT_INSIDE), None).map_err(failed)?;
    }
    if !metadata.is_dir() || path.file_name().is_some_and(|name| name == KEEPS_OWNERS) {
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(failed)? {
        hand_over(&entry.map_err(failed)?.path())?;
    }
    Ok(())
}
