//! What differs, and what must not, where the root is changed and nothing is mounted.

use std::fs;

use rustix::io::Errno;
use strata_sandbox::{Cancel, Chroot, Exit, Isolation, Mount, Network, RunError, User};

use crate::cases::{
    Case, background_processes_do_not_outlive_the_command, environment_is_exactly_what_was_given,
    exit_codes_and_signals_are_told_apart, hostile_dev_is_refused, hostile_links_stay_inside,
    limits_are_set, mount_points_leave_no_trace, name_files_are_ours, outputs_come_apart_and_whole,
    owners_are_real, programs_that_cannot_start_say_why, working_directory_is_entered,
};
use crate::fixture::Fixture;

pub(crate) const ALL: &[(&str, Case)] = &[
    ("exit_codes_and_signals_are_told_apart", exit_codes_and_signals_are_told_apart),
    ("outputs_come_apart_and_whole", outputs_come_apart_and_whole),
    ("environment_is_exactly_what_was_given", environment_is_exactly_what_was_given),
    ("working_directory_is_entered", working_directory_is_entered),
    ("programs_that_cannot_start_say_why", programs_that_cannot_start_say_why),
    ("name_files_are_ours", name_files_are_ours),
    ("limits_are_set", limits_are_set),
    ("owners_are_real", owners_are_real),
    ("mount_points_leave_no_trace", mount_points_leave_no_trace),
    (
        "background_processes_do_not_outlive_the_command",
        background_processes_do_not_outlive_the_command,
    ),
    ("cancel_kills_everything", cancel_kills_everything),
    ("hostile_links_stay_inside", hostile_links_stay_inside),
    ("hostile_dev_is_refused", hostile_dev_is_refused),
    ("daemons_are_killed", daemons_are_killed),
    ("a_command_that_kills_its_parent_fails", a_command_that_kills_its_parent_fails),
    ("devices_are_there_and_gone", devices_are_there_and_gone),
    ("users_are_real", users_are_real),
    ("network_none_refuses_sockets", network_none_refuses_sockets),
    ("mounts_are_moved_in_and_out", mounts_are_moved_in_and_out),
    ("what_a_command_does_to_a_mount_is_undone", what_a_command_does_to_a_mount_is_undone),
    ("mounts_without_means_are_refused", mounts_without_means_are_refused),
];

fn cancel_kills_everything(fixture: &Fixture) {
    let cancel = Cancel::new().unwrap();
    let before = fixture.snapshot();
    let command =
        fixture.script("trap '' TERM INT HUP; (setsid sleep 1000 &); echo ready; sleep 1000");
    let result = Chroot::new().unwrap().run(&command, &cancel, &mut |_, _| cancel.cancel());
    assert_eq!(result, Err(RunError::Cancelled));
    assert_eq!(processes_in(fixture), 0);
    assert_eq!(fixture.snapshot(), before);
}

/// How many processes have the fixture's root as theirs.
fn processes_in(fixture: &Fixture) -> usize {
    let root = fixture.root.canonicalize().unwrap();
    let roots = fs::read_dir("/proc").unwrap();
    let roots = roots.filter_map(|entry| fs::read_link(entry.unwrap().path().join("root")).ok());
    roots.filter(|found| *found == root).count()
}

fn daemons_are_killed(fixture: &Fixture) {
    let script = "(setsid sh -c 'trap \"\" TERM HUP; sleep 1000 & sleep 1000' &) ; \
                  (setsid setsid sleep 1000 &); echo started";
    assert_eq!(fixture.stdout(script), "started\n");
    assert_eq!(processes_in(fixture), 0);
}

fn a_command_that_kills_its_parent_fails(fixture: &Fixture) {
    let before = fixture.snapshot();
    let done = fixture.run(&fixture.script("setsid sleep 1000 & kill -9 $PPID; sleep 1000"));
    let error = done.result.unwrap_err();
    assert!(matches!(error, RunError::HelperLost { .. }), "{error:?}");
    assert_eq!(processes_in(fixture), 0);
    assert_eq!(fixture.snapshot(), before);
}

pub(crate) fn devices_are_there_and_gone(fixture: &Fixture) {
    fs::create_dir(fixture.root.join("dev")).unwrap();
    fs::write(fixture.root.join("dev/null"), "the image's own").unwrap();
    let before = fixture.snapshot();
    let script = "ls /dev; echo x > /dev/null; head -c 3 /dev/zero | wc -c; \
                  head -c 5 /dev/urandom | wc -c; touch /dev/shm/z /dev/own; stat -c %a /dev/shm";
    let expected = "fd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\n\
                    tty\nurandom\nzero\n3\n5\n1777\n";
    assert_eq!(fixture.stdout(script), expected);
    assert_eq!(fixture.snapshot(), before);
}

fn users_are_real(fixture: &Fixture) {
    let mut command =
        fixture.script("id -u; id -g; id -G; chown 0:0 /bin/sh 2>/dev/null || echo no");
    command.user = User { uid: 33, gid: 34, groups: vec![35, 34] };
    assert_eq!(fixture.run(&command).stdout, "33\n34\n34 35\nno\n");
}

