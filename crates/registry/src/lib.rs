//! The distribution protocol: credentials, auth, resolve, pull, push, mount, mirrors, retry.
//!
//! What it does not do: it reads no environment and no configuration directory (the caller hands in [`Settings`]
//! and [`CredentialSources`]), prints nothing, keeps nothing on disk, and never holds a blob in memory.
//!
//! Invariants:
//! - Nothing a registry sends is unbounded: manifests, error bodies, tokens and redirects have limits, and a blob
//!   ends with an error unless its size and digest are those of its descriptor.
//! - A credential goes to the registry it was configured for and to that registry's token server, never to the
//!   target of a redirect on another origin, and never over plain HTTP except to a loopback address or to a host
//!   that [`HostSecurity::Insecure`] names.
//! - Every operation is bounded in attempts. What it retries is safe to repeat: bodies are re-opened, a cut
//!   download goes on where it stopped.
//! - A [`Secret`] has no text form; URLs in errors carry neither user nor query.
//! - HTTP/1.1 throughout: one connection per blob outruns HTTP/2's flow control with most registries.
//!
//! Modules: [`Client`] in `client` with its operations in `manifest`, `blob`, `push` and `tags`; `pull`
//! walks mirrors and attempts; `exchange` sends one
//! request with auth, redirects and limits; `auth` speaks the token protocol; [`Credentials`] finds who to be, and `examine` tries all of them;
//! `download` fetches
//! files of any server, and `send` asks any server anything; `host` decides on scheme and connection, with `tls` for roots; [`RetryPolicy`] in `retry`; [`RegistryError`].

mod auth;
mod blob;
mod client;
mod credentials;
mod download;
mod error;
mod examine;
mod exchange;
mod host;
mod manifest;
mod pull;
mod push;
mod retry;
mod secret;
mod send;
mod settings;
mod source;
mod tags;
mod tls;

pub use blob::BlobReader;
pub use client::Client;
pub use credentials::{
    Candidate, ConfigFile, Credential, CredentialError, CredentialProvider, CredentialSource,
    CredentialSources, Credentials, LoginError, login, logout,
};
pub use download::{Download, DownloadError};
pub use error::{ErrorKind, Operation, RegistryError};
pub use examine::{Examination, Trial, Verdict, Wants};
pub use manifest::{Fetched, Resolved};
pub use push::{BlobPush, NamelessBlob, Pushed};
pub use retry::RetryPolicy;
pub use secret::Secret;
pub use send::{Answer, PlainHttp};
pub use settings::{
    ClientCertificate, HostSecurity, HostSettings, Mirror, Proxies, Settings, SettingsError,
    Timeouts, TrustedRoots,
};
pub use source::BlobSource;
