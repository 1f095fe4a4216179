//! Small files with a checksum: a line that says what follows, then the value.
//!
//! ```text
//! strata-entry 1 41 sha256:9f86d081…\n
//! <41 bytes>
//! ```

use std::io::{Read, Write};
use std::path::Path;

use strata_oci::Digest;

use crate::error::StoreError;
use crate::store::{Store, open, remove};

const MAGIC: &str = "strata-entry";
const VERSION: &str = "1";

/// The longest first line: magic, version, 20 digits, a digest.
const LINE: usize = 128;

/// The longest value that is read.
const LIMIT: u64 = (1 << 30) + LINE as u64;

pub(crate) fn write(store: &Store, path: &Path, value: &[u8]) -> Result<(), StoreError> {
    let file = store.temporary()?;
    let line = format!("{MAGIC} {VERSION} {} {}\n", value.len(), Digest::of(value));
    let mut bytes = line.into_bytes();
    bytes.extend_from_slice(value);
    file.as_file().write_all(&bytes).map_err(StoreError::write(path, bytes.len() as u64))?;
    let renamed = file.persist(path);
    renamed.map_err(|error| StoreError::write(path, bytes.len() as u64)(error.error))?;
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
