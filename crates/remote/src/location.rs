//! Images anywhere, as `push`, `copy` and `inspect` mean them.

use std::fmt;
use std::path::PathBuf;

use strata_oci::Reference;

/// Where an image is, or is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A name: to read, in the local store if it has it, else in its registry; to write, in its registry.
    Named(Reference),
    /// In its registry.
    Registry(Reference),
    /// In the local store.
    Store(Reference),
    /// In a directory with an OCI layout.
    Layout {
        /// The directory.
        directory: PathBuf,
        /// To read, a tag, a name or a digest, or nothing for the only image; to write, a tag or name to give.
        selector: Option<String>,
    },
    /// In a tar with an OCI layout. To read, what `docker save` writes will do too.
    Archive {
        /// The tar.
        file: PathBuf,
        /// As for a layout.
        selector: Option<String>,
    },
    /// In a tar that `docker load` takes.
    DockerArchive {
        /// The tar.
        file: PathBuf,
        /// As for a layout.
        selector: Option<String>,
    },
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, selector) = match self {
            Self::Named(reference) | Self::Registry(reference) | Self::Store(reference) => {
                return reference.familiar().fmt(f);
            }
            Self::Layout { directory, selector } => (directory, selector),
            Self::Archive { file, selector } | Self::DockerArchive { file, selector } => {
                (file, selector)
            }
        };
        write!(f, "{}", path.display())?;
        match selector {
            Some(selector) => write!(f, ":{selector}"),
            None => Ok(()),
        }
    }
}
