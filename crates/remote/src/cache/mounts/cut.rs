//! Cuts a stream where its content says: what is inserted or changed moves no cut but those beside it.
//!
//! A rolling sum over the last 64 bytes (a "gear" sum: shift, and add a number that stands for the byte) decides
//! where a piece ends: where its highest bits are zero. The numbers are fixed, so that all machines cut alike.

use std::io::{self, Write};

const SHORTEST: usize = 256 << 10;
/// How many bytes a sum is about: each is shifted out after so many others.
const WINDOW: usize = 64;
/// The longest piece.
pub(super) const LONGEST: usize = 4 << 20;
/// On average a piece goes on for a megabyte after [`SHORTEST`].
const BITS: u32 = 20;

/// One number for each byte: splitmix64, from a fixed seed.
const NUMBERS: [u64; 256] = {
    let mut numbers = [0; 256];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut index = 0;
    while index < numbers.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        numbers[index] = mixed ^ (mixed >> 31);
        index += 1;
    }
    numbers
};

/// Takes a stream and gives its pieces to a function.
pub(super) struct Cutter<F> {
    give: F,
    piece: Vec<u8>,
    sum: u64,
}

impl<F: FnMut(&[u8]) -> io::Result<()>> Cutter<F> {
    pub(super) fn new(give: F) -> Self {
        Self { give, piece: Vec::with_capacity(SHORTEST), sum: 0 }
    }

    /// Gives what is left.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if self.piece.is_empty() { Ok(()) } else { (self.give)(&self.piece) }
    }

    /// Adds bytes to the sum, up to where the piece ends among them.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        for (index, &byte) in bytes.iter().enumerate() {
            self.sum = (self.sum << 1).wrapping_add(NUMBERS[usize::from(byte)]);
            let length = self.piece.len() + index + 1;
            if length >= LONGEST || (length >= SHORTEST && self.sum >> (64 - BITS) == 0) {
                return Some(index + 1);
            }
        }
        None
    }

    fn cut(&mut self) -> io::Result<()> {
        (self.give)(&self.piece)?;
        self.piece.clear();
        self.sum = 0;
        Ok(())
    }
}

impl<F: FnMut(&[u8]) -> io::Result<()>> Write for Cutter<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            // What lies that far before the first possible cut is no part of any sum that counts.
            let free = (SHORTEST - WINDOW).saturating_sub(self.piece.len()).min(rest.len());
            let (before, after) = rest.split_at(free);
            self.piece.extend_from_slice(before);
            let end = self.end(after);
            let (piece, next) = after.split_at(end.unwrap_or(after.len()));
            self.piece.extend_from_slice(piece);
            if end.is_some() {
                self.cut()?;
            }
            rest = next;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use strata_oci::Digest;

    use super::*;

    fn pieces(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        let mut cutter = Cutter::new(|piece: &[u8]| {
            pieces.push(piece.to_vec());
            Ok(())
        });
        // However it arrives.
        for part in bytes.chunks(70_001) {
            cutter.write_all(part).expect("takes everything");
        }
        cutter.finish().expect("takes everything");
        pieces
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 7_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn an_insertion_changes_the_pieces_around_it_alone() {
        let before = noise(6 << 20);
        let mut after = before.clone();
        after.splice((2 << 20)..(2 << 20), *b"inserted");
        let (old, new) = (pieces(&before), pieces(&after));
        assert_eq!(old.concat(), before);
        assert_eq!(new.concat(), after);
        assert!(old.len() > 3, "{}", old.len());
        assert!(old.iter().all(|piece| piece.len() <= LONGEST));
        let known: BTreeSet<Digest> = old.iter().map(|piece| Digest::of(piece)).collect();
        let changed = new.iter().filter(|piece| !known.contains(&Digest::of(piece))).count();
        assert!((1..=2).contains(&changed), "{changed} of {}", new.len());
    }

    #[test]
    fn sameness_is_cut_at_the_longest() {
        let lengths: Vec<usize> = pieces(&vec![0; 5 << 20]).iter().map(Vec::len).collect();
        assert_eq!(lengths, [LONGEST, 1 << 20]);
    }

    #[test]
    fn nothing_has_no_pieces() {
        assert_eq!(pieces(&[]), Vec::<Vec<u8>>::new());
    }
}
