//! Change set to tar stream to compressed blob and back, both digests, and the index of what is inside.
//!
//! The crate does not open files, write to disk or follow links: whoever encodes brings an [`OpenContent`],
//! whoever decodes a [`Sink`].
//!
//! Invariants:
//! - a blob depends on the change set, the files' bytes, compression, level and clamp, and on nothing else:
//!   not on the number of threads, the machine or the time;
//! - parents come first and each path once, because a change set says so; names are relative, ids numeric;
//! - decoding what was encoded gives the same change set, times to the nanosecond and attributes to the byte;
//! - memory is bounded by threads, block length and [`Limits`], never by what an archive claims.
//!
//! The tar codec is our own (`header`, `pax`). The `tar` crate splits PAX records at newlines, which
//! `security.capability` may hold, has no time before 1970, and gives sparse files of format 1.0 unexpanded;
//! in tests it is the second opinion.
//!
//! Modules: `content` (where bytes are), `encode` (`tar` writes entries, `blocks` cuts the stream, `compress`
//! packs it, `noise` finds what cannot be packed), `decode` (`input` counts, `hashing` hashes beside it, `archive` finds
//! entries, `sparse` their holes), `decompress`, `index`, and what both directions share: `header`, `pax`, `whiteout`.

mod content;
mod decode;
mod decompress;
mod encode;
mod header;
mod index;
mod pax;
mod read_ahead;
#[cfg(test)]
mod round_trip;
mod whiteout;

pub use content::{Content, Extent, OpenContent};
pub use decode::{
    DecodeError, Decoded, IndexBuilder, Limited, Limits, Problem, Sink, decode, open_extent,
};
pub use decompress::{ArchiveCompression, MAGIC_LENGTH, decompress, decompress_archive};
pub use encode::{EncodeError, EncodeOptions, Encoded, encode};
pub use index::{Index, IndexError};
pub use read_ahead::read_ahead;
