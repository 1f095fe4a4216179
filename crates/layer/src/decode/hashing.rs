//! Hashing beside whoever reads: a long stream is hashed on a thread of its own.

use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use strata_oci::Hasher;

/// How much goes to the thread at once, and below which length there is none.
const PIECE: usize = 256 << 10;

/// How many pieces may wait for it.
const PIECES: usize = 4;

/// A hash of what was read so far.
#[derive(Debug)]
pub(super) struct Hashing {
    gathered: Vec<u8>,
    thread: Option<Thread>,
}

#[derive(Debug)]
struct Thread {
    pieces: SyncSender<Vec<u8>>,
    hashes: JoinHandle<Hasher>,
}

impl Hashing {
    pub(super) fn new() -> Self {
        Self { gathered: Vec::new(), thread: None }
    }

    /// Takes the next bytes.
    pub(super) fn update(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while self.gathered.len() + bytes.len() >= PIECE {
            let (now, later) = bytes.split_at(PIECE - self.gathered.len());
            self.gathered.extend_from_slice(now);
            bytes = later;
            let piece = std::mem::replace(&mut self.gathered, Vec::with_capacity(PIECE));
            self.send(piece)?;
        }
        self.gathered.extend_from_slice(bytes);
        Ok(())
    }

    fn send(&mut self, piece: Vec<u8>) -> io::Result<()> {
        let thread = match &mut self.thread {
            Some(thread) => thread,
            none => none.insert(Thread::start()?),
        };
        // It ends before its pieces do only if it panics, which `finish` tells.
        let _ = thread.pieces.send(piece);
        Ok(())
    }

    pub(super) fn finish(self) -> Hasher {
        let mut hasher = match self.thread {
            Some(Thread { pieces, hashes }) => {
                drop(pieces);
                hashes.join().unwrap_or_else(|panic| resume_unwind(panic))
            }
            None => Hasher::new(),
        };
        hasher.update(&self.gathered);
        hasher
    }
}

impl Thread {
    fn start() -> io::Result<Self> {
        let (pieces, waiting) = sync_channel::<Vec<u8>>(PIECES);
        let hash = move || {
            let mut hasher = Hasher::new();
            for piece in waiting {
                hasher.update(&piece);
            }
            hasher
        };
        let hashes = thread::Builder::new().name("strata-diff-id".to_owned()).spawn(hash)?;
        Ok(Self { pieces, hashes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_bytes_however_they_come() {
        let bytes: Vec<u8> = (0..=250).cycle().take(3 * PIECE + 77).collect();
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, bytes.len()] {
            for portion in [1000, PIECE - 1, PIECE, 2 * PIECE + 5] {
                let mut hashing = Hashing::new();
                for part in bytes[..length].chunks(portion) {
                    hashing.update(part).expect("a thread");
                }
                let mut direct = Hasher::new();
                direct.update(&bytes[..length]);
                let found = hashing.finish();
                assert_eq!(found.length(), length as u64);
                assert_eq!(found.finish(), direct.finish(), "{length} in portions of {portion}");
            }
        }
    }
}
