//! The isolation by namespaces, seen from the builder: one helper per command.

use std::fs;

use strata_sys::Root;

use crate::attendance::Attendance;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::chroot::HideError;
use crate::enter::{Entry, Mode, Processes};
use crate::helper;
use crate::mount_points::{MountPoints, Want};
use crate::{Cancel, Command, Exit, Isolation, Mount, Outcome, RunError, Stream, ownership};

/// Runs commands in namespaces of their own, below the namespaces that the builder is in.
#[derive(Debug, Clone, Copy)]
pub struct Namespaces {
    entry: Entry,
}

impl Namespaces {
    /// Serves the builder in what it entered. Where its commands see its process, it stops being one
    /// that they could trace or read the memory of.
    pub fn new(entry: Entry) -> Result<Self, HideError> {
        if entry.processes == Processes::Shared {
            set_dumpable_behavior(DumpableBehavior::NotDumpable)
                .map_err(|source| HideError { source })?;
        }
        Ok(Self { entry })
    }
}

impl Isolation for Namespaces {
    fn name(&self) -> &'static str {
        name(self.entry)
    }

    fn fakes_ids(&self) -> bool {
        self.entry.mode == Mode::Single
    }

    fn run(
        &self,
        command: &Command,
        cancel: &Cancel,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Outcome, RunError> {
        let root = Root::open(&command.root)
            .map_err(|error| RunError::Root { path: command.root.clone(), source: error.source })?;
        // Removed when this returns, and so after the command's last process is gone.
        let mut points = MountPoints::new(&root);
        ensure_mount_points(&mut points, command)?;
        let helper = match self.entry.processes {
            Processes::Own => helper::NAME,
            Processes::Shared => helper::shared::NAME,
        };
        let (exit, journal) = Attendance::start(helper)?.conclude(command, cancel, output)?;
        // What a command that failed did is of no use to anybody.
        let owners = match (&command.owners, exit) {
            (Some(_), Exit::Code(0)) => Some(
                ownership::locate(&root, &journal)
                    .map_err(|error| RunError::Owners { source: error.source })?,
            ),
            _ => None,
        };
        Ok(Outcome { exit, mount_points: points.paths(), owners })
    }
}

/// The rung of the ladder that an entry belongs to.
pub(crate) fn name(entry: Entry) -> &'static str {
    match (entry.mode, entry.processes) {
        (Mode::Identity, Processes::Own) | (Mode::Subordinate, _) => "userns-range",
        (Mode::Identity, Processes::Shared) | (Mode::Shifted, _) => "own-range",
        (Mode::Single, _) => "userns-single",
        (Mode::MountsOnly, _) => "own-mounts",
    }
}

fn ensure_mount_points(points: &mut MountPoints<'_>, command: &Command) -> Result<(), RunError> {
    for directory in ["proc", "sys", "dev"] {
        points.ensure(directory.as_bytes(), Want::PlainDirectory)?;
    }
    points.ensure(b"etc/hosts", Want::File)?;
    points.ensure(b"etc/hostname", Want::File)?;
    if command.resolver_configuration.is_some() {
        points.ensure(b"etc/resolv.conf", Want::File)?;
    }
    for mount in &command.mounts {
        let want = match mount {
            Mount::Tmpfs { .. } => Want::Directory,
            Mount::File { .. } => Want::File,
            Mount::Bind { source, target, .. } => {
                let metadata = fs::metadata(source).map_err(|error| RunError::Mount {
                    what: source.display().to_string(),
                    target: target.escape_ascii().to_string(),
                    source: crate::errno::of(&error),
                })?;
                if metadata.is_dir() { Want::Directory } else { Want::File }
            }
        };
        points.ensure(mount.target(), want)?;
    }
    Ok(())
}
