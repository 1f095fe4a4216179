//! Registries with ways of their own: a build copes, or ends in one clear error and moves no tag.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use strata_testkit::{Access, Fault, TestEnvironment, TestImage, TestRegistry};

use crate::person::{STRATA, succeed};
use crate::requirement::noise;

const LAYER: &str = "/etc/ 0755 0:0\n/etc/some 0644 0:0 file \"content\"";

/// Gives the environment the credentials of `user`.
pub(crate) fn login(environment: TestEnvironment, registry: &TestRegistry) -> TestEnvironment {
    let auth = format!(
        r#"{{"auths":{{"{}":{{"username":"user","password":"secret"}}}}}}"#,
        registry.host()
    );
    environment.with_variable("DOCKER_AUTH_CONFIG", &auth)
}

fn builds(registry: &TestRegistry) -> Result<TestEnvironment> {
    let environment = login(TestEnvironment::new(STRATA)?, registry);
    let dockerfile = format!("FROM {}\nCOPY file /file\n", registry.reference("base:1"));
    environment.write("Dockerfile", dockerfile)?;
    environment.write("file", noise(200_000, 1))?;
    Ok(environment)
}

fn with_base(access: Access) -> TestRegistry {
    let registry = TestRegistry::start_with(access);
    registry.add_image("base", "1", &TestImage::new().layer(LAYER).build());
    registry
}

/// Every blob that a manifest names is there.
fn is_complete(registry: &TestRegistry, repository: &str, tag: &str) -> Result<bool> {
    let Some((_, bytes)) = registry.manifest(repository, tag) else { return Ok(false) };
    let manifest: serde_json::Value = serde_json::from_slice(&bytes)?;
    let layers = manifest["layers"].as_array().into_iter().flatten();
    let mut blobs = layers.chain([&manifest["config"]]);
    Ok(blobs.all(|blob| {
        blob["digest"].as_str().is_some_and(|digest| registry.blob(repository, digest).is_some())
    }))
}

/// Tokens live for two seconds; the uploads and the manifest each wait longer than that.
#[test]
fn tokens_that_end_in_the_middle_of_a_push_are_renewed() -> Result<()> {
    let registry = with_base(Access::Bearer {
        username: "user".to_owned(),
        password: "secret".to_owned(),
        anonymous_pull: false,
        expires_in: Some(2),
    });
    registry
        .add_fault(Fault::delay(Duration::from_millis(2100)).on("POST", "/out/blobs/").first(2));
    registry
        .add_fault(Fault::delay(Duration::from_millis(2100)).on("HEAD", "/out/blobs/").first(1));
    let environment = builds(&registry)?;
    let tag = registry.reference("out:1");
    succeed(&environment, ["build", "-q", "--push", "--tag", &tag, "."])?;
    let log = registry.take_log();
    let tokens = log.iter().filter(|line| line.contains("/token")).count();
    ensure!(tokens > 2, "{tokens} tokens: {log:?}");
    ensure!(is_complete(&registry, "out", "1")?, "{log:?}");
    Ok(())
}

#[test]
fn registry_that_asks_for_patience_gets_it() -> Result<()> {
    let registry = with_base(Access::Open);
    let busy = Fault::answer(429, &[("Retry-After", "2")], "");
    registry.add_fault(busy.on("PUT", "/out/manifests/").first(1));
    let environment = builds(&registry)?;
    let tag = registry.reference("out:1");
    let begun = Instant::now();
    succeed(&environment, ["build", "-q", "--push", "--tag", &tag, "."])?;
    ensure!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    ensure!(is_complete(&registry, "out", "1")?);
    Ok(())
}

#[test]
fn connection_that_drops_at_half_a_blob_is_made_again() -> Result<()> {
    let registry = with_base(Access::bearer());
    registry.add_fault(Fault::hang_up(100_000).on("PUT", "/out/blobs/uploads/").first(2));
    registry.add_fault(Fault::hang_up(100_000).on("PATCH", "/out/blobs/uploads/").first(2));
    let environment = builds(&registry)?;
    let tag = registry.reference("out:1");
    succeed(&environment, ["build", "-q", "--push", "--tag", &tag, "."])?;
    ensure!(is_complete(&registry, "out", "1")?, "{:?}", registry.take_log());
    Ok(())
}

