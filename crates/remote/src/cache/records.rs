//! What a cache knows: results by key, indexes by diff id, and when each was last of use.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strata_oci::{Descriptor, DiffId, Digest, LayerRef, MediaType, Timestamp};
use strata_plan::StepKey;

use super::error::CacheError;

/// The version of the records.
pub(super) const VERSION: u32 = 1;
/// The type of the manifest as an artifact.
pub(super) const ARTIFACT: &str = "application/vnd.strata.cache.v1";
/// The type of its config.
pub(super) const CONFIG: &str = "application/vnd.strata.cache.config.v1+json";
/// The type of the index of a layer.
pub(super) const INDEX: &str = "application/vnd.strata.layer-index.v1+zstd";
/// The type of a recipe that is too long for the records.
pub(super) const RECIPE: &str = "application/vnd.strata.recipe.v1+zstd";

/// The type of a piece of what a cache mount holds.
pub(super) const PIECE: &str = "application/vnd.strata.cache-mount.piece.v1+zstd";

/// The longest recipe that stands in the records themselves.
pub(super) const SHORT: usize = 4 << 10;
/// The longest records that are read.
pub(super) const LIMIT: u64 = 16 << 20;
/// So that manifest (4 MiB, which is all that registries take) and records ([`LIMIT`]) always have room.
const MOST_STEPS: usize = 2000;
/// Times of use are this exact: a cache that is read all day is not written all day.
pub(super) const DAY: i64 = 24 * 60 * 60;

/// Everything a cache knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Records {
    pub(super) version: u32,
    pub(super) steps: BTreeMap<StepKey, Record>,
    /// What is inside layers: those of the steps, and those of the bases that they stand on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) indexes: BTreeMap<DiffId, IndexRecord>,
    /// What cache mounts hold, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) mounts: BTreeMap<Digest, MountRecord>,
}

/// The result of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(super) layer: Descriptor,
    pub(super) diff_id: DiffId,
    pub(super) created: Timestamp,
    /// When it was last of use: seconds since 1970, as far as it is known.
    pub(super) used: i64,
    /// When the step ran, by the clock; `created` may have been set to another time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ran: Option<i64>,
    /// What the step does, whatever it does it to: what a miss is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) slot: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) recipe: Option<StoredRecipe>,
}

/// A recipe: here if it is short, else a blob, which is fetched only to explain a miss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum StoredRecipe {
    Inline(serde_json::Value),
    Blob(Box<Descriptor>),
}

/// The index of one layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexRecord {
    pub(crate) blob: Descriptor,
    /// Small files that builds asked for (who the users of a base are), by their offsets in the layer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) files: BTreeMap<u64, String>,
    pub(super) used: i64,
}

/// What one cache mount holds: an archive in pieces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MountRecord {
    /// The mount's id in the Dockerfile.
    pub(super) id: String,
    /// The digest of the whole archive.
    pub(super) diff_id: DiffId,
    /// Its length.
    pub(super) size: u64,
    pub(super) pieces: Vec<Piece>,
    pub(super) used: i64,
}

/// A piece of an archive, whose bounds depend on the bytes around them alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Piece {
    /// The digest of the bytes.
    pub(super) content: Digest,
    /// The bytes, compressed.
    pub(super) blob: Descriptor,
}

impl Record {
    /// When the step ran.
    pub(super) fn ran(&self) -> i64 {
        self.ran.unwrap_or_else(|| self.created.unix_seconds())
    }

    pub(super) fn layer_ref(&self) -> LayerRef {
        LayerRef { blob: self.layer.clone(), diff_id: self.diff_id }
    }
}

impl Default for Records {
    fn default() -> Self {
        Self {
            version: VERSION,
            steps: BTreeMap::new(),
            indexes: BTreeMap::new(),
            mounts: BTreeMap::new(),
        }
    }
}

