//! Snapshotters on real directories: one suite for all of them.

#![allow(clippy::print_stdout, reason = "a skipped test says so")]

mod cases;
mod hostile;
mod namespace;
mod property;
mod sharing;
mod support;
