//! What a command must see, may do, and leaves behind.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use strata_sandbox::enter::Mode;
use strata_sandbox::{Cancel, Exit, Mount, Network, Resource, RunError, Stream, Ulimit, User};

use strata_sys::Root;
use strata_sys::mount::{Overlay, detach};

use crate::fixture::{Fixture, line};

pub(crate) type Case = fn(&Fixture);

pub(crate) const ALL: &[(&str, Case)] = &[
    ("exit_codes_and_signals_are_told_apart", exit_codes_and_signals_are_told_apart),
    ("outputs_come_apart_and_whole", outputs_come_apart_and_whole),
    ("output_arrives_while_the_command_runs", output_arrives_while_the_command_runs),
    ("environment_is_exactly_what_was_given", environment_is_exactly_what_was_given),
    ("only_three_descriptors_are_open", only_three_descriptors_are_open),
    ("working_directory_is_entered", working_directory_is_entered),
    ("programs_that_cannot_start_say_why", programs_that_cannot_start_say_why),
    ("root_has_dockers_capabilities", root_has_dockers_capabilities),
    ("another_user_has_no_capabilities", another_user_has_no_capabilities),
    ("processes_see_only_themselves", processes_see_only_themselves),
    ("host_files_are_out_of_sight", host_files_are_out_of_sight),
    ("devices_are_the_usual_ones", devices_are_the_usual_ones),
    ("proc_and_sys_are_protected", proc_and_sys_are_protected),
    ("name_files_are_ours", name_files_are_ours),
    ("network_none_has_only_loopback", network_none_has_only_loopback),
    ("mounts_are_made_in_order", mounts_are_made_in_order),
    ("limits_are_set", limits_are_set),
    ("owners_are_real", owners_are_real),
    ("mount_points_leave_no_trace", mount_points_leave_no_trace),
    (
        "background_processes_do_not_outlive_the_command",
        background_processes_do_not_outlive_the_command,
    ),
    ("cancel_kills_at_once", cancel_kills_at_once),
    ("endless_output_can_be_cancelled", endless_output_can_be_cancelled),
    ("death_of_the_builder_kills", death_of_the_builder_kills),
    ("hostile_links_stay_inside", hostile_links_stay_inside),
    ("hostile_dev_is_refused", hostile_dev_is_refused),
    ("overlays_take_many_lowers_with_any_name", overlays_take_many_lowers_with_any_name),
    ("file_capabilities_read_back_as_they_were_set", file_capabilities_read_back_as_they_were_set),
    ("commands_run_in_an_overlay", commands_run_in_an_overlay),
];

pub(crate) const WITH_MASKED_PROC: &[(&str, Case)] =
    &[("a_masked_proc_is_passed_on_with_its_masks", a_masked_proc_is_passed_on_with_its_masks)];

/// The cases for commands that see the builder's processes.
pub(crate) fn shared() -> Vec<(&'static str, Case)> {
    let mut cases = ALL.to_vec();
    cases.retain(|(name, _)| *name != "processes_see_only_themselves");
    cases.push((
        "processes_of_the_builder_are_out_of_reach",
        processes_of_the_builder_are_out_of_reach,
    ));
    cases.push((
        "orphans_are_reaped_while_the_command_runs",
        orphans_are_reaped_while_the_command_runs,
    ));
    cases
}

fn processes_of_the_builder_are_out_of_reach(fixture: &Fixture) {
    assert_eq!(
        fixture.stdout("test -d /proc/$$ && readlink /proc/self/exe; hostname"),
        "/bin/busybox\nbox\n"
    );
    let builder = std::process::id();
    for file in ["exe", "root", "cwd", "fd/0"] {
        let script = format!("readlink /proc/{builder}/{file} || echo denied");
        assert_eq!(fixture.run(&fixture.script(&script)).stdout, "denied\n", "{file}");
    }
    let done = fixture.run(&fixture.script(&format!("cat /proc/{builder}/environ || echo denied")));
    assert_eq!(done.stdout, "denied\n");
}

