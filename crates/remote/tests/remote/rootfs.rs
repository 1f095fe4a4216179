//! Root file systems: layers squashed into a directory or a tar.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use strata_remote::{Destination, Output};

use crate::{World, names, registry_with_base};

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_has_what_the_layers_come_to() {
    let (_registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.image(&reference).await;
    let root = world.path("root");
    world.publish(&image, &Output::RootDirectory(root.clone()), &[]).await.unwrap();
    assert_eq!(names(&root), ["bin", "etc"]);
    assert_eq!(names(&root.join("etc")), ["link", "os"]);
    assert_eq!(fs::read_to_string(root.join("etc/link")).unwrap(), "two\n");
    let (sh, bash) =
        (root.join("bin/sh").metadata().unwrap(), root.join("bin/bash").metadata().unwrap());
    assert_eq!(sh.ino(), bash.ino());
    assert_eq!((sh.mode() & 0o7777, sh.mtime()), (0o755, 7));
    assert_eq!(root.join("etc").metadata().unwrap().permissions().mode() & 0o7777, 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_exists_is_added_to() {
    let (_registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.image(&reference).await;
    let root = world.path("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/mine"), "mine").unwrap();
    fs::write(root.join("etc/os"), "old").unwrap();
    let output = Output::RootDirectory(root.clone());
    world.publish(&image, &output, &[]).await.unwrap();
    world.publish(&image, &output, &[]).await.unwrap();
    assert_eq!(names(&root), ["bin", "etc"]);
    assert_eq!(names(&root.join("etc")), ["link", "mine", "os"]);
    assert_eq!(fs::read_to_string(root.join("etc/os")).unwrap(), "two\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_never_gives_way_and_nothing_else_is_touched() {
    let (_registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.image(&reference).await;
    for in_the_way in ["etc/os/mine", "bin"] {
        let root = world.path("root");
        let path = root.join(in_the_way);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine").unwrap();
        let output = Output::RootDirectory(root.clone());
        let error = world.publish(&image, &output, &[]).await.unwrap_err();
        assert!(error.to_string().contains("is in the way: it is "), "{error}");
        let left = if in_the_way == "bin" { vec!["bin"] } else { vec!["etc"] };
        assert_eq!(names(&root), left);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        fs::remove_dir_all(&root).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn symlinks_in_the_destination_lead_nowhere_else() {
    let (_registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.image(&reference).await;
    let (root, outside) = (world.path("root"), world.path("outside"));
    fs::create_dir(&root).unwrap();
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, root.join("etc")).unwrap();
    world.publish(&image, &Output::RootDirectory(root), &[]).await.unwrap_err();
    assert_eq!(names(&outside), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tar_has_the_same_in_the_order_of_a_walk() {
    let (_registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.image(&reference).await;
    let path = world.path("root.tar");
    let output = Output::RootArchive(Destination::File(path.clone()));
    world.publish(&image, &output, &[]).await.unwrap();
    let mut archive = tar::Archive::new(fs::File::open(&path).unwrap());
    let mut rows = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut body = String::new();
        std::io::Read::read_to_string(&mut entry, &mut body).unwrap();
        rows.push((entry.path().unwrap().display().to_string(), body));
    }
    let row = |name: &str, body: &str| (name.to_owned(), body.to_owned());
    let expected = [
        row("bin/", ""),
        row("bin/bash", "#!"),
        row("bin/sh", ""),
        row("etc/", ""),
        row("etc/link", ""),
        row("etc/os", "two\n"),
    ];
    assert_eq!(rows, expected);
}
