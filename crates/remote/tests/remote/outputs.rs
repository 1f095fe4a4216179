//! Layouts and archives: what is in them, that they are the same twice, and that they are whole or not there.

use std::fs;

use strata_remote::{Destination, Location, Output};
use strata_testkit::Fault;

use crate::{World, amd64, names, registry_with_base};

#[tokio::test(flavor = "multi_thread")]
async fn archives_are_the_same_twice_and_read_back() {
    let (_registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.image(&reference).await;
    for (name, output) in [
        ("oci", Output::OciArchive as fn(Destination) -> Output),
        ("docker", Output::DockerArchive as fn(Destination) -> Output),
    ] {
        let mut written = Vec::new();
        for _ in 0..2 {
            let path = world.path(&format!("{name}.tar"));
            let output = output(Destination::File(path.clone()));
            let published = world.publish(&image, &output, &["app:1"]).await.unwrap();
            written.push(fs::read(&path).unwrap());
            let location = Location::Archive { file: path, selector: Some("app:1".to_owned()) };
            let seen = world.transport().inspect(&location, &amd64()).await.unwrap();
            assert_eq!(seen.digest, published.descriptor.digest);
            assert_eq!(seen.layers.len(), 2);
        }
        assert_eq!(written[0], written[1], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_docker_archive_has_what_docker_load_reads() {
    let (_registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.image(&reference).await;
    let path = world.path("image.tar");
    let output = Output::DockerArchive(Destination::File(path.clone()));
    world.publish(&image, &output, &["app:1"]).await.unwrap();
    let mut archive = tar::Archive::new(fs::File::open(&path).unwrap());
    let mut files = Vec::new();
    let mut manifest = String::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        if name == "manifest.json" {
            std::io::Read::read_to_string(&mut entry, &mut manifest).unwrap();
        }
        files.push(name);
    }
    let rows: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(rows[0]["RepoTags"], serde_json::json!(["app:1"]));
    for part in rows[0]["Layers"].as_array().unwrap().iter().chain([&rows[0]["Config"]]) {
        assert!(files.iter().any(|file| file == part.as_str().unwrap()), "{part} in {files:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_that_exists_keeps_what_it_has() {
    let (registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.image(&reference).await;
    let directory = world.path("layout");
    let output = Output::OciLayout(directory.clone());
    world.publish(&image, &output, &["app:1"]).await.unwrap();
    fs::write(directory.join("note"), "mine").unwrap();
    let mut other = image.clone();
    other.config.author = "somebody".to_owned();
    world.publish(&other, &output, &["app:2"]).await.unwrap();
    world.publish(&other, &output, &["app:1"]).await.unwrap();
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(directory.join("index.json")).unwrap()).unwrap();
    let rows = index["manifests"].as_array().unwrap();
    let tags: Vec<_> = rows
        .iter()
        .map(|row| row["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap())
        .collect();
    assert_eq!(tags, ["2", "1"]);
    assert_eq!(rows[0]["digest"], rows[1]["digest"]);
    assert_eq!(names(&directory), ["blobs", "index.json", "note", "oci-layout"]);
    drop(registry);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_leaves_nothing_and_takes_nothing() {
    let (registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.image(&reference).await;
    registry.add_fault(Fault::corrupt_body().on("GET", "/blobs/"));
    let old = world.path("old.tar");
    fs::write(&old, "before").unwrap();
    fs::create_dir(world.path("empty")).unwrap();
    fs::create_dir(world.path("mine")).unwrap();
    fs::write(world.path("mine/file"), "mine").unwrap();
    let file = |name: &str| Destination::File(world.path(name));
    let outputs = [
        Output::OciArchive(file("new.tar")),
        Output::OciArchive(file("old.tar")),
        Output::DockerArchive(file("new.tar")),
        Output::OciLayout(world.path("layout")),
        Output::OciLayout(world.path("empty")),
        Output::OciLayout(world.path("mine")),
        Output::RootDirectory(world.path("root")),
        Output::RootDirectory(world.path("mine")),
        Output::RootArchive(file("root.tar")),
        Output::Store,
    ];
    let before = world.left();
    for output in outputs {
        world.publish(&image, &output, &["app:1"]).await.unwrap_err();
        assert_eq!(world.left(), before, "{output:?}");
    }
    assert_eq!(fs::read(&old).unwrap(), b"before");
    assert_eq!(names(&world.path("empty")), [""; 0]);
    assert_eq!(names(&world.path("mine")), ["file"]);
    assert_eq!(names(&world.path("store/images")), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_platforms_make_an_index() {
    let (registry, reference) = registry_with_base();
    let world = World::new();
    let one = world.image(&reference).await;
    let mut two = one.clone();
    two.config.architecture = "arm64".to_owned();
    let images = [one, two];
    let name = registry.reference("multi:1");
    let annotations = [("a".to_owned(), "b".to_owned())].into();
    let publish = |output| {
        let (world, images, annotations) = (&world, &images, &annotations);
        let names = [crate::parse(&name)];
        async move {
            world
                .publisher
                .publish(images, &output, &names, strata_oci::MediaTypes::Oci, annotations)
                .await
        }
    };
    publish(Output::Registry).await.unwrap();
    let (media_type, bytes) = registry.manifest("multi", "1").unwrap();
    assert_eq!(media_type, "application/vnd.oci.image.index.v1+json");
    let index: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let first = index["manifests"][0]["digest"].as_str().unwrap();
    assert_eq!(index["manifests"][1]["platform"]["architecture"], "arm64");
    let (_, manifest) = registry.manifest("multi", first).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["annotations"]["a"], "b");
    let error =
        publish(Output::DockerArchive(Destination::File(world.path("x.tar")))).await.unwrap_err();
    assert_eq!(error.to_string(), "output `docker` holds an image of one platform, not of 2");
    publish(Output::RootDirectory(world.path("roots"))).await.unwrap();
    assert_eq!(names(&world.path("roots")), ["linux_amd64", "linux_arm64"]);
}
