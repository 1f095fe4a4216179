//! Making a directory of the context, whatever it is.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use strata_layer::{ArchiveCompression, decompress_archive};
use tempfile::TempDir;

use crate::diagnostic::{Diagnostic, Failure};
use crate::exit::Exit;
use crate::value::context::ContextSource;

/// The header of a tar archive's first entry.
const HEADER: usize = 512;

/// A directory that the context is in.
#[derive(Debug)]
pub(crate) struct OpenedContext {
    path: PathBuf,
    /// The Dockerfile, if that is all that was given.
    pub(crate) dockerfile: Option<Vec<u8>>,
    /// When it was made, in seconds since 1970, if it says so; a directory does not.
    pub(crate) time: Option<i64>,
    // An unpacked archive lives as long as this.
    _unpacked: Option<TempDir>,
}

impl OpenedContext {
    /// A directory in a temporary one, which lives as long.
    pub(crate) fn unpacked(path: PathBuf, whole: TempDir, time: Option<i64>) -> Self {
        Self { path, dockerfile: None, time, _unpacked: Some(whole) }
    }

    /// Takes a directory of the context for the context. A link must not lead out of it.
    pub(crate) fn enter(&mut self, directory: &Path) -> Result<(), Failure> {
        let inside = self.path.join(directory.strip_prefix("/").unwrap_or(directory));
        let unreadable = |error: io::Error| Failure::file("open the context's", directory, &error);
        let whole = self.path.canonicalize().map_err(unreadable)?;
        let real = inside.canonicalize().map_err(unreadable)?;
        if !real.starts_with(&whole) || !real.is_dir() {
            let message = format!("`{}` is no directory of the context", directory.display());
            return Err(Failure::new(Exit::Failed, Diagnostic::error(message)));
        }
        self.path = inside;
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens a context of this machine. Archives are unpacked below `scratch`.
pub(crate) fn open(source: &ContextSource, scratch: &Path) -> Result<OpenedContext, Failure> {
    match source {
        ContextSource::Stdin => piped(io::stdin(), Path::new("-"), scratch),
        ContextSource::Local(path) => {
            let file = File::open(path).map_err(|error| Failure::file("open", path, &error))?;
            let metadata = file.metadata().map_err(|error| Failure::file("open", path, &error))?;
            if metadata.is_dir() {
                let path = path.clone();
                return Ok(OpenedContext { path, dockerfile: None, time: None, _unpacked: None });
            }
            let (start, whole) = peek(file, path)?;
            if is_archive(&start) {
                unpack(whole, path, scratch)
            } else {
                let message = format!("`{}` is neither a directory nor an archive", path.display());
                Err(Failure::new(Exit::Failed, Diagnostic::error(message)).help(
                    "a context is a directory or a tar archive; a Dockerfile is named with `--file`",
                ))
            }
        }
        ContextSource::Git(_)
        | ContextSource::Url(_)
        | ContextSource::Object(_)
        | ContextSource::Image(_)
        | ContextSource::Layout { .. } => Err(Failure::usage("an image has no build context")),
    }
}

/// Standard input, or a download: an archive, or a Dockerfile alone, with nothing to copy from.
pub(crate) fn piped(
    reader: impl Read + Send + 'static,
    name: &Path,
    scratch: &Path,
) -> Result<OpenedContext, Failure> {
    let (start, mut whole) = peek(reader, name)?;
    if is_archive(&start) {
        return unpack(whole, name, scratch);
    }
    let mut text = Vec::new();
    whole.read_to_end(&mut text).map_err(|error| Failure::file("read", name, &error))?;
    let empty = directory(scratch)?;
    Ok(OpenedContext {
        path: empty.path().to_owned(),
        dockerfile: Some(text),
        time: None,
        _unpacked: Some(empty),
    })
}

/// Reads the first bytes, and gives them with a reader that still has them.
fn peek(
    mut reader: impl Read + Send + 'static,
    path: &Path,
) -> Result<(Vec<u8>, impl Read + Send + 'static), Failure> {
    let mut start = Vec::new();
    reader
        .by_ref()
        .take(HEADER as u64)
        .read_to_end(&mut start)
        .map_err(|error| Failure::file("read", path, &error))?;
    Ok((start.clone(), Cursor::new(start).chain(reader)))
}

/// Whether these are the first bytes of an archive: compressed, or the header of a tar entry.
fn is_archive(start: &[u8]) -> bool {
    if ArchiveCompression::detect(start) != ArchiveCompression::None {
        return true;
    }
    let Some(header) = start.get(..HEADER) else { return false };
    // The oldest archives have no magic, but all have the sum of the header's bytes, with its own
    // field taken for blanks.
    let field = header[148..156].iter().copied().filter(u8::is_ascii_digit);
    let stated = field.fold(0u32, |sum, digit| (sum << 3) | u32::from(digit - b'0'));
    let sum: u32 = header
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
        .sum();
    stated == sum
}

fn unpack(
    reader: impl Read + Send + 'static,
    name: &Path,
    scratch: &Path,
) -> Result<OpenedContext, Failure> {
    let unreadable = |error: io::Error| {
        let message = format!("cannot unpack the build context `{}`", name.display());
        Failure::new(Exit::Failed, Diagnostic::error(message).caused_by(Some(&error)))
    };
    let unpacked = directory(scratch)?;
    let mut archive = tar::Archive::new(decompress_archive(reader).map_err(unreadable)?);
    archive.set_preserve_permissions(true);
    archive.set_preserve_mtime(true);
    archive.set_overwrite(true);
    archive.unpack(unpacked.path()).map_err(unreadable)?;
    let time = latest(unpacked.path()).map_err(unreadable)?;
    Ok(OpenedContext::unpacked(unpacked.path().to_owned(), unpacked, time))
}

/// The time of the file that was changed last.
fn latest(directory: &Path) -> io::Result<Option<i64>> {
    let mut found = None;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let time = if metadata.is_dir() {
            latest(&entry.path())?
        } else if metadata.is_file() {
            Some(metadata.mtime())
        } else {
            None
        };
        found = found.max(time);
    }
    Ok(found)
}

/// A directory that goes away.
pub(crate) fn directory(scratch: &Path) -> Result<TempDir, Failure> {
    tempfile::Builder::new()
        .prefix("context-")
        .tempdir_in(scratch)
        .map_err(|error| Failure::file("make a directory in", scratch, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o750);
            header.set_mtime(7 + text.len() as u64);
            builder.append_data(&mut header, name, text.as_bytes()).expect("memory takes it");
        }
        builder.into_inner().expect("memory takes it")
    }

