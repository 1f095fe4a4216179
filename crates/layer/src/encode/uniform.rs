//! Short runs of one value, deflated without a compressor.
//!
//! Between noise there is often a little padding. A compressor clears its tables for each run that it is given, which
//! takes longer than to write down what it would find: the value, and that it goes on.

/// The longest run that is written so. A compressor makes less of longer ones: it gives what repeats a short code.
pub(super) const LONGEST: usize = 4096;

/// The longest match of the format.
const MATCH: usize = 258;

/// Whether a run is short and of one value.
pub(super) fn is_uniform(run: &[u8]) -> bool {
    (1..=LONGEST).contains(&run.len()) && run[1..] == run[..run.len() - 1]
}

/// Writes `length` times a value as a deflate block with the fixed codes ([RFC 1951], 3.2.6), which begins and ends at a
/// border between bytes.
///
/// [RFC 1951]: https://www.rfc-editor.org/rfc/rfc1951
pub(super) fn deflate(value: u8, length: usize, bytes: &mut Vec<u8>) {
    let mut bits = Bits { bytes, held: 0, count: 0 };
    // Not the last block; fixed codes.
    bits.put(0, 1);
    bits.put(1, 2);
    bits.symbol(u16::from(value));
    let mut left = length - 1;
    while left >= 3 {
        // What is left behind a match is never too short for another where that can be.
        let taken = if left > MATCH && left < MATCH + 3 { MATCH - 3 } else { left.min(MATCH) };
        bits.matched(taken);
        left -= taken;
    }
    for _ in 0..left {
        bits.symbol(u16::from(value));
    }
    bits.symbol(256);
    // An empty stored block, as a sync flush leaves it.
    bits.put(0, 3);
    bits.align();
    bits.bytes.extend_from_slice(&[0, 0, 0xff, 0xff]);
}

struct Bits<'a> {
    bytes: &'a mut Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits<'_> {
    /// Puts a number, its lowest bit first.
    fn put(&mut self, number: u32, count: u32) {
        self.held |= number << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.held.to_le_bytes()[0]);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// Puts a code, its highest bit first.
    fn code(&mut self, code: u32, count: u32) {
        self.put(code.reverse_bits() >> (32 - count), count);
    }

    /// Puts the fixed code of a value, a length or the end of the block.
    fn symbol(&mut self, symbol: u16) {
        let symbol = u32::from(symbol);
        match symbol {
            0..144 => self.code(0b0011_0000 + symbol, 8),
            144..256 => self.code(0b1_1001_0000 + symbol - 144, 9),
            256..280 => self.code(symbol - 256, 7),
            _ => self.code(0b1100_0000 + symbol - 280, 8),
        }
    }

    /// Puts a match of 3 to 258 bytes with the byte before.
    fn matched(&mut self, length: usize) {
        let beyond = u16::try_from(length - 3).expect("no match is longer");
        match beyond {
            // The longest has a code of its own.
            255 => self.symbol(285),
            0..8 => self.symbol(257 + beyond),
            _ => {
                let extra = beyond.ilog2() - 2;
                let step = u16::try_from(4 * extra).expect("five at the most");
                self.symbol(257 + step + (beyond >> extra));
                self.put(u32::from(beyond) & ((1 << extra) - 1), extra);
            }
        }
        // A distance of one.
        self.code(0, 5);
    }

    fn align(&mut self) {
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn every_value_and_length_comes_back() {
        let cases = (0..=u8::MAX)
            .map(|value| (value, 300))
            .chain((1..=LONGEST).flat_map(|length| [(0, length), (200, length)]));
        for (value, length) in cases {
            let mut bytes = Vec::new();
            deflate(value, length, &mut bytes);
            // The end of a stream.
            bytes.extend_from_slice(&[3, 0]);
            let mut back = Vec::new();
            flate2::read::DeflateDecoder::new(&bytes[..]).read_to_end(&mut back).expect("deflate");
            assert!(back == vec![value; length], "{length} times {value}");
        }
    }

    #[test]
    fn runs_of_one_value_are_short() {
        assert!(is_uniform(&[7; LONGEST]));
        assert!(is_uniform(&[7]));
        for run in [&[][..], &[7, 8], &[7; LONGEST + 1]] {
            assert!(!is_uniform(run));
        }
        let mut bytes = Vec::new();
        deflate(0, LONGEST, &mut bytes);
        assert!(bytes.len() < 40, "{}", bytes.len());
    }
}
