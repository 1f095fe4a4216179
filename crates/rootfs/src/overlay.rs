//! Each layer a directory, the root an overlay of them: the cost of a command is what it changes.

mod base;
mod layer;
mod layers;
mod patch;
mod scan;
mod stack;
mod workspace;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strata_sys::mount::{Overlay, detach};
use strata_sys::{Dir, Node as SpecialFile};

use crate::error::SnapshotError;
use crate::scratch::Scratch;
use crate::snapshotter::{BaseLayer, Snapshotter, Workspace};
use crate::state::State;
use base::{Base, Bases};
use workspace::OverlayWorkspace;

/// Keeps stages as stacks of directories and mounts an overlay of them for each command.
///
/// Base layers are unpacked once and shared by all stages and builds that use the same state directory. Stages that
/// stand on the same layers at the same time share one tree of them, too. A
/// command's upper directory holds what it changed, and becomes the next command's topmost lower one.
///
/// Writing to one name of a hard-linked file of a lower layer changes that name alone, because an overlay
/// breaks the link; so does the change set then.
#[derive(Clone, Debug)]
pub struct OverlaySnapshotter {
    state: Arc<State>,
    bases: Arc<Bases>,
}

impl OverlaySnapshotter {
    /// Opens a state directory, and makes it if it is missing. Tries an overlay there:
    /// [`SnapshotError::NoOverlay`] says what is in the way. It must lie on a file system that can be an
    /// overlay's upper one, which another overlay (a container's own root) cannot.
    pub fn open(directory: &Path) -> Result<Self, SnapshotError> {
        let state = State::open(directory)?;
        probe(&state, directory)?;
        Ok(Self { state: Arc::new(state), bases: Arc::default() })
    }
}

impl Snapshotter for OverlaySnapshotter {
    fn name(&self) -> &'static str {
        "overlay"
    }

    fn create(&self, base: Vec<BaseLayer>) -> Result<Box<dyn Workspace>, SnapshotError> {
        let layers = base.iter().map(|layer| layer.diff_id).collect();
        let base = self
            .bases
            .get(layers, || Base::new(&self.state, layers::unpack_all(&self.state, base)?))?;
        Ok(Box::new(OverlayWorkspace::new(Arc::clone(&self.state), base)))
    }
}

fn probe(state: &State, directory: &Path) -> Result<(), SnapshotError> {
    let refused = |missing, source| SnapshotError::NoOverlay {
        directory: directory.to_owned(),
        missing,
        source,
    };
    if !state.medium().has_user_xattrs() {
        let source = io::ErrorKind::Unsupported.into();
        return Err(refused("its file system has no user attributes", source));
    }
    let scratch = Scratch::new(state.work(), "probe-")?;
    let lower = scratch.directory("lower")?;
    let merged = scratch.directory("merged")?;
    let whiteout = Dir::open(&lower)
        .and_then(|dir| dir.mknod("whiteout", SpecialFile::CharDevice(0, 0), 0o600));
    whiteout.map_err(|error| refused("whiteouts cannot be made", error.source.into()))?;
    let mount = mount(vec![lower], &scratch.directory("fs")?, &scratch.directory("work")?, &merged);
    mount.map_err(|error| refused("mounting one is refused", io::Error::other(error)))?;
    detach(&merged).map_err(SnapshotError::Mount)
}

/// Mounts with `userxattr`: without it a mount in a user namespace succeeds, and removing a lower directory
/// later fails with `EIO`. `volatile` saves the flushes of every copy-up; nobody mounts an upper twice.
fn mount(
    lowers: Vec<PathBuf>,
    upper: &Path,
    work: &Path,
    target: &Path,
) -> Result<(), strata_sys::mount::MountError> {
    let upper = Some((upper.to_owned(), work.to_owned()));
    Overlay { lowers, upper, user_xattrs: true, volatile: true }.mount(target)
}
