//! What stands behind an option: text of the command line, made a type that cannot be wrong.
//!
//! One file a kind of value. Parsers look at nothing but the text: whether a file exists, what the
//! environment holds and which platform the host has is decided in `settings`.

pub(crate) mod annotation;
pub(crate) mod cache;
pub(crate) mod call;
pub(crate) mod context;
pub(crate) mod duration;
pub(crate) mod extra_host;
pub(crate) mod fields;
pub(crate) mod host;
pub(crate) mod image;
pub(crate) mod key_value;
pub(crate) mod output;
pub(crate) mod secret;
pub(crate) mod size;
pub(crate) mod ssh;
pub(crate) mod ulimit;
