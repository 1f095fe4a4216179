//! Layers that are checked while they are read.

use std::io::{self, Read};

use strata_oci::{DiffId, Hasher};

/// An uncompressed layer that fails at its end if it is not the one that its diff id promises.
pub(super) struct VerifiedLayer<R> {
    reader: R,
    hasher: Option<Hasher>,
    expected: DiffId,
}

impl<R> VerifiedLayer<R> {
    pub(super) fn new(reader: R, expected: DiffId) -> Self {
        Self { reader, hasher: Some(Hasher::new()), expected }
    }
}

impl<R: Read> Read for VerifiedLayer<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            if let Some(hasher) = self.hasher.take() {
                let actual = DiffId(hasher.finish());
                if actual != self.expected {
                    return Err(wrong_diff_id(actual));
                }
            }
        } else if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

pub(super) fn wrong_diff_id(actual: DiffId) -> io::Error {
    let message = format!("layer unpacks to `{actual}`, which is not what the image's config says");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_oci::Digest;

    #[test]
    fn the_end_tells_right_bytes_from_wrong_ones() {
        let right = DiffId(Digest::of(b"layer"));
        let read = |expected| {
            let mut bytes = Vec::new();
            VerifiedLayer::new(&b"layer"[..], expected).read_to_end(&mut bytes).map(|_| bytes)
        };
        assert_eq!(read(right).unwrap(), b"layer");
        let error = read(DiffId(Digest::of(b"other"))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(error.to_string(), wrong_diff_id(right).to_string());
    }
}
