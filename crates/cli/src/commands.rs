//! What each subcommand does: arguments and environment in, data and talk out.

pub(crate) mod build;
pub(crate) mod cache;
pub(crate) mod check;
pub(crate) mod doctor;
pub(crate) mod executor;
pub(crate) mod images;
pub(crate) mod login;
pub(crate) mod program;
mod progress;
mod remote;
pub(crate) mod version;
