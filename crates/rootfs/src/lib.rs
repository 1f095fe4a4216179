//! Real directories: materialise layers, apply changes, find changes.
//!
//! A [`Snapshotter`] turns base layers into a [`Workspace`]: a directory that a command can use as its root,
//! and the [`Tree`](strata_tree::Tree) that says what stands in it. What the command did comes back as a
//! change set. Two snapshotters find the same change sets by different means: [`OverlaySnapshotter`] reads
//! them off an upper directory, [`WalkSnapshotter`] compares the whole directory with what it was.
//!
//! The crate does not run commands, compress or encode layers, or decide which snapshotter fits a host.
//!
//! Invariants:
//! - the tree is the truth; the disk holds its projection (see `medium`), because an unprivileged
//!   process can make neither device nodes nor files of arbitrary owners. What a command leaves as it was
//!   projected keeps what the tree says;
//! - between two calls, every path of a workspace's directory shows the projection of the tree's node;
//! - no path of an image is ever resolved by following a symbolic link: directories are opened one name
//!   at a time below the workspace's own descriptor;
//! - layers unpacked for sharing are complete, verified and never written again.
//!
//! Modules: `snapshotter` (the traits), `medium` (what the disk can hold), `descent` (directories by path),
//! `entry` (one entry of the disk), `body` (bytes of a file), `writer` (changes to disk), `compare` (disk to
//! changes), `unpack` (layer to disk), `overlay` and `walk` (the snapshotters), `contents` (reading back),
//! `changes` (fitting change sets), `owners` (what is faked), `space` (room for layers), `standing` (a directory with
//! nothing known before), `state` (the directory of everything), `scratch` (directories that go
//! away), `error`.

mod body;
mod changes;
mod compare;
mod contents;
mod descent;
mod entry;
mod error;
mod medium;
mod overlay;
mod owners;
mod scratch;
mod snapshotter;
mod space;
mod standing;
mod state;
mod unpack;
mod walk;
mod writer;

pub use contents::DiskContents;
pub use error::SnapshotError;
pub use overlay::OverlaySnapshotter;
pub use owners::{Owner, Owners};
pub use snapshotter::{BaseLayer, Snapshotter, Workspace};
pub use standing::read_directory;
pub use walk::WalkSnapshotter;
