//! What the README promises, and the help that leads to it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use strata_testkit::{TestEnvironment, TestImage, TestRegistry};

use crate::jobs::script;
use crate::person::{Person, STRATA, succeed};
use crate::requirement::{Need, busybox, output, require};

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
        environment.write(".dockerignore", text(".dockerignore")?)?;
        let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("image");
        output(Command::new("cp").arg("-a").arg(image).arg(environment.context()));
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
        ("Dockerfile", vec![], vec!["COPY target/*/release/strata", "RUN [\"/kaniko/executor\""]),
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
        for file in ["busybox", "hello.c", "image/etc/passwd"] {
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
        "doctor", "executor",
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

/// The commands of examples are ones that the program takes: each is run by a shell, with `--help` at its end.
#[test]
fn commands_of_examples_are_taken() -> Result<()> {
    let environment = TestEnvironment::new(STRATA)?;
    let gitlab = text("examples/.gitlab-ci.yml")?;
    let mut scripts: Vec<(String, String)> = Vec::new();
    for job in script::jobs(&gitlab) {
        scripts.push((job.to_owned(), script::commands(&gitlab, job, "script")?.join("\n")));
    }
    ensure!(scripts.len() == 8, "{scripts:?}");
    for workflow in ["examples/github/build.yml", "examples/gitea/build.yml"] {
        let blocks = literal_blocks(&text(workflow)?);
        ensure!(blocks.len() == 2, "{workflow}: {blocks:?}");
        scripts.extend(blocks.into_iter().map(|block| (workflow.to_owned(), block)));
    }
    for (place, words) in [
        ("examples/kubernetes/pod.yaml", 3),
        ("examples/kubernetes/job-non-root.yaml", 3),
        ("examples/kubernetes/job-host-users-false.yaml", 5),
        ("examples/tekton/task.yaml", 6),
    ] {
        let arguments = listed(&text(place)?, "args:");
        ensure!(arguments.len() == words, "{place}: {arguments:?}");
        let arguments = arguments.iter().filter(|word| !word.contains("EXTRA_ARGS"));
        let quoted: Vec<String> = arguments.map(|word| format!("'{word}'")).collect();
        scripts.push((place.to_owned(), format!("/kaniko/executor {}", quoted.join(" "))));
    }
    for (place, script) in scripts {
        // The name of the program is that of the image's own entry point or link.
        let script = script.replace("/kaniko/executor", "executor");
        let shell = format!(
            "set -e\nPATH=$TOOLS:$PATH\nstrata() {{ command strata \"$@\" --help > /dev/null; }}\n\
             executor() {{ command executor \"$@\" --help > /dev/null; }}\n{script}\n"
        );
        let tools = environment.temporary().join("tools");
        std::fs::create_dir_all(&tools)?;
        for name in ["strata", "executor"] {
            let link = tools.join(name);
            if !link.exists() {
                std::os::unix::fs::symlink(STRATA, link)?;
            }
        }
        if script.contains("/app/test") {
            continue;
        }
        let ran = Command::new("sh")
            .arg("-c")
            .arg(&shell)
            .env_clear()
            .envs(variables(&tools))
            .output()?;
        let said = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success(), "{place}: {script}\n{said}");
    }
    Ok(())
}

/// What examples take from their jobs.
fn variables(tools: &Path) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("PATH", std::env::var("PATH").unwrap_or_default()),
        ("TOOLS", tools.display().to_string()),
    ];
    for (name, value) in [
        ("CI_PROJECT_DIR", "/builds/team/app"),
        ("CI_REGISTRY_IMAGE", "registry.example.com/team/app"),
        ("CI_COMMIT_TAG", "v1"),
        ("CI_COMMIT_SHA", "0a1b"),
        ("CI_COMMIT_REF_SLUG", "main"),
        (
            "CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX",
            "gitlab.example.com/team/dependency_proxy/containers",
        ),
        ("IMAGE_REF", "registry.example.com/team/app:v1"),
        ("OTHER_REGISTRY", "other.example.com"),
        ("OTHER_REGISTRY_USER", "me"),
        ("OTHER_REGISTRY_PASSWORD", "secret"),
        ("GITHUB_ACTOR", "me"),
        ("GITHUB_REPOSITORY", "team/app"),
        ("GITHUB_SHA", "0a1b"),
        ("GITHUB_SERVER_URL", "https://git.example.com"),
        ("TOKEN", "secret"),
    ] {
        variables.push((name, value.to_owned()));
    }
    variables
}

/// The texts of `run: |`.
fn literal_blocks(text: &str) -> Vec<String> {
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start() == "run: |" {
            blocks.push((indent, String::new()));
            open = true;
        } else if let Some((outside, block)) = blocks.last_mut().filter(|_| open) {
            open = indent > *outside || line.is_empty();
            if open {
                block.push_str(line.trim_start());
                block.push('\n');
            }
        }
    }
    blocks.into_iter().map(|(_, block)| block).collect()
}

/// The items of a list.
fn listed(text: &str, key: &str) -> Vec<String> {
    let lines = text.lines().skip_while(|line| line.trim_start() != key).skip(1);
    let items = lines.map_while(|line| line.trim_start().strip_prefix("- "));
    items.map(|item| item.trim_matches('"').to_owned()).collect()
}
