//! Digests, descriptors, references, platforms, manifests and configs as values, byte-preserving.
//!
//! What it does not do: no files, no network, no clock, no environment. The platform of the host, for one, is a
//! value that a caller hands in.
//!
//! Invariants:
//! - A [`Digest`] is 32 bytes of SHA-256; text that names another algorithm does not become one.
//! - A [`Document`] pairs a parsed value with the exact bytes it came from, so that a manifest which is passed on
//!   keeps its digest; it never re-serialises what it read.
//! - Reading is liberal (missing fields, `null` for anything empty, unknown fields kept in `extra`), bounded in
//!   size, and refuses documents that two readers could understand differently.
//! - Writing gives the bytes that Go's encoder gives for the structs `BuildKit` uses: the same order of fields, the
//!   same omissions, the same escapes.
//!
//! Modules: [`Digest`] and [`DiffId`] in `digest`; [`MediaType`] and [`Compression`] in `media_type`;
//! [`Descriptor`]; [`Manifest`] and [`Index`] in `manifest`; [`ImageConfig`] and its parts in `config`;
//! [`Timestamp`]; [`Document`] and the Go-compatible encoder in `document` and `go_json`; [`Reference`];
//! [`Platform`]; [`Image`] and [`LayerRef`] in `image`.

mod config;
mod descriptor;
mod digest;
mod document;
mod go_json;
mod image;
mod lenient;
mod manifest;
mod media_type;
mod platform;
mod reference;
mod timestamp;

pub use config::{ContainerConfig, Healthcheck, History, ImageConfig, RootFs};
pub use descriptor::Descriptor;
pub use digest::{DiffId, Digest, DigestError, Hasher};
pub use document::{AnyManifest, Document, DocumentError, Format, Style};
pub use image::{Image, ImageError, LayerRef, MediaTypes};
pub use manifest::{Index, Manifest};
pub use media_type::{Compression, MediaType};
pub use platform::{Platform, PlatformError};
pub use reference::{Familiar, Reference, ReferenceError, Repository, Tag};
pub use timestamp::{Timestamp, TimestampError};
