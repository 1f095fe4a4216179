//! Metadata-only file trees: paths, lookup with symlinks, apply, diff, whiteouts.
//!
//! Trees know names, types, modes, owners, times and extended attributes; what a file *contains* is the
//! type parameter `C`, so that one algebra serves build contexts, layers and working directories. The
//! crate does no I/O.
//!
//! Invariants:
//! - a child without a parent cannot be written down, because directories are nested;
//! - names of one tree that are hard links of each other share one [`Leaf`], and their directories know of it;
//! - `a.apply(&a.diff(&b))` makes `a == b`, and `a.diff(&a)` is empty;
//! - the difference between where two change sets begin and where they end says what both say in turn;
//! - change sets do not depend on how a tree came about, only on what it is.
//!
//! Modules: [`path`] (where something is), [`metadata`] (who owns it, since when), [`node`] (what it is),
//! [`change`] (what a layer says), [`tree`] (the whole), [`lookup`] (finding things through symlinks).

mod canonical;
pub mod change;
mod diff;
#[cfg(test)]
mod laws;
pub mod lookup;
pub mod metadata;
pub mod node;
pub mod path;
pub mod tree;

pub use change::{Change, ChangeSet, Entry};
pub use lookup::{LookupError, Resolved};
pub use metadata::{Metadata, Timestamp, Xattrs};
pub use node::{Directory, Leaf, LeafKind, Node};
pub use path::{PathError, TreePath};
pub use tree::{ApplyError, Tree};
