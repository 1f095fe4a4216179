//! What goes wrong between images, stores and registries, and how the engine is told.

use std::io;
use std::path::PathBuf;

use strata_build::ports::{PortError, PortErrorClass};
use strata_oci::{Digest, DocumentError, ImageError, Platform};
use strata_registry::{ErrorKind, Operation, RegistryError};
use strata_store::StoreError;

/// Why an image, or a part of one, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The registry does not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The local store does not give it.
    #[error("cannot read {what} in the local store")]
    Store {
        /// What was asked for.
        what: String,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// The local store has no image of that name.
    #[error("image `{image}` is not in the local store")]
    NotStored {
        /// The name.
        image: String,
    },
    /// A blob that nobody here knows a place for.
    #[error("no place is known for blob `{digest}`")]
    Unplaced {
        /// The blob.
        digest: Digest,
    },
    /// A manifest or config is not what it should be.
    #[error("{what} is not usable")]
    Document {
        /// Whose document it is.
        what: String,
        /// What is wrong with it.
        #[source]
        source: DocumentError,
    },
    /// Docker's manifests from before 2016.
    #[error("image `{image}` has a manifest of schema version 1, which is not supported")]
    Schema1 {
        /// The image.
        image: String,
    },
    /// A manifest and config that are not an image.
    #[error("`{image}` is not usable as an image")]
    NotAnImage {
        /// What was read.
        image: String,
        /// What is wrong with it.
        #[source]
        source: ImageError,
    },
    /// An index without the platform.
    #[error("image `{image}` is not available for platform `{wanted}`: it has {offered}")]
    NoPlatform {
        /// The image.
        image: String,
        /// The platform that was asked for.
        wanted: Box<Platform>,
        /// What the index offers, for the message.
        offered: String,
    },
    /// An index within an index within an index, or too many manifests.
    #[error("image `{image}` nests too many manifests")]
    TooDeep {
        /// The image.
        image: String,
    },
    /// A file or directory does not read.
    #[error("cannot read `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A directory or archive that is not what it was taken for.
    #[error("`{}` is not {expected}: {problem}", path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// What it should have been.
        expected: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A layout or archive holds images, but not that one.
    #[error("`{}` has no image `{selector}`: it has {offered}", path.display())]
    NoSelection {
        /// The layout or archive.
        path: PathBuf,
        /// What was asked for.
        selector: String,
        /// What it has, for the message.
        offered: String,
    },
    /// A layout or archive holds several images and none was chosen.
    #[error("`{}` has several images: {offered}", path.display())]
    SeveralImages {
        /// The layout or archive.
        path: PathBuf,
        /// What it has, for the message.
        offered: String,
    },
    /// A layer that does not decompress, unpack, or match its diff id.
    #[error("cannot read layer `{digest}`")]
    Layer {
        /// The layer's blob.
        digest: Digest,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl ReadError {
    /// What kind of failure it is.
    pub fn class(&self) -> PortErrorClass {
        match self {
            Self::Registry(source) => registry_class(source),
            Self::Store { source, .. } => store_class(source),
            Self::NotStored { .. }
            | Self::Unplaced { .. }
            | Self::NoPlatform { .. }
            | Self::NoSelection { .. }
            | Self::SeveralImages { .. } => PortErrorClass::NotFound,
            Self::Document { .. }
            | Self::Schema1 { .. }
            | Self::NotAnImage { .. }
            | Self::TooDeep { .. }
            | Self::Format { .. } => PortErrorClass::Corrupt,
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                PortErrorClass::NotFound
            }
            Self::File { source, .. } | Self::Layer { source, .. } => io_class(source),
        }
    }

    /// What the user can do, where anything is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(source) => source.hint(),
            Self::Schema1 { .. } => {
                Some("push the image again with a current tool to convert it".to_owned())
            }
            Self::SeveralImages { .. } => Some("add `:TAG` or `@DIGEST` to choose one".to_owned()),
            Self::NoPlatform { .. } => Some("choose another platform with `--platform`".to_owned()),
            _ => None,
        }
    }
}

