//! How registries are reached.

use anyhow::{Result, ensure};
use serde_json::json;
use strata_testkit::{Fault, TestImage, TestRegistry};

use super::Row;
use super::scene::Scene;
use crate::requirement::{Need, require};
use crate::secure::SecureRegistry;

pub(super) const ROWS: &[Row] = &[
    (
        &[
            "insecure",
            "insecure-pull",
            "insecure-registry",
            "skip-tls-verify",
            "skip-tls-verify-pull",
            "skip-tls-verify-registry",
            "registry-certificate",
        ],
        certificates,
    ),
    (&["registry-client-cert"], client_certificate),
    (&["registry-mirror"], registry_mirror),
    (&["registry-map"], registry_map),
    (&["skip-default-registry-fallback"], fallback),
    (&["push-retry", "image-download-retry"], retries),
    (&["push-ignore-immutable-tag-errors"], immutable_tags),
    (&["credential-helpers"], credential_helpers),
    (&["skip-push-permission-check"], permission_check),
];

fn certificates(scene: &Scene) -> Result<()> {
    if !require(&[Need::Program("docker-registry"), Need::Program("openssl")]) {
        return Ok(());
    }
    let secure = SecureRegistry::start()?;
    let host = secure.host();
    let destination = format!("{host}/team/app:1");
    let context = format!("--context={}", scene.context());
    let authority = format!("{host}={}", secure.authority().display());
    let push =
        |more: &[&str]| scene.executor(&[&[context.as_str(), "-d", &destination], more].concat());
    let refused = push(&[])?;
    ensure!(refused.code == Some(1) && refused.stderr.contains("certificate"), "{refused:#?}");
    for more in [
        &["--insecure"][..],
        &["--skip-tls-verify"],
        &["--insecure-registry", &host],
        &["--skip-tls-verify-registry", &host],
        &["--registry-certificate", &authority],
    ] {
        let pushed = push(more)?;
        ensure!(pushed.code == Some(0), "{more:?}: {pushed:#?}");
    }
    scene.environment.write("based", format!("FROM {destination}\nCOPY data /more\n"))?;
    for (more, expected) in [
        ("--insecure-pull", 0),
        ("--skip-tls-verify-pull", 0),
        // Neither is about what is pulled.
        ("--insecure", 1),
        ("--skip-tls-verify", 1),
    ] {
        let pulled =
            scene.executor(&[&context, "-d", &scene.destination(), "-f", "based", more])?;
        ensure!(pulled.code == Some(expected), "{more}: {pulled:#?}");
    }
    // And what is pushed goes to no stranger because of what is pulled.
    let pushed = push(&["--insecure-pull"])?;
    ensure!(pushed.code == Some(1), "{pushed:#?}");
    Ok(())
}

/// The files are read, and must be what they are said to be.
fn client_certificate(scene: &Scene) -> Result<()> {
    let data = format!("{}/data", scene.context());
    let pair = format!("{}={data},{data}", scene.registry.host());
    let said = scene.fail(&["--registry-client-cert", &pair])?;
    ensure!(said.contains("does not hold"), "{said}");
    Ok(())
}

fn base() -> strata_testkit::BuiltImage {
    TestImage::new().layer("/etc/ 0755 0:0").build()
}

fn registry_mirror(scene: &Scene) -> Result<()> {
    let mirror = TestRegistry::start();
    mirror.add_image("library/base", "1", &base());
    mirror.add_image("hub/library/base", "1", &base());
    scene.environment.write("based", "FROM base:1\n")?;
    scene.build(&["-f", "based", "--registry-mirror", &mirror.host()])?;
    scene.build_with(
        &[("KANIKO_REGISTRY_MIRROR", &format!("{}/hub", mirror.host()))],
        &["-f", "based"],
    )?;
    let log = mirror.take_log().join("\n");
    ensure!(log.contains("/v2/library/base/manifests/1"), "{log}");
    ensure!(log.contains("/v2/hub/library/base/manifests/1"), "{log}");
    Ok(())
}

