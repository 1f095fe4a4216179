//! Builds that end early: a command fails, a disk is full, somebody presses Ctrl-C.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use strata_testkit::{Fault, TestEnvironment, TestImage, TestRegistry};

use crate::bad_input::left_behind;
use crate::person::{Person, STRATA};
use crate::requirement::{NOTHING, Need, busybox, noise, output, require};

/// An environment whose context has a shell.
pub(crate) fn with_shell(person: Person, dockerfile: &str) -> Result<TestEnvironment> {
    let environment = person.environment()?;
    let shell = std::fs::read(busybox().context("there is a busybox")?)?;
    let path = environment.write("busybox", shell)?;
    output(Command::new("chmod").arg("755").arg(path));
    let head = "FROM scratch AS shell\nCOPY busybox /bin/sh\nCOPY busybox /bin/busybox\n";
    environment.write("Dockerfile", format!("{head}{dockerfile}"))?;
    Ok(environment)
}

pub(crate) const RUN_NEEDS: &[Need] =
    &[Need::UserNamespaces, Need::StaticBusybox, Need::Program("newuidmap")];

/// A command → its line of the error.
#[test]
fn command_that_fails_shows_its_code_and_output() -> Result<()> {
    if !require(RUN_NEEDS) {
        return Ok(());
    }
    let table = [
        ("RUN echo one; echo two >&2; exit 7", "exited with code 7", "  | one\n  | two\n"),
        ("RUN echo deep && (exit 255)", "exited with code 255", "  | deep\n"),
        ("RUN kill -9 $$", "was killed by signal 9", ""),
        ("RUN [\"/bin/nothing\"]", "/bin/nothing", ""),
        ("RUN nothing-like-it", "exited with code 127", "nothing-like-it: not found\n"),
    ];
    for person in Person::all() {
        for (line, says, shows) in table {
            let environment = with_shell(*person, &format!("WORKDIR /work\n{line}\n"))?;
            let ran = environment.run(["build", "-q", "--tag", "never:1", "."])?;
            let name = format!("{person:?} {line}: {ran:#?}");
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{name}");
            assert_eq!(ran.stderr.matches("error: ").count(), 1, "{name}");
            for text in [says, shows, " --> Dockerfile:5:"] {
                assert!(ran.stderr.contains(text), "{name}");
            }
            assert_eq!(left_behind(&environment)?, NOTHING, "{name}");
            assert_eq!(environment.run(["images", "-q"])?.stdout, "", "{name}");
        }
    }
    Ok(())
}

/// Is when a build is interrupted.
struct Phase {
    name: &'static str,
    fault: Option<Fault>,
    dockerfile: &'static str,
    /// What it says when it is there; nothing: when the registry has answered once.
    until: &'static str,
}

fn phases() -> Vec<Phase> {
    let late = || Fault::delay(Duration::from_secs(7));
    let sleep = "FROM shell\nRUN echo here && sleep FOREVER\n";
    vec![
        Phase {
            name: "resolving",
            fault: Some(late().on("", "/base/manifests/").after(1)),
            dockerfile: "FROM REGISTRY/base:1\nRUN true\n",
            until: "",
        },
        Phase {
            name: "pulling",
            fault: Some(Fault::delay(Duration::from_secs(3)).on("GET", "/base/blobs/").after(1)),
            dockerfile: "FROM REGISTRY/base:1\nRUN true\n",
            until: "RUN true",
        },
        Phase { name: "running", fault: None, dockerfile: sleep, until: " here" },
        Phase {
            name: "running in the background",
            fault: None,
            dockerfile: "FROM shell\nRUN trap '' INT TERM; (setsid sleep FOREVER &) ; echo here; sleep FOREVER\n",
            until: " here",
        },
        Phase {
            name: "pushing",
            fault: Some(late().on("", "/out/blobs/uploads/")),
            dockerfile: "FROM scratch\nCOPY busybox /\n",
            until: "DONE",
        },
        Phase {
            name: "pushing the manifest",
            fault: Some(late().on("PUT", "/out/manifests/")),
            dockerfile: "FROM scratch\nCOPY busybox /\n",
            until: "uploaded",
        },
    ]
}

