//! The ports of the engine over registry and store: lazy images, layer cache, publisher.
//!
//! What it does not do: it speaks no protocol (`registry`), lays out no store (`store`), decides on no step
//! (`build`), reads no command line and prints nothing.
//!
//! Invariants:
//! - a base image's layer moves when somebody asks for its bytes, once, however many ask, and can be read while it
//!   arrives; on a push it moves
//!   from registry to registry, or not at all if the registry can mount it;
//! - content that is read through an [`Origin`] is verified at its end, and whoever writes it somewhere takes
//!   nothing back to be complete before that;
//! - a file or directory that an output makes appears whole or not at all; no tag moves before everything that
//!   it names is there;
//! - blocking work runs on threads for blocking, and dropping a future leaves nothing half done.
//!
//! Modules: [`LazyImages`] in `images`, [`StoreBlobs`] in `blobs`, [`ClientDownloads`] in `downloads` and
//! [`LocalSteps`] in `steps` are the ports; `cache` has caches in other places than this machine, and
//! [`CachedSteps`], the port over them all; `local` is the store in this crate's words; `origin` has the places that
//! images come from, and [`Bundle`], an image or index that can go anywhere; `output` writes one somewhere;
//! [`Uploads`] in `uploads` sends layers ahead of it; [`Publisher`] in `publish` writes one for the results of
//! builds, and [`Transport`] in `transport` for images that exist; `stream` joins asynchronous and blocking bytes;
//! `growing` has files that are read while they are written, `aside` files that appear at once.

mod aside;
mod blobs;
mod cache;
mod downloads;
mod error;
mod growing;
mod images;
mod local;
mod location;
mod origin;
mod output;
mod publish;
mod steps;
mod stream;
mod transport;
mod uploads;

pub use blobs::StoreBlobs;
pub use cache::{
    CacheError, CachePlace, CacheSource, CacheTarget, CachedSteps, Caches, Contents, Dropped,
    Export, Exported, Extent, MountRow, StepRow,
};
pub use downloads::{ClientDownloads, SaveError, save};
pub use error::{ReadError, WriteError};
pub use images::{Freshness, LazyImages};
pub use local::Local;
pub use location::Location;
pub use origin::archive::Archive;
pub use origin::layout::Layout;
pub use origin::registry::Remote;
pub use origin::{Bundle, Origin, PushSource, WithInline};
pub use output::rootfs::Owners;
pub use publish::{Destination, ImmutableTags, Output, Published, Publisher, Stdout};
pub use steps::LocalSteps;
pub use stream::ByteStream;
pub use transport::{Copied, Inspected, InspectedLayer, Transport};
pub use uploads::Uploads;