fn registry_map(scene: &Scene) -> Result<()> {
    let mirror = TestRegistry::start();
    mirror.add_image("of/team/base", "1", &base());
    mirror.add_image("library/base", "1", &base());
    scene.environment.write("based", "FROM registry.invalid/team/base:1\nFROM base:1\n")?;
    let map = format!("registry.invalid={0}/of;index.docker.io={0}", mirror.host());
    for target in ["0", "1"] {
        scene.build(&["-f", "based", "--target", target, "--registry-map", &map])?;
        scene.build_with(&[("KANIKO_REGISTRY_MAP", &map)], &["-f", "based", "--target", target])?;
    }
    let said = scene.fail(&["--registry-map", "registry.invalid"])?;
    ensure!(said.contains("is not `HOST=MIRROR[/PREFIX]`"), "{said}");
    Ok(())
}

fn fallback(scene: &Scene) -> Result<()> {
    let mirror = TestRegistry::start();
    scene.registry.add_image("base", "1", &base());
    scene.environment.write("based", format!("FROM {}\n", scene.registry.reference("base:1")))?;
    let map = format!("{}={}", scene.registry.host(), mirror.host());
    let arguments = ["-f", "based", "--registry-map", &map];
    scene.build(&arguments)?;
    let said = scene.fail(&[&arguments[..], &["--skip-default-registry-fallback"]].concat())?;
    ensure!(said.contains("base"), "{said}");
    Ok(())
}

fn retries(scene: &Scene) -> Result<()> {
    scene.registry.add_fault(Fault::status(503).on("PUT", "/manifests/1").first(1));
    scene.fail(&["--push-retry=0"])?;
    scene.registry.add_fault(Fault::status(503).on("PUT", "/manifests/1").first(1));
    // Either option may ask for more.
    scene.build(&["--push-retry", "0", "--image-download-retry", "1"])?;
    let said = scene.fail(&["--push-retry=often"])?;
    ensure!(said.contains("`--push-retry often`: it is not a number"), "{said}");
    Ok(())
}

fn immutable_tags(scene: &Scene) -> Result<()> {
    let words = "The image tag '1' already exists in the 'team/app' repository and cannot be overwritten because the repository is immutable.";
    let body = json!({"errors": [{"code": "TAG_INVALID", "message": words}]}).to_string();
    scene.registry.add_fault(Fault::answer(400, &[], &body).on("PUT", "/manifests/1"));
    let said = scene.fail(&[])?;
    ensure!(said.contains(words), "{said}");
    let more =
        ["--push-ignore-immutable-tag-errors", "-d", &scene.registry.reference("team/app:2")];
    let said = scene.build(&more)?.stderr;
    let kept = format!("`{}` is immutable: it stays what it was", scene.destination());
    ensure!(said.contains(&kept), "{said}");
    ensure!(scene.manifest("1").is_err() && scene.manifest("2").is_ok(), "the other tag is put");
    scene.registry.add_fault(Fault::status(403).on("PUT", "/manifests/3"));
    let third = scene.registry.reference("team/app:3");
    let said = scene.fail(&["--push-ignore-immutable-tag-errors", "-d", &third])?;
    ensure!(said.contains("denied"), "{said}");
    Ok(())
}

fn permission_check(scene: &Scene) -> Result<()> {
    let uploads = |scene: &Scene| {
        scene.registry.take_log().iter().filter(|line| line.starts_with("POST")).count()
    };
    uploads(scene);
    scene.build(&["--destination", &scene.registry.reference("asked:1")])?;
    let asked = uploads(scene);
    scene.build(&[
        "--skip-push-permission-check",
        "--destination",
        &scene.registry.reference("unasked:1"),
    ])?;
    let unasked = uploads(scene);
    ensure!(unasked < asked, "{unasked} uploads were begun without the question, {asked} with it");
    Ok(())
}

fn credential_helpers(scene: &Scene) -> Result<()> {
    scene.build(&["--credential-helpers=env,gitlab,google", "--credential-helpers="])?;
    scene.build(&["--credential-helpers=ecr", "--credential-helpers=acr"])?;
    let said = scene.fail(&["--credential-helpers", "gcr"])?;
    ensure!(said.contains("`--credential-helpers gcr`: it is one of"), "{said}");
    Ok(())
}
