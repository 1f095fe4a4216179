//! Arguments and environment, resolved to what the crates below are told.
//!
//! Decisions are pure functions of values and have tables; opening and reading happens in few
//! places, named for it.

pub(crate) mod build;
#[cfg_attr(not(feature = "cloud"), path = "settings/no_clouds.rs")]
pub(crate) mod clouds;
pub(crate) mod context;
pub(crate) mod dockerfile;
pub(crate) mod executor;
pub(crate) mod git_login;
pub(crate) mod gitlab;
pub(crate) mod lint;
pub(crate) mod progress;
pub(crate) mod registry;
pub(crate) mod ssh;
pub(crate) mod state_directory;