fn orphans_are_reaped_while_the_command_runs(fixture: &Fixture) {
    // Each inner shell loses its parent and ends; whoever inherits it must take leave of it.
    let script = "for i in 1 2 3; do (true & echo $! >> /orphans); done; \
                  while read pid; do while [ -d /proc/$pid ]; do :; done; done < /orphans; echo gone";
    assert_eq!(fixture.stdout(script), "gone\n");
}

fn a_masked_proc_is_passed_on_with_its_masks(fixture: &Fixture) {
    let seen = fixture.stdout(
        "readlink /proc/self/exe; ls /proc/fs | wc -l; cat /proc/keys; echo x > /dev/stdout",
    );
    assert_eq!(seen, "/bin/busybox\n0\nx\n");
    let done = fixture.run(&fixture.script("echo x > /proc/sys/kernel/hostname"));
    assert_eq!(done.exit(), Exit::Code(1));
    // The host's processes are there, and out of reach.
    let done = fixture.run(&fixture.script("readlink /proc/1/root || echo denied"));
    assert_eq!(done.stdout, "denied\n");
}

pub(crate) fn exit_codes_and_signals_are_told_apart(fixture: &Fixture) {
    let cases = [
        ("true", Exit::Code(0)),
        ("exit 7", Exit::Code(7)),
        ("exit 255", Exit::Code(255)),
        ("kill -9 $$", Exit::Signal(9)),
        ("kill -15 $$", Exit::Signal(15)),
        ("kill -13 $$", Exit::Signal(13)),
        ("(kill -9 $$) & wait; exit 3", Exit::Signal(9)),
    ];
    for (script, exit) in cases {
        assert_eq!(fixture.run(&fixture.script(script)).exit(), exit, "{script}");
    }
}

pub(crate) fn outputs_come_apart_and_whole(fixture: &Fixture) {
    let done = fixture.run(&fixture.script("echo out; echo err >&2; printf partial"));
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("out\npartial", "err\n"));
    let long = fixture.stdout("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done");
    let lines: Vec<_> = (0..20000).map(|number| format!("line {number}\n")).collect();
    let expected = lines.concat();
    assert!(long == expected, "{} bytes", long.len());
}

fn output_arrives_while_the_command_runs(fixture: &Fixture) {
    // The command ends only after what it printed has been seen: the callback opens the fifo.
    let (path, mount) = fixture.fifo();
    let mut command = fixture.script("echo first; echo $(cat /run/fifo)");
    command.mounts.push(mount);
    let mut seen = Vec::new();
    let isolation = strata_sandbox::probe::isolation(fixture.entry).unwrap();
    let outcome = isolation.run(&command, &Cancel::new().unwrap(), &mut |stream, bytes| {
        seen.push((stream, String::from_utf8(bytes.to_vec()).unwrap()));
        if bytes == b"first\n" {
            fs::write(&path, "second").unwrap();
        }
    });
    assert_eq!(outcome.unwrap().exit, Exit::Code(0));
    let expected = [(Stream::Stdout, "first\n".into()), (Stream::Stdout, "second\n".into())];
    assert_eq!(seen, expected);
}

pub(crate) fn environment_is_exactly_what_was_given(fixture: &Fixture) {
    let mut command = fixture.command(&["env"]);
    command.environment.push(("B".into(), "two words".into()));
    command.environment.push(("A".into(), String::new().into()));
    assert_eq!(fixture.run(&command).stdout, "PATH=/bin\nB=two words\nA=\n");
}

pub(crate) fn only_three_descriptors_are_open(fixture: &Fixture) {
    let listing = fixture.run(&fixture.command(&["ls", "/proc/self/fd"]));
    // The fourth is the listing's own.
    assert_eq!(listing.stdout, "0\n1\n2\n3\n");
    assert_eq!(
        fixture.stdout("readlink /proc/self/fd/0; cat; tty -s || echo none"),
        "/dev/null\nnone\n"
    );
}

