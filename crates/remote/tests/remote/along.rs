//! Layers that are sent while they are written.

use std::time::Instant;

use strata_build::event::StepNumber;
use strata_build::ports::{BlobWriter, Blobs, Uploads as _};
use strata_oci::{Compression, Descriptor, DiffId, LayerRef, MediaType};
use strata_remote::{StoreBlobs, Uploads};
use strata_testkit::Fault;

use super::*;

/// More than is waited for, in pieces as an encoder writes them.
const LARGE: usize = 6 << 20;

fn content(length: usize, first: u8) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
    bytes[0] = first;
    bytes
}

fn uploads(world: &World, names: &[&str]) -> Uploads {
    let to = names.iter().map(|name| parse(name).repository().clone());
    Uploads::new(world.images().clone(), client(), world.events.clone(), to)
}

fn writer(world: &World, ships: Option<StepNumber>) -> Box<dyn BlobWriter> {
    let publisher = &world.publisher;
    let blobs = StoreBlobs::new(publisher.local.clone(), publisher.uploads.clone());
    blobs.writer(ships).unwrap()
}

fn write(writer: &mut dyn BlobWriter, bytes: &[u8]) {
    for piece in bytes.chunks(100_000) {
        writer.write_all(piece).unwrap();
    }
}

const TAR: MediaType = MediaType::OciLayer(Compression::None);

fn layer(blob: Descriptor) -> LayerRef {
    LayerRef { diff_id: DiffId(blob.digest), blob }
}

/// Writes a layer of the result and puts it on top of an image, as the engine does.
fn add_layer(world: &World, image: &mut Image, bytes: &[u8]) -> LayerRef {
    let mut writer = writer(world, Some(StepNumber(1)));
    write(&mut *writer, bytes);
    let layer = layer(writer.commit(TAR).unwrap());
    world.publisher.uploads.begin(&layer);
    image.config.rootfs.diff_ids.push(layer.diff_id);
    image.layers.push(layer.clone());
    layer
}

/// What was told of layers without a digest: bytes so far.
fn told(world: &World) -> Vec<u64> {
    let events = world.events.0.lock().unwrap();
    let told = events.iter().filter_map(|event| match event {
        Event::LayerUploading { step: StepNumber(1), current } => Some(*current),
        _ => None,
    });
    told.collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_on_their_way_before_the_layer_has_a_digest() {
    let (registry, other) = (TestRegistry::start(), TestRegistry::start());
    let names = [registry.reference("app:1"), other.reference("app:1")];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (base, reference) = registry_with_base();
    let mut world = World::new();
    world.publisher.uploads = uploads(&world, &names);
    let mut image = world.image(&reference).await;
    let bytes = content(LARGE, 1);
    let mut writer = writer(&world, Some(StepNumber(1)));
    write(&mut *writer, &bytes[..5 << 20]);
    until("four megabytes are sent", || told(&world).last() >= Some(&(4 << 20)));
    write(&mut *writer, &bytes[5 << 20..]);
    let layer = layer(writer.commit(TAR).unwrap());
    image.config.rootfs.diff_ids.push(layer.diff_id);
    image.layers.push(layer.clone());
    world.publish(&image, &Output::Registry, &names).await.unwrap();
    for registry in [&registry, &other] {
        assert!(registry.manifest("app", "1").is_some());
        assert!(registry.blob("app", &layer.blob.digest.to_string()).as_ref() == Some(&bytes));
        let log = registry.take_log();
        let digest = &layer.blob.digest.to_hex()[..8];
        let of_the_layer: Vec<&String> =
            log.iter().filter(|line| line.contains("PATCH") || line.contains(digest)).collect();
        assert!(
            matches!(&of_the_layer[..], [patch, put]
            if patch.starts_with("PATCH") && put.starts_with("PUT")),
            "{log:#?}"
        );
    }
    drop(base);
}

/// What is refused, and what the registry is asked then, is a registry's affair; the image arrives in any case.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_along_is_sent_as_a_whole() {
    let table = [
        ("not begun", Fault::status(403).on("POST", "/blobs/uploads/").first(1), false),
        ("no such upload", Fault::status(404).on("PATCH", ""), true),
        ("no streams", Fault::status(405).on("PATCH", ""), true),
        ("broken", Fault::status(500).on("PATCH", ""), true),
        ("cut", Fault::hang_up(100_000).on("PATCH", ""), true),
        ("name refused", Fault::status(400).on("PUT", "/blobs/uploads/").first(1), true),
    ];
    for (what, fault, begun) in table {
        let (_registry, reference) = registry_with_base();
        let other = TestRegistry::start();
        other.add_fault(fault);
        let name = other.reference("app:1");
        let mut world = World::new();
        world.publisher.uploads = uploads(&world, &[&name]);
        let mut image = world.image(&reference).await;
        let (one, two) = (content(LARGE, 1), content(LARGE, 2));
        let first = add_layer(&world, &mut image, &one);
        let digest = first.blob.digest.to_string();
        until(what, || other.blob("app", &digest).is_some());
        let second = add_layer(&world, &mut image, &two);
        world.publish(&image, &Output::Registry, &[&name]).await.unwrap();
        for (layer, bytes) in [(first, &one), (second, &two)] {
            let stored = other.blob("app", &layer.blob.digest.to_string());
            assert!(stored.as_ref() == Some(bytes), "{what}");
        }
        assert!(other.manifest("app", "1").is_some(), "{what}");
        let log = other.take_log();
        let count = |method: &str| log.iter().filter(|line| line.starts_with(method)).count();
        assert_eq!(count("DELETE"), usize::from(begun), "{what}: {log:#?}");
        assert!(count("PATCH") <= 1, "{what}: not tried with the next layer: {log:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_is_not_finished_is_forgotten() {
    let registry = TestRegistry::start();
    let mut world = World::new();
    world.publisher.uploads = uploads(&world, &[&registry.reference("app:1")]);
    let mut writer = writer(&world, Some(StepNumber(1)));
    write(&mut *writer, &content(LARGE, 1));
    until("something is sent", || !told(&world).is_empty());
    drop(writer);
    let mut log = Vec::new();
    until("the upload is deleted", || {
        log.extend(registry.take_log());
        log.iter().any(|line| line.starts_with("DELETE"))
    });
    assert!(!log.iter().any(|line| line.starts_with("PUT")), "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_turn_out_the_same_are_named_once() {
    let registry = TestRegistry::start();
    let name = registry.reference("app:1");
    let mut world = World::new();
    world.publisher.uploads = uploads(&world, &[&name]);
    let bytes = content(LARGE, 1);
    let mut writers = [writer(&world, Some(StepNumber(1))), writer(&world, Some(StepNumber(1)))];
    for writer in &mut writers {
        write(&mut **writer, &bytes);
    }
    for writer in writers {
        writer.commit(TAR).unwrap();
    }
    let mut log = Vec::new();
    until("one is named and the other deleted", || {
        log.extend(registry.take_log());
        let has = |method: &str| log.iter().any(|line| line.starts_with(method));
        has("PUT") && has("DELETE")
    });
    assert_eq!(log.iter().filter(|line| line.starts_with("PUT")).count(), 1, "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn small_layers_and_those_of_other_stages_are_not_sent_along() {
    let registry = TestRegistry::start();
    let mut world = World::new();
    world.publisher.uploads = uploads(&world, &[&registry.reference("app:1")]);
    for (ships, length) in [(Some(StepNumber(1)), 1 << 20), (None, LARGE)] {
        let mut writer = writer(&world, ships);
        write(&mut *writer, &content(length, 1));
        writer.commit(TAR).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(registry.take_log(), [""; 0]);
}
