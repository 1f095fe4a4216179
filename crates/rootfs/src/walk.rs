//! One directory for everything; what a command changed is found by looking at all of it.

mod index;
mod scan;
mod workspace;

use std::path::Path;
use std::sync::Arc;

use crate::error::SnapshotError;
use crate::snapshotter::{BaseLayer, Snapshotter, Workspace};
use crate::state::State;
use workspace::WalkWorkspace;

/// Keeps each stage in a directory of its own, and compares what a walk finds there with what was there.
///
/// It needs nothing of the kernel but directories. Every stage unpacks its base layers anew, and every
/// command costs one walk over names and inodes; contents are read only where a change is possible.
#[derive(Clone, Debug)]
pub struct WalkSnapshotter {
    state: Arc<State>,
}

impl WalkSnapshotter {
    /// Opens a state directory, and makes it if it is missing.
    pub fn open(directory: &Path) -> Result<Self, SnapshotError> {
        Ok(Self { state: Arc::new(State::open(directory)?) })
    }
}

impl Snapshotter for WalkSnapshotter {
    fn name(&self) -> &'static str {
        "walk"
    }

    fn create(&self, base: Vec<BaseLayer>) -> Result<Box<dyn Workspace>, SnapshotError> {
        Ok(Box::new(WalkWorkspace::new(Arc::clone(&self.state), base)?))
    }
}
