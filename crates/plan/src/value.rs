//! Readers of values that a Dockerfile holds as text, as `BuildKit` reads them.

pub(crate) mod address;
pub(crate) mod golang;
pub(crate) mod path;
pub(crate) mod port;
pub(crate) mod signal;