pub(crate) fn working_directory_is_entered(fixture: &Fixture) {
    fs::create_dir_all(fixture.root.join("work/deep")).unwrap();
    let mut command = fixture.command(&["pwd"]);
    command.working_directory = b"/work/deep".to_vec();
    assert_eq!(fixture.run(&command).stdout, "/work/deep\n");
    command.working_directory = b"/missing".to_vec();
    let error = RunError::WorkingDirectory { path: "/missing".into(), source: Errno::NOENT };
    assert_eq!(fixture.run(&command).result, Err(error));
}

pub(crate) fn programs_that_cannot_start_say_why(fixture: &Fixture) {
    fs::write(fixture.root.join("bin/plain"), "no program").unwrap();
    let cases = [
        ("nosuchcommand", r#"exec: "nosuchcommand": executable file not found in $PATH"#),
        ("/bin/no", r#"exec: "/bin/no": stat /bin/no: no such file or directory"#),
        ("/bin/sh/no", r#"exec: "/bin/sh/no": stat /bin/sh/no: no such file or directory"#),
        ("plain", r#"exec: "plain": permission denied"#),
        ("/bin/plain", r#"exec: "/bin/plain": permission denied"#),
        ("/bin", r#"exec: "/bin": permission denied"#),
        ("", r#"exec: "": executable file not found in $PATH"#),
    ];
    for (program, message) in cases {
        let done = fixture.run(&fixture.command(&[program]));
        assert_eq!(done.result.unwrap_err().to_string(), message);
    }
    let scripts = [("#!/bin/absent\n", Errno::NOENT), ("\x7fELF", Errno::NOEXEC)];
    for (content, source) in scripts {
        let path = fixture.root.join("bin/script");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let error = RunError::Exec { program: "/bin/script".into(), source };
        assert_eq!(fixture.run(&fixture.command(&["script"])).result, Err(error));
    }
    assert_eq!(fixture.run(&fixture.command(&[])).result, Err(RunError::NoProgram));
}

fn root_has_dockers_capabilities(fixture: &Fixture) {
    let status = fixture.stdout("grep -E '^(Cap|NoNewPrivs)' /proc/self/status");
    let expected = "CapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\n\
                    CapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t0\n";
    assert_eq!(status, expected);
}

fn another_user_has_no_capabilities(fixture: &Fixture) {
    let mut command = fixture.script("id -u; id -g; id -G; grep CapEff /proc/self/status");
    command.user = User { uid: 33, gid: 34, groups: vec![35, 34] };
    let done = fixture.run(&command);
    if fixture.entry.mode == Mode::Single {
        let error = RunError::IdNotMapped { what: "group".into(), id: 35 };
        assert_eq!(done.result, Err(error));
    } else {
        assert_eq!(done.stdout, "33\n34\n34 35\nCapEff:\t0000000000000000\n");
    }
}

fn processes_see_only_themselves(fixture: &Fixture) {
    let seen = fixture.stdout("echo $$; ls -d /proc/[0-9]* | wc -l; hostname");
    // Init, the shell, `ls` and `wc`; the shell is the first after init.
    assert_eq!(seen, "2\n4\nbox\n");
    // Init is the builder's own program, and nobody can get hold of it.
    let done = fixture.run(&fixture.script("readlink /proc/1/exe || echo denied"));
    assert_eq!(done.stdout, "denied\n");
}

fn host_files_are_out_of_sight(fixture: &Fixture) {
    assert_eq!(fixture.stdout("ls -a / | head -99"), ".\n..\nbin\ndev\netc\nproc\nsys\n");
    let host = fixture.directory.path().display();
    let mounts = fixture.stdout("cat /proc/self/mountinfo");
    assert!(!mounts.contains(&format!(" {host} ")), "{mounts}");
    assert_eq!(fixture.stdout("cd /; cd ../../..; ls /proc/1/cwd 2>&1 | wc -l"), "1\n");
}

fn devices_are_the_usual_ones(fixture: &Fixture) {
    let listing = fixture.stdout("ls /dev; echo; ls /dev/pts; ls /dev/shm; ls /dev/mqueue");
    let expected = "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\n\
                    urandom\nzero\n\nptmx\n";
    assert_eq!(listing, expected);
    let script = "echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 5 /dev/urandom | wc -c; \
                  echo y > /dev/stdout; touch /dev/shm/z; stat -c %a /dev/shm; echo q | cat /dev/fd/0";
    assert_eq!(fixture.stdout(script), "3\n5\ny\n1777\nq\n");
}

fn proc_and_sys_are_protected(fixture: &Fixture) {
    assert_eq!(fixture.stdout("cat /proc/keys /proc/timer_list | wc -c; ls /sys/firmware"), "0\n");
    let refused = ["/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/sys/x"];
    for path in refused {
        let done = fixture.run(&fixture.script(&format!("echo x > {path}")));
        assert_eq!(done.exit(), Exit::Code(1), "{path}");
    }
    let mount = fixture.run(&fixture.script("mount -t tmpfs x /bin"));
    assert_eq!(mount.exit(), Exit::Code(1));
}

pub(crate) fn name_files_are_ours(fixture: &Fixture) {
    fs::create_dir(fixture.root.join("etc")).unwrap();
    fs::write(fixture.root.join("etc/hosts"), "the image's own").unwrap();
    let mut command = fixture.script("cd /etc; cat resolv.conf hosts hostname");
    command.extra_hosts.push(("db".into(), [10, 0, 0, 1].into()));
    let expected = "nameserver 192.0.2.1\n127.0.0.1\tlocalhost box\n\
                    ::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.1\tdb\nbox\n";
    assert_eq!(fixture.run(&command).stdout, expected);
    let kept = fs::read_to_string(fixture.root.join("etc/hosts")).unwrap();
    assert_eq!(kept, "the image's own");
}

fn network_none_has_only_loopback(fixture: &Fixture) {
    let script = "cd /sys/class/net; for n in *; do [ -e $n/address ] && echo $n; done; \
                  ip -o addr show dev lo | grep -c 127.0.0.1; cat /proc/net/route | wc -l";
    let mut command = fixture.script(script);
    command.network = Network::None;
    let done = fixture.run(&command);
    // Some kernels give every new namespace tunnel devices without an address.
    let expected = "1\n1\n";
    assert!(done.stdout.starts_with("lo\n") && done.stdout.ends_with(expected), "{done:?}");
}

fn mounts_are_made_in_order(fixture: &Fixture) {
    let source = fixture.directory.path().join("cache");
    fs::create_dir_all(source.join("sub")).unwrap();
    let file = |target: &[u8]| Mount::File {
        target: target.to_vec(),
        content: b"s3cret".to_vec(),
        mode: 0o400,
        uid: 0,
        gid: 0,
    };
    let bind = |target: &[u8], read_only| Mount::Bind {
        source: source.clone(),
        target: target.to_vec(),
        read_only,
    };
    let mut command = fixture.script(
        "stat -c '%a %u %g' /run/secrets/token; cat /run/secrets/token; echo; \
         echo kept > /cache/file; cat /read/file; touch /read/no 2>/dev/null || echo refused; \
         touch /run/inside; ls /dev/x; rm /run/secrets/token 2>/dev/null || echo busy",
    );
    command.mounts = vec![
        Mount::Tmpfs { target: b"/run".to_vec(), size: Some(1 << 20), mode: 0o755 },
        file(b"/run/secrets/token"),
        bind(b"/cache", false),
        bind(b"/read", true),
        bind(b"/dev/x", true),
    ];
    let before = fixture.snapshot();
    let done = fixture.run(&command);
    assert_eq!(
        (done.stdout.as_str(), done.stderr.as_str()),
        ("400 0 0\ns3cret\nkept\nrefused\nfile\nsub\nbusy\n", "")
    );
    assert_eq!(fs::read_to_string(source.join("file")).unwrap(), "kept\n");
    assert_eq!(fixture.snapshot(), before);
}

pub(crate) fn limits_are_set(fixture: &Fixture) {
    let mut command = fixture.script("ulimit -n; ulimit -Hn; ulimit -c");
    command.ulimits = vec![
        Ulimit { resource: Resource::Nofile, soft: Some(100), hard: Some(200) },
        Ulimit { resource: Resource::Core, soft: Some(0), hard: Some(0) },
    ];
    assert_eq!(fixture.run(&command).stdout, "100\n200\n0\n");
}

pub(crate) fn owners_are_real(fixture: &Fixture) {
    let done = fixture.run(&fixture.script("touch /f && chown 33:34 /f && stat -c '%u %g' /f"));
    let expected = if fixture.entry.mode == Mode::Single { "" } else { "33 34\n" };
    assert_eq!(done.stdout, expected);
}

pub(crate) fn mount_points_leave_no_trace(fixture: &Fixture) {
    symlink("../run/resolv.conf", fixture.root.join("etc")).unwrap_or(());
    fs::remove_file(fixture.root.join("etc")).unwrap();
    fs::create_dir(fixture.root.join("etc")).unwrap();
    symlink("../run/resolv.conf", fixture.root.join("etc/resolv.conf")).unwrap();
    let before = fixture.snapshot();
    for script in ["cat /etc/resolv.conf", "exit 3", "kill -9 $$"] {
        fixture.run(&fixture.script(script)).exit();
        assert_eq!(fixture.snapshot(), before, "{script}");
    }
    fixture.run(&fixture.command(&["absent"])).result.unwrap_err();
    assert_eq!(fixture.snapshot(), before);
    // What the command itself puts there stays.
    let done = fixture.run(&fixture.script("echo mine > /run/pid"));
    let created =
        [&b"proc"[..], b"sys", b"dev", b"etc/hosts", b"etc/hostname", b"run", b"run/resolv.conf"];
    assert_eq!(done.result.unwrap().mount_points, created);
    let run: Vec<_> = fs::read_dir(fixture.root.join("run")).unwrap().collect();
    assert_eq!(run.len(), 1);
}

pub(crate) fn background_processes_do_not_outlive_the_command(fixture: &Fixture) {
    let (path, mount) = fixture.fifo();
    let mut fifo = File::options().read(true).write(true).open(&path).unwrap();
    let mut command = fixture.script("sleep 1000 3>/run/fifo & echo started");
    command.mounts.push(mount);
    let reader = nonblocking_reader(&path);
    let done = fixture.run(&command);
    assert_eq!((done.exit(), done.stdout.as_str()), (Exit::Code(0), "started\n"));
    // With this writer gone, the end is seen if and only if there is no other.
    let _ = std::io::Write::flush(&mut fifo);
    drop(fifo);
    assert_eq!(rustix::io::read(&reader, &mut [0]), Ok(0));
}

fn nonblocking_reader(path: &Path) -> File {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK;
    rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap().into()
}

pub(crate) fn cancel_kills_at_once(fixture: &Fixture) {
    let (path, mount) = fixture.fifo();
    let mut command =
        fixture.script("exec 3>/run/fifo; echo ready >&3; trap '' TERM INT; sleep 1000");
    command.mounts.push(mount);
    let cancel = Cancel::new().unwrap();
    let before = fixture.snapshot();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut fifo = File::open(&path).unwrap();
            assert_eq!(line(&mut fifo), "ready\n");
            cancel.cancel();
            fifo.read_to_end(&mut Vec::new()).unwrap();
        });
        assert_eq!(fixture.run_until(&command, &cancel).result, Err(RunError::Cancelled));
    });
    assert_eq!(fixture.snapshot(), before);
    // A request that was made before is kept.
    let done = fixture.run_until(&fixture.script("sleep 1000"), &cancel);
    assert_eq!(done.result, Err(RunError::Cancelled));
}

fn endless_output_can_be_cancelled(fixture: &Fixture) {
    let cancel = Cancel::new().unwrap();
    let isolation = strata_sandbox::probe::isolation(fixture.entry).unwrap();
    let command = fixture.command(&["cat", "/dev/zero"]);
    let result = isolation.run(&command, &cancel, &mut |_, _| cancel.cancel());
    assert_eq!(result, Err(RunError::Cancelled));
}

fn death_of_the_builder_kills(fixture: &Fixture) {
    let (path, _) = fixture.fifo();
    let mut victim = fixture.victim("exec 3>/run/fifo; echo ready >&3; sleep 1000");
    let mut fifo = File::open(path).unwrap();
    assert_eq!(line(&mut fifo), "ready\n");
    victim.kill().unwrap();
    // Ends when the shell and `sleep` have.
    fifo.read_to_end(&mut Vec::new()).unwrap();
    victim.wait().unwrap();
}

pub(crate) fn hostile_links_stay_inside(fixture: &Fixture) {
    let outside = fixture.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let host = |name: &str| fs::read(Path::new("/etc").join(name)).ok();
    let before = (host("hosts"), host("hostname"), host("resolv.conf"));
    symlink(&outside, fixture.root.join("etc")).unwrap();
    symlink("../../../../../../../../etc", fixture.root.join("up")).unwrap();
    let mut command = fixture.script("cat /etc/hostname; cat /up/hostname; cat /up/token");
    command.mounts.push(Mount::File {
        target: b"/up/token".to_vec(),
        content: b"token".to_vec(),
        mode: 0o444,
        uid: 0,
        gid: 0,
    });
    let done = fixture.run(&command);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("box\nbox\ntoken", ""));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!((host("hosts"), host("hostname"), host("resolv.conf")), before);
}

pub(crate) fn hostile_dev_is_refused(fixture: &Fixture) {
    for (name, target) in [("dev", "/"), ("proc", "/etc"), ("sys", "../../..")] {
        let link = fixture.root.join(name);
        symlink(target, &link).unwrap();
        let error = RunError::MountPoint { target: name.into(), source: Errno::NOTDIR };
        assert_eq!(fixture.run(&fixture.script("true")).result, Err(error));
        fs::remove_file(link).unwrap();
    }
}

fn overlay(fixture: &Fixture, lowers: Vec<PathBuf>) -> PathBuf {
    let at = |name: &str| {
        let path = fixture.directory.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let (merged, upper, work) = (at("merged"), at("upper,a:b\\c"), at("work"));
    let overlay = Overlay { lowers, upper: Some((upper, work)), user_xattrs: true, volatile: true };
    overlay.mount(&merged).unwrap();
    merged
}

fn overlays_take_many_lowers_with_any_name(fixture: &Fixture) {
    // Together far more than a page of options.
    let lowers: Vec<_> = (0..120)
        .map(|number| {
            let path =
                fixture.directory.path().join(format!("lower,{number}:{}\\", "x".repeat(60)));
            fs::create_dir(&path).unwrap();
            fs::write(path.join("which"), number.to_string()).unwrap();
            fs::write(path.join(number.to_string()), "").unwrap();
            path
        })
        .collect();
    let merged = overlay(fixture, lowers);
    let count = fs::read_dir(&merged).unwrap().count();
    let top = fs::read_to_string(merged.join("which")).unwrap();
    detach(&merged).unwrap();
    assert_eq!((count, top.as_str()), (121, "0"));
}

fn file_capabilities_read_back_as_they_were_set(fixture: &Fixture) {
    // Version 2, effective, with CAP_NET_RAW permitted: outside it would show the root's id too.
    let mut value = [0; 20];
    value[..8].copy_from_slice(&[1, 0, 0, 2, 0, 0x20, 0, 0]);
    let root = Root::open(&fixture.root).unwrap();
    drop(root.create_file("program", 0o755).unwrap());
    root.set_xattr("program", "security.capability", &value).unwrap();
    let found = root.xattr("program", "security.capability").unwrap();
    assert_eq!(found, Some(value.to_vec()));
}

fn commands_run_in_an_overlay(fixture: &Fixture) {
    fs::create_dir(fixture.root.join("old")).unwrap();
    fs::write(fixture.root.join("old/file"), "").unwrap();
    let merged = overlay(fixture, vec![fixture.root.clone()]);
    let mut command = fixture.script("rm -r /old && mkdir /old /new && echo x > /new/file");
    command.root.clone_from(&merged);
    let done = fixture.run(&command);
    detach(&merged).unwrap();
    assert_eq!((done.exit(), done.stderr.as_str()), (Exit::Code(0), ""));
    let upper = fs::read_dir(fixture.directory.path().join("upper,a:b\\c")).unwrap();
    let mut names: Vec<_> = upper.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["new", "old"]);
}
