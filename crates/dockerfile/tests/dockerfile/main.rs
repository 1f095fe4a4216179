//! Tests of the crate through its public API.

mod errors;
mod expand;
mod heredocs;
mod ignore;
mod instructions;
mod lint;
mod page;
mod print;
mod properties;
mod render;
mod structure;
mod triggers;