/// A push that is not allowed is known before anything is run or fetched, and the tag stays where it was.
#[test]
fn registry_that_takes_nothing_is_known_before_any_work() -> Result<()> {
    for (status, says, help) in [
        (405, "refused with status 405", "takes nothing: it is read-only"),
        (403, "denied with no credentials", "check that this user"),
    ] {
        let registry = with_base(Access::Open);
        let before =
            registry.add_image("out", "1", &TestImage::new().layer("/old/ 0755 0:0").build());
        registry.add_fault(Fault::status(status).on("POST", "/out/blobs/uploads/"));
        let environment = TestEnvironment::new(STRATA)?;
        let text = format!("FROM {}\nCOPY file /file\n", registry.reference("base:1"));
        environment.write("Dockerfile", text)?;
        environment.write("file", "content")?;
        let tag = registry.reference("out:1");
        let ran = environment.run(["build", "--progress=plain", "--push", "--tag", &tag, "."])?;
        let errors = ran.stderr.lines().filter(|line| line.starts_with("error")).count();
        ensure!(ran.code == Some(3) && errors == 1, "{ran:#?}");
        ensure!(ran.stderr.contains(says) && ran.stderr.contains(help), "{}", ran.stderr);
        let log = registry.take_log();
        let fetched = log.iter().filter(|line| line.contains("/base/blobs/")).count();
        ensure!(fetched <= 1, "more than the base's config: {log:?}");
        ensure!(!log.iter().any(|line| line.starts_with("PUT")), "{log:?}");
        let (_, now) = registry.manifest("out", "1").expect("the tag is there");
        ensure!(before == strata_testkit::sha256(&now), "the tag has moved");
    }
    Ok(())
}

/// A tag that cannot be overwritten is no failure if it has the very image already.
#[test]
fn immutable_tag_is_tolerated_if_it_has_the_image() -> Result<()> {
    let registry = with_base(Access::Open);
    let environment = builds(&registry)?;
    let tag = registry.reference("out:1");
    let build = ["build", "-q", "--push", "--source-date-epoch", "1", "--tag", &tag, "."];
    succeed(&environment, build)?;
    registry.add_fault(Fault::status(400).on("PUT", "/out/manifests/1"));
    succeed(&environment, build)?;
    environment.write("file", "other")?;
    let ran = environment.run(build)?;
    ensure!(ran.code == Some(3) && ran.stderr.contains("refused with status 400"), "{ran:#?}");
    Ok(())
}

/// In a GitLab job, images of Docker Hub come through the dependency proxy, with its login, and the Dockerfile does
/// not say so.
#[test]
fn dependency_proxy_is_a_mirror_of_docker_hub() -> Result<()> {
    let proxy = TestRegistry::start_with(Access::bearer());
    let prefix = "group/dependency_proxy/containers";
    let image = TestImage::new().layer(LAYER).build();
    proxy.add_image(&format!("{prefix}/library/alpine"), "3", &image);
    let job = |environment: TestEnvironment| {
        environment
            .with_variable("GITLAB_CI", "true")
            .with_variable("CI_DEPENDENCY_PROXY_SERVER", &proxy.host())
            .with_variable("CI_DEPENDENCY_PROXY_USER", "user")
            .with_variable("CI_DEPENDENCY_PROXY_PASSWORD", "secret")
            .with_variable("CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX", &proxy.reference(prefix))
            // Whatever would be asked directly is refused at once.
            .with_variable("HTTPS_PROXY", "http://registry.invalid:1")
    };
    let environment = job(TestEnvironment::new(STRATA)?);
    environment.write("Dockerfile", "FROM alpine:3\nCOPY Dockerfile /\n")?;
    succeed(&environment, ["build", "-q", "--tag", "app:1", "."])?;

    // What it does not have is asked of the Hub next, but not where mirrors are all that is wanted.
    let missing = job(TestEnvironment::new(STRATA)?);
    missing.write("Dockerfile", "FROM alpine:4\n")?;
    let ran = missing.run(["build", "-q", "--registry-mirror-only=docker.io", "."])?;
    ensure!(ran.code == Some(3) && ran.stderr.contains("not found"), "{}", ran.stderr);
    Ok(())
}
