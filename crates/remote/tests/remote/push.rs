//! Pushing: mounts before transfers, blobs before manifests, everything before tags.

use std::time::Duration;

use strata_build::event::{Event, Transfer};
use strata_build::ports::Uploads as _;
use strata_remote::{Output, Uploads};
use strata_testkit::{Fault, TestRegistry};

use crate::{World, registry_with_base, requests};

#[tokio::test(flavor = "multi_thread")]
async fn within_a_registry_layers_are_mounted_and_never_downloaded() {
    let (registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.image(&reference).await;
    registry.take_log();
    let name = registry.reference("app:1");
    let published = world.publish(&image, &Output::Registry, &[&name]).await.unwrap();
    let log = registry.take_log();
    assert!(!log.iter().any(|line| line.starts_with("GET") && line.contains("/blobs/")), "{log:?}");
    assert_eq!(log.iter().filter(|line| line.contains("mount=")).count(), 2, "{log:?}");
    let (_, bytes) = registry.manifest("app", "1").unwrap();
    assert_eq!(strata_testkit::sha256(&bytes), published.descriptor.digest.to_string());
    let events = world.events.0.lock().unwrap();
    let mounted = events
        .iter()
        .filter(|event| matches!(event, Event::Blob { transfer: Transfer::Mount, .. }));
    assert_eq!(mounted.count(), 2);
    assert!(matches!(events.last(), Some(Event::Pushed { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn between_registries_layers_are_piped_past_the_store() {
    let (registry, reference) = registry_with_base();
    let other = TestRegistry::start();
    let world = World::new();
    let image = world.image(&reference).await;
    let before = crate::names(&world.path("store/blobs/sha256"));
    let name = other.reference("app:1");
    world.publish(&image, &Output::Registry, &[&name]).await.unwrap();
    assert!(other.manifest("app", "1").is_some());
    assert_eq!(crate::names(&world.path("store/blobs/sha256")), before);
    drop(registry);
    // Everything is there: another world can build on it.
    let another = World::new();
    let pushed = another.resolve(&name).await.unwrap();
    for layer in &pushed.layers {
        strata_build::ports::Images::fetch(another.images(), layer).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn further_tags_cost_one_request_each() {
    let (registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.image(&reference).await;
    registry.take_log();
    let names =
        [registry.reference("app:1"), registry.reference("app:2"), registry.reference("app:3")];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.publish(&image, &Output::Registry, &names).await.unwrap();
    let puts: Vec<_> =
        requests(&registry, "PUT").into_iter().filter(|l| l.contains("/manifests/")).collect();
    assert_eq!(puts.len(), 3, "{puts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tag_moves_in_any_registry_if_one_of_them_fails() {
    let table = [
        ("refused", Fault::status(403).on("POST", "/blobs/uploads/")),
        ("unauthorized in the middle", Fault::status(401).on("PUT", "/blobs/uploads/").after(1)),
        ("unavailable", Fault::status(500).on("PATCH", "")),
        ("unavailable", Fault::status(500).on("PUT", "/blobs/uploads/")),
        ("down", Fault::go_down(0).on("PUT", "/blobs/uploads/").after(1)),
    ];
    for (what, fault) in table {
        let (registry, reference) = registry_with_base();
        let bad = TestRegistry::start();
        bad.add_fault(fault);
        let world = World::new();
        let image = world.image(&reference).await;
        let (good_name, bad_name) = (registry.reference("app:1"), bad.reference("app:1"));
        let pushed = world.publish(&image, &Output::Registry, &[&good_name, &bad_name]).await;
        if what == "unavailable" && pushed.is_ok() {
            // The fault is of a kind of upload that this client does not use.
            continue;
        }
        let error = pushed.unwrap_err();
        assert_eq!(error.class(), strata_build::ports::PortErrorClass::Registry, "{what}: {error}");
        assert!(registry.manifest("app", "1").is_none(), "{what}");
        assert!(bad.manifest("app", "1").is_none(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_breaks_off_in_the_pipe_leaves_no_tag() {
    let (registry, reference) = registry_with_base();
    let other = TestRegistry::start();
    let world = World::new();
    let image = world.image(&reference).await;
    registry.add_fault(Fault::corrupt_body().on("GET", "/blobs/"));
    let name = other.reference("app:1");
    let error = world.publish(&image, &Output::Registry, &[&name]).await.unwrap_err();
    assert!(error.to_string().contains("push blob"), "{error}");
    assert!(other.manifest("app", "1").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_without_a_name_is_an_error() {
    let (_registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.image(&reference).await;
    let error = world.publish(&image, &Output::Registry, &[]).await.unwrap_err();
    assert_eq!(error.to_string(), "output `registry` needs a name for the image");
}

fn uploads(world: &World, name: &str) -> Uploads {
    let to = [crate::parse(name).repository().clone()];
    Uploads::new(world.images().clone(), crate::client(), world.events.clone(), to)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_ahead_is_not_sent_again_unless_it_failed() {
    let refused = Fault::status(403).on("POST", "/blobs/uploads/").first(1);
    for (fault, begun) in [(None, 3), (Some(refused), 4)] {
        let (_registry, reference) = registry_with_base();
        let other = TestRegistry::start();
        other.add_fault(Fault::delay(Duration::from_millis(20)).on("PUT", "/blobs/uploads/"));
        if let Some(fault) = fault {
            other.add_fault(fault);
        }
        let mut world = World::new();
        let image = world.image(&reference).await;
        let name = other.reference("app:1");
        world.publisher.uploads = uploads(&world, &name);
        for layer in image.layers.iter().chain(&image.layers) {
            world.publisher.uploads.begin(layer);
        }
        world.publish(&image, &Output::Registry, &[&name]).await.unwrap();
        // Two layers and the config.
        assert_eq!(requests(&other, "POST").len(), begun);
        assert!(other.manifest("app", "1").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_any_more_stops() {
    let (_registry, reference) = registry_with_base();
    let other = TestRegistry::start();
    other.add_fault(Fault::delay(Duration::from_millis(400)).on("POST", "/blobs/uploads/"));
    let world = World::new();
    let image = world.image(&reference).await;
    let uploads = uploads(&world, &other.reference("app:1"));
    image.layers.iter().for_each(|layer| uploads.begin(layer));
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(uploads);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(requests(&other, "PUT"), [""; 0]);
}
