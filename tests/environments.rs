//! Builds in places that allow little: the static program alone, in containers that runc makes.
//!
//! One table has the environments. The tests here are quick, with images made of a busybox; `debian` has real ones,
//! and runs when it is asked for.

mod debian;
mod faults;
mod profile;
mod runc;
mod table;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use strata_testkit::TestEnvironment;

use crate::person::STRATA;
use crate::requirement::{NOTHING, Need, busybox, output, require};
use profile::Profile;
use runc::{Container, Net, VOLUME};
use table::{ENVIRONMENTS, Environment};

const NEEDS: &[Need] =
    &[Need::Root, Need::Program("runc"), Need::StaticBusybox, Need::UserNamespaces];

/// What real Dockerfiles do, as far as a busybox can.
const DOCKERFILE: &str = r#"FROM scratch
COPY busybox /bin/busybox
COPY passwd group /etc/
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir -p /srv/data && echo one > /srv/data/file
RUN (sleep 1000 &) ; (setsid sleep 1000 &) ; echo discarded > /dev/null && head -c 10 /dev/zero > /srv/zeroes
RUN ln /srv/data/file /srv/linked && chmod 4750 /srv/zeroes && mkfifo /srv/fifo && rm /etc/group
RUN grep -q "^10.0.0.7.*db" /etc/hosts && grep -q localhost /etc/hosts && test -s /etc/resolv.conf \
    && test "$(cat /etc/hostname)" = buildkitsandbox
RUN echo gone > /etc/hosts; echo gone > /etc/resolv.conf; rm -f /etc/hostname; true
RUN --network=none nc -w 1 127.0.0.1 9 2>/srv/refused; test -s /srv/refused && rm /srv/refused
RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/scratch \
    --mount=type=bind,source=passwd,target=/bound \
    touch /cache/kept /scratch/gone && cp /bound /srv/copied
RUN --mount=type=secret,id=token,required test "$(cat /run/secrets/token)" = s3cret
RUN echo somebody:x:1000:1000::/home/somebody:/bin/sh >> /etc/passwd && mkdir -p /home/somebody \
    && chown -R somebody /home/somebody && chgrp 1234 /srv/zeroes && chmod 4750 /srv/zeroes
COPY --chown=somebody:1234 passwd /home/somebody/
USER somebody
WORKDIR /home/somebody
RUN id -un > name && test "$(stat -c %U name)" = somebody
"#;

const WITHOUT_RUN: &str = r"FROM scratch AS first
COPY --chown=7:8 passwd /etc/
ADD archive.tar /unpacked/
FROM scratch
COPY --from=first / /
COPY --chown=root:1234 --chmod=4755 busybox /bin/busybox
WORKDIR /srv/work
ENV A=b
USER 1000:2000
";

/// What runc is told of an ordinary unprivileged container as Docker starts it, with a volume on `/volume` and the
/// machine's network.
pub(crate) fn ordinary_container(volume: &Path, arguments: &[&str]) -> Value {
    runc::config(&table::ORDINARY, Net::Machine, volume, arguments)
}

/// An archive with many owners.
fn archive() -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for number in 0..20 {
        let mut header = tar::Header::new_gnu();
        header.set_uid(1000 + number);
        header.set_gid(5000 - number);
        header.set_mode(0o640);
        header.set_size(0);
        archive.append_data(&mut header, format!("file{number}"), &b""[..])?;
    }
    Ok(archive.into_inner()?)
}

/// Puts a context on the container's volume, and gives the volume to its user.
fn fill(container: &Container, dockerfile: &str) -> Result<()> {
    container.write("passwd", "root:x:0:0:root:/root:/bin/sh\n")?;
    container.write("group", "root:x:0:\n")?;
    container.write("token", "s3cret")?;
    container.write("archive.tar", archive()?)?;
    container.write("Dockerfile", dockerfile)?;
    container.write("busybox", fs::read(busybox().context("it was required")?)?)?;
    container.give_away()
}

/// The arguments of a build of the context that is in `place`, into a layout of its own.
fn arguments(place: &str, rung: &str, layout: &str) -> Vec<String> {
    let arguments = [
        "build".to_owned(),
        format!("--isolation={rung}"),
        format!("--secret=id=token,src={place}/context/token"),
        format!("--output=type=oci,dest={place}/out/{layout}"),
        "--add-host=db:10.0.0.7".to_owned(),
        "--no-cache".to_owned(),
        "--progress=plain".to_owned(),
        format!("{place}/context"),
    ];
    arguments.into()
}

