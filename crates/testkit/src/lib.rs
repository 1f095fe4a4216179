//! In-process registry with scripted faults, textual images, test environment.
//!
//! For tests only: it trusts its caller, keeps everything in memory, and panics where a test is set up wrongly.
//! It depends on no other crate of this workspace, so that what is tested does not judge itself.
//!
//! Modules: [`TestRegistry`] in `registry`, on a `server` (plain HTTP on loopback, on threads of its own, so that it
//! answers whatever runtime the test uses); [`Fault`] scripts what it does wrong; [`TestImage`] makes images, also broken
//! ones, from lines of text; [`TestCloud`] stands for the clouds; [`TestEnvironment`] runs the program away from the user's files.

#![allow(clippy::missing_panics_doc, reason = "a test that is set up wrongly has to stop")]

mod cloud;
mod environment;
mod image;
mod registry;
mod server;

pub use cloud::TestCloud;
pub use environment::{Ran, TestEnvironment};
pub use image::{BuiltImage, BuiltLayer, Packing, TestImage, layer_tar, sha256};
pub use registry::{Access, TestRegistry};
pub use server::Fault;
