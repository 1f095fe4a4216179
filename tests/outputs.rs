//! Every kind of output, read back by somebody else's program.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use strata_testkit::{TestEnvironment, TestImage, TestRegistry};

use crate::distribution::{config, diff_ids, manifest};
use crate::person::{STRATA, succeed};
use crate::requirement::{NOTHING, Need, noise, output, require};

const DOCKERFILE: &str = "\
ARG BASE
FROM ${BASE}
COPY --chown=7:8 --chmod=750 greeting.txt /srv/new/
COPY tree /srv/
ENV A=b
LABEL l=m
";

/// What an image of [`DOCKERFILE`] holds, as `tar --list --verbose` says it, sorted by name. The directories that
/// COPY makes on its way get its owner and mode, as BuildKit does it.
const FILES: &str = "\
drwxr-xr-x 0/0 ./
drwxr-xr-x 0/0 ./etc/
-rw-r--r-- 0/0 ./etc/kept
drwxr-x--- 7/8 ./srv/
drwxr-xr-x 0/0 ./srv/deep/
-rw-r--r-- 0/0 ./srv/deep/file
lrwxrwxrwx 0/0 ./srv/link -> deep/file
drwxr-x--- 7/8 ./srv/new/
-rwxr-x--- 7/8 ./srv/new/greeting.txt
";

/// A base in a registry, and a context to build on it.
fn fixture() -> Result<(TestRegistry, TestEnvironment)> {
    let registry = TestRegistry::start();
    let base = TestImage::new()
        .layer("/etc/ 0755 0:0\n/etc/kept 0644 0:0 file \"kept\"\n/etc/gone 0644 0:0 file \"gone\"")
        .layer("/etc/.wh.gone 0644 0:0 file \"\"")
        .build();
    registry.add_image("base", "1", &base);
    Ok((registry, environment()?))
}

fn environment() -> Result<TestEnvironment> {
    fill(TestEnvironment::new(STRATA)?)
}

fn fill(environment: TestEnvironment) -> Result<TestEnvironment> {
    let environment = environment.with_variable("SOURCE_DATE_EPOCH", "1700000000");
    environment.write("Dockerfile", DOCKERFILE)?;
    environment.write("greeting.txt", "hello\n")?;
    // More than one block of a parallel compressor.
    environment.write("tree/deep/file", noise(6_000_000, 1))?;
    std::os::unix::fs::symlink("deep/file", environment.context().join("tree/link"))?;
    Ok(environment)
}

fn base(registry: &TestRegistry) -> String {
    format!("--build-arg=BASE={}", registry.reference("base:1"))
}

/// Type and destination → how skopeo names it.
#[test]
fn images_are_readable_by_others() -> Result<()> {
    if !require(&[Need::Program("skopeo")]) {
        return Ok(());
    }
    let (registry, environment) = fixture()?;
    let base = base(&registry);
    let mut found: Vec<(String, Vec<String>, Value)> = Vec::new();
    for compression in ["gzip", "zstd", "none"] {
        let tag = registry.reference(&format!("out:{compression}"));
        let out = environment.temporary().join(compression);
        std::fs::create_dir(&out)?;
        let out = out.display();
        let table = [
            ("type=registry".to_owned(), format!("docker://{tag}")),
            (format!("type=oci,dest={out}/layout"), format!("oci:{out}/layout")),
            (format!("type=oci,dest={out}/oci.tar"), format!("oci-archive:{out}/oci.tar")),
            (
                format!("type=docker,dest={out}/docker.tar"),
                format!("docker-archive:{out}/docker.tar"),
            ),
        ];
        for (output, image) in table {
            let option = format!("--output={output},compression={compression}");
            // A layer that is there already stays as it is packed.
            succeed(&environment, ["build", "--no-cache", "--tag", &tag, &base, &option, "."])?;
            let name = format!("{output} {compression}");
            let read = config(&image).with_context(|| name.clone())?;
            let archive = image.starts_with("docker-archive:");
            if !archive {
                let layers = manifest(&image)?["layers"].clone();
                let layers = layers.as_array().with_context(|| name.clone())?;
                let media_type = layers.last().and_then(|layer| layer["mediaType"].as_str());
                let suffix = match compression {
                    "none" => "tar",
                    "gzip" => "tar+gzip",
                    _ => "tar+zstd",
                };
                let expected = format!("application/vnd.oci.image.layer.v1.{suffix}");
                assert_eq!(media_type, Some(expected.as_str()), "{name}");
            }
            // skopeo reads the blobs too, and verifies them.
            let copy = format!("oci:{out}/copy");
            output_of_copy(&image, &copy);
            std::fs::remove_dir_all(format!("{out}/copy"))?;
            found.push((name, diff_ids(&image)?, read["config"].clone()));
        }
    }
    let (_, ids, settings) = &found[0];
    assert_eq!(ids.len(), 4);
    assert_eq!(settings["Labels"]["l"], "m");
    assert!(settings["Env"].to_string().contains("A=b"), "{settings}");
    for (name, other_ids, other_settings) in &found {
        assert_eq!((other_ids, other_settings), (ids, settings), "{name}");
    }
    Ok(())
}

fn output_of_copy(from: &str, to: &str) {
    output(Command::new("skopeo").args(["copy", "--quiet", "--src-tls-verify=false", from, to]));
}

/// The files of an archive or of a directory, one a line.
fn listing(verbose: &str) -> String {
    let mut lines: Vec<(String, String)> = verbose
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let (mode, owner) = (fields.next()?, fields.next()?);
            let name = fields.skip(3).collect::<Vec<_>>().join(" ");
            let name = if name.starts_with("./") { name } else { format!("./{name}") };
            Some((name.clone(), format!("{mode} {owner} {name}\n")))
        })
        .collect();
    lines.sort();
    let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    let root = "drwxr-xr-x 0/0 ./\n";
    // An archive need not hold its own root.
    let head = if lines.first().is_some_and(|line| line == root) { "" } else { root };
    format!("{head}{}", lines.concat())
}

