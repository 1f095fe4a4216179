//! What goes wrong with clouds.

use std::path::PathBuf;

use strata_registry::{ErrorKind, SettingsError};

/// Says why a cloud gives no identity, or no credential for one.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file that is named and cannot be read.
    #[error("cannot read `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A file that is something else.
    #[error("`{}` {problem}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong, without any of its text.
        problem: String,
    },
    /// A variable that cannot be right.
    #[error("`{variable}` {problem}")]
    Variable {
        /// Which.
        variable: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A service that refuses, or cannot be reached.
    #[error("{service} gives nothing")]
    Service {
        /// Which, for people.
        service: String,
        /// Why not.
        #[source]
        source: Box<ErrorKind>,
    },
    /// A service that answers with something else.
    #[error("{service} answers with something that is no {expected}")]
    Answer {
        /// Which, for people.
        service: String,
        /// What it should have been.
        expected: &'static str,
    },
    /// A request that cannot be made.
    #[error("cannot ask {service}")]
    Request {
        /// Whom, for people.
        service: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Connections that cannot be set up.
    #[error("cannot set up connections")]
    Settings {
        /// Why not.
        #[source]
        source: SettingsError,
    },
}

/// Says why a file of an object store cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is nobody to be.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The store does not give it.
    #[error("cannot download `{address}`")]
    Store {
        /// What.
        address: String,
        /// Why not.
        #[source]
        source: Box<ErrorKind>,
    },
    /// It cannot even be asked for.
    #[error("cannot ask for `{address}`: {problem}")]
    Request {
        /// What.
        address: String,
        /// Why not.
        problem: String,
    },
}

impl StorageError {
    /// What the store said, if it was asked.
    pub fn kind(&self) -> Option<&ErrorKind> {
        match self {
            Self::Store { source, .. } | Self::Identity(IdentityError::Service { source, .. }) => {
                Some(source)
            }
            Self::Identity(_) | Self::Request { .. } => None,
        }
    }
}
