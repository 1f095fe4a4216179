//! The cache of steps: hits while the layer is there, and the closest recipe for a miss.

use bytes::Bytes;
use strata_build::ports::{Blobs, Lookup, StepCache, StepResult};
use strata_oci::{Descriptor, DiffId, Digest, LayerRef, MediaType, Timestamp};
use strata_plan::recipe::{Content, Ingredient, OpKind, Place};
use strata_plan::{Recipe, StepKey};
use strata_remote::{LocalSteps, StoreBlobs, Uploads};

use crate::World;

fn recipe(file: &[u8]) -> (StepKey, Bytes) {
    let content = Content::Blob(Digest::of(file));
    let recipe = Recipe {
        version: 1,
        parent: Some(StepKey::scratch()),
        op: OpKind::Copy,
        ingredients: vec![
            Ingredient::Destination("/app/".to_owned()),
            Ingredient::Source("src".to_owned()),
            Ingredient::Content { place: Place::Source("src".to_owned()), content },
        ],
    };
    (recipe.key(), serde_json::to_vec(&recipe).unwrap().into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_a_hit_until_its_layer_is_gone() {
    let world = World::new();
    let local = world.publisher.local.clone();
    let steps = LocalSteps::new(local.clone(), 7);
    let ((key, first), (other_key, other)) = (recipe(b"one"), recipe(b"two"));
    assert_eq!(steps.lookup(&key, &first).await, Lookup::Miss { closest: None });
    let mut writer = StoreBlobs::new(local, Uploads::none()).writer(None).unwrap();
    std::io::Write::write_all(&mut writer, b"layer").unwrap();
    let media_type = MediaType::OciLayer(strata_oci::Compression::Gzip);
    let blob = writer.commit(media_type.clone()).unwrap();
    assert_eq!(blob, Descriptor::of(media_type, b"layer"));
    let layer = LayerRef { blob, diff_id: DiffId(Digest::of(b"tar")) };
    let result = StepResult { layer, created: Timestamp::from_unix(7, 0).unwrap() };
    steps.store(&key, &first, &result).await;
    assert_eq!(steps.lookup(&key, &first).await, Lookup::Hit(Box::new(result)));
    // The same COPY of other bytes is a miss that knows what it was before.
    let closest = Some(first.to_vec());
    assert_eq!(steps.lookup(&other_key, &other).await, Lookup::Miss { closest });
    std::fs::remove_dir_all(world.path("store/blobs/sha256")).unwrap();
    assert_eq!(steps.lookup(&key, &first).await, Lookup::Miss { closest: None });
}
