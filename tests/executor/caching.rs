//! What is reused.

use anyhow::{Context, Result, ensure};
use strata_testkit::TestImage;

use super::Row;
use super::scene::{Scene, ran};

pub(super) const ROWS: &[Row] = &[
    (&["cache"], cache),
    (&["cache-repo"], cache_repo),
    (&["cache-dir"], cache_dir),
    (&["cache-run-layers"], cache_run_layers),
    (&["no-push-cache"], no_push_cache),
    (&["cache-ttl"], cache_ttl),
];

/// Builds as a later job does: with nothing but the caches that options name.
fn in_a_new_job(scene: &Scene, more: &[&str]) -> Result<String> {
    let state = tempfile::tempdir()?;
    let directory = state.path().display().to_string();
    Ok(scene.build(&[&["--kaniko-dir", &directory], more].concat())?.stderr)
}

fn cache(scene: &Scene) -> Result<()> {
    in_a_new_job(scene, &["--cache"])?;
    let said = in_a_new_job(scene, &["--cache=true"])?;
    ensure!(said.contains("#1 CACHED"), "{said}");
    let said = in_a_new_job(scene, &["--cache=false"])?;
    ensure!(!said.contains("CACHED"), "{said}");
    // Without it every step runs, also in the same job.
    scene.build(&[])?;
    let said = scene.build(&[])?.stderr;
    ensure!(!said.contains("CACHED"), "{said}");
    scene.registry.manifest("team/app", "strata-cache").context("there is a cache").map(drop)
}

fn cache_repo(scene: &Scene) -> Result<()> {
    let layout = format!("oci:{}", scene.path("cache"));
    let own = scene.registry.reference("cache/of/team");
    let tagged = scene.registry.reference("cache/of/team:main");
    for place in [&layout, &own, &tagged] {
        in_a_new_job(scene, &["--cache", "--cache-repo", place])?;
        let said = in_a_new_job(scene, &["--cache", "--cache-repo", place])?;
        ensure!(said.contains("#1 CACHED"), "{place}: {said}");
    }
    scene.registry.manifest("cache/of/team", "main").context("it is where it was named")?;
    // Without a name each step has a tag of its own.
    ensure!(scene.registry.manifest("cache/of/team", "strata-cache").is_none());
    ensure!(scene.registry.manifest("team/app", "strata-cache").is_none());
    Ok(())
}

fn cache_dir(scene: &Scene) -> Result<()> {
    let layers = TestImage::new().layer("/etc/ 0755 0:0\n/etc/file 0644 0:0 file \"base\"").build();
    scene.registry.add_image("base", "1", &layers);
    let other = TestImage::new().layer("/srv/ 0755 0:0").build();
    scene.registry.add_image("base", "2", &other);
    let base = scene.registry.reference("base:1");
    let text = format!(
        "ARG TAG=1\nFROM {base}\nCOPY data /etc/\nFROM {}:$TAG\n",
        scene.registry.reference("base")
    );
    scene.environment.write("based", text)?;
    let directory = scene.path("bases");
    let blobs = |scene: &Scene| {
        let log = scene.registry.take_log();
        log.into_iter().filter(|line| line.starts_with("GET") && line.contains("/blobs/")).count()
    };
    let arguments = ["-f", "based", "--target", "0", "--cache-dir", &directory];
    in_a_new_job(scene, &arguments)?;
    ensure!(blobs(scene) == 2, "without a warmer the config and the layer are downloaded");

    for images in [&["--image", &base][..], &["--dockerfile", "based", "--build-arg", "TAG=2"]] {
        let mut warmer = scene.command();
        warmer.args(["warmer", "--cache-dir", &directory]).args(images);
        let warmed = ran(&mut warmer)?;
        ensure!(warmed.code == Some(0), "{warmed:#?}");
    }
    let index = std::fs::read_to_string(std::path::Path::new(&directory).join("index.json"))?;
    ensure!(index.contains("base:1") && index.contains("base:2"), "{index}");
    blobs(scene);
    in_a_new_job(scene, &arguments)?;
    ensure!(blobs(scene) == 1, "the layer is taken from the warmer's directory");
    Ok(())
}

fn cache_run_layers(scene: &Scene) -> Result<()> {
    scene.build(&["--cache"])?;
    let said = scene.build(&["--cache"])?.stderr;
    ensure!(said.contains("CACHED"), "{said}");
    let said = scene.build(&["--cache", "--cache-run-layers=false"])?.stderr;
    ensure!(!said.contains("CACHED"), "{said}");
    Ok(())
}

fn no_push_cache(scene: &Scene) -> Result<()> {
    scene.build(&["--cache", "--no-push-cache"])?;
    ensure!(scene.registry.manifest("team/app", "strata-cache").is_none());
    // The other way round, only the image stays at home.
    scene.build(&["--cache", "--no-push"])?;
    scene.registry.manifest("team/app", "strata-cache").context("there is a cache").map(drop)
}

fn cache_ttl(scene: &Scene) -> Result<()> {
    in_a_new_job(scene, &["--cache"])?;
    let said = in_a_new_job(scene, &["--cache", "--cache-ttl", "336h"])?;
    ensure!(said.contains("#1 CACHED"), "{said}");
    let said = in_a_new_job(scene, &["--cache", "--cache-ttl", "0s"])?;
    ensure!(!said.contains("CACHED"), "{said}");
    let said = scene.fail(&["--cache-ttl=soon"])?;
    ensure!(said.contains("`--cache-ttl soon`: it is not a duration"), "{said}");
    Ok(())
}
