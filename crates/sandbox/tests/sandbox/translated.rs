//! Commands whose paths are translated: what differs, and what must not.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, ExitCode};

use strata_sandbox::{Cancel, Exit, Ownership, RunError, Seeming};

use crate::cases::{self, Case};
use crate::fixture::Fixture;
use crate::{changed_root, faked_ids, served_paths};

/// The argument of this executable inside a root.
pub(crate) const PROGRAM: &str = "--program";

const OWN: &[(&str, Case)] = &[
    ("dynamic_programs_are_loaded", dynamic_programs_are_loaded),
    ("scripts_are_interpreted", scripts_are_interpreted),
    ("programs_execute_what_proc_names", programs_execute_what_proc_names),
    ("broken_programs_do_not_start", broken_programs_do_not_start),
    ("paths_stay_inside", paths_stay_inside),
    ("modes_are_what_was_asked_for", modes_are_what_was_asked_for),
    ("modes_of_the_base_are_seen", modes_of_the_base_are_seen),
    ("names_are_made_moved_and_removed", names_are_made_moved_and_removed),
    ("pipes_are_waited_for", pipes_are_waited_for),
    ("calls_of_a_program_are_translated", calls_of_a_program_are_translated),
    ("signals_stay_inside", signals_stay_inside),
    ("cancel_kills_everything", cancel_kills_everything),
    ("forbidden_calls_are_refused", forbidden_calls_are_refused),
];

pub(crate) fn all() -> Vec<(&'static str, Case)> {
    let mut all: Vec<(&'static str, Case)> = vec![
        ("exit_codes_and_signals_are_told_apart", cases::exit_codes_and_signals_are_told_apart),
        ("outputs_come_apart_and_whole", cases::outputs_come_apart_and_whole),
        ("environment_is_exactly_what_was_given", cases::environment_is_exactly_what_was_given),
        ("only_three_descriptors_are_open", cases::only_three_descriptors_are_open),
        ("working_directory_is_entered", cases::working_directory_is_entered),
        ("programs_that_cannot_start_say_why", cases::programs_that_cannot_start_say_why),
        ("name_files_are_ours", cases::name_files_are_ours),
        ("limits_are_set", cases::limits_are_set),
        ("mount_points_leave_no_trace", cases::mount_points_leave_no_trace),
        (
            "background_processes_do_not_outlive_the_command",
            cases::background_processes_do_not_outlive_the_command,
        ),
        ("hostile_links_stay_inside", cases::hostile_links_stay_inside),
        ("hostile_dev_is_refused", cases::hostile_dev_is_refused),
        ("devices_are_there_and_gone", changed_root::devices_are_there_and_gone),
        ("network_none_refuses_sockets", changed_root::network_none_refuses_sockets),
    ];
    let not_here = ["owners_survive_a_copy_up", "a_killed_supervisor_ends_the_run"];
    all.extend(faked_ids::ALL.iter().filter(|(name, _)| !not_here.contains(name)));
    let not_here = [
        "a_program_executes_itself",
        "another_user_is_served_as_itself",
        "a_supervisor_that_is_killed_ends_the_run",
    ];
    all.extend(served_paths::ALL.iter().filter(|(name, _)| !not_here.contains(name)));
    all.extend(OWN);
    all
}

fn faked(fixture: &Fixture, script: &str) -> strata_sandbox::Command {
    let mut command = fixture.script(script);
    command.owners = Some(Vec::new());
    command
}

