//! Small files with a checksum: a line that says what follows, then the value.
//!
//! ```text
//! strata-entry 1 41 sha256:9f86d081…\n
//! <41 bytes>
//! ```

use std::io::{BufWriter, Read, Write};
use std::path::Path;

use strata_oci::{Digest, Hasher};

use crate::error::StoreError;
use crate::store::{Store, open, remove};

const MAGIC: &str = "strata-entry";
const VERSION: &str = "1";

/// The longest first line: magic, version, 20 digits, a digest.
const LINE: usize = 128;

/// The longest value that is read.
const LIMIT: u64 = (1 << 30) + LINE as u64;

/// Writes the value that `parts` are one after the other.
pub(crate) fn write(store: &Store, path: &Path, parts: &[&[u8]]) -> Result<(), StoreError> {
    let mut hasher = Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let length = hasher.length();
    let file = store.temporary()?;
    // Small parts go as one, large ones as they are.
    let mut writer = BufWriter::new(file.as_file());
    let write = || {
        writeln!(writer, "{MAGIC} {VERSION} {length} {}", hasher.finish())?;
        parts.iter().try_for_each(|part| writer.write_all(part))?;
        writer.flush()
    };
    write().map_err(StoreError::write(path, length))?;
    drop(writer);
    let renamed = file.persist(path);
    renamed.map_err(|error| StoreError::write(path, length)(error.error))?;
    Ok(())
}

/// The value of an entry, if there is one that is whole. One that is not is reported, removed and missing.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(LIMIT).read_to_end(&mut bytes).map_err(StoreError::io("read", path))?;
    if let Some(start) = parse(&bytes) {
        bytes.drain(..start);
        return Ok(Some(bytes));
    }
    discard(path)?;
    Ok(None)
}

/// Reports an entry that cannot be used, and removes it so that it is reported once.
pub(crate) fn discard(path: &Path) -> Result<(), StoreError> {
    tracing::warn!(path = %path.display(), "an entry of the store is damaged and is removed");
    remove(path).map(drop)
}

/// Where the value begins, if the first line tells the truth about it.
fn parse(bytes: &[u8]) -> Option<usize> {
    let end = bytes.iter().take(LINE).position(|&byte| byte == b'\n')?;
    let line = std::str::from_utf8(&bytes[..end]).ok()?;
    let value = &bytes[end + 1..];
    let mut words = line.split(' ');
    let right = words.next() == Some(MAGIC)
        && words.next() == Some(VERSION)
        && words.next()?.parse() == Ok(value.len())
        && words.next()?.parse() == Ok(Digest::of(value))
        && words.next().is_none();
    right.then_some(end + 1)
}