impl Records {
    /// Reads records. What they name is trusted no more than they are: whoever fetches it checks its digest.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, CacheError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_slice(bytes).map_err(CacheError::Malformed)?;
        if version != VERSION {
            return Err(CacheError::Version { version });
        }
        let mut records: Self = serde_json::from_slice(bytes).map_err(CacheError::Malformed)?;
        records.steps.retain(|_, record| record.layer.media_type.is_layer());
        Ok(records)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("records have nothing that JSON lacks")
    }

    /// Takes what another has too. A record that says nothing new stays as it is.
    pub(super) fn merge(&mut self, newer: &Self) {
        for (key, record) in &newer.steps {
            let known = self.steps.get(key);
            let same = known.is_some_and(|known| {
                known.diff_id == record.diff_id
                    && known.layer.digest == record.layer.digest
                    && known.recipe.is_some() >= record.recipe.is_some()
                    && known.used + DAY > record.used
            });
            if !same {
                let mut record = record.clone();
                if let Some(known) = known.filter(|_| record.recipe.is_none()) {
                    record.slot = known.slot;
                    record.recipe.clone_from(&known.recipe);
                }
                self.steps.insert(*key, record);
            }
        }
        for (diff_id, index) in &newer.indexes {
            let known = self.indexes.get(diff_id);
            let same = known.is_some_and(|known| {
                known.used + DAY > index.used
                    && index.files.keys().all(|file| known.files.contains_key(file))
            });
            if !same {
                let mut index = index.clone();
                if let Some(known) = known {
                    index.files.extend(known.files.clone());
                }
                self.indexes.insert(*diff_id, index);
            }
        }
        // Of two jobs that changed the same mount the later one is right: half of each would be neither.
        for (name, mount) in &newer.mounts {
            let known = self.mounts.get(name);
            let same = known.is_some_and(|known| {
                known.diff_id == mount.diff_id && known.used + DAY > mount.used
            });
            if !same {
                self.mounts.insert(*name, mount.clone());
            }
        }
    }

    /// Drops what was not used for long, and the oldest if there is too much.
    pub(super) fn prune(&mut self, now: i64, unused: Duration) {
        let oldest = now.saturating_sub(seconds(unused));
        self.steps.retain(|_, record| record.used > oldest);
        self.indexes.retain(|_, index| index.used > oldest);
        self.mounts.retain(|_, mount| mount.used > oldest);
        if self.steps.len() > MOST_STEPS {
            let mut times: Vec<i64> = self.steps.values().map(|record| record.used).collect();
            times.sort_unstable_by(|one, other| other.cmp(one));
            let oldest = times[MOST_STEPS];
            self.steps.retain(|_, record| record.used > oldest);
        }
        if self.indexes.len() > MOST_STEPS {
            self.indexes.clear();
        }
    }

    /// Drops what names a blob that is not there.
    pub(super) fn retain_blobs(&mut self, there: impl Fn(&Descriptor) -> bool) {
        self.steps.retain(|_, record| there(&record.layer));
        for record in self.steps.values_mut() {
            if matches!(&record.recipe, Some(StoredRecipe::Blob(blob)) if !there(blob)) {
                record.recipe = None;
            }
        }
        self.indexes.retain(|_, index| there(&index.blob));
        self.mounts.retain(|_, mount| mount.pieces.iter().all(|piece| there(&piece.blob)));
    }

    /// When anything of it was last of use.
    pub(super) fn last_used(&self) -> i64 {
        let steps = self.steps.values().map(|record| record.used);
        let indexes = self.indexes.values().map(|index| index.used);
        let mounts = self.mounts.values().map(|mount| mount.used);
        steps.chain(indexes).chain(mounts).max().unwrap_or(i64::MIN)
    }

    /// Every blob that the records name, once.
    pub(crate) fn blobs(&self) -> Vec<Descriptor> {
        let mut seen = BTreeSet::new();
        let layers = self.steps.values().map(|record| &record.layer);
        let recipes = self.steps.values().filter_map(|record| match &record.recipe {
            Some(StoredRecipe::Blob(blob)) => Some(&**blob),
            Some(StoredRecipe::Inline(_)) | None => None,
        });
        let indexes = self.indexes.values().map(|index| &index.blob);
        let mounts = self.mounts.values().flat_map(|mount| &mount.pieces);
        let pieces = mounts.map(|piece| &piece.blob);
        layers
            .chain(indexes)
            .chain(recipes)
            .chain(pieces)
            .filter(|blob| seen.insert(blob.digest))
            .cloned()
            .collect()
    }

    /// The results, each once: one that is also known by what it stands on says nothing more there, and not even what
    /// its step does.
    pub(super) fn results(&self) -> impl Iterator<Item = (&StepKey, &Record)> {
        let defined = self.steps.values().filter(|record| record.slot.is_some());
        let defined: BTreeSet<Digest> = defined.map(|record| record.layer.digest).collect();
        let says_more =
            move |record: &Record| record.slot.is_some() || !defined.contains(&record.layer.digest);
        self.steps.iter().filter(move |(_, record)| says_more(record))
    }

    /// The record that was used last of those whose step does the same.
    pub(super) fn closest(&self, slot: Digest) -> Option<&Record> {
        let same = self.steps.values().filter(|record| record.slot == Some(slot));
        same.filter(|record| record.recipe.is_some()).max_by_key(|record| record.used)
    }
}

