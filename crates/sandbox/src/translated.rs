//! The isolation for places that allow nothing at all: no namespaces, no mounts, no change of the root.
//!
//! Commands stay in the builder's own root as its own user, without capabilities if that is root, and see the image because a supervisor
//! answers every call of theirs that has a path. What a mount does elsewhere is done by moving, as in a
//! [changed root](crate::chroot).

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use strata_sys::{Root, caps};

use crate::attendance::Attendance;
use crate::chroot::{HideError, Layout, Power};
use crate::{Cancel, Command, Exit, Isolation, Outcome, RunError, Stream, helper, ownership};

/// Its name in the ladder.
pub(crate) const NAME: &str = "translated";

/// Runs commands as the builder's own user, with the paths of all their calls translated.
#[derive(Debug)]
pub struct Translated {
    _made_by_new: (),
}

impl Translated {
    /// Prepares the builder: its commands have its own user id and see its process, so it stops being
    /// one that they could trace or read the memory of. Capabilities are given up: files are then what
    /// they are for who never had any.
    ///
    /// Must be called with a single thread.
    pub fn new() -> Result<Self, HideError> {
        caps::limit(caps::CapabilitySet::empty())
            .map_err(|error| HideError { source: error.source })?;
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(|source| HideError { source })?;
        Ok(Self { _made_by_new: () })
    }
}

impl Isolation for Translated {
    fn name(&self) -> &'static str {
        NAME
    }

    fn fakes_ids(&self) -> bool {
        true
    }

    fn run(
        &self,
        command: &Command,
        cancel: &Cancel,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Outcome, RunError> {
        let root = Root::open(&command.root)
            .map_err(|error| RunError::Root { path: command.root.clone(), source: error.source })?;
        let mut layout = Layout::new((NAME, Power::Owner), &root, command)?;
        let run = layout.build(command, cancel).and_then(|()| {
            Attendance::start(helper::translated::NAME)?.conclude(command, cancel, output)
        });
        let mount_points = layout.mount_points();
        // Also after a failure: caches are to be found where they were.
        let undone = layout.undo();
        let (exit, journal) = run?;
        undone?;
        // What a command that failed did is of no use to anybody.
        let owners = match (&command.owners, exit) {
            (Some(_), Exit::Code(0)) => Some(
                ownership::locate(&root, &journal)
                    .map_err(|error| RunError::Owners { source: error.source })?,
            ),
            _ => None,
        };
        Ok(Outcome { exit, mount_points, owners })
    }
}
