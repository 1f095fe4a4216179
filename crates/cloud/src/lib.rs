//! Who this process is in Amazon's, Google's or Microsoft's cloud, and what that opens: their registries and their
//! object stores.
//!
//! What it does not do: it reads no environment (the caller hands in [`Variables`]), keeps nothing on disk, and knows
//! neither images nor builds. It connects to nothing before it is asked for something of that cloud.
//!
//! Invariants:
//! - All connections are those of `strata-registry`, with its certificates, proxies and limits. The metadata servers
//!   of machines are the exception: no proxy stands before them, they get a second to answer, and they are asked only
//!   where the machine does not say that it belongs to somebody else.
//! - Identities are kept until they expire, in memory alone. No error and no `Debug` shows one.
//! - Nothing that is not a file's content is read without a limit.
//!
//! Modules: [`Clouds`] in `clouds` is the way in; `aws`, `google` and `azure` find identities, each with the helper
//! for its registries; `storage` opens files of object stores; `http` sends for all of them.

mod aws;
mod azure;
mod cached;
mod clouds;
mod error;
mod file;
mod google;
mod http;
mod machine;
mod storage;
mod variables;

pub use clouds::Clouds;
pub use error::{IdentityError, StorageError};
pub use storage::{Address, AddressError, Content};
pub use variables::{NAMES, Variables};
