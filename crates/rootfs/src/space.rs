//! Whether there is room for what is to be unpacked.

use std::path::Path;

use crate::error::SnapshotError;

/// Compares what is needed at least with what is free. Where the file system does not say, there is room.
pub(crate) fn require(directory: &Path, needed: u64) -> Result<(), SnapshotError> {
    let Ok(found) = rustix::fs::statvfs(directory) else { return Ok(()) };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if needed <= free {
        return Ok(());
    }
    Err(SnapshotError::NoSpace { directory: directory.to_owned(), needed, free })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_fit_is_refused() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        assert!(require(directory.path(), 0).is_ok());
        let error = require(directory.path(), u64::MAX).expect_err("no disk is that large");
        assert!(matches!(error, SnapshotError::NoSpace { needed: u64::MAX, .. }), "{error}");
    }
}
