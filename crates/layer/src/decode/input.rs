//! The stream under an archive: counted, hashed, bounded.

use std::io::{self, Read};

use super::hashing::Hashing;
use super::{DecodeError, Limited};
use crate::header::BLOCK;

/// How much is read at once where the bytes themselves do not matter.
const CHUNK: usize = 64 << 10;

pub(crate) struct Input<R> {
    reader: R,
    hashing: Option<Hashing>,
    position: u64,
    limit: u64,
}

impl<R: Read> Input<R> {
    pub(crate) fn new(reader: R, hashing: Option<Hashing>, limit: u64) -> Self {
        Self { reader, hashing, position: 0, limit }
    }

    /// How many bytes were read.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The hash of what was read, if it was asked for.
    pub(crate) fn into_hashing(self) -> Option<Hashing> {
        self.hashing
    }

    /// Reads some bytes; none at the end of the stream.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, DecodeError> {
        let read = loop {
            match self.reader.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => break done.map_err(DecodeError::Read)?,
            }
        };
        self.position += read as u64;
        if self.position > self.limit {
            return Err(DecodeError::Limit { what: Limited::Bytes, limit: self.limit });
        }
        if let Some(hashing) = &mut self.hashing {
            hashing.update(&buffer[..read]).map_err(DecodeError::Read)?;
        }
        Ok(read)
    }

    /// Fills the buffer as far as the stream goes.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, DecodeError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    /// Fills the buffer, or tells where the stream ended.
    pub(crate) fn exact(&mut self, buffer: &mut [u8]) -> Result<(), DecodeError> {
        if self.fill(buffer)? < buffer.len() { Err(self.truncated()) } else { Ok(()) }
    }

    /// The next block, or nothing if the stream ends just before it.
    pub(crate) fn block(&mut self) -> Result<Option<[u8; BLOCK]>, DecodeError> {
        let mut block = [0; BLOCK];
        match self.fill(&mut block)? {
            0 => Ok(None),
            BLOCK => Ok(Some(block)),
            _ => Err(self.truncated()),
        }
    }

    /// Reads past `length` bytes, or to the end of the stream; tells how many there were.
    pub(crate) fn skip(&mut self, length: u64) -> Result<u64, DecodeError> {
        let mut left = length;
        let mut buffer = vec![0; CHUNK];
        while left > 0 {
            let most = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            match self.read(&mut buffer[..most])? {
                0 => break,
                read => left -= read as u64,
            }
        }
        Ok(length - left)
    }

    pub(crate) fn truncated(&self) -> DecodeError {
        DecodeError::Truncated { offset: self.position }
    }
}
