//! What becomes of the result.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use strata_testkit::TestImage;

use super::Row;
use super::scene::Scene;
use crate::requirement::{Need, busybox, output, require};

pub(super) const ROWS: &[Row] = &[
    (&["destination"], destination),
    (&["no-push"], no_push),
    (&["tar-path"], tar_path),
    (&["oci-layout-path"], oci_layout_path),
    (&["image-format"], image_format),
    (&["compression", "compression-level"], compression),
    (&["digest-file"], digest_file),
    (&["image-name-with-digest-file"], image_name),
    (&["image-name-tag-with-digest-file"], image_name_tag),
    (&["label"], label),
    (&["annotation"], annotation),
    (&["reproducible"], reproducible),
    (&["single-snapshot"], single_snapshot),
    (&["ignore-path"], ignore_path),
];

fn destination(scene: &Scene) -> Result<()> {
    scene.build(&["-d", &scene.registry.reference("team/app:2")])?;
    ensure!(scene.manifest("1")? == scene.manifest("2")?);
    let none = scene.executor(&["-c", &scene.context()])?;
    ensure!(none.code == Some(1) && none.stderr.contains("no `--destination`"), "{none:#?}");
    Ok(())
}

fn no_push(scene: &Scene) -> Result<()> {
    scene.build(&["--no-push"])?;
    scene.build_with(&[("KANIKO_NO_PUSH", "true")], &[])?;
    ensure!(scene.registry.take_log().is_empty());
    scene.build_with(&[("KANIKO_NO_PUSH", "true")], &["--no-push=false"])?;
    scene.manifest("1").map(drop)
}

fn tar_path(scene: &Scene) -> Result<()> {
    for option in ["--tar-path", "--tarPath"] {
        let path = scene.path(option);
        scene.build(&["--no-push", option, &path])?;
        let mut archive = tar::Archive::new(std::fs::File::open(&path)?);
        let mut found = None;
        for entry in archive.entries()? {
            let entry = entry?;
            if entry.path()? == Path::new("manifest.json") {
                found = Some(serde_json::from_reader::<_, Value>(entry)?);
            }
        }
        let listed = found.context("an archive has a manifest")?;
        ensure!(listed[0]["RepoTags"][0] == scene.destination().as_str(), "{listed}");
    }
    let path = scene.path("nameless.tar");
    let none = scene.executor(&["-c", &scene.context(), "--no-push", "--tar-path", &path])?;
    ensure!(none.code == Some(1) && none.stderr.contains("needs a `--destination`"), "{none:#?}");
    Ok(())
}

fn oci_layout_path(scene: &Scene) -> Result<()> {
    let path = scene.path("layout");
    scene.build(&["--oci-layout-path", &path])?;
    let index: Value =
        serde_json::from_slice(&std::fs::read(Path::new(&path).join("index.json"))?)?;
    ensure!(index["manifests"][0]["digest"] == scene.digest()?.as_str(), "{index}");
    Ok(())
}

fn image_format(scene: &Scene) -> Result<()> {
    for (format, expected) in [
        ("docker", "application/vnd.docker.distribution.manifest.v2+json"),
        ("oci", "application/vnd.oci.image.manifest.v1+json"),
    ] {
        scene.build(&["--image-format", format])?;
        let (media_type, manifest) = scene.manifest("1")?;
        ensure!(media_type == expected, "{format}: {media_type}");
        ensure!(manifest["mediaType"] == expected, "{format}: {manifest}");
    }
    let said = scene.fail(&["--image-format=docker", "--compression=zstd"])?;
    ensure!(said.contains("has no place in an image in Docker's format"), "{said}");
    Ok(())
}

fn compression(scene: &Scene) -> Result<()> {
    let mut sizes = Vec::new();
    for arguments in [
        &["--compression=gzip", "--compression-level=1"][..],
        &["--compression-level=9"],
        &["--compression", "zstd"],
        &["--compression-level=-1"],
    ] {
        scene.build(arguments)?;
        let (_, manifest) = scene.manifest("1")?;
        let layer = &manifest["layers"][0];
        let zstd = layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar+zstd";
        ensure!(zstd == arguments.contains(&"zstd"), "{layer}");
        sizes.push(layer["size"].as_u64().context("a layer has a size")?);
    }
    ensure!(sizes[0] > sizes[1], "{sizes:?}");
    Ok(())
}

fn digest_file(scene: &Scene) -> Result<()> {
    let path = scene.path("digest");
    scene.build(&["--digest-file", &path])?;
    ensure!(std::fs::read_to_string(path)? == scene.digest()?);
    Ok(())
}

fn image_name(scene: &Scene) -> Result<()> {
    let path = scene.path("names");
    scene.build(&["--image-name-with-digest-file", &path])?;
    let expected = format!("{}@{}\n", scene.registry.reference("team/app"), scene.digest()?);
    ensure!(std::fs::read_to_string(path)? == expected);
    Ok(())
}

