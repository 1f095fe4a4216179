//! What goes wrong with a registry.

use std::fmt;
use std::time::Duration;

use strata_oci::{Digest, DocumentError};

pub(crate) mod body;
mod hint;
mod immutable;

/// Says what was asked of which registry, and how it failed.
///
/// Displays as one line without its cause; [`RegistryError::hint`] has advice where there is some.
#[derive(Debug)]
pub struct RegistryError {
    /// The registry as `host[:port]`; a mirror's own name if a mirror failed.
    pub registry: String,
    /// The repository within it, if one was concerned.
    pub repository: Option<String>,
    /// What was asked.
    pub operation: Operation,
    /// What happened.
    pub kind: Box<ErrorKind>,
}

/// Names what was asked of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Whether the registry answers and lets this user in.
    Ping,
    /// Which manifest a tag points to.
    Resolve {
        /// Tag or digest.
        target: String,
    },
    /// A manifest's bytes.
    FetchManifest {
        /// Tag or digest.
        target: String,
    },
    /// Whether a blob is there.
    FindBlob {
        /// The blob.
        digest: Digest,
    },
    /// A blob's bytes.
    FetchBlob {
        /// The blob.
        digest: Digest,
    },
    /// To take a blob.
    PushBlob {
        /// The blob.
        digest: Digest,
    },
    /// To take a blob whose digest is not known yet.
    StreamBlob,
    /// To take a manifest.
    PushManifest {
        /// Tag or digest.
        target: String,
    },
    /// Whether pushing is allowed.
    CheckPush,
    /// Which tags there are.
    ListTags,
    /// To remove a manifest.
    DeleteManifest {
        /// The manifest.
        digest: Digest,
    },
}

impl Operation {
    /// Is true for what changes a registry.
    fn pushes(&self) -> bool {
        match self {
            Self::PushBlob { .. }
            | Self::StreamBlob
            | Self::PushManifest { .. }
            | Self::CheckPush
            | Self::DeleteManifest { .. } => true,
            Self::Ping
            | Self::Resolve { .. }
            | Self::FetchManifest { .. }
            | Self::FindBlob { .. }
            | Self::FetchBlob { .. }
            | Self::ListTags => false,
        }
    }
}

