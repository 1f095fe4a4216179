//! What stages on the same layers share.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use strata_layer::Content;
use strata_oci::DiffId;
use strata_tree::Tree;

use super::layer::Layer;
use super::layers::Unpacked;
use super::patch;
use crate::contents::DiskContents;
use crate::error::SnapshotError;
use crate::state::State;

/// Layers as stages stand on them. A tree of a base has tens of thousands of nodes, and a build a hundred stages on it.
#[derive(Debug, Default)]
pub(super) struct Base {
    /// Lowest first.
    pub(super) layers: Vec<Layer>,
    /// What they show.
    pub(super) tree: Tree<Content>,
}

impl Base {
    pub(super) fn new(state: &State, layers: Vec<Unpacked>) -> Result<Self, SnapshotError> {
        let mut base = Self::default();
        let mut loose = BTreeSet::new();
        let mut stray = BTreeSet::new();
        // What is known of a layer alone goes once the tree has it.
        for layer in layers {
            stray.extend(patch::stray(&layer.changes, &base.tree));
            base.tree.apply(&layer.changes).map_err(|source| SnapshotError::Apply {
                layer: format!("layer `{}`", layer.diff_id),
                source,
            })?;
            base.layers.push(Layer::shared(layer.directory));
            loose.extend(layer.loose);
        }
        let patch = patch::patch(loose.iter(), &stray, &base.tree, state.medium());
        if !patch.is_empty() {
            let (patch, _) = Layer::write(state, &patch, &DiskContents, &base.tree)?;
            base.layers.push(patch);
        }
        Ok(base)
    }
}

/// The bases that somebody stands on, by their layers.
#[derive(Debug, Default)]
pub(super) struct Bases(Mutex<HashMap<Vec<DiffId>, Arc<Place>>>);

/// Locked by whoever makes a base, so that others wait for it instead of making it too.
type Place = Mutex<Weak<Base>>;

impl Bases {
    /// The base of these layers: the one that is there, or what `make` makes.
    pub(super) fn get(
        &self,
        layers: Vec<DiffId>,
        make: impl FnOnce() -> Result<Base, SnapshotError>,
    ) -> Result<Arc<Base>, SnapshotError> {
        let place = {
            let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(places.entry(layers).or_default())
        };
        let mut known = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(base) = known.upgrade() {
            return Ok(base);
        }
        let base = Arc::new(make()?);
        *known = Arc::downgrade(&base);
        Ok(base)
    }
}
