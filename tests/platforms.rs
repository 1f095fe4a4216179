//! Builds for several platforms at once.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use strata_testkit::{TestEnvironment, TestImage, TestRegistry};

use crate::person::{STRATA, succeed};
use crate::requirement::{Need, busybox, require};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const BOTH: &str = "--platform=linux/amd64,linux/arm64";

/// A base for two processors.
fn with_base() -> TestRegistry {
    let registry = TestRegistry::start();
    let rows = ["amd64", "arm64"].map(|architecture| {
        let text = format!("/etc/ 0755 0:0\n/etc/of 0644 0:0 file \"{architecture}\"");
        let image = TestImage::new().architecture(architecture).layer(&text).build();
        json!({
            "mediaType": image.manifest_media_type,
            "digest": registry.add_image("base", architecture, &image),
            "size": image.manifest.len(),
            "platform": {"os": "linux", "architecture": architecture},
        })
    });
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": rows});
    registry.add_manifest("base", "1", INDEX, index.to_string().as_bytes());
    registry
}

fn document(registry: &TestRegistry, target: &str) -> Result<Value> {
    let (_, bytes) = registry.manifest("out", target).context("it was pushed")?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Platform and layers of each manifest of an index.
fn images(registry: &TestRegistry, tag: &str) -> Result<Vec<(String, Vec<Value>)>> {
    let index = document(registry, tag)?;
    ensure!(index["mediaType"] == INDEX, "{index}");
    let rows = index["manifests"].as_array().context("an index has manifests")?;
    rows.iter()
        .map(|row| {
            let manifest = document(registry, row["digest"].as_str().context("a digest")?)?;
            let config = manifest["config"]["digest"].as_str().context("a config")?;
            let config = registry.blob("out", config).context("the config was pushed")?;
            let config: Value = serde_json::from_slice(&config)?;
            ensure!(config["architecture"] == row["platform"]["architecture"], "{row} {config}");
            let layers = manifest["layers"].as_array().context("layers")?;
            for layer in layers {
                let digest = layer["digest"].as_str().context("a digest")?;
                ensure!(registry.blob("out", digest).is_some(), "{digest} is not there");
            }
            let architecture = row["platform"]["architecture"].as_str().unwrap_or_default();
            Ok((architecture.to_owned(), layers.clone()))
        })
        .collect()
}

#[test]
fn files_are_copied_onto_the_base_of_each_platform() -> Result<()> {
    let registry = with_base();
    let environment = TestEnvironment::new(STRATA)?;
    let text = format!("FROM {}\nCOPY file /file\n", registry.reference("base:1"));
    environment.write("Dockerfile", text)?;
    environment.write("file", "content")?;
    let tag = registry.reference("out:1");
    let layout = environment.context().join("layout");
    let to_layout = format!("--output=type=oci,dest={}", layout.display());
    let ran =
        succeed(&environment, ["build", "-q", BOTH, "--push", &to_layout, "--tag", &tag, "."])?;
    let images = images(&registry, "1")?;
    let [(first, of_first), (second, of_second)] = images.as_slice() else {
        anyhow::bail!("{images:?}");
    };
    assert_eq!((first.as_str(), second.as_str()), ("amd64", "arm64"));
    ensure!(of_first[0] != of_second[0], "each has a base of its own");
    ensure!(of_first[1] == of_second[1], "what was copied is one layer: {images:?}");

    let (_, pushed) = registry.manifest("out", "1").context("it was pushed")?;
    assert_eq!(ran.stdout.trim(), strata_testkit::sha256(&pushed));
    let index: Value = serde_json::from_slice(&std::fs::read(layout.join("index.json"))?)?;
    assert_eq!(index["manifests"][0]["digest"], ran.stdout.trim());
    assert_eq!(index["manifests"][0]["mediaType"], INDEX);

    // The store keeps all of it, for a push later.
    succeed(&environment, ["build", "-q", BOTH, "--tag", "app:1", "."])?;
    succeed(&environment, ["push", "app:1", &registry.reference("out:2")])?;
    assert_eq!(self::images(&registry, "2")?, images);
    Ok(())
}

/// What does not depend on the platform runs once, also without a cache.
#[test]
fn stage_on_the_builders_platform_is_built_once() -> Result<()> {
    if !require(&[Need::UserNamespaces, Need::StaticBusybox]) {
        return Ok(());
    }
    let registry = with_base();
    registry.add_image("tools", "1", &TestImage::new().layer_bytes(shell()?).build());
    let environment = TestEnvironment::new(STRATA)?;
    let (tools, base) = (registry.reference("tools:1"), registry.reference("base:1"));
    let dockerfile = |argument: &str| {
        format!(
            "FROM --platform=$BUILDPLATFORM {tools} AS build\n{argument}\
             RUN echo built ${{TARGETARCH:-once}} > /out\nFROM {base}\nCOPY --from=build /out /out\n"
        )
    };
    let tag = registry.reference("out:1");
    for (argument, runs) in [("", 1), ("ARG TARGETARCH\n", 2)] {
        environment.write("Dockerfile", dockerfile(argument))?;
        let build = ["build", BOTH, "--progress=json", "--no-cache", "--push", "--tag", &tag, "."];
        let ran = succeed(&environment, build)?;
        let events = ran.events()?;
        let planned = events.iter().find(|event| event["event"] == "planned");
        let steps = planned.and_then(|event| event["steps"].as_array()).context("a plan")?;
        let is_run = |event: &&Value| {
            let step = steps.iter().find(|step| step["number"] == event["step"]);
            event["event"] == "step_started"
                && step.is_some_and(|step| step["text"].to_string().contains("RUN"))
        };
        assert_eq!(events.iter().filter(is_run).count(), runs, "{}", ran.stdout);
        let images = images(&registry, "1")?;
        assert_eq!(images[0].1[1] == images[1].1[1], runs == 1, "{images:?}");
    }
    Ok(())
}

/// A layer with a shell for this machine.
fn shell() -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let program = std::fs::read(busybox().context("there is one")?)?;
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(program.len() as u64);
    archive.append_data(&mut header, "bin/sh", program.as_slice())?;
    Ok(archive.into_inner()?)
}