pub(crate) fn network_none_refuses_sockets(fixture: &Fixture) {
    let script = "ip link show lo >/dev/null 2>&1 && echo links; nc -w 1 127.0.0.1 9 2>&1";
    let mut command = fixture.script(script);
    command.network = Network::None;
    let done = fixture.run(&command);
    assert!(done.stdout.contains("Address family not supported"), "{done:?}");
}

fn mounts_are_moved_in_and_out(fixture: &Fixture) {
    let outside = |name: &str| fixture.directory.path().join(name);
    fs::create_dir_all(outside("slot/data/sub")).unwrap();
    fs::write(outside("one"), "one file").unwrap();
    let listener = std::os::unix::net::UnixListener::bind(outside("slot/agent")).unwrap();
    fs::create_dir(fixture.root.join("cache")).unwrap();
    fs::write(fixture.root.join("cache/own"), "the image's own").unwrap();
    let mut command = fixture.script(
        "stat -c '%a %u %g' /run/secrets/token; cat /run/secrets/token; echo; ls /cache; \
         echo kept > /cache/file; cat /one; echo; touch /run/inside; chown 33:34 /cache/file; \
         [ -S /agent ] && echo socket",
    );
    command.mounts = vec![
        Mount::Tmpfs { target: b"/run".to_vec(), size: None, mode: 0o755 },
        Mount::File {
            target: b"/run/secrets/token".to_vec(),
            content: b"s3cret".to_vec(),
            mode: 0o400,
            uid: 33,
            gid: 34,
        },
        Mount::Bind { source: outside("slot/data"), target: b"/cache".to_vec(), read_only: false },
        Mount::Bind { source: outside("one"), target: b"/one".to_vec(), read_only: true },
        Mount::Bind { source: outside("slot/agent"), target: b"/agent".to_vec(), read_only: false },
    ];
    let before = fixture.snapshot();
    for names in ["sub\n", "file\nsub\n"] {
        let done = fixture.run(&command);
        let expected = format!("400 33 34\ns3cret\n{names}one file\nsocket\n");
        assert_eq!((done.stdout.as_str(), done.stderr.as_str()), (expected.as_str(), ""));
        assert_eq!(fs::read_to_string(outside("slot/data/file")).unwrap(), "kept\n");
        assert_eq!(fs::read_to_string(outside("one")).unwrap(), "one file");
        assert_eq!(fixture.snapshot(), before);
    }
    // Whoever listened still does.
    std::os::unix::net::UnixStream::connect(outside("slot/agent")).unwrap();
    drop(listener);
    let beside = fs::read_dir(fixture.directory.path()).unwrap();
    let mut beside: Vec<_> = beside.map(|entry| entry.unwrap().file_name()).collect();
    beside.sort();
    assert_eq!(beside, ["one", "root", "slot"]);
}

fn what_a_command_does_to_a_mount_is_undone(fixture: &Fixture) {
    fs::create_dir(fixture.root.join("etc")).unwrap();
    fs::write(fixture.root.join("etc/hosts"), "the image's own").unwrap();
    let before = fixture.snapshot();
    let scripts = [
        "rm /etc/hosts /etc/hostname; ln -s /bin/busybox /etc/hosts",
        "rm -r /dev; rmdir /proc; mkdir /dev",
        "rm /etc/hosts; mkdir /etc/hosts; touch /etc/hosts/deep",
    ];
    for script in scripts {
        let done = fixture.run(&fixture.script(script));
        assert_eq!((done.exit(), done.stderr.as_str()), (Exit::Code(0), ""), "{script}");
        let kept = fs::read_to_string(fixture.root.join("etc/hosts")).unwrap();
        assert_eq!(kept, "the image's own", "{script}");
        let names = |found: Vec<(std::path::PathBuf, u32, u64, _)>| -> Vec<_> {
            found.into_iter().map(|(path, mode, size, _)| (path, mode, size)).collect()
        };
        assert_eq!(names(fixture.snapshot()), names(before.clone()), "{script}");
    }
}

fn mounts_without_means_are_refused(fixture: &Fixture) {
    let before = fixture.snapshot();
    let refused = |what: &str| RunError::MountUnsupported {
        isolation: "chroot-supervised".into(),
        what: what.into(),
        target: "/target".into(),
    };
    let target = b"/target".to_vec();
    let other = std::path::PathBuf::from("/proc/self/status");
    let cases = [
        (
            Mount::Tmpfs { target: target.clone(), size: Some(4096), mode: 0o755 },
            refused("tmpfs with a limit"),
        ),
        (
            Mount::Bind { source: other, target, read_only: true },
            RunError::Mount {
                what: "/proc/self/status".into(),
                target: "/target".into(),
                source: Errno::XDEV,
            },
        ),
    ];
    for (mount, error) in cases {
        let mut command = fixture.script("true");
        command.mounts.push(mount);
        assert_eq!(fixture.run(&command).result, Err(error));
        assert_eq!(fixture.snapshot(), before);
    }
}