#[test]
fn interrupted_build_ends_at_once_and_leaves_nothing() {
    if !require(RUN_NEEDS) {
        return;
    }
    let wrong = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for person in Person::all() {
            for (signal, code) in [("INT", 130), ("TERM", 143)] {
                // One after the other in a thread: how long they take is part of the contract.
                threads.push(scope.spawn(move || {
                    let phases = phases().into_iter().enumerate();
                    let results = phases.filter_map(|(number, phase)| {
                        // Longer than any test, and a number that no other process has among its arguments.
                        let forever = format!("98765{code}{number}.{}", *person as u8);
                        let error = interrupt(*person, &phase, signal, code, &forever).err()?;
                        Some(format!("== {person:?} {} {signal}: {error:?}", phase.name))
                    });
                    results.collect::<Vec<_>>()
                }));
            }
        }
        let results = threads.into_iter().map(|thread| thread.join().expect("it does not panic"));
        results.flatten().collect::<Vec<_>>()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn interrupt(person: Person, phase: &Phase, signal: &str, code: i32, forever: &str) -> Result<()> {
    let registry = TestRegistry::start();
    let base = TestImage::new().layer("/bin/ 0755 0:0\n/bin/true 0755 0:0 file \"none\"").build();
    registry.add_image("base", "1", &base);
    phase.fault.iter().for_each(|fault| registry.add_fault(fault.clone()));
    let dockerfile =
        phase.dockerfile.replace("REGISTRY", &registry.host()).replace("FOREVER", forever);
    let environment = with_shell(person, &dockerfile)?;
    let tag = registry.reference("out:1");
    let mut child = environment
        .command()
        .args(["build", "--progress=plain", "--push", "--tag", &tag, "."])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stderr = BufReader::new(child.stderr.take().context("it is piped")?);
    let mut said = String::new();
    while !said.contains(phase.until) {
        anyhow::ensure!(stderr.read_line(&mut said)? > 0, "it ended before: {said}");
    }
    while phase.until.is_empty() && registry.take_log().is_empty() {
        anyhow::ensure!(child.try_wait()?.is_none(), "it ended before");
        std::thread::yield_now();
    }
    let asked = Instant::now();
    output(Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()));
    stderr.read_to_string(&mut said)?;
    let status = child.wait()?;
    let took = asked.elapsed();
    anyhow::ensure!(status.code() == Some(code), "{status}: {said}");
    anyhow::ensure!(took < Duration::from_secs(5), "took {took:?}: {said}");
    anyhow::ensure!(said.ends_with("error: interrupted\n"), "{said}");
    anyhow::ensure!(registry.manifest("out", "1").is_none(), "it is tagged: {said}");
    let left = left_behind(&environment)?;
    anyhow::ensure!(left.is_empty(), "left: {left:?}: {said}");
    anyhow::ensure!(!runs(forever)?, "a command of the image still runs: {said}");
    Ok(())
}

/// Whether a process with this argument is still there, whoever its parent is by now.
fn runs(argument: &str) -> Result<bool> {
    for entry in std::fs::read_dir("/proc")? {
        let command = std::fs::read(entry?.path().join("cmdline")).unwrap_or_default();
        let mut words = command.split(|byte| *byte == 0);
        if words.any(|word| word == argument.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A state directory too small for the build: exit code 1, what is full is named, and it is as empty as before.
#[test]
fn full_disk_is_named_and_left_clean() -> Result<()> {
    if !require(&[Need::Root, Need::UserNamespaces, Need::StaticBusybox]) {
        return Ok(());
    }
    let run = "FROM shell\nRUN dd if=/dev/urandom of=/big bs=1M count=24\n";
    let copy = "FROM scratch\nCOPY big /big\n";
    for (name, dockerfile) in [("COPY", copy), ("RUN", run)] {
        let environment = with_shell(Person::Caller, dockerfile)?;
        environment.write("big", noise(24_000_000, 1))?;
        let small = Small::mount(&environment.state())?;
        let ran = environment.run(["build", "-q", "--tag", "never:1", "."])?;
        let left = left_behind_but_mount(&environment, &small)?;
        drop(small);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains("No space left on device"), "{name}: {}", ran.stderr);
        assert_eq!(left, NOTHING, "{name}: {}", ran.stderr);
    }
    Ok(())
}

fn left_behind_but_mount(environment: &TestEnvironment, small: &Small) -> Result<Vec<String>> {
    let mut left = left_behind(environment)?;
    let own = format!(" {} ", small.path);
    left.retain(|line| !line.contains(&own));
    Ok(left)
}

/// Is a small file system, unmounted when dropped.
struct Small {
    path: String,
}

impl Small {
    fn mount(path: &Path) -> Result<Self> {
        let path = path.to_str().context("a temporary directory has a plain name")?.to_owned();
        output(Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "tmpfs", &path]));
        Ok(Self { path })
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _shown_by_the_next_test = Command::new("umount").arg(&self.path).status();
    }
}

/// The program under test has to be there for a caller who has nothing else.
#[test]
fn program_says_what_this_host_allows() -> Result<()> {
    let ran = TestEnvironment::new(STRATA)?.run(["doctor"])?;
    assert!(ran.stdout.contains("userns"), "{ran:#?}");
    Ok(())
}
