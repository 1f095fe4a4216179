//! Why a context cannot be read.

use std::io;
use std::path::PathBuf;

use strata_tree::TreePath;

/// A failure to read the build context. Each names the place in the context, never a bare host path.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The context directory itself cannot be opened.
    #[error("cannot open the build context `{}`", directory.display())]
    Open {
        /// The directory as the user gave it.
        directory: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory of the context cannot be listed.
    #[error("cannot list `{path}` of the build context")]
    List {
        /// The directory.
        path: TreePath,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be inspected or read.
    #[error("cannot read `{path}` of the build context")]
    Read {
        /// The file.
        path: TreePath,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that was a regular one when the context was scanned is something else now, or never was one.
    #[error("`{path}` of the build context is not a regular file")]
    NotAFile {
        /// The file.
        path: TreePath,
    },
    /// A name in the context makes a path that no image can hold.
    #[error("cannot take a name below `{directory}` of the build context")]
    Name {
        /// The directory that holds it.
        directory: TreePath,
        /// Why.
        #[source]
        source: strata_tree::PathError,
    },
}
