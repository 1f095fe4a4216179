//! The names in `/proc`.
//!
//! The root has a directory there that nothing else uses. When a program is about to list it, it gets
//! the names of what is served: they lead nowhere by themselves, but whoever asks for them by path is
//! answered. So no descriptor of procfs's own root is handed out, which would show every process.

use std::collections::BTreeMap;

use rustix::process::getpid;
use strata_sys::{Dir, Kind, PathError};

use super::place;

/// The directory and what is in it.
#[derive(Debug)]
pub(super) struct Listing {
    directory: Dir,
    procfs: Dir,
    shown: BTreeMap<Vec<u8>, Kind>,
}

impl Listing {
    pub(super) fn new(root: &Dir) -> Result<Self, PathError> {
        let procfs = Dir::open(std::path::Path::new("/proc"))?;
        Ok(Self { directory: root.dir("proc")?, procfs, shown: BTreeMap::new() })
    }

    /// Shows what there is now.
    pub(super) fn refresh(&mut self) -> Result<(), PathError> {
        let now = self.wanted()?;
        for (name, kind) in &self.shown {
            if !now.contains_key(name) {
                match kind {
                    Kind::Dir => self.directory.rmdir(name)?,
                    _ => self.directory.unlink(name)?,
                }
            }
        }
        for (name, kind) in &now {
            if !self.shown.contains_key(name) {
                match kind {
                    Kind::Dir => self.directory.mkdir(name, 0o555)?,
                    Kind::Symlink => self.directory.symlink("self", name)?,
                    _ => drop(self.directory.create_file(name, 0o444)?),
                }
            }
        }
        self.shown = now;
        Ok(())
    }

    fn wanted(&self) -> Result<BTreeMap<Vec<u8>, Kind>, PathError> {
        let mut wanted = BTreeMap::new();
        for entry in self.procfs.entries()? {
            let is_process = entry.name.iter().all(u8::is_ascii_digit);
            if !is_process && !place::is_hidden(&entry.name) {
                wanted.insert(entry.name, entry.kind.unwrap_or(Kind::File));
            }
        }
        // Processes come and go; a look that fails shows none.
        for pid in crate::helper::chroot::below(getpid()).unwrap_or_default() {
            wanted.insert(pid.as_raw_nonzero().to_string().into_bytes(), Kind::Dir);
        }
        Ok(wanted)
    }
}
