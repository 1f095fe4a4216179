//! The integration tests: the shape of the workspace, and the real binary seen from outside.

mod architecture;
mod bad_input;
mod bad_registry;
mod caching;
#[cfg(feature = "cloud")]
mod cloud;
mod container;
mod credentials;
mod debian;
mod distribution;
mod environments;
mod examples;
mod executor;
mod interruption;
mod jobs;
mod language;
mod outputs;
mod person;
mod platforms;
mod registries;
mod requirement;
mod secure;
mod streams;
