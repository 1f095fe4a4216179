//! Run one command in one root, in whichever isolation this host allows.
//!
//! It neither builds the root nor looks at what the command changed, knows no image and no cache,
//! and never prints. Calls block; cancelling goes through [`Cancel`].
//!
//! Invariants:
//! - when [`Isolation::run`] returns, every process the command started is gone;
//! - the command gets no descriptor, environment variable or file of the builder but what
//!   [`Command`] names;
//! - paths of the image are resolved inside the image, whatever links it has;
//! - nothing is set up that was not asked for, and nothing that was asked for is left out silently:
//!   what an isolation cannot do is an error.
//!
//! Modules: [`command`] (what to run), [`isolation`] (the trait and its outcome), [`enter`] (the
//! builder's own user namespace), [`probe`] (what this host allows), [`hosts`] (contents of
//! `/etc/hosts` and `/etc/resolv.conf`).
//!
//! A program that uses this crate begins so, before it has a second thread:
//!
//! ```text
//! helper_entry();                          // a helper never comes back from here
//! match enter::inside() {
//!     Some(entry) => probe::isolation(entry)? // root over the ids of the user namespace: build
//!     None => match probe::choose(&host)? {
//!         Choice::Enter(entry) => return Err(enter::enter(entry, state, &arguments)), // again, inside
//!         Choice::Chroot => Box::new(Chroot::new()?),            // builds here
//!         Choice::Translated => Box::new(Translated::new()?),    // builds here
//!     }
//! }
//! ```

#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(
        dead_code,
        reason = "paths are translated on x86-64 only, and what that needs is elsewhere"
    )
)]

pub mod command;
pub mod enter;
pub mod hosts;
pub mod isolation;
pub mod probe;

mod attendance;
mod chroot;
mod errno;
mod helper;
mod message;
mod mount_points;
mod namespaces;
mod ownership;
mod supervisor;
#[cfg(target_arch = "x86_64")]
mod translated;

pub use chroot::Chroot;
pub use command::{Command, Mount, Network, Resource, Ulimit, User};
pub use isolation::{Cancel, CancelError, Exit, Isolation, Outcome, RunError, Stream};
pub use namespaces::Namespaces;
pub use ownership::{Capability, Device, Ownership, Seeming};
/// For a program that is about to have threads.
pub use strata_sys::allocator::share_heaps;
#[cfg(target_arch = "x86_64")]
pub use translated::Translated;

/// Runs the helper and leaves the process if this process was started as one; otherwise returns.
///
/// Must be called before anything else in `main`: before threads, and before arguments are read.
pub fn helper_entry() {
    match std::env::args_os().next() {
        Some(name) if name == helper::NAME => helper::main(),
        Some(name) if name == helper::shared::NAME => helper::shared::main(),
        Some(name) if name == helper::chroot::NAME => helper::chroot::main(),
        #[cfg(target_arch = "x86_64")]
        Some(name) if name == helper::translated::NAME => helper::translated::main(),
        _ => {}
    }
}
