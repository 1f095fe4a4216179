//! Bytes that no deflate makes shorter: what is compressed or encrypted already.
//!
//! Looking for matches in them costs more than in anything else and finds none. They are told by how often their
//! values repeat, a few hundred bytes at a time, and stored as they are.

use std::ops::Range;

/// How much is judged at once: a block of a tar, so that a file's border is one of ours.
const UNIT: usize = 512;

/// Noise shorter than this is not worth two more borders between deflate blocks.
const SHORTEST: usize = 4 * UNIT;

/// How many bytes of a unit are looked at first. Text and programs are known by them.
const GLANCE: usize = 128;

/// The sum of the squares of how often each value occurs is `n + n(n-1)/256` on average for `n` random bytes, 1534 for
/// a unit and 191 for a glance. These are six times the deviation above: of a terabyte of noise, a unit or two are taken
/// for something else. What is below either could be shortened by four percent at the most.
const REPEATS: u32 = 1800;
const REPEATS_AT_A_GLANCE: u32 = 260;

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
        let noisy = block[at..].chunks_exact(UNIT).take_while(|unit| is_noise(unit)).count() * UNIT;
        if noisy < SHORTEST {
            at += noisy + UNIT;
            continue;
        }
        if plain < at {
            runs.push(Run::Plain(plain..at));
        }
        runs.push(Run::Noise(at..at + noisy));
        at += noisy;
        plain = at;
    }
    if plain < block.len() {
        runs.push(Run::Plain(plain..block.len()));
    }
    runs
}

fn is_noise(unit: &[u8]) -> bool {
    let mut counts = [0; 256];
    let (glance, rest) = unit.split_at(GLANCE);
    let repeated = repeats(&mut counts, glance);
    repeated < REPEATS_AT_A_GLANCE && repeated + repeats(&mut counts, rest) < REPEATS
}

/// What these bytes add to the sum of the squares of how often each value occurs.
fn repeats(counts: &mut [u16; 256], bytes: &[u8]) -> u32 {
    let mut sum = 0;
    for &byte in bytes {
        let count = &mut counts[usize::from(byte)];
        // (c + 1)² - c²
        sum += 2 * u32::from(*count) + 1;
        *count += 1;
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
}
