//! Local content-addressed files: blobs, indexes, recipes; locking and garbage collection.
//!
//! The store knows bytes and names, not meanings: what an index or a cached step says is the business of
//! whoever put it there. It blocks, and does not touch the network.
//!
//! ```text
//! <directory>/
//!   lock                  locked shared while a store is open, exclusive while it is pruned
//!   blobs/sha256/<hex>    layers, configs, manifests: as they are, named by their digest
//!   indexes/<hex>         what is inside a layer, by diff id                       ┐
//!   links/<hex>           which blobs unpack to a layer, by diff id                │ entries: a line with
//!   steps/<hex>           results of earlier steps by key, and the blobs they need │ length and digest,
//!   images/<hex>          local images by the digest of their name                 ┘ then the value
//!   unpacked/             layers as directories; belongs to the snapshotters
//!   tmp/                  files that are being written
//! ```
//!
//! Invariants:
//! - whatever has its final name is whole: files are written in `tmp` and renamed, and a blob only once its
//!   digest is known to be its name; dropping a writer at any point leaves the store as it was;
//! - any number of processes may use a store at once; only pruning wants it alone;
//! - an entry that is damaged is reported once, removed, and from then on missing, never used.
//!
//! Nothing is flushed to the disk, because everything here can be fetched or built again. After a power cut
//! a file may therefore be short or hold zeros: entries are checked on every read, blobs by their length
//! ([`Store::has_blob`]) and, where the reader asks for it, by their digest ([`Store::verified_blob`]).
//!
//! Modules: `store` (opening, places), `blob` (writing and reading blobs), `entry` (small files with a
//! checksum), `kinds` (what entries there are), `prune`, `error`.

mod blob;
mod entry;
mod error;
mod kinds;
mod prune;
mod store;
#[cfg(test)]
mod tests;

pub use blob::{BlobWriter, VerifiedBlob};
pub use error::StoreError;
pub use prune::{Keep, Pruned};
pub use store::Store;
