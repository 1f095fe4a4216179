//! Why a workspace cannot be made, changed or read.

use std::io;
use std::path::PathBuf;

use strata_layer::DecodeError;
use strata_oci::DiffId;
use strata_sys::PathError;
use strata_sys::idmap::IdMapError;
use strata_sys::mount::MountError;
use strata_tree::{ApplyError, TreePath};

/// A failure of a snapshotter or a workspace.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A base layer cannot be fetched.
    #[error("cannot open layer `{diff_id}`")]
    OpenLayer {
        /// The layer.
        diff_id: DiffId,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A base layer is no archive, or the disk refused what is in it.
    #[error("cannot unpack layer `{diff_id}`")]
    Unpack {
        /// The layer.
        diff_id: DiffId,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// A base layer is not what the image's config says.
    #[error("layer `{expected}` hashes to `{actual}`")]
    DiffIdMismatch {
        /// What the config lists.
        expected: DiffId,
        /// What the bytes hash to.
        actual: DiffId,
    },
    /// A change set contradicts the tree it is applied to.
    #[error("cannot apply the changes of {layer}")]
    Apply {
        /// Which: a base layer by its diff id, or the step's own.
        layer: String,
        /// Why.
        #[source]
        source: ApplyError,
    },
    /// The bytes of a file to be applied cannot be read.
    #[error("cannot read what to put at `{path}`")]
    Content {
        /// Where they were to go.
        path: TreePath,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A path in a workspace cannot be read or written.
    #[error("cannot change or read `{path}` in `{}`", directory.display())]
    Disk {
        /// The workspace's directory.
        directory: PathBuf,
        /// The path in it.
        path: TreePath,
        /// Why.
        #[source]
        source: PathError,
    },
    /// A command made a path that no layer can hold.
    #[error("cannot take a name below `{directory}` into a layer")]
    Name {
        /// The directory that holds it.
        directory: TreePath,
        /// Why.
        #[source]
        source: strata_tree::PathError,
    },
    /// The bytes of two files cannot be compared.
    #[error("cannot read `{path}` to see whether it changed")]
    Compare {
        /// The file.
        path: TreePath,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The snapshotter's own directories are not usable.
    #[error("cannot use `{}` to keep file systems", path.display())]
    State {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The layers are larger than what is free.
    #[error("`{}` has {free} bytes free, and the layers need {needed} at least", directory.display())]
    NoSpace {
        /// Where they were to go.
        directory: PathBuf,
        /// How many bytes they take at least.
        needed: u64,
        /// How many are free.
        free: u64,
    },
    /// The id maps of this process cannot be read.
    #[error("cannot tell which owners exist")]
    Owners(#[source] IdMapError),
    /// The overlay cannot be mounted or unmounted.
    #[error("cannot provide a root directory")]
    Mount(#[source] MountError),
    /// The file system below the state directory cannot carry an overlay.
    #[error("`{}` cannot hold an overlay: {missing}", directory.display())]
    NoOverlay {
        /// The state directory.
        directory: PathBuf,
        /// What it lacks.
        missing: &'static str,
        /// What was tried and refused.
        #[source]
        source: io::Error,
    },
    /// Something was to be applied, or a workspace forked, while a command's changes are not taken.
    #[error("the changes of the last command were not taken")]
    ChangesPending,
}
