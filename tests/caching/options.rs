//! What is taken from which cache, as options of a build say.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use strata_testkit::{TestEnvironment, TestImage, TestRegistry};

use super::{build, in_a_new_job};
use crate::person::STRATA;
use crate::requirement::NOTHING;

const DOCKERFILE: &str = "\
FROM scratch AS other
COPY one /one
FROM scratch
COPY two /two
COPY --from=other /one /one
";

fn project() -> Result<(TestRegistry, TestEnvironment)> {
    let environment = TestEnvironment::new(STRATA)?;
    environment.write("Dockerfile", DOCKERFILE)?;
    environment.write("one", "1")?;
    environment.write("two", "2")?;
    Ok((TestRegistry::start(), environment))
}

#[test]
fn caches_are_left_alone_where_that_is_asked_for() -> Result<()> {
    let (registry, environment) = project()?;
    let cache = registry.reference("cache:1");
    let from = format!("--cache-from={cache}");
    let to = format!("--cache-to=type=registry,ref={cache},mode=max");
    let first = in_a_new_job(&environment, &["--tag=app:1", &to])?;
    assert_eq!((first.ran.len(), first.cached.len()), (3, 0));
    // The local state is a cache too.
    let state = tempfile::tempdir_in(environment.temporary())?;
    for _ in 0..2 {
        let told = build(&environment, &state, &["--tag=app:1", &from])?;
        // What nobody asks of the first stage is not even looked up.
        assert_eq!((told.ran.len(), told.cached.len()), (0, 2), "{told:?}");
    }
    registry.take_log();
    let told = build(&environment, &state, &["--tag=app:1", &from, "--no-cache"])?;
    assert_eq!((told.ran.len(), told.cached.len()), (3, 0), "{told:?}");
    assert_eq!(registry.take_log(), NOTHING);

    // What is copied of that stage is what it was.
    let of_a_stage = ["--tag=app:1", &from, "--no-cache-filter=other"];
    let told = in_a_new_job(&environment, &of_a_stage)?;
    assert_eq!(told.ran, ["COPY one /one"]);
    assert_eq!(told.cached.len(), 2, "{told:?}");
    Ok(())
}

#[test]
fn bases_are_resolved_anew_where_that_is_asked_for() -> Result<()> {
    let (registry, environment) = project()?;
    let name = registry.reference("base:1");
    let state = tempfile::tempdir_in(environment.temporary())?;
    // This machine has built something of that name itself.
    build(&environment, &state, &["--tag", &name])?;
    let theirs = TestImage::new().layer("/theirs/ 0755 0:0").build();
    let theirs = registry.add_image("base", "1", &theirs);
    environment.write("Dockerfile", format!("FROM {name}\nCOPY one /\n"))?;
    registry.take_log();
    let told = build(&environment, &state, &["--tag=app:1"])?;
    ensure!(told.bases.len() == 1 && told.bases[0] != theirs, "{told:?}");
    assert_eq!(registry.take_log(), NOTHING);
    let told = build(&environment, &state, &["--tag=app:1", "--pull"])?;
    assert_eq!((told.bases, told.ran), (vec![theirs], vec!["COPY one /".to_owned()]));
    Ok(())
}

/// As Docker's documentation has it.
#[test]
fn image_carries_its_cache_where_that_is_asked_for() -> Result<()> {
    for (more, is_cached) in [
        (&["--build-arg", "BUILDKIT_INLINE_CACHE=1"][..], true),
        (&["--cache-to", "type=inline"], true),
        (&["--build-arg", "BUILDKIT_INLINE_CACHE=0"], false),
        (&[], false),
    ] {
        let (registry, environment) = project()?;
        let image = registry.reference("app:latest");
        let pushing = ["--push", "--tag", &image];
        in_a_new_job(&environment, &[&pushing, more].concat())?;
        let told = in_a_new_job(&environment, &["--tag=app:1", "--cache-from", &image])?;
        assert_eq!(told.cached.contains(&"COPY two /two".to_owned()), is_cached, "{more:?}");
        ensure!(!is_cached || !told.ran.contains(&"COPY two /two".to_owned()), "{told:?}");
    }
    Ok(())
}

#[test]
fn several_caches_are_looked_into_in_order() -> Result<()> {
    let (registry, environment) = project()?;
    let directory = environment.temporary().join("cache").display().to_string();
    let inline = registry.reference("app:latest");
    let layer = || -> Result<String> {
        let (_, manifest) = registry.manifest("app", "latest").context("it is pushed")?;
        let manifest: serde_json::Value = serde_json::from_slice(&manifest)?;
        let digest = manifest["layers"][0]["digest"].as_str().context("it has a layer")?;
        Ok(digest.to_owned())
    };
    // One step with one key and two results: only the time of the file is another.
    let mut layers = Vec::new();
    let text = "FROM scratch\nCOPY one /one\n";
    environment.write("Dockerfile", text)?;
    for (seconds, to) in [
        (1_000_000_000, format!("type=local,dest={directory}")),
        (1_100_000_000, "type=inline".to_owned()),
    ] {
        let file = std::fs::File::options().write(true).open(environment.context().join("one"))?;
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))?;
        in_a_new_job(&environment, &["--push", "--tag", &inline, "--cache-to", &to])?;
        layers.push(layer()?);
    }
    ensure!(layers[0] != layers[1], "the times are in the layers: {layers:?}");
    let local = format!("--cache-from=type=local,src={directory}");
    let image = format!("--cache-from={inline}");
    let nothing = format!("--cache-from={}", registry.reference("nothing:1"));
    // Keys ride on, so that the image stays a cache.
    let pushing = ["--push", "--tag", &inline, "--cache-to=type=inline"];
    for (from, expected) in
        [([&nothing, &image, &local], &layers[1]), ([&nothing, &local, &image], &layers[0])]
    {
        let from: Vec<&str> = from.iter().map(|text| text.as_str()).collect();
        let told = in_a_new_job(&environment, &[&pushing[..], &from].concat())?;
        assert_eq!(told.cached, ["COPY one /one"], "{from:?}");
        assert_eq!(&layer()?, expected, "{from:?}");
        // The one that is missing is told, once.
        assert_eq!(told.warnings.len(), 1, "{told:?}");
    }
    Ok(())
}

#[test]
fn miss_names_the_argument_and_the_files_that_changed() -> Result<()> {
    let (registry, environment) = project()?;
    environment.write("Dockerfile", "FROM scratch\nCOPY src /src\n")?;
    for name in ["a", "b", "c", "d", "e"] {
        environment.write(format!("src/{name}"), "1")?;
    }
    let cache = registry.reference("cache:1");
    let job = || {
        let from = format!("--cache-from={cache}");
        in_a_new_job(&environment, &["--tag=app:1", &from, "--cache-to", &cache])
    };
    job()?;
    for name in ["a", "b", "c", "d", "e"] {
        std::fs::remove_file(environment.context().join("src").join(name))?;
    }
    environment.write("src/f", "1")?;
    let told = job()?;
    assert_eq!(told.reasons, ["src/a is gone, src/b is gone, src/c is gone and 3 more"]);
    Ok(())
}
