//! What a workspace has on top of its base, in levels.
//!
//! ```text
//! level 0   ▪ ▪ ▪ ▪ ▪        the newest: one layer for each command or COPY
//! level 1   ▪▪ ▪▪ ▪▪         each a whole level 0 of before, merged
//! settled   ▪▪▪▪▪▪▪ ▪ ▪▪▪▪   large layers, and what is below them
//! ```
//!
//! Every lower directory costs each mount, and the kernel stacks only so many. Merging a level links its files anew,
//! so that a thousand commands cost a thousand times one. Where somebody still holds the old directories, a layer that
//! is being sealed above all, commands would see two links of each file: then they are copied if they are not large, and
//! else are left for the next time.

use std::collections::HashSet;
use std::sync::Arc;

use strata_layer::Content;
use strata_tree::{ApplyError, Change, ChangeSet, Entry, Leaf, LeafKind, Tree};

use super::layer::Layer;
use crate::changes::{located, place};
use crate::error::SnapshotError;
use crate::state::State;

/// A level of this many layers becomes one layer of the next. With fewer, short builds would merge for nothing.
const LEVEL: usize = 64;

/// A layer with more entries is not merged: linking them again would cost more than the directory in the stack.
const LARGE: usize = 1000;

/// The most bytes that are copied at once.
const MOST_COPIED: u64 = 64 << 20;

/// Layers of a workspace's own. A clone shares their directories.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    /// Lowest first.
    settled: Vec<Layer>,
    /// The newest first; never none.
    levels: Vec<Level>,
}

#[derive(Clone, Debug)]
struct Level {
    /// What stands below its layers.
    below: Tree<Content>,
    /// Lowest first.
    layers: Vec<Layer>,
}

impl Level {
    fn on(below: &Tree<Content>) -> Self {
        Self { below: below.clone(), layers: Vec::new() }
    }
}

impl Stack {
    /// Nothing yet, on what `below` is.
    pub(super) fn on(below: &Tree<Content>) -> Self {
        Self { settled: Vec::new(), levels: vec![Level::on(below)] }
    }

    /// How many directories it is.
    pub(super) fn len(&self) -> usize {
        self.settled.len() + self.levels.iter().map(|level| level.layers.len()).sum::<usize>()
    }

    /// All layers as a mount names them.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Layer> {
        let levels = self.levels.iter().flat_map(|level| level.layers.iter().rev());
        levels.chain(self.settled.iter().rev())
    }

    /// Puts a layer with so many entries on top. `tree` is what stands then.
    pub(super) fn push(&mut self, layer: Layer, entries: usize, tree: &Tree<Content>) {
        if entries <= LARGE {
            self.levels[0].layers.push(layer);
            return;
        }
        for level in self.levels.drain(..).rev() {
            self.settled.extend(level.layers);
        }
        self.settled.push(layer);
        self.levels.push(Level::on(tree));
    }

    /// Merges levels that are full. Gives what stands then if any was: the same as `tree`, its files elsewhere.
    ///
    /// Whoever has a clone keeps the directories that are left here.
    pub(super) fn merge(
        &mut self,
        state: &State,
        tree: &Tree<Content>,
    ) -> Result<Option<Tree<Content>>, SnapshotError> {
        let mut merged = None;
        let mut at = 0;
        // All levels above this one are empty.
        while let Some(level) = self.levels.get(at).filter(|level| level.layers.len() >= LEVEL) {
            let tree = merged.as_ref().unwrap_or(tree);
            let changes = level.below.diff(tree).with_parents(tree);
            let mut above = level.below.clone();
            let mut layer = None;
            if !changes.is_empty() {
                let mut own = HashSet::new();
                if !level.layers.iter().any(Layer::is_held) {
                    own.extend(level.layers.iter().map(|layer| Arc::clone(&layer.directory)));
                } else if bytes(&changes) > MOST_COPIED {
                    break;
                }
                let made = Layer::gather(state, &changes, &own, tree)?;
                let changes = place(changes, |path, _| located(&made.directory, path));
                above.apply(&changes).map_err(broken)?;
                layer = Some(made);
            }
            if self.levels.len() == at + 1 {
                self.levels.push(Level::on(&level.below));
            }
            self.levels[at + 1].layers.extend(layer);
            for level in &mut self.levels[..=at] {
                *level = Level::on(&above);
            }
            merged = Some(above);
            at += 1;
        }
        Ok(merged)
    }
}

/// How many bytes the files have that are put.
fn bytes(changes: &ChangeSet<Content>) -> u64 {
    let size = |change: &Change<Content>| match change {
        Change::Put {
            entry: Entry::Leaf(Leaf { kind: LeafKind::File { size, .. }, .. }), ..
        } => *size,
        _ => 0,
    };
    changes.iter().map(size).sum()
}

fn broken(source: ApplyError) -> SnapshotError {
    SnapshotError::Apply { layer: "the merged layers".to_owned(), source }
}
