//! Files with holes: where their pieces lie, in the four ways that GNU tar has written it down.
//!
//! | format | where the map is |
//! |---|---|
//! | old GNU | in the header of type `S` and the blocks after it |
//! | PAX 0.0 | repeated `GNU.sparse.offset` and `GNU.sparse.numbytes` records |
//! | PAX 0.1 | one `GNU.sparse.map` record |
//! | PAX 1.0 | in front of the file's body: lines with numbers, padded to whole blocks |

use std::io::Read;

use super::input::Input;
use super::{DecodeError, Limited, Problem};
use crate::header::{BLOCK, Header, number};
use crate::pax::{Records, decimal};

/// A stretch of a file that is not a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// All pieces of a file in order, and how long it is with its holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) size: u64,
}

/// Reads a map; `limit` bounds its pieces.
pub(crate) struct Reader {
    pieces: Vec<Piece>,
    limit: usize,
    // Where the header is, for messages.
    header: u64,
}

impl Reader {
    pub(crate) fn new(header: u64, limit: usize) -> Self {
        Self { pieces: Vec::new(), limit, header }
    }

    fn malformed(&self) -> DecodeError {
        DecodeError::Malformed { offset: self.header, problem: Problem::Sparse }
    }

    fn push(&mut self, offset: Option<u64>, length: Option<u64>) -> Result<(), DecodeError> {
        let (Some(offset), Some(length)) = (offset, length) else {
            return Err(self.malformed());
        };
        if self.pieces.len() == self.limit {
            let limit = self.limit as u64;
            return Err(DecodeError::Limit { what: Limited::SparsePieces, limit });
        }
        self.pieces.push(Piece { offset, length });
        Ok(())
    }

    /// The map, if its pieces are in order, do not overlap, lie in the file and are what the body holds.
    fn finish(self, size: Option<u64>, body: u64) -> Result<Map, DecodeError> {
        let Some(size) = size else { return Err(self.malformed()) };
        let (mut end, mut total) = (0_u64, 0_u64);
        for piece in &self.pieces {
            let next = piece.offset.checked_add(piece.length);
            match next {
                Some(next) if piece.offset >= end && next <= size => end = next,
                Some(_) | None => return Err(self.malformed()),
            }
            // No overflow: pieces do not overlap and end within `size`.
            total += piece.length;
        }
        if total != body {
            return Err(self.malformed());
        }
        Ok(Map { pieces: self.pieces, size })
    }

    /// The old GNU format: pieces in the header and in as many blocks after it as say that more follow.
    pub(crate) fn old<R: Read>(
        mut self,
        header: Header<'_>,
        body: u64,
        input: &mut Input<R>,
    ) -> Result<Map, DecodeError> {
        let (pieces, mut more, size) = header.gnu_sparse();
        self.old_pieces(pieces)?;
        while more {
            let block = input.block()?.ok_or_else(|| input.truncated())?;
            self.old_pieces(&block[..504])?;
            more = block[504] != 0;
        }
        self.finish(size.and_then(|size| u64::try_from(size).ok()), body)
    }

    fn old_pieces(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        for piece in bytes.chunks_exact(24) {
            // The first unused slot ends the list.
            if piece[0] == 0 {
                break;
            }
            let value = |field| number(field).and_then(|value| u64::try_from(value).ok());
            self.push(value(&piece[..12]), value(&piece[12..]))?;
        }
        Ok(())
    }

    /// A PAX format, if the records tell of one. The number beside the map says how much of the body the map
    /// itself took.
    pub(crate) fn pax<R: Read>(
        mut self,
        records: &Records,
        body: u64,
        input: &mut Input<R>,
    ) -> Result<Option<(Map, u64)>, DecodeError> {
        let version = (records.get("GNU.sparse.major"), records.get("GNU.sparse.minor"));
        let field = |key| records.get(key).and_then(decimal);
        let size = field("GNU.sparse.realsize").or_else(|| field("GNU.sparse.size"));
        match version {
            (Some(b"1"), Some(b"0")) => {
                let used = self.body_map(body, input)?;
                Ok(Some((self.finish(size, body - used)?, used)))
            }
            (None, None) | (Some(b"0"), Some(b"0" | b"1")) => {
                let Some(map) = records.get("GNU.sparse.map") else { return Ok(None) };
                let mut numbers = map.split(|&byte| byte == b',').map(decimal);
                while let Some(offset) = numbers.next() {
                    self.push(offset, numbers.next().flatten())?;
                }
                Ok(Some((self.finish(size, body)?, 0)))
            }
            _ => {
                Err(DecodeError::Malformed { offset: self.header, problem: Problem::SparseVersion })
            }
        }
    }

    /// Format 1.0: how many pieces, then offset and length of each, one number a line, in whole blocks.
    fn body_map<R: Read>(&mut self, body: u64, input: &mut Input<R>) -> Result<u64, DecodeError> {
        let mut lines = Lines { block: [0; BLOCK], at: BLOCK, used: 0, body };
        let count = lines.number(input)?.ok_or_else(|| self.malformed())?;
        for _ in 0..count {
            let offset = lines.number(input)?;
            let length = lines.number(input)?;
            self.push(offset, length)?;
        }
        Ok(lines.used)
    }
}

struct Lines {
    block: [u8; BLOCK],
    at: usize,
    used: u64,
    body: u64,
}

impl Lines {
    fn number<R: Read>(&mut self, input: &mut Input<R>) -> Result<Option<u64>, DecodeError> {
        let mut text = Vec::new();
        loop {
            if self.at == BLOCK {
                if self.body - self.used < BLOCK as u64 {
                    return Ok(None);
                }
                input.exact(&mut self.block)?;
                self.used += BLOCK as u64;
                self.at = 0;
            }
            let byte = self.block[self.at];
            self.at += 1;
            match byte {
                b'\n' => return Ok(decimal(&text)),
                // No number has more digits.
                _ if text.len() == 20 => return Ok(None),
                _ => text.push(byte),
            }
        }
    }
}