#[test]
fn root_file_systems_are_what_the_layers_make() -> Result<()> {
    if !require(&[Need::Root]) {
        return Ok(());
    }
    let (registry, environment) = fixture()?;
    let out = environment.temporary();
    let tar = format!("--output=type=tar,dest={}", out.join("root.tar").display());
    let local = format!("--output=type=local,dest={}", out.join("root").display());
    succeed(&environment, ["build", &base(&registry), &tar, &local, "."])?;

    let list = |arguments: &[&str]| {
        let mut command = Command::new("tar");
        listing(&output(
            command.args(["--numeric-owner", "--verbose"]).args(arguments).current_dir(&out),
        ))
    };
    assert_eq!(list(&["--list", "--file=root.tar"]), FILES);
    // The directory belongs to whoever builds, as that of `docker build --output type=local` does.
    let directory = list(&["--create", "--verbose", "--file=/dev/null", "--directory=root", "."]);
    assert_eq!(directory.lines().count(), FILES.lines().count(), "{directory}");
    assert_eq!(std::fs::read_to_string(out.join("root/srv/new/greeting.txt"))?, "hello\n");
    assert_eq!(std::fs::read_link(out.join("root/srv/link"))?, Path::new("deep/file"));
    assert!(!out.join("root/etc/gone").exists());
    Ok(())
}

#[test]
fn stored_image_is_a_base_and_can_be_pushed() -> Result<()> {
    let (registry, environment) = fixture()?;
    succeed(&environment, ["build", "--tag", "kept:1", &base(&registry), "."])?;
    let listed = succeed(&environment, ["images"])?.stdout;
    assert!(listed.contains("kept"), "{listed}");

    registry.take_log();
    environment.write("second/Dockerfile", "FROM kept:1\nCOPY more /srv/new/more\nUSER 9\n")?;
    environment.write("second/more", "more\n")?;
    succeed(&environment, ["build", "--tag", "second:1", "second"])?;
    assert_eq!(registry.take_log(), NOTHING, "the store has all of it");

    let tag = registry.reference("pushed/second:1");
    succeed(&environment, ["push", "second:1", &tag])?;
    let (_, bytes) = registry.manifest("pushed/second", "1").context("it was pushed")?;
    let manifest: Value = serde_json::from_slice(&bytes)?;
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(5));
    let digest = manifest["config"]["digest"].as_str().context("a digest")?;
    let config: Value =
        serde_json::from_slice(&registry.blob("pushed/second", digest).context("it is there")?)?;
    assert_eq!(config["config"]["User"], "9");

    succeed(&environment, ["rm", "second:1"])?;
    let listed = succeed(&environment, ["images"])?.stdout;
    assert!(!listed.contains("second"), "{listed}");
    Ok(())
}

/// What a build prints for scripts is the same digest everywhere.
#[test]
fn scripts_read_one_digest() -> Result<()> {
    let (registry, environment) = fixture()?;
    let out = environment.temporary();
    let tag = registry.reference("out:1");
    let file = |option: &str| format!("--{option}={}", out.join(option).display());
    let (digest, id, metadata) = (file("digest-file"), file("iidfile"), file("metadata-file"));
    let base = base(&registry);
    let ran = succeed(
        &environment,
        ["build", "-q", "--push", "--tag", &tag, &base, &digest, &id, &metadata, "."],
    )?;
    let (_, bytes) = registry.manifest("out", "1").context("it was pushed")?;
    let pushed = strata_testkit::sha256(&bytes);
    assert_eq!(ran.stdout, format!("{pushed}\n"));
    assert_eq!(ran.stderr, "");
    let read = |name: &str| std::fs::read_to_string(out.join(name));
    assert_eq!(read("digest-file")?, pushed);
    let manifest: Value = serde_json::from_slice(&bytes)?;
    assert_eq!(read("iidfile")?, manifest["config"]["digest"].as_str().unwrap_or_default());
    let metadata: Value = serde_json::from_str(&read("metadata-file")?)?;
    assert_eq!(metadata["containerimage.digest"], pushed.as_str());
    assert_eq!(metadata["image.name"], tag.as_str());
    Ok(())
}

/// One processor or all, in another directory, with another umask and other times of the files: the same bytes.
#[test]
fn same_input_gives_the_same_bytes() -> Result<()> {
    if !require(&[Need::Program("taskset")]) {
        return Ok(());
    }
    let (registry, here) = fixture()?;
    let there = fill(TestEnvironment::new("taskset")?)?;
    for file in ["greeting.txt", "tree/deep/file"] {
        output(Command::new("touch").arg("--date=@1900000000").arg(there.context().join(file)));
    }
    for compression in ["gzip", "zstd", "none"] {
        let archive = |environment: &TestEnvironment, program: &[&str]| -> Result<Vec<u8>> {
            let path = environment.temporary().join(format!("{compression}.tar"));
            let option =
                format!("--output=type=oci,dest={},compression={compression}", path.display());
            let base = base(&registry);
            let build = ["build", "--no-cache", "--tag", "same:1", &base, &option, "."];
            succeed(environment, program.iter().copied().chain(build))?;
            Ok(std::fs::read(path)?)
        };
        let all = archive(&here, &[])?;
        let one = archive(&there, &["-c", "0", STRATA])?;
        assert!(all == one, "{compression}: {} and {} bytes", all.len(), one.len());
    }
    Ok(())
}
