//! The program by other names: what images start.

use std::os::unix::process::CommandExt;
use std::process::Stdio;

use anyhow::{Result, ensure};
use serde_json::Value;
use strata_testkit::Access;

use super::scene::{Scene, ran};
use crate::person::STRATA;

#[test]
fn name_of_the_program_decides() -> Result<()> {
    let scene = Scene::new()?;
    let called = |name: &str, words: &[&str]| {
        let mut command = scene.environment.command();
        command.arg0(name).args(words);
        ran(&mut command)
    };
    let destination = scene.destination();
    let context = scene.context();
    for (name, words, code) in [
        ("/kaniko/executor", &["-c", &context, "-d", &destination][..], 0),
        ("executor", &["build", "--tag", &destination, &context], 0),
        ("executor", &["sh", "-c", "exit 5"], 5),
        ("executor", &["no-such-program"], 1),
        ("executor", &["--no-such-option"], 1),
        ("strata", &["sh"], 2),
        ("/kaniko/warmer", &["--help"], 0),
        ("/kaniko/warmer", &[], 1),
    ] {
        let ran = called(name, words)?;
        ensure!(ran.code == Some(code), "{name} {words:?}: {ran:#?}");
    }
    scene.manifest("1")?;
    let said = called("strata", &["sh"])?.stderr;
    ensure!(said.contains("no shell in this image"), "{said}");
    Ok(())
}

/// `login`, then a build and a push with what it wrote.
#[test]
fn login_push_and_version_are_kanikos() -> Result<()> {
    let registry = strata_testkit::TestRegistry::start_with(Access::bearer());
    let scene = Scene { registry, ..Scene::new()? };
    let host = scene.registry.host();
    ensure!(scene.fail(&[])?.contains("log in"));
    let refused = scene.executor(&["login", &host, "-u", "user", "-p", "wrong"])?;
    ensure!(refused.code == Some(1), "{refused:#?}");
    let config = scene.path("docker");
    std::fs::create_dir(&config)?;
    let mut login = scene.command();
    login.args(["login", &host, "-u", "user", "--password-stdin"]).env("DOCKER_CONFIG", &config);
    login.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = login.spawn()?;
    std::io::Write::write_all(&mut child.stdin.take().expect("is piped"), b"secret\n")?;
    ensure!(child.wait()?.success());
    let text = std::fs::read_to_string(std::path::Path::new(&config).join("config.json"))?;
    let written: Value = serde_json::from_str(&text)?;
    ensure!(written["auths"][&host].is_object(), "{written}");
    let given = scene.executor(&["login", &host, "-u", "user", "-p", "secret"])?;
    ensure!(given.code == Some(0), "{given:#?}");

    let (archive, layout) = (scene.path("a.tar"), scene.path("layout"));
    let built = scene.build(&["--tar-path", &archive, "--oci-layout-path", &layout])?;
    ensure!(!built.stderr.contains("secret"), "{}", built.stderr);
    for (path, tag) in [(archive, "of-archive"), (layout, "of-layout")] {
        let to = scene.registry.reference(&format!("team/app:{tag}"));
        let pushed = scene.executor(&["push", &path, "--destination", &to])?;
        ensure!(pushed.code == Some(0), "{pushed:#?}");
        scene.manifest(tag)?;
    }
    let version = scene.executor(&["version"])?.stdout;
    ensure!(version.starts_with("strata "), "{version}");
    ensure!(std::path::Path::new(STRATA).exists());
    Ok(())
}