/// Copies a program of this machine with what it loads, and puts it where nothing else is.
fn borrow(fixture: &Fixture, program: &str, name: &str) -> bool {
    let listed = Command::new("ldd").arg(program).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
    let mut found = false;
    for library in libraries {
        let place = fixture.root.join(library.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(library, place).unwrap();
        found = true;
    }
    fs::copy(program, fixture.root.join("bin").join(name)).unwrap();
    found
}

fn dynamic_programs_are_loaded(fixture: &Fixture) {
    if !borrow(fixture, "/bin/ls", "borrowed") || !borrow(fixture, "/bin/bash", "bash") {
        println!("skipped: dynamic programs: needs a dynamic `ls` and `bash`");
        return;
    }
    let script = "borrowed /bin/borrowed; ln -s borrowed /bin/other; other -d /; \
                  bash -c 'cat /proc/$$/comm; readlink /proc/$$/exe; echo $0; true'; \
                  bash -c 'f() { (exec bash -c \"echo $1\"); }; for i in 1 2 3; do f $i & done; wait' | wc -l; \
                  cat /proc/self/cmdline one two 2>/dev/null | tr '\\0' ' '; bash -c 'exec -a named bash -c \"echo \\$0\"'";
    fs::remove_file(fixture.root.join("bin/wc")).unwrap();
    for applet in ["wc", "tr"] {
        symlink("busybox", fixture.root.join("bin").join(applet)).unwrap();
    }
    let expected =
        "/bin/borrowed\n/\nbash\n/bin/bash\nbash\n3\ncat /proc/self/cmdline one two named\n";
    assert_eq!(fixture.stdout(script), expected);
}

fn scripts_are_interpreted(fixture: &Fixture) {
    let write = |name: &str, content: &str| {
        let path = fixture.root.join("bin").join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    write("plain", "#!/bin/sh\necho \"$0 $# $*\"\ncat /proc/$$/comm\n");
    write("flag", "#!/bin/sh -e\nfalse\necho not here\n");
    write("nested", "#!/bin/plain one argument\n");
    write("through", "#! /bin/env sh\necho through $1\n");
    for round in ["a", "b"] {
        write(round, &format!("#!/bin/{}\n", if round == "a" { "b" } else { "a" }));
    }
    let cases = [
        ("plain x 'y z'", "/bin/plain 2 x y z\nplain\n"),
        ("cd /bin; ./plain x", "./plain 1 x\nplain\n"),
        ("flag || echo $?", "1\n"),
        ("nested x", "/bin/plain 3 one argument /bin/nested x\nnested\n"),
        ("through x", "through x\n"),
        ("a 2>/dev/null || echo no", "no\n"),
    ];
    for (script, expected) in cases {
        assert_eq!(fixture.stdout(script), expected, "{script}");
    }
}

fn programs_execute_what_proc_names(fixture: &Fixture) {
    // A busybox says so when it is called by a name that it does not know.
    let script = "/proc/self/exe 2>&1; exec 4</bin/busybox; /proc/self/fd/4 2>&1; \
                  /proc/self/fd 2>/dev/null || echo $?";
    let expected = "exe: applet not found\n4: applet not found\n126\n";
    assert_eq!(fixture.stdout(script), expected);
}

fn broken_programs_do_not_start(fixture: &Fixture) {
    let whole = fs::read("/bin/busybox").unwrap();
    let mut entry = whole.clone();
    entry[24..32].fill(0xff);
    let mut rows = whole.clone();
    rows[56..58].fill(0xff);
    let mut table = whole.clone();
    table[32..40].fill(0x7f);
    let programs =
        [whole[..100].to_vec(), whole[..5].to_vec(), entry, rows, table, Vec::new(), vec![0; 5000]];
    for (number, content) in programs.into_iter().enumerate() {
        let path = fixture.root.join("bin/broken");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let done = fixture
            .run(&fixture.script("broken 2>/dev/null; test $? -ne 0 && echo refused; echo on"));
        let ends = ["refused\non\n", "on\n"];
        assert!(ends.contains(&done.stdout.as_str()), "{number}: {done:?}");
    }
}

/// Whatever way is tried, nothing of the host is found.
fn paths_stay_inside(fixture: &Fixture) {
    let outside = fixture.directory.path().join("outside");
    fs::write(&outside, "outside").unwrap();
    symlink(&outside, fixture.root.join("absolute")).unwrap();
    symlink("../../../../../../../../../../etc/hostname", fixture.root.join("relative")).unwrap();
    fs::create_dir_all(fixture.root.join("etc")).unwrap();
    let path = outside.display();
    let tries = [
        format!("cat {path}"),
        "cat ../outside".to_owned(),
        "cd /; cat ../outside".to_owned(),
        "cd /bin; cat ../../outside".to_owned(),
        "cat /absolute".to_owned(),
        format!("cat {}/bin/busybox", fixture.root.display()),
        "cat /proc/self/cwd/../outside".to_owned(),
        "cat /proc/self/root/../outside".to_owned(),
        format!("cp {path} /copied"),
        format!("ln {path} /linked"),
        format!("mv {path} /moved"),
        format!("rm {path}"),
        format!("echo over > {path}"),
        format!("mkdir {path}.d/x"),
        format!("cd {}", fixture.directory.path().display()),
        format!("sh {path}"),
        format!("{path}"),
    ];
    for tried in tries {
        let done = fixture.run(&fixture.script(&tried));
        assert_ne!(done.exit(), Exit::Code(0), "{tried}: {done:?}");
        assert_eq!(done.stdout, "", "{tried}");
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "outside");
    assert_eq!(fixture.stdout("cat /relative"), "box\n");
    assert_eq!(fixture.stdout("cd ..; pwd; ls -d bin; cd bin/../..; pwd"), "/\nbin\n/\n");
}

fn modes_are_what_was_asked_for(fixture: &Fixture) {
    let script = "umask 027; echo a > /f; mkdir /d; umask 777; echo b > /g; mkdir /e; umask 022; \
                  chmod 0 /f; cat /f /g; echo more >> /f; chmod 0555 /d; echo x > /d/x; chmod 111 /d/x; \
                  chmod 4755 /g; ls -d /e /d/x; mv /e /d/e; mkfifo -m 0 /p; echo '#!/bin/sh' > /s; chmod 055 /s; /s; \
                  chmod 1777 /d/e; cp /bin/busybox /none; chmod 600 /none; /none 2>/dev/null || echo refused; \
                  stat -c '%a %n' /f /g /d /d/e /d/x /p /s; echo x >> /g; stat -c %a /g; chown 5 /g; stat -c %a /g";
    let done = fixture.run(&faked(fixture, script));
    assert_eq!(done.stderr, "");
    let expected = "a\nb\n/d/x\n/e\nrefused\n0 /f\n4755 /g\n555 /d\n1777 /d/e\n111 /d/x\n0 /p\n55 /s\n\
                    4755\n755\n";
    assert_eq!(done.stdout, expected);
    let owners = done.result.unwrap().owners.unwrap();
    let mode = |path: &str, mode| {
        let seems = Seeming { mode: Some(mode), ..Seeming::default() };
        Ownership { path: path.into(), seems }
    };
    let given = Ownership { path: "g".into(), seems: Seeming { uid: 5, ..Seeming::default() } };
    let expected = vec![
        mode("d", 0o555),
        mode("d/x", 0o111),
        mode("f", 0),
        given,
        mode("p", 0),
        mode("s", 0o55),
    ];
    assert_eq!(owners, expected);
}

fn modes_of_the_base_are_seen(fixture: &Fixture) {
    for name in ["secret", "program"] {
        fs::write(fixture.root.join(name), "#!/bin/sh\nid -u; id -ru\n").unwrap();
    }
    fs::set_permissions(fixture.root.join("program"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = faked(
        fixture,
        "stat -c '%a %u' /secret /program; rm /secret; touch /secret; stat -c %a /secret; /program",
    );
    let seems = |path: &str, uid, mode| {
        let seems = Seeming { uid, mode: Some(mode), ..Seeming::default() };
        Ownership { path: path.into(), seems }
    };
    command.owners = Some(vec![seems("secret", 7, 0o400), seems("program", 33, 0o6755)]);
    let done = fixture.run(&command);
    // A script gives no ids.
    assert_eq!(done.stdout, "400 7\n6755 33\n644\n0\n0\n", "{done:?}");
}

fn names_are_made_moved_and_removed(fixture: &Fixture) {
    let script = "mkdir -p a/b/c; cd a; echo 1 > b/f; ln b/f g; ln -s b/f l; mv b/c ./c/ 2>/dev/null; mv b/c d; \
                  rmdir d/; ln -s /missing dangling; rm dangling; echo 2 > l; cat g; mv g b/f; cat b/f; \
                  rm -r b; cat l 2>/dev/null || echo gone; touch -d @5 l2 && stat -c %Y l2; cd ..; rm -r a; \
                  test -e a || echo none; mkdir a/ && rmdir a/; rm / 2>/dev/null || echo kept; \
                  mkdir x; cd x; rmdir ../x; env pwd 2>/dev/null || echo unknown; ls | wc -l; touch y 2>/dev/null || echo nowhere";
    let done = fixture.run(&fixture.script(script));
    let expected = "2\n2\ngone\n5\nnone\nkept\nunknown\n0\nnowhere\n";
    assert_eq!(done.stdout, expected, "{done:?}");
}

fn pipes_are_waited_for(fixture: &Fixture) {
    let script = "mkfifo /p; (cat /p > /got) & sleep 0.1; echo through > /p; wait; cat /got; \
                  (echo again > /p) & cat < /p; cat /p & sleep 0.1; kill -9 $!; wait; echo ended; \
                  exec 3<>/p; echo both >&3; head -n 1 <&3";
    assert_eq!(fixture.run(&fixture.script(script)).stdout, "through\nagain\nended\nboth\n");
}

fn calls_of_a_program_are_translated(fixture: &Fixture) {
    fs::copy("/proc/self/exe", fixture.root.join("bin/program")).unwrap();
    fs::create_dir_all(fixture.root.join("run/deep")).unwrap();
    let stdout = fixture.stdout(&format!("cd /run; program {PROGRAM}"));
    assert_eq!(stdout, "/run\nthrough a socket\n/run/deep\nwatched\nfile 12\nlink\n0\nthreads\n");
}

/// What a shell cannot do.
pub(crate) fn be_a_program() -> ExitCode {
    use rustix::fs::{CWD, Mode, OFlags, inotify, openat};
    println!("{}", std::env::current_dir().unwrap().display());
    let listener = UnixListener::bind("socket").unwrap();
    let mut client = UnixStream::connect("/run/../run/socket").unwrap();
    client.write_all(b"through a socket").unwrap();
    drop(client);
    let mut text = String::new();
    listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
    println!("{text}");
    std::env::set_current_dir("deep").unwrap();
    println!("{}", std::env::current_dir().unwrap().display());
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC).unwrap();
    inotify::add_watch(&watch, "/run/deep", inotify::WatchFlags::CREATE).unwrap();
    fs::write("file", "twelve bytes").unwrap();
    assert!(rustix::io::read(&watch, &mut [0; 256]).unwrap() > 0);
    println!("watched");
    let location = openat(CWD, "file", OFlags::PATH, Mode::empty()).unwrap();
    println!("file {}", rustix::fs::fstat(&location).unwrap().st_size);
    symlink("nowhere", "link").unwrap();
    let link = openat(CWD, "link", OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()).unwrap();
    let mode = rustix::fs::fstat(&link).unwrap().st_mode;
    if rustix::fs::FileType::from_raw_mode(mode) == rustix::fs::FileType::Symlink {
        println!("link");
    }
    println!("{}", rustix::process::geteuid().as_raw());
    let threads: Vec<_> = (0..8)
        .map(|number| {
            std::thread::spawn(move || {
                let name = format!("/run/deep/{number}");
                fs::write(&name, number.to_string()).unwrap();
                let status = Command::new("/bin/true").status().unwrap();
                assert!(
                    status.success() && fs::read_to_string(name).unwrap() == number.to_string()
                );
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(Path::new("/run/deep/7").exists());
    // From a thread that is not the first: the kernel makes it that.
    let error = std::thread::spawn(|| {
        std::os::unix::process::CommandExt::exec(Command::new("/bin/echo").arg("threads"))
    });
    panic!("{:?}", error.join());
}

fn signals_stay_inside(fixture: &Fixture) {
    if strata_sys::kernel::landlock_version().is_ok_and(|version| version >= 6) {
        let script = "kill -9 $PPID 2>/dev/null || echo refused; sleep 100 & kill $!; echo on";
        assert_eq!(fixture.stdout(script), "refused\non\n");
    } else {
        println!("skipped: signals: needs Landlock of version 6");
    }
}

/// Also those who were stopped, or wait for the other end of a pipe.
fn cancel_kills_everything(fixture: &Fixture) {
    let cancel = Cancel::new().unwrap();
    let before = fixture.snapshot();
    let command = fixture.script(
        "trap '' TERM INT HUP; mkfifo /p; cat /p & (setsid sleep 1000 &); sleep 1000 & kill -STOP $!; \
         rm /p; echo ready; sleep 1000",
    );
    let result = fixture.isolation().run(&command, &cancel, &mut |_, _| cancel.cancel());
    assert_eq!(result, Err(RunError::Cancelled));
    let names = |found: Vec<(std::path::PathBuf, u32, u64, _)>| -> Vec<_> {
        found.into_iter().map(|(path, mode, size, _)| (path, mode, size)).collect()
    };
    assert_eq!(names(fixture.snapshot()), names(before));
    let root = fixture.root.canonicalize().unwrap();
    let places = fs::read_dir("/proc").unwrap();
    let places = places.filter_map(|entry| fs::read_link(entry.unwrap().path().join("cwd")).ok());
    assert_eq!(places.filter(|place| place.starts_with(&root)).count(), 0);
}

fn forbidden_calls_are_refused(fixture: &Fixture) {
    fs::copy("/bin/busybox", fixture.root.join("bin/busybox")).unwrap();
    for applet in ["chroot", "unshare"] {
        symlink("busybox", fixture.root.join("bin").join(applet)).unwrap();
    }
    let script = "chroot / /bin/echo same; chroot /bin /busybox true 2>/dev/null || echo refused; \
                  mount -t tmpfs x /bin 2>/dev/null || echo refused; unshare -r true 2>/dev/null || echo refused";
    let done = fixture.run(&fixture.script(script));
    assert_eq!(done.stdout, "same\nrefused\nrefused\nrefused\n", "{done:?}");
    drop(File::open(fixture.root.join("bin")).unwrap());
}