/// Says how an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum ErrorKind {
    /// The registry wants to know who asks, and what it was told did not do (401).
    #[error("not authorized with {tried}{}", body::suffix(message))]
    Unauthorized {
        /// What was tried, for people: `no credentials`, or whose and where they were found.
        tried: String,
        /// The registry's own words, cut short.
        message: String,
    },
    /// The registry knows who asks and refuses (403).
    #[error("denied with {tried}{}", body::suffix(message))]
    Denied {
        /// What was tried.
        tried: String,
        /// The registry's own words, cut short.
        message: String,
    },
    /// There is no such thing (404).
    #[error("not found{}", body::suffix(message))]
    NotFound {
        /// The registry's own words, cut short.
        message: String,
    },
    /// The registry asks for patience (429), and went on to.
    #[error("too many requests{}", body::suffix(message))]
    TooManyRequests {
        /// How long it asked to wait, the last time.
        retry_after: Option<Duration>,
        /// The registry's own words, cut short.
        message: String,
    },
    /// The registry cannot do its work at the moment (5xx).
    #[error("registry unavailable with status {status}{}", body::suffix(message))]
    Unavailable {
        /// The status.
        status: u16,
        /// How long it asked to wait, the last time.
        retry_after: Option<Duration>,
        /// The registry's own words, cut short.
        message: String,
    },
    /// The registry refuses the request as such.
    #[error("refused with status {status}{}", body::suffix(message))]
    Refused {
        /// The status.
        status: u16,
        /// The registry's own words, cut short.
        message: String,
    },
    /// The certificate is not believed, or TLS fails otherwise.
    #[error("TLS with `{host}` fails: {reason}")]
    Tls {
        /// The host.
        host: String,
        /// Why, in the TLS library's words.
        reason: String,
    },
    /// No connection comes about, or it breaks.
    #[error("cannot reach `{host}`: {reason}")]
    Unreachable {
        /// The host.
        host: String,
        /// Why, down to the last cause.
        reason: String,
        /// The host answers, but nothing listens at the port.
        refused: bool,
    },
    /// Nothing came for too long.
    #[error("no answer from `{host}` for {} s", silence.as_secs())]
    TimedOut {
        /// The host.
        host: String,
        /// How long it was waited.
        silence: Duration,
    },
    /// The body ended early, and again on each attempt to go on.
    #[error("connection was cut after {received} of {expected} bytes")]
    Cut {
        /// Bytes that came.
        received: u64,
        /// Bytes that should have come.
        expected: u64,
    },
    /// The bytes are not those that were named.
    #[error("content has digest `{actual}`, not the expected `{expected}`")]
    DigestMismatch {
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// More or fewer bytes than the descriptor says.
    #[error("content has {actual} bytes, not the expected {expected}")]
    SizeMismatch {
        /// Bytes that the descriptor says.
        expected: u64,
        /// Bytes that came, or at least so many.
        actual: u64,
    },
    /// A manifest or config that cannot be accepted.
    #[error("document cannot be used")]
    Document {
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// An answer that the protocol does not allow.
    #[error("registry answers against the protocol: {what}")]
    Protocol {
        /// What is wrong with it.
        what: String,
    },
    /// A redirect or token server to which nothing may be sent in the clear.
    #[error("refusing to {what} over plain HTTP to `{host}`")]
    PlainHttp {
        /// What would be sent or fetched.
        what: &'static str,
        /// To whom.
        host: String,
    },
    /// What was to be pushed cannot be read.
    #[error("cannot read {what}")]
    Source {
        /// What it is.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Credentials that are configured cannot be used.
    #[error("cannot use the configured credentials")]
    Credentials {
        /// Why.
        #[source]
        source: crate::CredentialError,
    },
}

impl RegistryError {
    /// Is true if the registry said that the thing is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(*self.kind, ErrorKind::NotFound { .. })
    }

    /// Is true if the registry would not let this user.
    pub fn is_permission(&self) -> bool {
        matches!(*self.kind, ErrorKind::Unauthorized { .. } | ErrorKind::Denied { .. })
    }

    /// Is true if the registry would not move a tag that it has, because its tags do not move.
    pub fn is_immutable_tag(&self) -> bool {
        immutable::says(self)
    }

    /// Advises what to do, where there is something.
    pub fn hint(&self) -> Option<String> {
        hint::of(self)
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.operation)?;
        match &self.repository {
            Some(repository) => write!(f, " `{}/{repository}`", self.registry)?,
            None => write!(f, " `{}`", self.registry)?,
        }
        write!(f, ": {}", self.kind)
    }
}

impl std::error::Error for RegistryError {
    /// The kind's own text is part of this error's, so the chain goes on behind it.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.kind.source()
    }
}

impl fmt::Display for Operation {
    /// Reads well between "cannot" and the name of a repository.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ping => f.write_str("log in to"),
            Self::Resolve { target } => write!(f, "resolve `{target}` in"),
            Self::FetchManifest { target } => write!(f, "fetch manifest `{target}` from"),
            Self::FindBlob { digest } => write!(f, "look for blob `{digest}` in"),
            Self::FetchBlob { digest } => write!(f, "fetch blob `{digest}` from"),
            Self::PushBlob { digest } => write!(f, "push blob `{digest}` to"),
            Self::StreamBlob => f.write_str("send a blob to"),
            Self::PushManifest { target } => write!(f, "push manifest `{target}` to"),
            Self::CheckPush => f.write_str("push to"),
            Self::ListTags => f.write_str("list the tags of"),
            Self::DeleteManifest { digest } => write!(f, "delete manifest `{digest}` from"),
        }
    }
}
