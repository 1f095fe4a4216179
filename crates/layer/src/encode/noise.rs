//! Bytes that no deflate makes shorter: what is compressed or encrypted already.
//!
//! Looking for matches in them costs more than in anything else and finds none. They are told by how often their
//! values repeat, in a sample of each two kilobytes, and stored as they are.

use std::ops::Range;

/// A block of a tar, so that a file's border is one of ours.
const UNIT: usize = 512;

/// How many of them are judged at once. Noise shorter than that is not worth two more borders between deflate blocks.
const UNITS: usize = 4;
const GROUP: usize = UNITS * UNIT;

/// A sample of a unit is this many pieces, and so a quarter of it: in each unit of a group another one, for data that
/// have a period.
const PIECES: usize = 4;
const PIECE: usize = UNIT / PIECES / UNITS;

/// The sum of the squares of how often each value occurs is `n + n(n-1)/256` on average for `n` random bytes: 191 for
/// the sample of a unit, by which text and programs are known, and 1534 for that of a group. These are six times the
/// deviation above: of a terabyte of noise, a group or two are taken for something else. What is below the second could
/// be shortened by four percent at the most.
const REPEATS_IN_UNIT: u32 = 260;
const REPEATS_IN_GROUP: u32 = 1800;

/// A stretch of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// To be deflated.
    Plain(Range<usize>),
    /// To be stored.
    Noise(Range<usize>),
}

/// Cuts a block into what is worth deflating and what is not.
pub(super) fn runs(block: &[u8]) -> Vec<Run> {
    let mut runs = Vec::new();
    let (mut plain, mut at) = (0, 0);
    while at < block.len() {
        let length = noise_at_start(&block[at..]);
        if length == 0 {
            at += UNIT;
            continue;
        }
        if plain < at {
            runs.push(Run::Plain(plain..at));
        }
        runs.push(Run::Noise(at..at + length));
        at += length;
        plain = at;
    }
    if plain < block.len() {
        runs.push(Run::Plain(plain..block.len()));
    }
    runs
}

fn noise_at_start(bytes: &[u8]) -> usize {
    let groups = bytes.chunks_exact(GROUP).take_while(|group| is_noise(group)).count() * GROUP;
    if groups == 0 {
        return 0;
    }
    // What is left of a file, which is less than a group.
    let rest = bytes[groups..].chunks_exact(UNIT).take(UNITS - 1);
    groups + rest.take_while(|unit| repeats_in(unit) < REPEATS_IN_UNIT).count() * UNIT
}

fn is_noise(group: &[u8]) -> bool {
    // Bytes that are all the same are the slowest to count: here are more repeats than a unit may have.
    if group[1..PIECE] == group[..PIECE - 1] {
        return false;
    }
    let mut counts = [0; 256];
    let mut sum = 0;
    for (number, unit) in group.chunks_exact(UNIT).enumerate() {
        sum += repeats(&mut counts, unit, number);
        if number == 0 && sum >= REPEATS_IN_UNIT {
            return false;
        }
    }
    sum < REPEATS_IN_GROUP
}

fn repeats_in(unit: &[u8]) -> u32 {
    repeats(&mut [0; 256], unit, 0)
}

/// What the sample of a group's unit adds to the sum of the squares of how often each value occurs.
fn repeats(counts: &mut [u16; 256], unit: &[u8], number: usize) -> u32 {
    let mut sum = 0;
    for part in unit.chunks_exact(UNIT / PIECES) {
        for &byte in &part[number * PIECE..][..PIECE] {
            let count = &mut counts[usize::from(byte)];
            // (c + 1)² - c²
            sum += 2 * u32::from(*count) + 1;
            *count += 1;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same on every machine, and as random as a stream cipher.
    fn random(length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 32);
        let mut counter = 0_u64;
        while bytes.len() < length {
            bytes.extend_from_slice(strata_oci::Digest::of(&counter.to_le_bytes()).as_bytes());
            counter += 1;
        }
        bytes.truncate(length);
        bytes
    }

    fn text(length: usize) -> Vec<u8> {
        b"It is a truth universally acknowledged. ".iter().copied().cycle().take(length).collect()
    }

    #[test]
    fn noise_is_found_between_other_bytes_and_at_either_end() {
        let noise = random(1 << 20);
        assert_eq!(runs(&noise), [Run::Noise(0..1 << 20)]);
        assert_eq!(runs(&text(100_000)), [Run::Plain(0..100_000)]);
        assert_eq!(runs(&[]), []);
        let mixed = [&text(1024), &noise[..4096], &text(2560), &noise[..2048], &text(70)].concat();
        let expected = [
            Run::Plain(0..1024),
            Run::Noise(1024..5120),
            Run::Plain(5120..7680),
            Run::Noise(7680..9728),
            Run::Plain(9728..9798),
        ];
        assert_eq!(runs(&mixed), expected);
    }

    #[test]
    fn digits_and_short_noise_are_plain() {
        let noise = random(8192);
        let digits: Vec<u8> = noise.iter().map(|byte| b'0' + byte % 64).collect();
        assert_eq!(runs(&digits), [Run::Plain(0..8192)]);
        let short = [&text(512), &noise[..1536], &text(512)].concat();
        assert_eq!(runs(&short), [Run::Plain(0..short.len())]);
    }

    /// Whatever part of it is looked at.
    #[test]
    fn noise_with_pauses_is_plain() {
        let noise = random(8192);
        for period in [64, 128, 256, 512, 1024] {
            let mut records = vec![0; 8192];
            for (record, noise) in records.chunks_mut(period).zip(noise.chunks(period)) {
                record[..period / 2].copy_from_slice(&noise[..period / 2]);
            }
            assert_eq!(runs(&records), [Run::Plain(0..8192)], "{period}");
        }
    }

    #[test]
    fn noise_ends_with_its_file() {
        let noise = random(1 << 14);
        for units in 4..12 {
            let length = units * UNIT;
            let file = [&noise[..length], &text(2048)].concat();
            assert_eq!(runs(&file), [Run::Noise(0..length), Run::Plain(length..length + 2048)]);
        }
    }
}