/// A time that can be reckoned with.
pub(crate) fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

pub(super) fn media_type(text: &str) -> MediaType {
    MediaType::parse(text)
}

#[cfg(test)]
mod tests {
    use strata_oci::Compression;

    use super::*;

    fn record(layer: &str, used: i64) -> Record {
        Record {
            layer: Descriptor::of(MediaType::OciLayer(Compression::Gzip), layer.as_bytes()),
            diff_id: DiffId(Digest::of(layer.as_bytes())),
            created: Timestamp::from_unix(7, 0).expect("is a time"),
            used,
            ran: None,
            slot: Some(Digest::of(b"slot")),
            recipe: Some(StoredRecipe::Inline(layer.into())),
        }
    }

    fn records(steps: &[(u8, &str, i64)]) -> Records {
        let steps = steps
            .iter()
            .map(|(key, layer, used)| (StepKey::from_bytes([*key; 32]), record(layer, *used)));
        Records { steps: steps.collect(), ..Records::default() }
    }

    #[test]
    fn merging_is_a_union_and_says_nothing_new_twice() {
        for (older, newer, expected) in [
            (&[][..], &[(1, "a", 5)][..], &[(1, "a", 5)][..]),
            (&[(1, "a", 5)], &[(2, "b", 6)], &[(1, "a", 5), (2, "b", 6)]),
            // Used again on the same day: nothing is written for that.
            (&[(1, "a", 5)], &[(1, "a", 6)], &[(1, "a", 5)]),
            (&[(1, "a", 5)], &[(1, "a", 5 + DAY)], &[(1, "a", 5 + DAY)]),
            (&[(1, "a", 5)], &[(1, "other", 6)], &[(1, "other", 6)]),
        ] {
            let mut merged = records(older);
            merged.merge(&records(newer));
            assert_eq!(merged, records(expected), "{older:?} + {newer:?}");
        }
    }

    #[test]
    fn what_was_not_used_for_long_goes() {
        let mut pruned = records(&[(1, "a", 0), (2, "b", DAY), (3, "c", 3 * DAY)]);
        pruned.prune(3 * DAY, Duration::from_secs(3 * DAY.unsigned_abs()));
        assert_eq!(pruned, records(&[(2, "b", DAY), (3, "c", 3 * DAY)]));
    }

    #[test]
    fn records_survive_their_bytes() {
        let written = records(&[(1, "a", 0), (2, "b", 1)]);
        assert_eq!(Records::parse(&written.to_bytes()).expect("are records"), written);
        let other = br#"{"version": 2, "steps": []}"#;
        assert!(matches!(Records::parse(other), Err(CacheError::Version { version: 2 })));
        assert!(matches!(Records::parse(b"[]"), Err(CacheError::Malformed(_))));
    }

    #[test]
    fn closest_is_the_latest_that_does_the_same() {
        let records = records(&[(1, "a", 1), (2, "b", 3), (3, "c", 2)]);
        assert_eq!(records.closest(Digest::of(b"slot")), Some(&record("b", 3)));
        assert_eq!(records.closest(Digest::of(b"other")), None);
    }
}
