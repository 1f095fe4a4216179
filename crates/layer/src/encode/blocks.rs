//! The tar stream cut into blocks that several threads share.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// How long a block is. It decides where compressed blocks meet, and so the bytes of every gzip blob.
pub(crate) const LENGTH: usize = 1 << 20;

/// A piece of the stream, [`LENGTH`] bytes long except for the last.
pub(crate) type Block = Arc<Vec<u8>>;

/// Collects bytes into blocks and gives each block to every receiver.
#[derive(Debug)]
pub(crate) struct Blocks {
    current: Vec<u8>,
    filled: usize,
    receivers: Vec<SyncSender<Block>>,
    position: u64,
}

impl Blocks {
    pub(crate) fn new(receivers: Vec<SyncSender<Block>>) -> Self {
        Self { current: vec![0; LENGTH], filled: 0, receivers, position: 0 }
    }

    /// How many bytes came in so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Takes what one `read` gives, at most `limit` bytes, without a buffer in between.
    pub(crate) fn read_from(
        &mut self,
        reader: &mut dyn Read,
        limit: u64,
    ) -> io::Result<Result<usize, Gone>> {
        let room = LENGTH - self.filled;
        let limit = usize::try_from(limit).map_or(room, |limit| limit.min(room));
        let read = reader.read(&mut self.current[self.filled..self.filled + limit])?;
        Ok(self.advance(read).map(|()| read))
    }

    pub(crate) fn finish(mut self) -> Result<(), Gone> {
        self.current.truncate(self.filled);
        if self.filled > 0 { self.send(Vec::new()) } else { Ok(()) }
    }

    fn advance(&mut self, read: usize) -> Result<(), Gone> {
        self.filled += read;
        self.position += read as u64;
        if self.filled == LENGTH {
            self.filled = 0;
            self.send(vec![0; LENGTH])?;
        }
        Ok(())
    }

    fn send(&mut self, next: Vec<u8>) -> Result<(), Gone> {
        let block = Arc::new(std::mem::replace(&mut self.current, next));
        self.receivers
            .iter()
            .try_for_each(|receiver| receiver.send(Arc::clone(&block)).map_err(|_| Gone))
    }
}

/// A receiver has stopped; it knows why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone;

impl From<Gone> for io::Error {
    fn from(Gone: Gone) -> Self {
        Self::from(io::ErrorKind::BrokenPipe)
    }
}

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(LENGTH - self.filled);
        self.current[self.filled..self.filled + length].copy_from_slice(&bytes[..length]);
        self.advance(length)?;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