    fn old(mut archive: Vec<u8>) -> Vec<u8> {
        archive[257..265].fill(0);
        archive[148..156].fill(b' ');
        let sum: u32 = archive[..HEADER].iter().map(|byte| u32::from(*byte)).sum();
        archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive
    }

    #[test]
    fn archive_is_told_from_a_dockerfile() {
        let long = format!("FROM scratch\n{}", "# comment\n".repeat(100));
        for (start, expected) in [
            (archive(&[("a", "b")]), true),
            (old(archive(&[("a", "b")])), true),
            (vec![0x1f, 0x8b, 0x08, 0], true),
            (b"FROM scratch\n".to_vec(), false),
            (long.into_bytes(), false),
            (Vec::new(), false),
        ] {
            assert_eq!(is_archive(&start), expected);
        }
    }

    #[test]
    fn pipe_holds_an_archive_or_a_dockerfile() {
        let scratch = tempfile::tempdir().expect("a temporary directory can be made");
        let bytes = archive(&[("Dockerfile", "FROM scratch"), ("d/e", "x")]);
        let opened =
            piped(Cursor::new(bytes), Path::new("-"), scratch.path()).expect("is an archive");
        let text = std::fs::read_to_string(opened.path().join("d/e")).expect("was unpacked");
        assert_eq!((text.as_str(), opened.dockerfile.clone()), ("x", None));
        // The Dockerfile's twelve letters make it the newer one.
        assert_eq!(opened.time, Some(19));
        let path = opened.path().to_owned();
        drop(opened);
        assert!(!path.exists());

        let opened =
            piped(Cursor::new("FROM a"), Path::new("-"), scratch.path()).expect("is a text");
        assert_eq!(opened.dockerfile.as_deref(), Some(&b"FROM a"[..]));
        assert_eq!(std::fs::read_dir(opened.path()).expect("is a directory").count(), 0);
    }

    #[test]
    fn context_can_be_a_directory_of_itself() {
        let whole = tempfile::tempdir().expect("a temporary directory can be made");
        std::fs::create_dir_all(whole.path().join("a/b")).expect("is new");
        std::fs::write(whole.path().join("f"), "").expect("can be written");
        std::os::unix::fs::symlink("/", whole.path().join("l")).expect("is new");
        for (directory, expected) in [
            ("a/b", Some("a/b")),
            ("/a", Some("a")),
            ("f", None),
            ("l", None),
            ("..", None),
            ("none", None),
        ] {
            let mut opened = open(&ContextSource::Local(whole.path().to_owned()), whole.path())
                .expect("is a directory");
            let entered =
                opened.enter(Path::new(directory)).ok().map(|()| opened.path().to_owned());
            assert_eq!(entered, expected.map(|path| whole.path().join(path)), "{directory}");
        }
    }

    #[test]
    fn archive_cannot_leave_its_directory() {
        let scratch = tempfile::tempdir().expect("a temporary directory can be made");
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..9].copy_from_slice(b"../escape");
        header.set_size(1);
        header.set_mode(0o600);
        header.set_cksum();
        builder.append(&header, &b"x"[..]).expect("memory takes it");
        let bytes = builder.into_inner().expect("memory takes it");
        // Such entries are left out.
        let opened =
            piped(Cursor::new(bytes), Path::new("-"), scratch.path()).expect("is an archive");
        assert!(!opened.path().join("../escape").exists());
    }
}
