//! What entries there are: indexes, links, steps, images.

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};
use serde::{Deserialize, Serialize};
use strata_oci::{Descriptor, DiffId, Digest, Reference};

use crate::entry;
use crate::error::StoreError;
use crate::store::{Store, list, open, remove};

pub(crate) const INDEXES: &str = "indexes";
pub(crate) const LINKS: &str = "links";
pub(crate) const STEPS: &str = "steps";
pub(crate) const IMAGES: &str = "images";

/// A step of an earlier build.
#[derive(Debug)]
pub(crate) struct Step {
    /// What the one who stored it wanted to remember.
    pub(crate) value: Vec<u8>,
    /// The blobs that pruning keeps as long as it keeps the step.
    pub(crate) blobs: Vec<Digest>,
}

/// The name of an image and what it stands for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) name: Reference,
    pub(crate) descriptor: Descriptor,
}

impl Store {
    /// What is inside a layer, as it was put.
    pub fn index(&self, diff_id: DiffId) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.entry_path(INDEXES, diff_id.0);
        let value = entry::read(&path)?;
        if value.is_some() {
            touch(&path)?;
        }
        Ok(value)
    }

    /// Remembers what is inside a layer.
    pub fn put_index(&self, diff_id: DiffId, index: &[u8]) -> Result<(), StoreError> {
        entry::write(self, &self.entry_path(INDEXES, diff_id.0), &[index])
    }

    /// The blobs that are known to unpack to a layer, whether they are here or not.
    pub fn links(&self, diff_id: DiffId) -> Result<Vec<Descriptor>, StoreError> {
        let path = self.entry_path(LINKS, diff_id.0);
        Ok(read_json(&path)?.unwrap_or_default())
    }

    /// Remembers that a blob unpacks to a layer. If two processes add to one layer at the same moment, one of
    /// the links may be forgotten, which costs a later download and nothing else.
    pub fn add_link(&self, diff_id: DiffId, blob: &Descriptor) -> Result<(), StoreError> {
        let mut links = self.links(diff_id)?;
        if links.iter().any(|link| link.digest == blob.digest) {
            return touch(&self.entry_path(LINKS, diff_id.0));
        }
        links.push(blob.clone());
        self.write_json(LINKS, diff_id.0, &links)
    }

    /// The result of an earlier step. Reading it makes it young again.
    pub fn step(&self, key: [u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.entry_path(STEPS, Digest::from_bytes(key));
        let step = read_step(&path)?;
        if step.is_some() {
            touch(&path)?;
        }
        Ok(step.map(|step| step.value))
    }

    /// Remembers the result of a step. Pruning keeps `blobs` as long as it keeps the step, which is worth
    /// nothing without them.
    pub fn put_step(
        &self,
        key: [u8; 32],
        value: &[u8],
        blobs: &[Digest],
    ) -> Result<(), StoreError> {
        let mut blobs = serde_json::to_vec(blobs).expect("digests are always JSON");
        blobs.push(b'\n');
        entry::write(self, &self.entry_path(STEPS, Digest::from_bytes(key)), &[&blobs, value])
    }

    /// Forgets a step; tells whether it was there.
    pub fn remove_step(&self, key: [u8; 32]) -> Result<bool, StoreError> {
        remove(&self.entry_path(STEPS, Digest::from_bytes(key)))
    }

    /// What a local image's name stands for.
    pub fn image(&self, name: &Reference) -> Result<Option<Descriptor>, StoreError> {
        let path = self.image_path(name);
        let image: Option<Image> = read_json(&path)?;
        Ok(image.filter(|image| image.name == *name).map(|image| image.descriptor))
    }

    /// Gives a name to a manifest or index, which with all it names should be here already.
    pub fn put_image(&self, name: &Reference, descriptor: &Descriptor) -> Result<(), StoreError> {
        let image = Image { name: name.clone(), descriptor: descriptor.clone() };
        self.write_json(IMAGES, Digest::of(name.to_string().as_bytes()), &image)
    }

    /// All local images in the order of their names.
    pub fn images(&self) -> Result<Vec<(Reference, Descriptor)>, StoreError> {
        let mut images = Vec::new();
        for file in list(&self.directory().join(IMAGES))? {
            if let Some(Image { name, descriptor }) = read_json(&file.path)? {
                images.push((name, descriptor));
            }
        }
        images.sort_by_cached_key(|(name, _)| name.to_string());
        Ok(images)
    }

    /// Takes a name away; tells whether it was there. The blobs stay until the store is pruned.
    pub fn remove_image(&self, name: &Reference) -> Result<bool, StoreError> {
        remove(&self.image_path(name))
    }

    fn image_path(&self, name: &Reference) -> std::path::PathBuf {
        self.entry_path(IMAGES, Digest::of(name.to_string().as_bytes()))
    }

    fn write_json(
        &self,
        kind: &str,
        name: Digest,
        value: &impl Serialize,
    ) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(value).expect("descriptors and names are always JSON");
        entry::write(self, &self.entry_path(kind, name), &[&bytes])
    }
}

/// A step, if it is there and whole.
pub(crate) fn read_step(path: &std::path::Path) -> Result<Option<Step>, StoreError> {
    let Some(mut value) = entry::read(path)? else { return Ok(None) };
    let end = value.iter().position(|&byte| byte == b'\n');
    let blobs = end.and_then(|end| serde_json::from_slice(&value[..end]).ok());
    if let (Some(end), Some(blobs)) = (end, blobs) {
        value.drain(..=end);
        return Ok(Some(Step { value, blobs }));
    }
    entry::discard(path)?;
    Ok(None)
}

/// A value of this crate's own making, if it is there and whole.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(
    path: &std::path::Path,
) -> Result<Option<T>, StoreError> {
    let Some(bytes) = entry::read(path)? else { return Ok(None) };
    let value = serde_json::from_slice(&bytes).ok();
    if value.is_none() {
        entry::discard(path)?;
    }
    Ok(value)
}

/// Marks an entry as used just now. It may have been replaced or removed meanwhile, which is as well.
fn touch(path: &std::path::Path) -> Result<(), StoreError> {
    let Some(file) = open(path)? else { return Ok(()) };
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    futimens(&file, &times).map_err(|error| StoreError::io("touch", path)(error.into()))
}
