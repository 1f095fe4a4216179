//! SSH agents for the time of a build: private keys in memory, or another agent's socket.
//!
//! It does not know mounts, images or options: whoever runs a command makes a [`Server`] for it and shows it
//! the socket. It does not ask for passphrases.
//!
//! Invariants: a private key is written to no file, log or message, and an agent answers two questions only,
//! which keys there are and what their signature of some bytes is. Whoever talks to it cannot add, remove or
//! lock keys, not even in the agent of another program that is forwarded.
//!
//! - `key`: private keys, from the file formats of OpenSSH and OpenSSL
//! - `wire`: the strings and numbers of the SSH protocols
//! - `agent`: what an agent answers
//! - `server`: a socket that answers

mod agent;
mod key;
mod server;
mod wire;

pub use agent::Agent;
pub use key::{KeyError, PrivateKey};
pub use server::{Access, ServeError, Server};