fn build(container: &Container, rung: &str, layout: &str) -> Result<()> {
    let mut command = vec!["/bin/strata".to_owned()];
    command.extend(arguments(VOLUME, rung, layout));
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    container.output(&command).with_context(|| format!("with `{rung}`")).map(drop)
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Compiles a program of this directory that needs no shared libraries.
fn compiled(source: &str, flag: &str) -> Result<Vec<u8>> {
    let directory = tempfile::tempdir()?;
    let program = directory.path().join("program");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/environments").join(source);
    let flags = ["-O1", "-static", "-pthread", flag, "-o"];
    output(Command::new("cc").args(flags).arg(&program).arg(source));
    Ok(fs::read(program)?)
}

/// The diff ids of an image in a layout.
fn diff_ids(layout: &Path) -> Result<Vec<String>> {
    let blob = |descriptor: &Value| -> Result<Value> {
        let digest = descriptor["digest"].as_str().context("a descriptor has a digest")?;
        let path = layout.join("blobs").join(digest.replace(':', "/"));
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    };
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    let manifest = blob(&index["manifests"][0])?;
    let config = blob(&manifest["config"])?;
    let ids = config["rootfs"]["diff_ids"].as_array().context("a config has diff ids")?;
    Ok(ids.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// Builds here what a container has in its context.
fn expected(container: &Container, layout: &str) -> Result<Vec<String>> {
    let environment =
        TestEnvironment::new(STRATA)?.with_variable("SOURCE_DATE_EPOCH", "1700000000");
    let volume = container.volume();
    let ran = environment.run(arguments(&volume.to_string_lossy(), "userns-range", layout))?;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    diff_ids(&container.layout(layout))
}

/// The ways that `doctor` finds, best first, and the one it would take.
fn found_by_doctor(container: &Container) -> Result<(Vec<String>, Option<String>, Value)> {
    let output = container.run(&["/bin/strata", "doctor", "--json"])?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| text(&output.stderr).into_owned())?;
    let candidates = report["candidates"].as_array().context("a report has candidates")?;
    let works = candidates.iter().filter(|one| one["verdict"]["verdict"] == "works");
    let names = works.filter_map(|one| one["name"].as_str().map(str::to_owned)).collect();
    let chosen = report["chosen"].as_str().map(str::to_owned);
    Ok((names, chosen, report))
}

fn named(name: &str) -> Environment {
    let mut all = ENVIRONMENTS.into_iter();
    all.find(|environment| environment.name == name).expect("the table has it")
}

/// Environments without a way to run commands have tests of their own.
fn with_rungs() -> impl Iterator<Item = Environment> {
    ENVIRONMENTS.into_iter().filter(|environment| !environment.rungs.is_empty())
}

#[test]
fn environments_are_what_they_say_and_doctor_finds_what_works() -> Result<()> {
    if !require(NEEDS) {
        return Ok(());
    }
    for environment in ENVIRONMENTS {
        let container = Container::new(environment, Net::Own)?;
        container.give_away()?;
        container.assert_environment()?;
        let before = container.written()?;
        let (works, chosen, report) = found_by_doctor(&container)?;
        let name = environment.name;
        assert_eq!(works, environment.rungs, "{name}: {report:#}");
        assert_eq!(chosen.as_deref(), environment.rungs.first().copied(), "{name}");
        for candidate in report["candidates"].as_array().into_iter().flatten() {
            let explained = candidate["verdict"]["reason"].is_string();
            assert_ne!(
                explained,
                works.iter().any(|rung| candidate["name"] == **rung),
                "{candidate}"
            );
        }
        let said = container.run(&["/bin/strata", "doctor"])?;
        assert_eq!(said.status.success(), chosen.is_some(), "{name}: {}", text(&said.stderr));
        assert_eq!(container.written()?, before, "{name}: doctor left something");
    }
    Ok(())
}

#[test]
fn every_way_builds_the_same_image_and_leaves_the_container_alone() -> Result<()> {
    if !require(NEEDS) {
        return Ok(());
    }
    let mut found = Vec::new();
    for environment in with_rungs() {
        let name = environment.name;
        for (index, rung) in environment.rungs.iter().enumerate() {
            let container = Container::new(environment, Net::Own)?;
            fill(&container, DOCKERFILE)?;
            let before = container.written()?;
            // The best is what is taken where none is named.
            build(&container, if index == 0 { "auto" } else { rung }, "layout")?;
            assert_eq!(container.written()?, before, "{name} {rung}: the container changed");
            found.push((name, *rung, diff_ids(&container.layout("layout"))?));
        }
    }
    let container = Container::new(named("docker"), Net::Own)?;
    fill(&container, DOCKERFILE)?;
    let expected = expected(&container, "layout")?;
    let differ = |(name, rung, ids): (&'static str, &'static str, Vec<String>)| {
        let layer = ids.iter().zip(&expected).position(|(found, expected)| found != expected)?;
        Some(format!("{name} {rung}: layer {layer}"))
    };
    let differing: Vec<String> = found.into_iter().filter_map(differ).collect();
    assert_eq!(differing, NOTHING);
    Ok(())
}

/// Where calls are answered by somebody else, these said what the link of procfs is that leads to it.
#[test]
fn what_is_open_is_meant_where_links_are_not_followed() -> Result<()> {
    const SAID: [&str; 8] = [
        "file: mode 100640, owner 0:0",
        "file, not followed: mode 100640, owner 0:0",
        "link: mode 120777, owner 0:0",
        "link, not followed: mode 120777, owner 0:0",
        "file: mode 100640, owner 6:7",
        "link: mode 120777, owner 8:9",
        "link to /file",
        "no link: No such file or directory",
    ];
    if !require(NEEDS) || !require(&[Need::Program("cc")]) {
        return Ok(());
    }
    let program = compiled("descriptors.c", "-Wall")?;
    for name in ["docker", "own-users-unmasked", "own-users-sys-admin-no-userns", "restricted"] {
        let environment = named(name);
        let container = Container::new(environment, Net::Own)?;
        fill(&container, "FROM scratch\nCOPY program /program\nRUN [\"/program\"]\n")?;
        container.write("program", &program)?;
        container.give_away()?;
        for rung in environment.rungs {
            let isolation = format!("--isolation={rung}");
            let arguments = ["/bin/strata", "build", &isolation, "--no-cache", "--progress=plain"];
            let output = container.run(&[&arguments[..], &["/volume/context"]].concat())?;
            let said = text(&output.stderr);
            // With the seconds since the step began.
            let printed = |line| {
                let (time, text) = str::strip_prefix(line, "#2 ")?.split_once(' ')?;
                time.parse::<f64>().ok().map(|_| text)
            };
            let lines: Vec<&str> = said.lines().filter_map(printed).collect();
            assert_eq!(lines, SAID, "{name} {rung}: {said}");
        }
    }
    Ok(())
}

#[test]
fn builds_in_a_row_and_at_once_do_not_disturb_each_other() -> Result<()> {
    if !require(NEEDS) {
        return Ok(());
    }
    for name in ["docker", "podman", "pod-cri-o", "restricted"] {
        let environment = named(name);
        let container = Container::new(environment, Net::Own)?;
        fill(&container, DOCKERFILE)?;
        let one = |layout: &str| arguments(VOLUME, "auto", layout).join(" ");
        let script = format!(
            "strata {} & first=$!; strata {} & second=$!; wait $first && wait $second && strata {} && strata {} && ps > {VOLUME}/left",
            one("a"),
            one("b"),
            one("c"),
            one("d"),
        );
        let before = container.written()?;
        container.output(&["/bin/sh", "-c", &script])?;
        assert_eq!(container.written()?, before, "{name}: the container changed");
        let ids = diff_ids(&container.layout("a"))?;
        for layout in ["b", "c", "d"] {
            assert_eq!(diff_ids(&container.layout(layout))?, ids, "{name} {layout}");
        }
        // The header and `ps`; some shells stay for that.
        let left = fs::read_to_string(container.volume().join("left"))?;
        assert!(matches!(left.lines().count(), 2 | 3), "{name}: {left}");
    }
    Ok(())
}

#[test]
fn without_run_everything_builds_where_nothing_is_allowed() -> Result<()> {
    if !require(NEEDS) {
        return Ok(());
    }
    for environment in ENVIRONMENTS.into_iter().filter(|one| one.no_new_privileges) {
        let name = environment.name;
        let container = Container::new(environment, Net::Own)?;
        fill(&container, WITHOUT_RUN)?;
        let before = container.written()?;
        build(&container, "auto", "layout")?;
        let expected = expected(&container, "expected")?;
        assert_eq!(diff_ids(&container.layout("layout"))?, expected, "{name}");
        for output in
            ["type=tar,dest=/volume/out/root.tar", "type=docker,dest=/volume/out/image.tar"]
        {
            let command =
                ["/bin/strata", "build", "--output", output, "--tag=a:b", "/volume/context"];
            container.output(&command).with_context(|| format!("{name} {output}"))?;
        }
        assert_eq!(container.written()?, before, "{name}: the container changed");
    }
    Ok(())
}

#[test]
fn run_where_nothing_is_allowed_is_one_clear_error() -> Result<()> {
    if !require(NEEDS) {
        return Ok(());
    }
    let ptrace = "allow `ptrace` of own processes";
    let notification = "allow `seccomp` to install a listener";
    let without_notification = |name| {
        let environment = Environment { profile: Profile::DockerWithout("seccomp"), ..named(name) };
        (environment, notification)
    };
    let without_ptrace = ENVIRONMENTS.into_iter().filter(|one| one.rungs.is_empty());
    let places = without_ptrace
        .map(|environment| (environment, ptrace))
        .chain(["docker", "restricted"].map(without_notification));
    for (environment, remedy) in places {
        let name = environment.name;
        let container = Container::new(environment, Net::Own)?;
        fill(&container, "FROM scratch\nCOPY busybox /bin/sh\nRUN echo hello\n")?;
        let output = container.run(&["/bin/strata", "build", "/volume/context"])?;
        assert_eq!(output.status.code(), Some(4), "{name}");
        let said = text(&output.stderr);
        let error: Vec<&str> = said.lines().skip_while(|line| !line.starts_with("error")).collect();
        assert_eq!(error.iter().filter(|line| line.starts_with("error")).count(), 1, "{said}");
        assert!(error[1].ends_with("Dockerfile:3:1"), "{name}: {said}");
        let mut lines = said.lines();
        let advised = lines.any(|line| line.contains("`translated`") && line.contains(remedy));
        assert!(advised && said.contains("NEWUSER"), "{name}: {said}");
    }
    Ok(())
}
