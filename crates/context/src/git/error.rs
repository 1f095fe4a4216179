//! Why a repository cannot be had.

use std::io;
use std::path::PathBuf;

/// A failure to look up or fetch a repository. Addresses are shown without passwords.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no such program.
    #[error("the program `git` is needed for `{remote}` and not found")]
    NoProgram {
        /// The repository.
        remote: String,
    },
    /// The program cannot be started or talked to.
    #[error("cannot run `git {action}` for `{remote}`")]
    Start {
        /// The subcommand.
        action: String,
        /// The repository.
        remote: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program failed.
    #[error("`git {action}` failed for `{remote}`: {reason}")]
    Failed {
        /// The subcommand.
        action: String,
        /// The repository.
        remote: String,
        /// What it said last.
        reason: String,
    },
    /// A reference has characters that no reference can have.
    #[error("`{reference}` is no name of a git reference")]
    InvalidReference {
        /// As given.
        reference: String,
    },
    /// The repository has no such branch, tag or ref.
    #[error("`{remote}` has no reference `{reference}`")]
    NoReference {
        /// The repository.
        remote: String,
        /// As given.
        reference: String,
    },
    /// The commit is another than the one that was demanded.
    #[error("`{remote}` is at commit `{actual}`, which does not begin with `{expected}`")]
    Checksum {
        /// The repository.
        remote: String,
        /// What was demanded.
        expected: String,
        /// What is there.
        actual: String,
    },
    /// A file of the checkout cannot be put in order.
    #[error("cannot prepare `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}
