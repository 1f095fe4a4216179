//! Build contexts as a tree whose files can be hashed and opened.
//!
//! A context is a directory that belongs to somebody else and may change or be hostile: nothing is ever
//! written into it, and no symbolic link in it is ever followed. What to leave out is the caller's
//! decision, asked through [`Filter`]; archives are unpacked by the caller first, repositories by [`Git`].
//!
//! Invariants:
//! - every file is reached below the directory's descriptor with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`,
//!   so that a directory swapped for a link during the build leads nowhere;
//! - only regular files are opened, and a fifo never blocks;
//! - a [`Tree`](strata_tree::Tree) from a scan says what the disk says; changing owners is up to the caller.
//!
//! Modules: `context` (the directory, opening, hashing), `filter` (what belongs to it), `scan` (disk to
//! tree), `attributes` (extended attributes), `git` (repositories, into a directory), `error`.

mod attributes;
mod context;
mod error;
mod filter;
mod git;
mod scan;

pub use context::{Context, FileDigest};
pub use error::ContextError;
pub use filter::{Filter, KeepAll, Verdict};
pub use git::{Authorization, Extras, Git, GitError, Repository, Revision};
