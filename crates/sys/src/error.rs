//! The two shapes of failure: about a path, and about anything else.

use rustix::io::Errno;

/// A failed operation on a file, named by the path the caller gave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {operation} `{}`", path.escape_ascii())]
pub struct PathError {
    /// What was attempted, as a verb phrase (`open`, `set the owner of`).
    pub operation: &'static str,
    /// The path or single name, as it was given.
    pub path: Vec<u8>,
    /// What the kernel answered.
    #[source]
    pub source: Errno,
}

impl PathError {
    pub(crate) fn new(operation: &'static str, path: &[u8], source: Errno) -> Self {
        Self { operation, path: path.to_vec(), source }
    }

    /// Tells whether the path, or one of its parents, does not exist.
    pub fn is_not_found(&self) -> bool {
        self.source == Errno::NOENT
    }
}

/// A failed request to the kernel that is not about a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {operation}")]
pub struct CallError {
    /// What was attempted, as a verb phrase (`make a user namespace`).
    pub operation: String,
    /// What the kernel answered.
    #[source]
    pub source: Errno,
}

impl CallError {
    pub(crate) fn new(operation: impl Into<String>, source: Errno) -> Self {
        Self { operation: operation.into(), source }
    }
}