fn image_name_tag(scene: &Scene) -> Result<()> {
    let path = scene.path("names");
    let second = scene.registry.reference("team/app:2");
    scene.build(&["--destination", &second, "--image-name-tag-with-digest-file", &path])?;
    let digest = scene.digest()?;
    let expected = format!("{}@{digest}\n{second}@{digest}\n", scene.destination());
    ensure!(std::fs::read_to_string(path)? == expected);
    Ok(())
}

fn label(scene: &Scene) -> Result<()> {
    scene.build(&["--label", "a=b=c", "--label=version=9"])?;
    ensure!((scene.label("a")?, scene.label("version")?) == ("b=c".into(), "9".into()));
    Ok(())
}

fn annotation(scene: &Scene) -> Result<()> {
    scene.build(&["--annotation", "a.b=c"])?;
    let (_, manifest) = scene.manifest("1")?;
    ensure!(manifest["annotations"]["a.b"] == "c", "{manifest}");
    Ok(())
}

fn reproducible(scene: &Scene) -> Result<()> {
    scene.build(&["--reproducible"])?;
    ensure!(scene.config()?["created"] == "1970-01-01T00:00:00Z");
    let first = scene.digest()?;
    std::fs::File::open(scene.environment.context().join("data"))?
        .set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(9))?;
    scene.build(&["--reproducible"])?;
    ensure!(scene.digest()? == first);
    scene.build_with(&[("SOURCE_DATE_EPOCH", "86400")], &["--reproducible"])?;
    ensure!(scene.config()?["created"] == "1970-01-02T00:00:00Z");
    Ok(())
}

/// Onto a base of two layers comes one, with what the steps left; the history has one row for it.
fn single_snapshot(scene: &Scene) -> Result<()> {
    let base = TestImage::new()
        .layer("/etc/ 0755 0:0\n/etc/kept 0644 0:0 file \"kept\"")
        .layer("/etc/ 0755 0:0\n/etc/second 0644 0:0 file \"2\"")
        .build();
    scene.registry.add_image("base", "1", &base);
    let from = format!("FROM {}\n", scene.registry.reference("base:1"));
    scene.environment.write("small", "small")?;
    let steps = "COPY data /a/first\nWORKDIR /b\nCOPY data /a/second\nCOPY small /a/first\n";
    scene.environment.write("steps", from + steps)?;
    for (more, own) in [(&["--single-snapshot=false"][..], 4), (&["--single-snapshot"], 1)] {
        scene.build(&[&["-f", "steps"], more].concat())?;
        let (_, manifest) = scene.manifest("1")?;
        let layers = manifest["layers"].as_array().context("a manifest has layers")?;
        ensure!(layers.len() == 2 + own, "{layers:?}");
        let config = scene.config()?;
        let rows = config["history"].as_array().context("a config has a history")?;
        let full = rows.iter().filter(|row| row["empty_layer"] != true).count();
        ensure!(full == 2 + own, "{rows:?}");
    }
    let (_, manifest) = scene.manifest("1")?;
    let digest = manifest["layers"][2]["digest"].as_str().context("a layer has a digest")?;
    let blob = scene.registry.blob("team/app", digest).context("the layer was pushed")?;
    let path = scene.path("layer.tar.gz");
    std::fs::write(&path, blob)?;
    let listed = output(Command::new("tar").args(["-tzf", &path]));
    ensure!(listed == "a/\na/first\na/second\nb/\n", "{listed}");
    let first = output(Command::new("tar").args(["-xzOf", &path, "a/first"]));
    ensure!(first == "small", "{first}");
    Ok(())
}

/// What RUN writes there is in no layer, and no later RUN sees it: as where the first is found in a cache.
fn ignore_path(scene: &Scene) -> Result<()> {
    if !require(&[Need::StaticBusybox, Need::UserNamespaces]) {
        return Ok(());
    }
    let shell = busybox().context("it was required")?;
    std::fs::copy(shell, scene.environment.context().join("busybox"))?;
    let text = "FROM scratch\nCOPY busybox /bin/sh\nRUN echo 1 > /product_uuid; echo 2 > /kept\n\
                RUN test ! -e /product_uuid && echo 3 > /last\n";
    scene.environment.write("ignoring", text)?;
    let arguments =
        ["-f", "ignoring", "--ignore-path=/product_uuid", "--ignore-path", "/var/spool"];
    scene.build(&arguments)?;
    let (_, manifest) = scene.manifest("1")?;
    let digest = manifest["layers"][1]["digest"].as_str().context("a layer has a digest")?;
    let blob = scene.registry.blob("team/app", digest).context("the layer was pushed")?;
    let path = scene.path("layer.tar.gz");
    std::fs::write(&path, blob)?;
    let listed = output(Command::new("tar").args(["-tzf", &path]));
    ensure!(listed == "kept\n", "{listed}");
    let said = scene.fail(&["-f", "ignoring"])?;
    ensure!(said.contains("RUN test ! -e /product_uuid"), "{said}");
    Ok(())
}
