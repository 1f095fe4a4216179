//! Result files for scripts, written whole or not at all.

use std::io::Write;
use std::path::Path;

use crate::diagnostic::Failure;

/// Replaces a file, by way of a temporary one beside it. What is no plain file (`/dev/stdout`, a
/// named pipe) is written to in place, and so is a file that cannot be replaced but written: in a Pod
/// `/dev/termination-log` is a mount of its own.
pub(crate) fn whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;

    let failure = |error: std::io::Error| Failure::file("write", path, &error);
    let is_special = std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
    if is_special {
        return std::fs::write(path, bytes).map_err(failure);
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let replaced = tempfile::Builder::new()
        .prefix(".strata-")
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(directory)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.persist(path).map_err(|error| error.error).map(drop)
        });
    match replaced {
        Err(_) if path.exists() => in_place(path, bytes).map_err(failure),
        other => other.map_err(failure),
    }
}

fn in_place(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).truncate(true).open(path)?;
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_replaced_and_nothing_left_beside_it() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("id");
        for text in ["first and long", "second"] {
            whole(&path, text.as_bytes()).expect("can be written");
            assert_eq!(std::fs::read_to_string(&path).expect("is there"), text);
        }
        assert_eq!(std::fs::read_dir(directory.path()).expect("is a directory").count(), 1);
    }

    #[test]
    fn missing_directory_is_named() {
        let failure = whole(Path::new("/no/such/file"), b"").expect_err("is not there");
        assert_eq!(failure.diagnostics[0].message, "cannot write `/no/such/file`");
    }
}
