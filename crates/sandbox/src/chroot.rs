//! The isolation by a changed root directory, for places that allow neither namespaces nor mounts.
//!
//! ```text
//! builder ── covers what the command must not see, places what it must     (no process, no mount)
//!    └─ helper      inherits whatever the command leaves behind, and kills it
//!          └─ program   root changed, privileges given up, executed
//! ```
//!
//! What a mount does elsewhere is done by moving: what the image has at a target is moved out of the
//! root for the run, and what the command is to see is moved in. Afterwards both go back, with the
//! times of the directory around them, so that a look at the root finds no difference.

mod cover;
mod layout;

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use strata_sys::Root;

use crate::attendance::Attendance;
use crate::{Cancel, Command, Isolation, Outcome, RunError, Stream, helper};
pub(crate) use layout::{DEVICES, Layout, Power};

/// Its name in the ladder.
pub(crate) const NAME: &str = "chroot-supervised";

/// Runs commands as the builder's own root, in a changed root directory.
#[derive(Debug)]
pub struct Chroot {
    _made_by_new: (),
}

/// The builder could not be kept out of its commands' reach.
#[derive(Debug, thiserror::Error)]
#[error("cannot hide the builder from its commands")]
pub struct HideError {
    /// What the kernel answered.
    #[source]
    pub source: Errno,
}

impl Chroot {
    /// Prepares the builder: its commands have its own user id and see its process, so it stops being
    /// one that they could trace or read the memory of.
    pub fn new() -> Result<Self, HideError> {
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(|source| HideError { source })?;
        Ok(Self { _made_by_new: () })
    }
}

impl Isolation for Chroot {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(
        &self,
        command: &Command,
        cancel: &Cancel,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Outcome, RunError> {
        let root = Root::open(&command.root)
            .map_err(|error| RunError::Root { path: command.root.clone(), source: error.source })?;
        let mut layout = Layout::new((NAME, Power::Root), &root, command)?;
        let run = layout.build(command, cancel).and_then(|()| {
            Attendance::start(helper::chroot::NAME)?.conclude(command, cancel, output)
        });
        let mount_points = layout.mount_points();
        // Also after a failure: caches are to be found where they were.
        let undone = layout.undo();
        let (exit, _) = run?;
        undone?;
        Ok(Outcome { exit, mount_points, owners: None })
    }
}
