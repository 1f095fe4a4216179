//! Content digests: SHA-256 and nothing else.

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

/// Is the SHA-256 of some bytes, written `sha256:<64 lower-case hexadecimal digits>`.
///
/// The specification allows other algorithms; no registry in use serves them and they are a
/// [`DigestError::UnsupportedAlgorithm`] here, so that 32 bytes and [`Copy`] are enough.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Says why a text is not a [`Digest`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The text is well formed, but for an algorithm other than SHA-256.
    #[error("digest algorithm `{algorithm}` is not supported: only `sha256` is")]
    UnsupportedAlgorithm {
        /// What stands before the colon.
        algorithm: String,
    },
    /// The text does not have the form `sha256:<64 lower-case hexadecimal digits>`.
    #[error("`{text}` is not a digest of the form `sha256:<64 lower-case hexadecimal digits>`")]
    Malformed {
        /// The text, cut to a length that fits a message.
        text: String,
    },
}

const PREFIX: &str = "sha256:";

impl Digest {
    /// Hashes `bytes`. For content that is not in memory, see [`Hasher`].
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Takes 32 bytes that are known to be a SHA-256.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Borrows the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Spells the 64 hexadecimal digits without the algorithm, as OCI layouts name their files.
    pub fn to_hex(&self) -> String {
        self.to_string().split_off(PREFIX.len())
    }

    /// Reads 64 lower-case hexadecimal digits, the counterpart of [`Digest::to_hex`].
    pub fn parse_hex(hex: &str) -> Result<Self, DigestError> {
        let malformed = || DigestError::Malformed { text: excerpt(hex) };
        let digits = hex.as_bytes();
        if digits.len() != 64 {
            return Err(malformed());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let high = hex_value(pair[0]).ok_or_else(malformed)?;
            let low = hex_value(pair[1]).ok_or_else(malformed)?;
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

/// Upper case is refused: two spellings of one digest would be two keys.
fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(100).collect()
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || DigestError::Malformed { text: excerpt(text) };
        let (algorithm, hex) = text.split_once(':').ok_or_else(malformed)?;
        if algorithm != "sha256" {
            let names_algorithm =
                algorithm.starts_with(|c: char| c.is_ascii_alphabetic()) && hex.len() >= 32;
            return Err(if names_algorithm {
                DigestError::UnsupportedAlgorithm { algorithm: excerpt(algorithm) }
            } else {
                malformed()
            });
        }
        Self::parse_hex(hex).map_err(|_| malformed())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(PREFIX.len() + 64);
        text.push_str(PREFIX);
        for byte in self.0 {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        f.pad(&text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Is the digest of a layer's *uncompressed* tar stream: what an image config lists.
///
/// The digest of the compressed blob, which a manifest lists, is a plain [`Digest`]; the two never mix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiffId(pub Digest);

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for DiffId {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Computes a [`Digest`] and a length piece by piece, also as an [`io::Write`] that never fails.
#[derive(Clone, Default)]
pub struct Hasher {
    state: sha2::Sha256,
    length: u64,
}

impl Hasher {
    /// Starts with nothing hashed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hashes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// Counts the bytes hashed so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Gives the digest of all bytes hashed.
    pub fn finish(self) -> Digest {
        Digest(self.state.finalize().into())
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("length", &self.length).finish_non_exhaustive()
    }
}
