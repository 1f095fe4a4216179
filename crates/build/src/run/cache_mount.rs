//! Directories that RUN keeps between builds.
//!
//! ```text
//! <cache mounts>/<sha256 of the id>/<number>/lock   held while a command uses the directory
//!                                  /<number>/new    held while the directory is made
//!                                  /<number>/data   what the command sees
//! ```
//! What begins with files of another place (`from`), or with an owner or a mode of its own, has these in its id, as with
//! BuildKit. Number 0 is the one that is shared or locked; `private` takes the first that nobody else holds.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use strata_oci::Digest;
use strata_plan::{MountOwner, Sharing};
use strata_sandbox::Cancel;
use strata_sys::Root;

use super::seed::Seed;
use crate::error::ErrorKind;
use crate::kept_mount::{self, CacheMount};

/// How long a waiting build sleeps between two looks at a lock. `flock` cannot wait for a lock and for a
/// request to stop at the same time.
const PATIENCE: Duration = Duration::from_millis(50);

/// A cache directory that is in use; dropped, others may have it.
#[derive(Debug)]
pub(super) struct CacheDirectory {
    name: Digest,
    slot: PathBuf,
    number: u32,
    _lock: File,
}

/// A directory that is to be made, by nobody else at the same time.
#[derive(Debug)]
pub(super) struct Making {
    _lock: File,
}

impl CacheDirectory {
    /// What the command sees, once it is there.
    pub(super) fn path(&self) -> PathBuf {
        self.slot.join("data")
    }

    /// What is kept elsewhere is about the one that is not somebody's own.
    pub(super) fn kept(&self, id: &str) -> Option<CacheMount> {
        let (name, slot) = (self.name, self.slot.clone());
        (self.number == 0).then(|| CacheMount { name, id: id.to_owned(), slot })
    }

    /// Begins to make what the command sees; nothing if it is there.
    pub(super) fn begin(&self, id: &str) -> Result<Option<Making>, ErrorKind> {
        let failed = |source| failed(id, source);
        // Those who share it may come at the same time.
        let making = kept_mount::lock_file(&self.slot.join("new")).map_err(failed)?;
        flock(&making, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        let there = self.root(id)?.metadata("data").is_ok();
        Ok((!there).then_some(Making { _lock: making }))
    }

    /// Makes it, unless something was put there meanwhile. Owner and mode are given once; what commands change
    /// later stays.
    pub(super) fn finish(&self, _making: Making, wanted: &Wanted) -> Result<(), ErrorKind> {
        let root = self.root(&wanted.id)?;
        if root.metadata("data").is_ok() {
            return Ok(());
        }
        match &wanted.seed {
            Some(seed) => seed.plant(&self.slot),
            None => make_empty(&root, wanted.owner).map_err(|source| failed(&wanted.id, source)),
        }
    }

    fn root(&self, id: &str) -> Result<Root, ErrorKind> {
        Root::open(&self.slot).map_err(|error| failed(id, io::Error::other(error)))
    }
}

fn failed(id: &str, source: io::Error) -> ErrorKind {
    ErrorKind::Io { action: "open", what: format!("the cache mount `{id}`"), source }
}

/// Which directory is wanted, and how.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Where all are.
    pub(super) all: PathBuf,
    pub(super) id: String,
    pub(super) sharing: Sharing,
    /// Whose an empty one is.
    pub(super) owner: MountOwner,
    pub(super) seed: Option<Seed>,
}

/// Finds the place of a cache mount, and waits for it where it is locked.
pub(super) fn open(wanted: &Wanted, cancel: &Cancel) -> Result<CacheDirectory, ErrorKind> {
    let Wanted { all, id, sharing, owner, seed } = wanted;
    let sharing = *sharing;
    let failed = |source| failed(id, source);
    let name = name(id, *owner, seed.as_ref());
    let base = all.join(name.to_hex());
    let mut number = 0_u32;
    loop {
        let slot = base.join(number.to_string());
        fs::create_dir_all(&slot).map_err(failed)?;
        let lock = kept_mount::lock_file(&slot.join("lock")).map_err(failed)?;
        let operation = match sharing {
            Sharing::Shared => FlockOperation::NonBlockingLockShared,
            Sharing::Locked | Sharing::Private => FlockOperation::NonBlockingLockExclusive,
        };
        match flock(&lock, operation) {
            Ok(()) => return Ok(CacheDirectory { name, slot, number, _lock: lock }),
            Err(Errno::WOULDBLOCK) => {}
            Err(error) => return Err(failed(error.into())),
        }
        match sharing {
            Sharing::Private => number += 1,
            Sharing::Shared | Sharing::Locked => {
                if asked_to_stop(cancel).map_err(failed)? {
                    return Err(ErrorKind::Cancelled);
                }
            }
        }
    }
}

// What a directory begins with tells it from others of the same id.
fn name(id: &str, owner: MountOwner, seed: Option<&Seed>) -> Digest {
    let MountOwner { mode, uid, gid } = owner;
    match seed {
        Some(seed) => Digest::of(format!("{}\n{id}", seed.identity).as_bytes()),
        None if owner == MountOwner::OF_CACHES => Digest::of(id.as_bytes()),
        None => Digest::of(format!("{mode:o} {uid} {gid}\n{id}").as_bytes()),
    }
}

fn asked_to_stop(cancel: &Cancel) -> io::Result<bool> {
    let timeout = Timespec::try_from(PATIENCE).map_err(io::Error::other)?;
    let mut waiting = [PollFd::new(cancel, PollFlags::IN)];
    match poll(&mut waiting, Some(&timeout)) {
        Ok(0) | Err(Errno::INTR) => Ok(false),
        Ok(_) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn make_empty(root: &Root, owner: MountOwner) -> io::Result<()> {
    root.mkdir("data", 0o700).map_err(io::Error::other)?;
    match root.set_owner("data", owner.uid, owner.gid) {
        // Ids that do not exist here, or that nothing can be given to: who commands see as its owner is the
        // isolation's business.
        Err(error) if matches!(error.source, Errno::INVAL | Errno::PERM) => {}
        other => other.map_err(io::Error::other)?,
    }
    root.set_mode("data", owner.mode).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_and_mode_make_another_directory() {
        let usual = MountOwner::OF_CACHES;
        let plain = name("id", usual, None);
        assert_eq!(plain, Digest::of(b"id"));
        for other in [
            MountOwner { mode: 0o700, ..usual },
            MountOwner { uid: 5, ..usual },
            MountOwner { gid: 5, ..usual },
        ] {
            assert_ne!(name("id", other, None), plain, "{other:?}");
        }
    }
}
