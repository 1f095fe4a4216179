//! The only crate with `unsafe`: the Linux kernel's interfaces as safe Rust.
//!
//! It decides nothing: which isolation to use, what to mount, which capabilities a command keeps and
//! what a failure means to a user belong to its callers. It holds no state and starts no thread.
//!
//! Invariants:
//! - every `unsafe` block says which preconditions it relies on, and every descriptor handed out is
//!   owned and close-on-exec;
//! - a path inside an image never becomes a host path: it is resolved by the kernel below a
//!   directory descriptor ([`Root`]), and the last component is never followed unless a method's
//!   name says so;
//! - an error names the operation and the path or thing it was about, and carries the [`Errno`].
//!
//! Modules: [`root`] (files of an image), [`allocator`], [`caps`], [`children`] (their news), [`idmap`] (user
//! and group id maps), [`kernel`] (feature probes), [`landlock`], [`memory`] (of other processes), [`mount`],
//! [`process`] (fork, exec, signals, descriptors), `ptrace`, [`record`] (answers to stat), [`seccomp`],
//! [`socket`] (messages with descriptors).

pub mod allocator;
pub mod caps;
pub mod children;
pub mod idmap;
pub mod kernel;
pub mod landlock;
pub mod memory;
pub mod mount;
pub mod process;
/// Only where a supervisor knows the registers.
#[cfg(target_arch = "x86_64")]
pub mod ptrace;
pub mod record;
pub mod root;
pub mod seccomp;
pub mod socket;

mod error;

pub use error::{CallError, PathError};
pub use root::{Dir, Entry, Identity, Kind, Metadata, Node, Root, Time};
pub use rustix::io::Errno;
