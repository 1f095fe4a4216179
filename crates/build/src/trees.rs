//! The trees that layers make, known from their indexes alone, each made once in a build.
//!
//! Many ask for the same: every `COPY --from` of an image, every stage that was found in a cache. Lists of layers that
//! begin alike share what they begin with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join, try_join_all};
use strata_layer::Content;
use strata_oci::{DiffId, LayerRef};
use strata_plan::PlannedImage;
use strata_tree::Tree;
use tokio::sync::OnceCell;

use crate::blocking::blocking;
use crate::engine::Session;
use crate::error::ErrorKind;

/// What somebody asked for so far.
///
/// Whoever asks first makes it, and others wait. Where that fails they try themselves, one after the other, as each has
/// to know why: no failure is kept.
#[derive(Debug, Default)]
pub(crate) struct Trees(Mutex<HashMap<Vec<DiffId>, Place>>);

type Place = Arc<OnceCell<Tree<Content>>>;

impl Trees {
    fn place(&self, layers: &[DiffId]) -> Place {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(layers) {
            return Arc::clone(place);
        }
        Arc::clone(places.entry(layers.to_vec()).or_default())
    }

    /// How many of the first of these layers somebody asked for together, but not for all.
    fn asked_below(&self, layers: &[DiffId]) -> usize {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (0..layers.len()).rev().find(|&count| places.contains_key(&layers[..count])).unwrap_or(0)
    }
}

/// The tree that layers make, from their indexes alone.
pub(crate) fn tree_of<'a>(
    session: &'a Arc<Session>,
    layers: &'a [LayerRef],
) -> BoxFuture<'a, Result<Tree<Content>, ErrorKind>> {
    async move {
        let diff_ids: Vec<DiffId> = layers.iter().map(|layer| layer.diff_id).collect();
        let place = session.trees.place(&diff_ids);
        place.get_or_try_init(|| make(session, layers, &diff_ids)).await.cloned()
    }
    .boxed()
}

/// Makes a tree on the longest one that others need too: whatever was asked for, or an image of the plan. It has fewer
/// layers, and so nobody waits in a circle.
async fn make(
    session: &Arc<Session>,
    layers: &[LayerRef],
    diff_ids: &[DiffId],
) -> Result<Tree<Content>, ErrorKind> {
    let images = session.plan.images.iter().map(PlannedImage::layers);
    let begins = |image: &&[LayerRef]| {
        image.len() < diff_ids.len()
            && image.iter().zip(diff_ids).all(|(layer, diff_id)| layer.diff_id == *diff_id)
    };
    let of_image = images.filter(begins).map(<[LayerRef]>::len).max().unwrap_or(0);
    let count = of_image.max(session.trees.asked_below(diff_ids));
    let (below, on_top) = layers.split_at(count);
    let below = async {
        if below.is_empty() { Ok(Tree::default()) } else { tree_of(session, below).await }
    };
    let indexes = try_join_all(on_top.iter().map(|layer| session.index(layer)));
    let (mut tree, indexes) = try_join(below, indexes).await?;
    let diff_ids = diff_ids[count..].to_vec();
    blocking(move || {
        for (diff_id, index) in diff_ids.into_iter().zip(indexes) {
            let changes = (*index).clone().into_contents(diff_id);
            tree.apply(&changes).map_err(|source| ErrorKind::Apply { diff_id, source })?;
        }
        Ok(tree)
    })
    .await
}
