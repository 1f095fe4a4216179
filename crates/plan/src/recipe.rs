//! What a step's result depends on, as a value; its hash is the key of the result in a cache.
//!
//! ```text
//! Op ──► RecipeTemplate ──fill(parent, contents)──► Recipe ──encode──► bytes ──sha256──► StepKey
//!        (holes where bytes count)                     │
//!                                                      └─differences(older)──► MissReasons
//! ```

mod difference;
mod encode;
mod fact;
mod ingredient;
mod template;

pub use difference::{FileChange, MissReason};
pub use fact::{Fact, FactKind};
pub use ingredient::{Content, Ingredient, OpKind, Place};
pub use template::{Hole, RecipeTemplate};

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strata_oci::{DiffId, Digest};

use encode::Encoder;

/// The version of what is in a recipe and how it is encoded. A change of either raises it, so that results
/// of an older meaning are not taken for results of the new one.
pub const VERSION: u32 = 1;

/// The key of a file system: that of a base, or what a step leaves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct StepKey([u8; 32]);

/// A text that is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a key of 64 hexadecimal digits")]
pub struct StepKeyError {
    /// The beginning of the text.
    pub text: String,
}

impl StepKey {
    /// The key of a file system that is made of layers; without any it is that of `scratch`.
    ///
    /// Configs are not in it: what a step takes from a config is an ingredient of the step.
    pub fn of_layers<'a>(layers: impl IntoIterator<Item = &'a DiffId>) -> Self {
        let mut encoder = Encoder::new(b"layers");
        for layer in layers {
            encoder.bytes(layer.0.as_bytes());
        }
        encoder.finish()
    }

    /// The key of the empty file system.
    pub fn scratch() -> Self {
        Self::of_layers([])
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key that stands where 32 bytes were stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Digest::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StepKey {
    type Err = StepKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digest = Digest::parse_hex(text)
            .map_err(|_| StepKeyError { text: text.chars().take(64).collect() })?;
        Ok(Self(*digest.as_bytes()))
    }
}

impl From<StepKey> for String {
    fn from(key: StepKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for StepKey {
    type Error = StepKeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Everything that the result of a step depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// The [`VERSION`] it is of.
    pub version: u32,
    /// What the step stands on; absent if the result does not depend on it (`COPY --link`).
    pub parent: Option<StepKey>,
    /// What kind of step it is.
    pub op: OpKind,
    /// The rest, in the order the template has them.
    pub ingredients: Vec<Ingredient>,
}

impl Recipe {
    /// The canonical bytes: what the key is the hash of. Every piece is preceded by its length, so that no two
    /// recipes have the same.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(b"step");
        self.encode(&mut encoder);
        encoder.into_bytes()
    }

    /// The key of the layer that the step makes.
    pub fn key(&self) -> StepKey {
        let mut encoder = Encoder::new(b"step");
        self.encode(&mut encoder);
        encoder.finish()
    }

    /// The key of the file system after the step, when it stood on `before`: what the next step stands on.
    pub fn state_after(&self, before: StepKey) -> StepKey {
        let key = self.key();
        if self.parent.is_some() {
            return key;
        }
        let mut encoder = Encoder::new(b"linked");
        encoder.bytes(&before.0);
        encoder.bytes(&key.0);
        encoder.finish()
    }

    /// Explains why this recipe's result is not that of `older`; empty if it is.
    pub fn differences(&self, older: &Self) -> Vec<MissReason> {
        difference::differences(older, self)
    }
}
