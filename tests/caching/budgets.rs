//! What a rebuild asks of the registry that most people run, told by its own access log.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use strata_testkit::TestEnvironment;

use super::{Told, in_a_new_job};
use crate::distribution::{DockerRegistry, manifest};
use crate::interruption::{RUN_NEEDS, with_shell};
use crate::person::{Person, succeed};
use crate::requirement::{NOTHING, Need, noise, require};

const NEEDS: &[Need] = &[Need::Program("docker-registry"), Need::Program("skopeo")];

/// A registry with a base of some megabytes that has a shell, and a checkout to build on it.
struct Project {
    registry: DockerRegistry,
    environment: TestEnvironment,
}

impl Project {
    fn new() -> Result<Self> {
        let registry = DockerRegistry::start()?;
        let base = with_shell(Person::Caller, "COPY noise /noise\n")?;
        base.write("noise", noise(8 << 20, 1))?;
        succeed(&base, ["build", "-q", "--push", "--tag", &registry.reference("base:1"), "."])?;
        let environment = Person::Caller.environment()?;
        Ok(Self { registry, environment })
    }

    /// Builds with a cache and pushes, from no local state; also gives what the registry was asked.
    fn job(&mut self, dockerfile: &str) -> Result<(Told, Vec<String>)> {
        let text = dockerfile.replace("BASE", &self.registry.reference("base:1"));
        self.environment.write("Dockerfile", text)?;
        self.registry.take_log()?;
        let cache = self.registry.reference("app/cache:main");
        let from = format!("--cache-from={cache}");
        let to = format!("--cache-to=type=registry,ref={cache},mode=max");
        let tag = self.registry.reference("app:1");
        let told = in_a_new_job(&self.environment, &["--push", "--tag", &tag, &from, &to])?;
        let log = self.registry.take_log()?;
        let pushed = log.iter().any(|line| line.contains(" /v2/app/manifests/"));
        ensure!(pushed, "the log does not even have the push: {log:#?}");
        Ok((told, log))
    }

    /// The digests of an image's layers, without `sha256:`.
    fn layers(&self, image: &str) -> Result<Vec<String>> {
        let manifest = manifest(&format!("docker://{}", self.registry.reference(image)))?;
        let layers = manifest["layers"].as_array().context("an image has layers")?;
        let digests = layers.iter().filter_map(|layer| layer["digest"].as_str());
        Ok(digests.map(|digest| digest.trim_start_matches("sha256:").to_owned()).collect())
    }
}

/// The requests that fetch one of these blobs.
fn fetched<'a>(log: &'a [String], layers: &[String]) -> Vec<&'a String> {
    let is_layer = |line: &&String| layers.iter().any(|layer| line.contains(layer.as_str()));
    log.iter().filter(|line| line.starts_with("GET")).filter(is_layer).collect()
}

/// The requests that end an upload into this repository.
fn uploaded<'a>(log: &'a [String], repository: &str) -> Vec<&'a String> {
    let place = format!("PUT /v2/{repository}/blobs/uploads/");
    log.iter().filter(|line| line.starts_with(&place)).collect()
}

#[test]
fn fully_cached_build_with_push_takes_ten_requests_and_no_layer() -> Result<()> {
    if !require(&[NEEDS, RUN_NEEDS].concat()) {
        return Ok(());
    }
    let mut project = Project::new()?;
    let mut text = "FROM BASE\n".to_owned();
    for number in 0..20 {
        writeln!(text, "RUN echo {number} > /made-{number}")?;
    }
    let (first, log) = project.job(&text)?;
    assert_eq!(first.ran.len(), 20);
    let layers = project.layers("app:1")?;
    ensure!(!fetched(&log, &layers).is_empty(), "commands run on the base: {log:#?}");
    let (second, log) = project.job(&text)?;
    assert_eq!((second.ran, second.cached.len()), (Vec::new(), 20));
    assert_eq!(second.warnings, NOTHING);
    assert_eq!(fetched(&log, &layers), Vec::<&String>::new());
    assert_eq!(project.layers("app:1")?, layers);
    ensure!(log.len() <= 10, "{} requests: {log:#?}", log.len());
    Ok(())
}

#[test]
fn one_file_of_twenty_thousand_uploads_one_layer_and_downloads_none() -> Result<()> {
    if !require(&[NEEDS, RUN_NEEDS].concat()) {
        return Ok(());
    }
    let mut project = Project::new()?;
    for number in 0..20_000 {
        project.environment.write(format!("src/{}/{number}", number / 100), format!("{number}"))?;
    }
    let text = "FROM BASE\nWORKDIR /app\nCOPY src /app/src\n";
    project.job(text)?;
    let base = project.layers("base:1")?;
    let before = project.layers("app:1")?;
    project.environment.write("src/70/7000", "other")?;
    let (second, log) = project.job(text)?;
    assert_eq!(second.ran, ["COPY src /app/src"]);
    ensure!(second.reasons.len() == 1, "{:?}", second.reasons);
    ensure!(second.reasons[0].starts_with("src/70/7000 changed ("), "{:?}", second.reasons);
    let layers = project.layers("app:1")?;
    let fresh: Vec<&String> = layers.iter().filter(|layer| !before.contains(layer)).collect();
    assert_eq!(fresh.len(), 1, "{layers:?}");
    assert_eq!(fetched(&log, &[&base[..], &before, &layers].concat()), Vec::<&String>::new());
    // The layer and the config.
    let uploads = uploaded(&log, "app");
    let of_layer = uploads.iter().filter(|line| line.contains(fresh[0].as_str())).count();
    assert_eq!((uploads.len(), of_layer), (2, 1), "{log:#?}");
    // The cache has it by a mount.
    let again = uploaded(&log, "app/cache").into_iter().filter(|line| line.contains(fresh[0]));
    assert_eq!(again.count(), 0, "{log:#?}");
    Ok(())
}

#[test]
fn of_four_stages_only_the_changed_one_runs() -> Result<()> {
    if !require(&[NEEDS, RUN_NEEDS].concat()) {
        return Ok(());
    }
    let mut project = Project::new()?;
    let names = ["one", "two", "three"];
    let mut text = String::new();
    for name in names {
        project.environment.write(name, "1")?;
        writeln!(text, "FROM BASE AS {name}\nCOPY {name} /\nRUN busybox cat /{name} > /made")?;
    }
    text.push_str("FROM BASE\nRUN echo last > /last\n");
    for name in names {
        writeln!(text, "COPY --from={name} /made /{name}")?;
    }
    let (first, _) = project.job(&text)?;
    assert_eq!(first.ran.iter().filter(|step| step.starts_with("RUN")).count(), 4);
    let before = project.layers("app:1")?;
    project.environment.write("two", "2")?;
    let (second, log) = project.job(&text)?;
    // What was copied before it stays; what is copied of it and after it is copied anew.
    assert_eq!(
        second.ran,
        [
            "COPY --from=three /made /three",
            "COPY --from=two /made /two",
            "COPY two /",
            "RUN busybox cat /two > /made",
        ]
    );
    assert_eq!(fetched(&log, &before[before.len() - 4..]), Vec::<&String>::new());
    Ok(())
}
