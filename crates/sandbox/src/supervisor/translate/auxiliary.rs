//! What the kernel tells a new program about itself, on its stack.
//!
//! ```text
//! stack pointer ─► count | arguments … | 0 | environment … | 0 | key, value | key, value | … | 0, 0
//! ```

use rustix::io::Errno;

use crate::supervisor::caller::Caller;

pub(super) const TABLE: u64 = 3;
pub(super) const ROWS: u64 = 5;
pub(super) const BASE: u64 = 7;
pub(super) const ENTRY: u64 = 9;
pub(super) const USER: u64 = 11;
pub(super) const EFFECTIVE_USER: u64 = 12;
pub(super) const GROUP: u64 = 13;
pub(super) const EFFECTIVE_GROUP: u64 = 14;
pub(super) const FILE_NAME: u64 = 31;
pub(super) const KERNELS_PAGE: u64 = 33;

/// The kernel has about twenty.
const MOST_PAIRS: u64 = 128;

const WORD: u64 = 8;
const CHUNK: usize = 2048;

/// The list, and where it is.
#[derive(Debug)]
pub(super) struct Auxiliary {
    address: u64,
    pairs: Vec<(u64, u64)>,
}

impl Auxiliary {
    /// Finds it on the stack of a program that has not begun.
    pub(super) fn find(caller: &mut Caller<'_>, stack: u64) -> Result<Self, Errno> {
        let mut words = Words { next: stack, chunk: Vec::new() };
        let count = words.take(caller)?;
        words.next = count
            .checked_add(1)
            .and_then(|count| count.checked_mul(WORD))
            .and_then(|length| words.next.checked_add(length))
            .ok_or(Errno::FAULT)?;
        words.chunk.clear();
        while words.take(caller)? != 0 {}
        let address = words.next;
        let mut pairs = Vec::new();
        for _ in 0..MOST_PAIRS {
            let pair = (words.take(caller)?, words.take(caller)?);
            if pair.0 == 0 {
                return Ok(Self { address, pairs });
            }
            pairs.push(pair);
        }
        Err(Errno::FAULT)
    }

    pub(super) fn get(&self, key: u64) -> Option<u64> {
        self.pairs.iter().find(|pair| pair.0 == key).map(|pair| pair.1)
    }

    /// Says something else about what is in the list.
    pub(super) fn set(&mut self, key: u64, value: u64) {
        if let Some(pair) = self.pairs.iter_mut().find(|pair| pair.0 == key) {
            pair.1 = value;
        }
    }

    pub(super) fn write(&self, caller: &mut Caller<'_>) -> Result<(), Errno> {
        let words = self.pairs.iter().flat_map(|&(key, value)| [key, value]);
        let bytes: Vec<u8> = words.flat_map(u64::to_ne_bytes).collect();
        caller.write(self.address, &bytes)
    }
}

/// Words of another process's memory, read in larger pieces.
struct Words {
    next: u64,
    /// From `next` on.
    chunk: Vec<u8>,
}

impl Words {
    fn take(&mut self, caller: &mut Caller<'_>) -> Result<u64, Errno> {
        if self.chunk.len() < 8 {
            self.chunk = vec![0; CHUNK];
            let length = caller.read(self.next, &mut self.chunk)?;
            self.chunk.truncate(length);
            self.chunk.reverse();
        }
        let mut word = [0; 8];
        for byte in &mut word {
            *byte = self.chunk.pop().ok_or(Errno::FAULT)?;
        }
        self.next += WORD;
        Ok(u64::from_ne_bytes(word))
    }
}
