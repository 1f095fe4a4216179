//! Canonical bytes: each piece with its length before it, all numbers as eight little-endian bytes.
//!
//! ```text
//! text, bytes   length ‖ bytes
//! number        8 bytes
//! list          count ‖ each item
//! choice        tag (1 byte) ‖ its fields
//! option        0 | 1 ‖ value
//! ```

use strata_oci::Hasher;

use super::StepKey;

/// Collects the bytes of one value.
#[derive(Debug)]
pub(super) struct Encoder(Vec<u8>);

impl Encoder {
    /// Begins with what the bytes are of, so that values of different types never have equal bytes.
    pub(super) fn new(domain: &[u8]) -> Self {
        let mut encoder = Self(Vec::with_capacity(512));
        encoder.bytes(b"strata");
        encoder.bytes(domain);
        encoder
    }

    pub(super) fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn tag(&mut self, tag: u8) {
        self.0.push(tag);
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.tag(u8::from(flag));
    }

    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(super) fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }

    pub(super) fn texts(&mut self, texts: &[String]) {
        self.list(texts, |encoder, text| encoder.text(text));
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn finish(self) -> StepKey {
        let mut hasher = Hasher::new();
        hasher.update(&self.0);
        StepKey(*hasher.finish().as_bytes())
    }
}
