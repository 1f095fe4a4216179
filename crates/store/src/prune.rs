//! Removing what nobody needs any more.

use std::collections::HashSet;
use std::io::Read;
use std::time::{Duration, SystemTime};

use rustix::fs::FlockOperation;
use strata_oci::{AnyManifest, Descriptor, Digest, Format, Manifest};

use crate::error::StoreError;
use crate::kinds::{IMAGES, INDEXES, Image, LINKS, STEPS, read_json, read_step};
use crate::store::{Listed, Store, list, remove};

/// What pruning keeps besides the local images and all they consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Steps, with their blobs, indexes and links that were used less than this long ago.
    pub used_within: Duration,
    /// The time from which to count.
    pub now: SystemTime,
}

/// What pruning removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many blobs.
    pub blobs: u64,
    /// How many steps.
    pub steps: u64,
    /// How many indexes and links.
    pub indexes: u64,
    /// How many bytes all of it had, half-written files included.
    pub bytes: u64,
}

impl Store {
    /// Removes every blob that neither a local image nor a step in use needs, and every step, index and link
    /// that was not used lately.
    ///
    /// Needs the store alone: with another process at work it is [`StoreError::InUse`]. Unpacked layers are
    /// not touched; they belong to the snapshotters.
    pub fn prune(&mut self, keep: &Keep) -> Result<Pruned, StoreError> {
        if !self.lock(FlockOperation::NonBlockingLockExclusive)? {
            // A failed upgrade has given the shared lock away.
            self.lock(FlockOperation::LockShared)?;
            return Err(StoreError::InUse { directory: self.directory().to_owned() });
        }
        let pruned = self.prune_locked(keep);
        self.lock(FlockOperation::LockShared)?;
        pruned
    }

    fn prune_locked(&self, keep: &Keep) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned { bytes: self.clear_temporary()?, ..Pruned::default() };
        let mut needed = HashSet::new();
        for file in list(&self.directory().join(STEPS))? {
            if keep.is_young(&file) {
                let step = read_step(&file.path)?;
                needed.extend(step.into_iter().flat_map(|step| step.blobs));
            } else {
                pruned.take(&file)?;
                pruned.steps += 1;
            }
        }
        for file in list(&self.directory().join(IMAGES))? {
            if let Some(Image { descriptor, .. }) = read_json(&file.path)? {
                self.reach(descriptor, &mut needed)?;
            }
        }
        for kind in [INDEXES, LINKS] {
            for file in list(&self.directory().join(kind))? {
                if !keep.is_young(&file) {
                    pruned.take(&file)?;
                    pruned.indexes += 1;
                }
            }
        }
        for file in list(&self.directory().join("blobs/sha256"))? {
            // A file that is not named by a digest is not a blob, and nobody will ever ask for it.
            if !file.digest.is_some_and(|digest| needed.contains(&digest)) {
                pruned.take(&file)?;
                pruned.blobs += 1;
            }
        }
        Ok(pruned)
    }

    /// Adds everything that a manifest or index names, as far as it is here.
    fn reach(&self, from: Descriptor, needed: &mut HashSet<Digest>) -> Result<(), StoreError> {
        let mut pending = vec![from];
        while let Some(next) = pending.pop() {
            if !needed.insert(next.digest) {
                continue;
            }
            if !(next.media_type.is_manifest() || next.media_type.is_index()) {
                continue;
            }
            let Some(file) = self.blob(next.digest)? else { continue };
            let path = self.blob_path(next.digest);
            let mut bytes = Vec::new();
            let limit = Manifest::LIMIT as u64 + 1;
            file.take(limit).read_to_end(&mut bytes).map_err(StoreError::io("read", &path))?;
            match AnyManifest::parse(bytes, Some(&next.media_type)) {
                Ok(AnyManifest::Manifest(manifest)) => {
                    let manifest = manifest.into_value();
                    pending.push(manifest.config);
                    pending.extend(manifest.layers);
                }
                Ok(AnyManifest::Index(index)) => pending.extend(index.into_value().manifests),
                Err(error) => {
                    tracing::warn!(digest = %next.digest, %error, "a stored manifest is not readable");
                }
            }
        }
        Ok(())
    }
}

impl Keep {
    fn is_young(&self, file: &Listed) -> bool {
        // What was used after `now` is as young as can be.
        !self.now.duration_since(file.modified).is_ok_and(|age| age >= self.used_within)
    }
}

impl Pruned {
    fn take(&mut self, file: &Listed) -> Result<(), StoreError> {
        remove(&file.path)?;
        self.bytes += file.size;
        Ok(())
    }
}