#[test]
fn command_for_another_processor_is_an_error_that_names_it() -> Result<()> {
    if !require(&[Need::UserNamespaces]) {
        return Ok(());
    }
    let registry = TestRegistry::start();
    // Starts as a program of s390x does: what the kernel looks at is the header.
    let mut elf = vec![0_u8; 120];
    elf[..7].copy_from_slice(b"\x7fELF\x02\x02\x01");
    elf[16..20].copy_from_slice(&[0, 2, 0, 22]);
    let environment = TestEnvironment::new(STRATA)?;
    environment.write("sh", elf)?;
    let text = "FROM scratch\nCOPY --chmod=755 sh /bin/sh\nRUN true\n";
    environment.write("Dockerfile", text)?;
    let tag = registry.reference("out:1");
    let ran = environment.run([
        "build",
        "--progress=plain",
        "--platform=linux/amd64,linux/s390x",
        "--push",
        "--tag",
        &tag,
        ".",
    ])?;
    ensure!(ran.code == Some(4) || ran.code == Some(1), "{ran:#?}");
    let alone = environment.run(["build", "--progress=plain", "--platform=linux/s390x", "."])?;
    ensure!(alone.code == Some(4), "{alone:#?}");
    let says = "commands for `linux/s390x` do not run on this machine";
    ensure!(alone.stderr.contains(says), "{}", alone.stderr);
    ensure!(alone.stderr.contains("--> Dockerfile:3:1"), "{}", alone.stderr);
    ensure!(registry.manifest("out", "1").is_none());
    Ok(())
}
