//! What a build does not do: fetch what it does not need, send what is there, hold what passes through.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use anyhow::{Context, Result};
use serde_json::Value;
use strata_testkit::{BuiltImage, TestEnvironment, TestImage, TestRegistry};

use crate::distribution::DockerRegistry;
use crate::interruption::{RUN_NEEDS, with_shell};
use crate::person::{Person, STRATA, succeed};
use crate::requirement::{NOTHING, Need, noise, require};

fn base() -> BuiltImage {
    TestImage::new()
        .layer("/etc/ 0755 0:0\n/etc/passwd 0644 0:0 file \"root:x:0:0::/:\\napp:x:7:8::/:\\n\"")
        .layer("/srv/ 0755 0:0\n/srv/link 0777 0:0 symlink \"deep\"\n/srv/deep/ 0755 0:0")
        .build()
}

/// The requests for layers of the base: method, which layer, status.
fn layer_requests(registry: &TestRegistry, image: &BuiltImage) -> Vec<String> {
    let log = registry.take_log();
    let mut found = Vec::new();
    for line in log {
        for (at, layer) in image.layers.iter().enumerate() {
            let short = &layer.digest["sha256:".len()..][..8];
            if line.contains(short) {
                let method = line.split(' ').next().unwrap_or_default();
                let how = if line.contains("mount=") { " mount" } else { "" };
                found.push(format!("{method} layer {at}{how}"));
            }
        }
    }
    // Whether a layer is there already may be asked.
    found.retain(|line| !line.starts_with("HEAD"));
    found.sort();
    found.dedup();
    found
}

/// Dockerfile below `FROM base` → requests for the base's layers, first and again.
#[test]
fn base_is_fetched_as_far_as_the_steps_need_it() -> Result<()> {
    let both = ["GET layer 0", "GET layer 1", "POST layer 0 mount", "POST layer 1 mount"];
    let mounted = ["POST layer 0 mount", "POST layer 1 mount"];
    let table: [(&str, &[&str], &[&str]); 4] = [
        ("ENV a=b\nUSER app\nWORKDIR /\nCMD [\"x\"]\n", &mounted, &mounted),
        ("COPY file /srv/link/\n", &both, &mounted),
        ("COPY --chown=app file /srv/link/\n", &both, &mounted),
        ("ENV a=b\nCOPY file /x\nLABEL c=d\n", &both, &mounted),
    ];
    for (dockerfile, first, again) in table {
        let registry = TestRegistry::start();
        let image = base();
        registry.add_image("base", "1", &image);
        let environment = TestEnvironment::new(STRATA)?;
        environment
            .write("Dockerfile", format!("FROM {}\n{dockerfile}", registry.reference("base:1")))?;
        environment.write("file", "content\n")?;
        for (round, expected) in [("out", first), ("again", again)] {
            let tag = registry.reference(&format!("{round}:1"));
            succeed(&environment, ["build", "-q", "--no-cache", "--push", "--tag", &tag, "."])?;
            assert_eq!(layer_requests(&registry, &image), expected, "{round} {dockerfile}");
            assert!(registry.manifest(round, "1").is_some(), "{dockerfile}");
        }
        // What is there already is not even mounted.
        let tag = registry.reference("out:2");
        succeed(&environment, ["build", "-q", "--push", "--tag", &tag, "."])?;
        assert_eq!(layer_requests(&registry, &image), NOTHING, "{dockerfile}");
    }
    Ok(())
}

#[test]
fn stage_that_is_not_used_is_not_touched() -> Result<()> {
    let registry = TestRegistry::start();
    let environment = TestEnvironment::new(STRATA)?;
    let missing = registry.reference("missing:1");
    let dockerfile =
        format!("FROM {missing} AS unused\nCOPY nothing /\nRUN false\nFROM scratch\nCOPY file /\n");
    environment.write("Dockerfile", dockerfile)?;
    environment.write("file", "content\n")?;
    succeed(&environment, ["build", "-q", "--tag", "used:1", "."])?;
    assert_eq!(registry.take_log(), NOTHING);
    Ok(())
}

/// While a command runs, the layers before it go to the registry; if it fails, they are there and no tag is.
#[test]
fn layers_are_sent_while_the_next_command_runs() -> Result<()> {
    if !require(RUN_NEEDS) {
        return Ok(());
    }
    for (command, ends_well) in [("echo > /x", true), ("exit 3", false)] {
        let registry = TestRegistry::start();
        let dockerfile = format!("FROM shell\nRUN echo made > /made\nRUN sleep 2; {command}\n");
        let environment = with_shell(Person::all()[0], &dockerfile)?;
        let tag = registry.reference("out:1");
        let ran = environment.run(["build", "--progress", "json", "--push", "--tag", &tag, "."])?;
        assert_eq!(ran.code == Some(0), ends_well, "{ran:#?}");
        let events = ran.events()?;
        let place = |wanted: &dyn Fn(&Value) -> bool| events.iter().position(wanted);
        let sealed: Vec<&Value> =
            events.iter().filter(|event| event["event"] == "layer_sealed").collect();
        let end = if ends_well { "step_finished" } else { "step_failed" };
        let last = events.iter().rposition(|event| event["event"] == end).context("it ends")?;
        for layer in &sealed[..3] {
            let sent = place(&|event| {
                event["event"] == "blob"
                    && event["transfer"] == "upload"
                    && event["digest"] == layer["digest"]
                    && event["current"] == event["total"]
            });
            assert!(sent.is_some_and(|sent| sent < last), "{layer} in {events:#?}");
        }
        assert_eq!(registry.manifest("out", "1").is_some(), ends_well);
    }
    Ok(())
}

