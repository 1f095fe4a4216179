//! What the README promises, and the help that leads to it.

use std::path::Path;

use anyhow::{Context, Result};
use strata_testkit::{TestEnvironment, TestImage, TestRegistry};

use crate::person::{Person, STRATA, succeed};
use crate::requirement::{Need, busybox, require};

fn text(path: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The README's first command, with the program at the place where a release build leaves it.
#[test]
fn program_builds_its_own_image() -> Result<()> {
    let needs = [Need::UserNamespaces, Need::Program("newuidmap"), Need::StaticBusybox];
    if !require(&needs) {
        return Ok(());
    }
    let readme = text("README.md")?;
    let command = readme.lines().find_map(|line| line.strip_prefix("cargo run --release -- "));
    assert_eq!(command, Some("build --tag strata:dev ."));
    for person in Person::all() {
        let environment = person.environment()?;
        for name in ["Dockerfile", "Dockerfile.debug"] {
            environment.write(name, text(name)?)?;
        }
        if Path::new(env!("CARGO_MANIFEST_DIR")).join(".dockerignore").exists() {
            environment.write(".dockerignore", text(".dockerignore")?)?;
        }
        let place = "target/x86_64-unknown-linux-gnu/release/strata";
        let path = environment.write(place, "")?;
        std::fs::copy(STRATA, path)?;
        let busybox = busybox().context("there is a busybox")?;
        let shell = environment.write("shell/busybox", "")?;
        std::fs::copy(busybox, shell)?;

        let ran = succeed(&environment, ["build", "--tag", "strata:dev", "."])?;
        assert!(ran.stderr.contains("version"), "{person:?}: {}", ran.stderr);
        let debug = ["build", "-f", "Dockerfile.debug", "--build-context", "busybox=shell"];
        succeed(&environment, debug.into_iter().chain(["--tag", "strata:debug", "."]))?;
        let listed = succeed(&environment, ["images"])?.stdout;
        for name in ["strata:dev", "strata:debug"] {
            let (name, tag) = name.split_once(':').context("a name and a tag")?;
            let row = listed.lines().find(|line| line.contains(name) && line.contains(tag));
            assert!(row.is_some(), "{person:?}: {listed}");
        }
    }
    Ok(())
}

/// Each Dockerfile that we hand out can be planned, and the plan shows its steps.
#[test]
fn examples_have_a_plan() -> Result<()> {
    let registry = TestRegistry::start();
    registry.add_image("debian", "1", &TestImage::new().layer("/etc/ 0755 0:0").build());
    let base = format!("--build-arg=BASE={}", registry.reference("debian:1"));
    for (name, arguments, steps) in [
        (
            "Dockerfile",
            vec![],
            vec!["COPY target/*/release/strata", "RUN [\"/usr/local/bin/strata\""],
        ),
        ("Dockerfile.debug", vec!["--build-context=busybox=."], vec!["--install"]),
        (
            "examples/two-stages/Dockerfile",
            vec![base.as_str()],
            vec!["apt-get update", "gcc -static", "COPY --from=build"],
        ),
    ] {
        let environment = TestEnvironment::new(STRATA)?;
        environment.write("Dockerfile", text(name)?)?;
        // What a COPY names must be there before anything is planned.
        for file in ["busybox", "hello.c"] {
            environment.write(file, "")?;
        }
        let ran = succeed(
            &environment,
            ["build", "--dry-run"].into_iter().chain(arguments).chain(["."]),
        )?;
        for step in steps {
            assert!(ran.stdout.contains(step), "{name}: {}", ran.stdout);
        }
        let blobs = registry.take_log().into_iter().filter(|line| line.contains("/blobs/")).count();
        assert!(blobs <= 1, "{name}: a plan needs the config alone");
    }
    Ok(())
}

/// Help is data and a success; a command line that is none is talk and a mistake.
#[test]
fn help_is_data() -> Result<()> {
    let environment = TestEnvironment::new(STRATA)?;
    let subcommands = [
        "build", "check", "login", "logout", "push", "copy", "inspect", "images", "rm", "prune",
        "doctor",
    ];
    for subcommand in subcommands {
        let ran = environment.run([subcommand, "--help"])?;
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{subcommand}");
        assert!(ran.stdout.contains(&format!("Usage: strata {subcommand}")), "{}", ran.stdout);
    }
    let help = environment.run(["--help"])?;
    assert_eq!(help.code, Some(0));
    for subcommand in subcommands {
        assert!(help.stdout.contains(&format!("\n  {subcommand} ")), "{}", help.stdout);
    }
    for arguments in [&["bulid"][..], &["build"], &["build", "--taget", "x", "."], &["push"]] {
        let ran = environment.run(arguments)?;
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    }
    let suggested = environment.run(["bulid"])?.stderr;
    assert!(suggested.contains("'build'"), "{suggested}");
    Ok(())
}
