//! References, platforms, digests and documents, as text and back.

#![allow(clippy::unwrap_used, reason = "a test that fails here is a test that fails")]

#[path = "values/document.rs"]
mod document;
#[path = "values/platform.rs"]
mod platform;
#[path = "values/reference.rs"]
mod reference;