/// Why an image cannot be written somewhere.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A part of the image cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The layers cannot be had.
    #[error(transparent)]
    Image(#[from] PortError),
    /// A registry does not take it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The local store does not take it.
    #[error("cannot keep {what} in the local store")]
    Store {
        /// What was to be kept.
        what: String,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// A file or directory cannot be written.
    #[error("cannot write `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A path of the image cannot be written below a directory.
    #[error("cannot write the root file system to `{}`", directory.display())]
    Path {
        /// The directory.
        directory: PathBuf,
        /// Which path, and why.
        #[source]
        source: strata_sys::PathError,
    },
    /// Something in the way that is not what this output writes.
    #[error("`{}` is in the way: {problem}", path.display())]
    InTheWay {
        /// What.
        path: PathBuf,
        /// Why it is not touched.
        problem: &'static str,
    },
    /// A kind of output that holds one platform was asked to hold several.
    #[error("output `{kind}` holds an image of one platform, not of {platforms}")]
    SeveralPlatforms {
        /// The kind of output.
        kind: &'static str,
        /// How many there are.
        platforms: usize,
    },
    /// A push or store without a name to give.
    #[error("output `{kind}` needs a name for the image")]
    NoName {
        /// The kind of output.
        kind: &'static str,
    },
    /// The root file system cannot be written as an archive.
    #[error("cannot write the root file system to `{}`", path.display())]
    Encode {
        /// The archive.
        path: PathBuf,
        /// Why not.
        #[source]
        source: strata_layer::EncodeError,
    },
    /// The layers of an image contradict each other.
    #[error("the layers do not make a file system")]
    Tree(#[from] strata_tree::ApplyError),
}

impl WriteError {
    /// The blob that could not be had or was not what it should be, if that is what went wrong.
    pub fn unusable_blob(&self) -> Option<Digest> {
        match self {
            Self::Read(ReadError::Registry(error)) | Self::Registry(error) => {
                let (Operation::FindBlob { digest }
                | Operation::FetchBlob { digest }
                | Operation::PushBlob { digest }) = error.operation
                else {
                    return None;
                };
                let is_its_own = matches!(
                    *error.kind,
                    ErrorKind::NotFound { .. }
                        | ErrorKind::DigestMismatch { .. }
                        | ErrorKind::SizeMismatch { .. }
                        | ErrorKind::Source { .. }
                        | ErrorKind::Refused { .. }
                        | ErrorKind::Cut { .. }
                        // What is said of an upload whose source is gone.
                        | ErrorKind::Unavailable { status: 404, .. }
                );
                is_its_own.then_some(digest)
            }
            Self::Read(ReadError::Unplaced { digest } | ReadError::Layer { digest, .. }) => {
                Some(*digest)
            }
            _ => None,
        }
    }

    /// What kind of failure it is.
    pub fn class(&self) -> PortErrorClass {
        match self {
            Self::Read(error) => error.class(),
            Self::Image(error) => error.class,
            Self::Registry(source) => registry_class(source),
            Self::Store { source, .. } => store_class(source),
            Self::File { source, .. } => io_class(source),
            Self::Tree(_) => PortErrorClass::Corrupt,
            Self::Path { .. }
            | Self::Encode { .. }
            | Self::InTheWay { .. }
            | Self::SeveralPlatforms { .. }
            | Self::NoName { .. } => PortErrorClass::Storage,
        }
    }

    /// What the user can do, where anything is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read(error) => error.hint(),
            Self::Image(error) => error.hint.clone(),
            Self::Registry(source) => source.hint(),
            Self::NoName { .. } => Some("name the image with `--tag`".to_owned()),
            Self::SeveralPlatforms { .. } => {
                Some("build one platform at a time, or use `type=oci`".to_owned())
            }
            Self::InTheWay { .. } => Some("choose another `dest`".to_owned()),
            Self::Store { .. }
            | Self::File { .. }
            | Self::Path { .. }
            | Self::Encode { .. }
            | Self::Tree(_) => None,
        }
    }
}

fn io_class(error: &io::Error) -> PortErrorClass {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => PortErrorClass::Corrupt,
        _ => PortErrorClass::Storage,
    }
}

fn registry_class(error: &RegistryError) -> PortErrorClass {
    match &*error.kind {
        ErrorKind::NotFound { .. } => PortErrorClass::NotFound,
        ErrorKind::DigestMismatch { .. }
        | ErrorKind::SizeMismatch { .. }
        | ErrorKind::Document { .. } => PortErrorClass::Corrupt,
        ErrorKind::Source { source, .. } => io_class(source),
        ErrorKind::Unauthorized { .. }
        | ErrorKind::Denied { .. }
        | ErrorKind::TooManyRequests { .. }
        | ErrorKind::Unavailable { .. }
        | ErrorKind::Refused { .. }
        | ErrorKind::Tls { .. }
        | ErrorKind::Unreachable { .. }
        | ErrorKind::TimedOut { .. }
        | ErrorKind::Cut { .. }
        | ErrorKind::Protocol { .. }
        | ErrorKind::PlainHttp { .. }
        | ErrorKind::Credentials { .. } => PortErrorClass::Registry,
    }
}

fn store_class(error: &StoreError) -> PortErrorClass {
    match error {
        StoreError::Io { .. } | StoreError::Full { .. } | StoreError::InUse { .. } => {
            PortErrorClass::Storage
        }
        StoreError::Mismatch { .. } | StoreError::Damaged { .. } => PortErrorClass::Corrupt,
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The causes behind an error whose own text becomes the message, as text: nobody asks a cause for its type.
fn cause(error: &(dyn std::error::Error + 'static)) -> Option<Cause> {
    let source = error.source()?;
    Some(Box::new(Link { message: source.to_string(), source: cause(source) }))
}

/// One link of a chain of causes.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Link {
    message: String,
    #[source]
    source: Option<Cause>,
}

impl From<ReadError> for PortError {
    fn from(error: ReadError) -> Self {
        Self {
            message: error.to_string(),
            class: error.class(),
            hint: error.hint(),
            source: cause(&error),
        }
    }
}

impl From<WriteError> for PortError {
    fn from(error: WriteError) -> Self {
        Self {
            message: error.to_string(),
            class: error.class(),
            hint: error.hint(),
            source: cause(&error),
        }
    }
}
