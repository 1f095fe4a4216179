//! What goes wrong, or is made to, while commands run: an error that says so, the container as it was, and a next
//! build that works.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::profile::Profile;
use super::runc::{Container, Net};
use super::table::Environment;
use super::{NEEDS, compiled, fill, named, text};
use crate::requirement::{Need, require};

/// One environment for each way that a container can have.
const PLACES: [&str; 5] =
    ["docker", "podman", "pod-cri-o", "restricted-any-user", "own-users-unmasked"];

/// Those of them whose commands can send signals to their helper: they share its pid namespace and its rights.
const SHARED: [&str; 3] = ["docker", "podman", "pod-cri-o"];

const SOUND: &str = "RUN echo sound > /srv-sound && test \"$(cat /proc/self/comm 2>/dev/null || echo cat)\" = cat\n";

/// Is something that a command does, and what becomes of the build.
struct Fault {
    name: &'static str,
    run: &'static str,
    /// The exit code of the build, as a shell sees it.
    code: i32,
    /// What it says, if it fails.
    says: &'static [&'static str],
    /// Where its parent is the first process of a pid namespace, nothing comes of it.
    needs_parent: bool,
}

const FAULTS: [Fault; 5] = [
    Fault {
        name: "a full disk",
        run: "RUN dd if=/dev/zero of=/filled bs=1M count=200\n",
        code: 1,
        says: &["No space left on device", "the state directory's disk is full"],
        needs_parent: false,
    },
    Fault {
        name: "a killed command",
        run: "RUN kill -9 $$\n",
        code: 1,
        says: &["signal 9"],
        needs_parent: false,
    },
    Fault {
        name: "forks without end",
        run: "RUN while sleep 1000 & do :; done\n",
        code: 1,
        says: &["fork"],
        needs_parent: false,
    },
    Fault {
        name: "a command that removes what it can",
        run: "RUN --mount=type=cache,target=/cache --mount=type=bind,source=passwd,target=/etc/bound \\\n    \
              umount /etc/hosts /proc /cache 2>/dev/null; rm -rf /etc /dev /proc /sys /cache /root 2>/dev/null; true\n",
        code: 0,
        says: &[],
        needs_parent: false,
    },
    Fault {
        name: "a helper that is killed",
        run: "RUN kill -9 $PPID; sleep 1000\n",
        code: 4,
        says: &["the helper process ended unexpectedly"],
        needs_parent: true,
    },
];

fn dockerfile(run: &str) -> String {
    format!(
        "FROM scratch\nCOPY busybox /bin/busybox\nCOPY passwd group /etc/\n\
         RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n{run}"
    )
}

#[test]
fn faults_are_clear_errors_and_leave_nothing() -> Result<()> {
    if !require(NEEDS) {
        return Ok(());
    }
    for place in PLACES {
        let container = Container::new(named(place), Net::Own)?;
        fill(&container, &dockerfile(SOUND))?;
        for (number, fault) in FAULTS.iter().enumerate() {
            container.write(&format!("fault{number}"), dockerfile(fault.run))?;
        }
        container.give_away()?;
        let before = container.written()?;
        for (number, fault) in FAULTS.iter().enumerate() {
            if fault.needs_parent && !SHARED.contains(&place) {
                continue;
            }
            let script = format!(
                "strata build --state-dir=/small/state --file=/volume/context/fault{number} /volume/context; echo $?; \
                 strata build --state-dir=/small/state /volume/context; echo $?; ps"
            );
            let output = container.run(&["/bin/sh", "-c", &script])?;
            let (said, printed) = (text(&output.stderr), text(&output.stdout));
            let at = format!("{place}: {}: {said}\n{printed}", fault.name);
            let codes: Vec<&str> = printed.lines().take(2).collect();
            let expected = [fault.code.to_string(), "0".to_owned()];
            assert_eq!(codes, expected, "{at}");
            for word in fault.says {
                assert!(said.contains(word), "{word:?} in {at}");
            }
            assert!(!printed.contains("sleep 1000"), "{at}");
            assert_eq!(container.written()?, before, "{at}");
        }
    }
    Ok(())
}

