//! Lazy images: what is asked of whom, how often, and what is believed.

use std::io::Read;

use strata_build::ports::{Arriving, ImageSource, Images, PortErrorClass};
use strata_testkit::{Fault, TestImage, TestRegistry};

use crate::{World, amd64, base, registry_with_base, requests};

#[tokio::test(flavor = "multi_thread")]
async fn resolving_fetches_manifest_and_config_and_no_layer() {
    let (registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.resolve(&reference).await.unwrap();
    assert_eq!(image.layers.len(), 2);
    assert_eq!(image.manifest.digest.to_string(), strata_testkit::sha256(&base().manifest));
    assert_eq!(requests(&registry, "/manifests/").len(), 2);
    world.resolve(&reference).await.unwrap();
    // The second time all but what the tag means is here.
    let again = registry.take_log();
    assert_eq!(again.len(), 1, "{again:?}");
    assert!(again[0].starts_with("HEAD"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_downloads_once_however_many_ask() {
    let (registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.resolve(&reference).await.unwrap();
    let layer = &image.layers[0];
    registry.take_log();
    let images = world.images();
    let (one, two, three, index) = tokio::join!(
        images.fetch(layer),
        images.fetch(layer),
        images.index(layer),
        images.index(layer)
    );
    one.unwrap();
    two.unwrap();
    assert_eq!(three.unwrap(), index.unwrap());
    assert_eq!(requests(&registry, "/blobs/").len(), 1);
    let mut bytes = Vec::new();
    images.open(layer).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(strata_testkit::sha256(&bytes), layer.diff_id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_a_layer_is_kept_in_the_store() {
    let (registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.resolve(&reference).await.unwrap();
    let index = world.images().index(&image.layers[1]).await.unwrap();
    let paths: Vec<_> = index.changes().iter().map(|change| change.path().to_string()).collect();
    assert_eq!(paths, ["/etc", "/etc/gone", "/etc/link", "/etc/os"]);
    registry.take_log();
    let store = world.path("store");
    std::fs::remove_dir_all(store.join("blobs/sha256")).unwrap();
    std::fs::create_dir(store.join("blobs/sha256")).unwrap();
    let fresh = strata_remote::LazyImages::new(
        crate::client(),
        world.publisher.local.clone(),
        strata_remote::Freshness::Stored,
        world.events.clone(),
    );
    assert_eq!(fresh.index(&image.layers[1]).await.unwrap(), index);
    assert_eq!(registry.take_log(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_platforms_gives_the_wanted_one() {
    let registry = TestRegistry::start();
    let mut rows = Vec::new();
    for architecture in ["arm64", "amd64"] {
        let image =
            TestImage::new().architecture(architecture).layer("/a 0644 0:0 file \"a\"").build();
        let digest = registry.add_image("multi", architecture, &image);
        rows.push(serde_json::json!({
            "mediaType": image.manifest_media_type, "digest": digest, "size": image.manifest.len(),
            "platform": {"os": "linux", "architecture": architecture},
        }));
    }
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": rows,
    });
    let bytes = index.to_string().into_bytes();
    registry.add_manifest("multi", "1", "application/vnd.oci.image.index.v1+json", &bytes);
    let world = World::new();
    let image = world.resolve(&registry.reference("multi:1")).await.unwrap();
    assert_eq!(image.config.architecture, "amd64");
    let source = ImageSource::Named(crate::parse(&registry.reference("multi:1")));
    let platform = strata_oci::Platform::new("linux", "s390x");
    let error = world.images().resolve(&source, &platform).await.unwrap_err();
    let name = registry.reference("multi:1");
    let expected = format!(
        "image `{name}` is not available for platform `linux/s390x`: it has `linux/arm64`, `linux/amd64`"
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_1_is_an_error_that_says_so() {
    let registry = TestRegistry::start();
    let media_type = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    registry.add_manifest("old", "1", media_type, br#"{"schemaVersion": 1, "fsLayers": []}"#);
    let world = World::new();
    let error = world.resolve(&registry.reference("old:1")).await.unwrap_err();
    let name = registry.reference("old");
    assert!(
        error.to_string().ends_with("has a manifest of schema version 1, which is not supported"),
        "{name}: {error}"
    );
    assert_eq!(error.class, PortErrorClass::Corrupt);
    assert!(error.hint.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_are_never_kept() {
    let lower = "/a 0644 0:0 file \"a\"";
    let table = [
        ("blob", TestImage::new().layer(lower).corrupt().build()),
        ("diff id", TestImage::new().layer(lower).wrong_diff_id().build()),
    ];
    for (what, image) in table {
        let registry = TestRegistry::start();
        registry.add_image("bad", "1", &image);
        let world = World::new();
        let resolved = world.resolve(&registry.reference("bad:1")).await.unwrap();
        let error = world.images().index(&resolved.layers[0]).await.unwrap_err();
        assert_eq!(error.class, PortErrorClass::Corrupt, "{what}: {error}");
        let error = world.images().index(&resolved.layers[0]).await.unwrap_err();
        assert_eq!(error.class, PortErrorClass::Corrupt, "{what}, again: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_on_the_way_ends_well_only_if_it_is_right() {
    let lower = "/a 0644 0:0 file \"a\"";
    let right = || TestImage::new().layer(lower).build();
    let cut = || Fault::cut_body(10).on("GET", "/blobs/");
    let gone = || Fault::status(404).on("GET", "/blobs/");
    let table = [
        ("right", right(), vec![], true),
        ("cut once", right(), vec![cut().after(1).first(1)], true),
        ("cut for good", right(), vec![cut().after(1), gone().after(2)], false),
        ("not there", right(), vec![gone().after(1)], false),
        ("wrong", TestImage::new().layer(lower).corrupt().build(), vec![], false),
    ];
    for (what, image, faults, ends_well) in table {
        let registry = TestRegistry::start();
        registry.add_image("app", "1", &image);
        // The config is the first blob.
        for fault in faults {
            registry.add_fault(fault);
        }
        let world = World::new();
        let resolved = world.resolve(&registry.reference("app:1")).await.unwrap();
        let before = crate::names(&world.path("store/blobs/sha256"));
        let Arriving { whole, open } = world.images().arrive(&resolved.layers[0]);
        let reading = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            open().and_then(|mut reader| reader.read_to_end(&mut bytes)).map(|_| bytes)
        });
        let (whole, read) = tokio::join!(whole, reading);
        let read = read.unwrap();
        assert_eq!((whole.is_ok(), read.is_ok()), (ends_well, ends_well), "{what}: {read:?}");
        let kept = crate::names(&world.path("store/blobs/sha256")) != before;
        assert_eq!(kept, ends_well, "{what}");
        assert_eq!(crate::names(&world.path("store/tmp")), [""; 0], "{what}");
        if let Ok(bytes) = read {
            let diff_id = resolved.layers[0].diff_id.to_string();
            assert_eq!(strata_testkit::sha256(&bytes), diff_id, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_on_the_way_stops_with_the_transfer() {
    let (registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.resolve(&reference).await.unwrap();
    registry.add_fault(Fault::delay(std::time::Duration::from_secs(1)).on("GET", "/blobs/"));
    let Arriving { whole, open } = world.images().arrive(&image.layers[0]);
    let reading = tokio::task::spawn_blocking(move || open().map(drop));
    let soon = std::time::Duration::from_millis(50);
    assert!(tokio::time::timeout(soon, whole).await.is_err(), "still on its way");
    assert_eq!(reading.await.unwrap().unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_keeps_breaking_off_is_a_registry_error_and_leaves_no_blob() {
    let (registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.resolve(&reference).await.unwrap();
    let before = crate::names(&world.path("store/blobs/sha256"));
    registry.add_fault(Fault::cut_body(10).on("GET", "/blobs/"));
    registry.add_fault(Fault::status(503).on("GET", "/blobs/").after(1));
    let error = world.images().fetch(&image.layers[0]).await.unwrap_err();
    assert_eq!(error.class, PortErrorClass::Registry, "{error}");
    assert_eq!(crate::names(&world.path("store/blobs/sha256")), before);
    assert_eq!(crate::names(&world.path("store/tmp")), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_image_is_not_found() {
    let registry = TestRegistry::start();
    let world = World::new();
    let error = world.resolve(&registry.reference("none:1")).await.unwrap_err();
    assert_eq!(error.class, PortErrorClass::NotFound, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_image_needs_no_registry() {
    let (mut registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.image(&reference).await;
    world.publish(&image, &strata_remote::Output::Store, &["made:1"]).await.unwrap();
    registry.stop();
    let stored = world.resolve("made:1").await.unwrap();
    assert_eq!(stored.layers.len(), 2);
    world.images().index(&stored.layers[0]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_is_a_source_of_images() {
    let (registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.image(&reference).await;
    let directory = world.path("layout");
    let output = strata_remote::Output::OciLayout(directory.clone());
    world.publish(&image, &output, &["a:1", "a:2"]).await.unwrap();
    drop(registry);
    let other = World::new();
    for selector in [Some("1"), Some("a:2"), Some("docker.io/library/a:1")] {
        let selector = selector.map(str::to_owned);
        let source = ImageSource::Layout { directory: directory.clone(), selector };
        let found = other.images().resolve(&source, &amd64()).await.unwrap();
        assert_eq!(found.layers, image.layers);
        other.images().fetch(&found.layers[0]).await.unwrap();
    }
    let source = ImageSource::Layout { directory, selector: Some("3".to_owned()) };
    let error = other.images().resolve(&source, &amd64()).await.unwrap_err();
    assert!(error.to_string().ends_with("has no image `3`: it has `1`, `2`"), "{error}");
}