/// A registry takes the beginning of a layer before there is an end, and shows nothing of it before the tag.
#[test]
fn large_layer_is_sent_while_it_is_written() -> Result<()> {
    let needs: Vec<Need> =
        RUN_NEEDS.iter().copied().chain([Need::Program("docker-registry")]).collect();
    if !require(&needs) {
        return Ok(());
    }
    // A build that fails does not wait for what it sends.
    for (command, ends_well) in [("rm /large", true), ("sleep 8; exit 3", false)] {
        let mut registry = DockerRegistry::start()?;
        let dockerfile =
            format!("FROM shell\nRUN head -c 40000000 /dev/urandom > /large\nRUN {command}\n");
        let environment = with_shell(Person::all()[0], &dockerfile)?;
        let tag = registry.reference("out:1");
        let ran = environment.run(["build", "--progress", "json", "--push", "--tag", &tag, "."])?;
        assert_eq!(ran.code == Some(0), ends_well, "{ran:#?}");
        let events = ran.events()?;
        let early = events.iter().position(|event| event["event"] == "layer_uploading");
        let early = early.context("something is sent before its end")?;
        let sealed = |event: &&Value| {
            event["event"] == "layer_sealed" && event["step"] == events[early]["step"]
        };
        let sealed = events[early..].iter().find(sealed).context("it is sealed after that")?;
        let digest = sealed["digest"].as_str().context("a digest")?.replace(':', "%3A");
        let log = registry.take_log()?;
        let count = |start: &str, part: &str, end: &str| {
            let fits = |line: &&String| {
                line.starts_with(start) && line.contains(part) && line.ends_with(end)
            };
            log.iter().filter(fits).count()
        };
        assert_eq!(count("PATCH", "/out/blobs/uploads/", "202"), 1, "{log:#?}");
        // Its name is all that is sent after that, and nobody asked before whether it is there.
        assert_eq!(count("PUT", &digest, "201"), 1, "{log:#?}");
        assert_eq!(count("HEAD", &digest, ""), 0, "{log:#?}");
        assert_eq!(count("PUT", "/out/manifests/", "201") > 0, ends_well, "{log:#?}");
        if ends_well {
            let image = TestEnvironment::new(STRATA)?;
            succeed(&image, ["copy", &format!("docker://{tag}"), "store:copy:1"])?;
        }
    }
    Ok(())
}

/// A layer takes longer to seal than the next command takes to start; whatever that command comes to, the layer is kept.
#[test]
fn layer_is_sealed_while_the_next_command_runs() -> Result<()> {
    if !require(RUN_NEEDS) {
        return Ok(());
    }
    for (command, ends_well) in [("cat /large > /copied", true), ("exit 3", false)] {
        let dockerfile = format!(
            "FROM shell\nRUN head -c 60000000 /dev/urandom > /large\nRUN {command}\nRUN rm /large\n"
        );
        let environment = with_shell(Person::all()[0], &dockerfile)?;
        let build = || environment.run(["build", "--progress", "json", "."]);
        let events = |ran: &strata_testkit::Ran| -> Result<Vec<(String, u64)>> {
            let name = |line: &Value| {
                (
                    line["event"].as_str().unwrap_or_default().to_owned(),
                    line["step"].as_u64().unwrap_or(0),
                )
            };
            Ok(ran.events()?.iter().map(name).collect())
        };
        let ran = build()?;
        assert_eq!(ran.code == Some(0), ends_well, "{ran:#?}");
        let told = events(&ran)?;
        let steps: Vec<u64> = told
            .iter()
            .filter(|(event, _)| event == "step_started")
            .map(|(_, step)| *step)
            .collect();
        let [.., first, second] = steps[..steps.len() - usize::from(ends_well)] else {
            anyhow::bail!("{told:?}");
        };
        let place = |event: &str, step: u64| {
            told.iter()
                .position(|one| *one == (event.to_owned(), step))
                .with_context(|| format!("{event} {step} in {told:?}"))
        };
        assert!(place("step_started", second)? < place("layer_sealed", first)?, "{told:?}");
        let again = events(&build()?)?;
        assert!(again.contains(&("step_cached".to_owned(), first)), "{again:?}");
    }
    Ok(())
}

/// Runs a command and says on standard error how much memory it and what it started had at most, in KiB.
const MEASURE: &str = "\
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
";

const LIMIT: u64 = 150 << 10;
const LARGE: u64 = 512 << 20;

/// A layer of half a gigabyte, made and then unpacked.
#[test]
fn memory_does_not_grow_with_a_layer() -> Result<()> {
    if !require(&[Need::Program("python3")]) {
        return Ok(());
    }
    let environment = TestEnvironment::new("python3")?;
    environment.write("Dockerfile", "FROM scratch\nCOPY large /large\n")?;
    let mut large = File::create(environment.context().join("large"))?;
    large.set_len(LARGE)?;
    for block in 0..32_u64 {
        large.seek(SeekFrom::Start(block * (LARGE / 32)))?;
        large.write_all(&noise(1 << 20, block))?;
    }
    let out = environment.temporary().join("root");
    let local = format!("--output=type=local,dest={}", out.display());
    environment.write("again/Dockerfile", "FROM large:1\nENV a=b\n")?;
    for arguments in [vec!["build", "-q", "--tag", "large:1", "."], vec!["build", &local, "again"]]
    {
        let run = ["-c", MEASURE, STRATA].into_iter().chain(arguments.iter().copied());
        let ran = succeed(&environment, run)?;
        let peak = ran.stderr.lines().rev().find_map(|line| line.strip_prefix("peak "));
        let peak: u64 = peak.context("it says its peak")?.parse()?;
        assert!(peak < LIMIT, "{arguments:?} had {} MiB", peak >> 10);
    }
    assert_eq!(std::fs::metadata(out.join("large"))?.len(), LARGE);
    Ok(())
}