/// A command that runs as the container's root can end every process of it but the first; the state directory is
/// usable all the same.
#[test]
fn a_build_that_was_killed_does_not_disturb_the_next() -> Result<()> {
    if !require(NEEDS) {
        return Ok(());
    }
    for place in ["docker", "podman"] {
        let container = Container::new(named(place), Net::Own)?;
        fill(&container, &dockerfile(SOUND))?;
        container.write("hostile", dockerfile("RUN kill -9 -1; sleep 1000\n"))?;
        container.give_away()?;
        let before = container.written()?;
        let script = "strata build --file=/volume/context/hostile /volume/context; echo $?; strata build /volume/context; echo $?";
        let output = container.run(&["/bin/sh", "-c", script])?;
        let (said, printed) = (text(&output.stderr), text(&output.stdout));
        let codes: Vec<&str> = printed.lines().collect();
        let last = codes.last().context("a code was printed")?;
        assert_ne!(codes.first(), Some(&"0"), "{place}: {said}");
        assert_eq!(*last, "0", "{place}: {said}");
        assert_eq!(container.written()?, before, "{place}: {said}");
    }
    Ok(())
}

/// All that a call could change of a file.
fn state(path: &Path) -> Result<(Vec<u8>, [i64; 3], [i64; 2])> {
    let metadata = path.metadata()?;
    let [uid, gid, mode] = [metadata.uid(), metadata.gid(), metadata.mode()].map(i64::from);
    let changed = [metadata.ctime(), metadata.ctime_nsec()];
    Ok((fs::read(path)?, [uid, gid, mode], changed))
}

/// Where the arguments of calls are looked at before they are done, by every means of isolation.
#[test]
fn a_command_that_races_its_arguments_reaches_nothing_of_the_container() -> Result<()> {
    if !require(NEEDS) || !require(&[Need::Program("cc")]) {
        return Ok(());
    }
    let profile = Profile::DockerWithout("landlock_create_ruleset");
    let without_landlock = Environment { profile, ..named("restricted") };
    let places: [(Environment, &[&str]); 5] = [
        (named("docker"), &["chroot-supervised", "translated"]),
        (named("own-users-unmasked"), &["userns-range", "own-range", "userns-single"]),
        (named("own-users-sys-admin-no-userns"), &["own-mounts"]),
        (named("restricted-any-user"), &["translated"]),
        (without_landlock, &["translated"]),
    ];
    let of_the_image = compiled("race.c", "-DOF_THE_IMAGE")?;
    // What it would like to execute.
    let of_the_container = compiled("race.c", "-DOF_THE_CONTAINER")?;
    let dockerfile = dockerfile("COPY racer /program\nRUN [\"/program\"]\n");
    for (environment, rungs) in places {
        let container = Container::new(environment, Net::Own)?;
        fill(&container, &dockerfile)?;
        container.write("racer", &of_the_image)?;
        container.write("program", &of_the_container)?;
        container.write("next", self::dockerfile(SOUND))?;
        container.give_away()?;
        let written = container.written()?;
        let context = container.volume().join("context");
        let states = || ["token", "passwd", "program"].map(|name| state(&context.join(name)).ok());
        let before = states();
        for rung in rungs {
            let script = format!(
                "strata build --isolation={rung} --progress=plain /volume/context; echo $?; \
                 strata build --isolation={rung} --file=/volume/context/next /volume/context; echo $?"
            );
            let output = container.run(&["/bin/sh", "-c", &script])?;
            let (said, printed) = (text(&output.stderr), text(&output.stdout));
            let at = format!("{}: {rung}: {said}\n{printed}", environment.name);
            assert!(!said.contains("leaked"), "{at}");
            assert_eq!(printed, "0\n0\n", "{at}");
            assert_eq!(states(), before, "{at}");
            assert_eq!(container.written()?, written, "{at}");
        }
    }
    Ok(())
}
