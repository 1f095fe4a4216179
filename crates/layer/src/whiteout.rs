//! The names that stand for what is gone ([layer specification], "Whiteouts").
//!
//! [layer specification]: https://github.com/opencontainers/image-spec/blob/main/layer.md

/// An entry `.wh.name` removes `name`.
pub(crate) const PREFIX: &[u8] = b".wh.";

/// An entry of this name makes its directory opaque.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";

/// Names that begin so, other than [`OPAQUE`], are bookkeeping of the aufs file system (`.wh..wh.plnk`,
/// `.wh..wh.aufs`), found in old layers and meant for nobody.
pub(crate) const BOOKKEEPING: &[u8] = b".wh..wh.";
