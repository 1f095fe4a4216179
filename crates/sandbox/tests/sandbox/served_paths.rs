//! `/proc` and `/dev` where nothing can be mounted: a supervisor answers for them.

use std::fs;

use strata_sandbox::{Exit, RunError, User};

use crate::cases::Case;
use crate::fixture::Fixture;

/// The argument of this executable inside a root.
pub(crate) const MAKE_A_TERMINAL: &str = "--make-a-terminal";

/// Another.
pub(crate) const DESCRIBE_AND_MAKE: &str = "--describe-and-make";

pub(crate) const ALL: &[(&str, Case)] = &[
    ("own_process_is_there", own_process_is_there),
    ("own_processes_are_there_and_no_others", own_processes_are_there_and_no_others),
    ("global_files_are_there_to_read", global_files_are_there_to_read),
    ("relative_paths_in_proc_work", relative_paths_in_proc_work),
    ("descriptors_have_names", descriptors_have_names),
    ("terminals_can_be_made", terminals_can_be_made),
    (
        "descriptors_are_described_and_nothing_is_made_twice",
        descriptors_are_described_and_nothing_is_made_twice,
    ),
    ("another_user_is_served_as_itself", another_user_is_served_as_itself),
    ("a_program_executes_itself", a_program_executes_itself),
    ("links_of_proc_do_not_lead_out", links_of_proc_do_not_lead_out),
    ("changing_arguments_lead_nowhere", changing_arguments_lead_nowhere),
    ("a_supervisor_that_is_killed_ends_the_run", a_supervisor_that_is_killed_ends_the_run),
];

fn own_process_is_there(fixture: &Fixture) {
    let cases = [
        ("readlink /proc/self/exe", "/bin/busybox\n"),
        ("readlink /proc/self/root", "/\n"),
        ("cd /bin; readlink /proc/self/cwd", "/bin\n"),
        ("cat /proc/self/comm", "cat\n"),
        ("cat /proc/thread-self/comm", "cat\n"),
        ("test $(readlink /proc/self) -gt 1 && echo number", "number\n"),
        ("readlink /proc/mounts", "self/mounts\n"),
        ("cat /proc/$$/comm; true", "sh\n"),
        ("head -c 4 /proc/self/exe | wc -c", "4\n"),
        (
            "test -d /proc/self/fd && test -e /proc/self/maps && test ! -e /proc/self/x && echo so",
            "so\n",
        ),
        (
            "grep -c busybox /proc/self/maps >/dev/null && grep -o ' /bin/busybox' /proc/self/maps | head -n 1",
            " /bin/busybox\n",
        ),
        ("echo 500 > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj", "500\n"),
        (
            "stat -L -c %F /proc/self/exe; stat -c %F /proc/self/exe /proc/self",
            "regular file\nsymbolic link\nsymbolic link\n",
        ),
        ("ls /proc/self/root | grep -c bin", "1\n"),
        ("ls -l /proc/self/fd 2>/dev/null | grep -c ' 0 -> '", "1\n"),
    ];
    for (script, expected) in cases {
        assert_eq!(fixture.stdout(script), expected, "{script}");
    }
}

fn a_program_executes_itself(fixture: &Fixture) {
    // A busybox says so when it is called by a name that it does not know.
    let cases = [
        ("/proc/self/exe 2>&1; true", "exe: applet not found\n"),
        ("/proc/$$/exe 2>&1 | grep -c applet", "1\n"),
        (
            "mkdir -p /srv/long/way/to; cp /bin/busybox /srv/long/way/to/; cd /srv; \
             long/way/to/busybox sh -c '/proc/self/exe; /proc/self/exe' 2>&1; \
             exec 4</srv/long/way/to/busybox; /proc/self/fd/4 2>&1; true",
            "exe: applet not found\nexe: applet not found\nexe: applet not found\n",
        ),
        (
            "/proc/self/fd 2>/dev/null; /proc/self/none 2>/dev/null; /proc/self/fd/9 2>/dev/null; echo $?",
            "127\n",
        ),
    ];
    for (script, expected) in cases {
        assert_eq!(fixture.stdout(script), expected, "{script}");
    }
}

fn own_processes_are_there_and_no_others(fixture: &Fixture) {
    let script = "sleep 100 & grep -c Tgid /proc/$!/status; kill $!; \
                  (setsid sleep 7 & echo $! > /orphan); grep -c Tgid /proc/$(cat /orphan)/status; \
                  ls /proc | grep -c \"^$(cat /orphan)$\"; rm /orphan; \
                  for other in 1 $PPID; do test -e /proc/$other/stat && echo seen; done; \
                  ls /proc | grep -c '^1$'";
    assert_eq!(fixture.run(&fixture.script(script)).stdout, "1\n1\n1\n0\n");
}

fn global_files_are_there_to_read(fixture: &Fixture) {
    let script = "for name in cpuinfo meminfo filesystems uptime stat loadavg version net/dev \
                  sys/kernel/ostype sys/kernel/random/uuid; do \
                  test -n \"$(head -c 1 /proc/$name)\" || echo missing $name; done; \
                  cat /proc/sys/kernel/ostype; ls /proc | grep -c meminfo";
    assert_eq!(fixture.stdout(script), "Linux\n1\n");
    let done = fixture.run(&fixture.script("echo x > /proc/sys/kernel/hostname"));
    assert!(done.stderr.contains("Read-only file system"), "{done:?}");
    let done = fixture.run(&fixture.script("cat /proc/kcore"));
    assert!(done.stderr.contains("No such file"), "{done:?}");
}

fn relative_paths_in_proc_work(fixture: &Fixture) {
    let script = "cd /proc && head -c 8 meminfo; echo; cat self/comm; cat ../etc/hostname";
    assert_eq!(fixture.stdout(script), "MemTotal\ncat\nbox\n");
}

fn descriptors_have_names(fixture: &Fixture) {
    fs::write(fixture.root.join("words"), "words\n").unwrap();
    let cases = [
        ("echo out > /dev/stdout; echo more >> /dev/stdout", "out\nmore\n"),
        ("echo piped | cat /dev/stdin", "piped\n"),
        ("exec 3</words; cat /dev/fd/3", "words\n"),
        ("exec 3</words; cat /proc/self/fd/3; readlink /proc/self/fd/3", "words\n/words\n"),
        ("echo piped | cat /proc/self/fd/0", "piped\n"),
        ("exec 5</words; ls /dev/fd/ | grep -c 5", "1\n"),
        (
            "echo quiet > /dev/stderr 2>/dev/null; test -e /dev/fd/1 && test ! -e /dev/fd/9 && echo so",
            "so\n",
        ),
    ];
    for (script, expected) in cases {
        let done = fixture.run(&fixture.script(script));
        assert_eq!(done.stdout, expected, "{script}: {done:?}");
    }
}

fn terminals_can_be_made(fixture: &Fixture) {
    fs::copy("/proc/self/exe", fixture.root.join("bin/terminal")).unwrap();
    let script = format!("terminal {MAKE_A_TERMINAL}");
    assert_eq!(fixture.stdout(&script), "hello\n");
    // Those of others are none of its business.
    let script = "for n in 0 1 2 3; do test -e /dev/pts/$n && echo $n; done; true";
    assert_eq!(fixture.stdout(script), "");
}

/// Makes a terminal, and passes a line through it.
pub(crate) fn make_a_terminal() {
    use rustix::fs::{Mode, OFlags, open};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    assert_eq!(rustix::termios::ttyname(&theirs, Vec::new()).unwrap(), name);
    rustix::io::write(&ours, b"hello\n").unwrap();
    let mut line = [0; 16];
    let length = rustix::io::read(&theirs, &mut line).unwrap();
    print!("{}", String::from_utf8_lossy(&line[..length]));
}

/// Calls that the kernel answers alone, as they are about nothing that is served.
fn descriptors_are_described_and_nothing_is_made_twice(fixture: &Fixture) {
    fs::copy("/proc/self/exe", fixture.root.join("bin/made")).unwrap();
    let expected = "/proc/self/status: RegularFile RegularFile\n\
                    /dev/null: CharacterDevice CharacterDevice\n\
                    /proc/self/exe: RegularFile RegularFile\n\
                    /dev/null: File exists (os error 17)\n\
                    /dev/tty: File exists (os error 17)\n\
                    /srv/new: made\n\
                    /srv/new: File exists (os error 17)\n";
    assert_eq!(fixture.stdout(&format!("mkdir -p /srv; made {DESCRIBE_AND_MAKE}")), expected);
    assert_eq!(fixture.stdout("ls /dev/null; cat /dev/null; wc -c < /srv/new"), "/dev/null\n0\n");
}

/// Says what opened files are, and which files can be made anew.
pub(crate) fn describe_and_make() {
    use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, StatxFlags, openat, statat, statx};
    for path in ["/proc/self/status", "/dev/null", "/proc/self/exe"] {
        let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let stat = statat(&file, "", AtFlags::EMPTY_PATH).unwrap();
        let full = statx(&file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).unwrap();
        let kinds = [stat.st_mode, full.stx_mode.into()].map(FileType::from_raw_mode);
        println!("{path}: {:?} {:?}", kinds[0], kinds[1]);
    }
    let anew = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    for path in ["/dev/null", "/dev/tty", "/srv/new", "/srv/new"] {
        match openat(CWD, path, anew, Mode::from(0o600)) {
            Ok(_) => println!("{path}: made"),
            Err(errno) => println!("{path}: {}", std::io::Error::from(errno)),
        }
    }
}

fn another_user_is_served_as_itself(fixture: &Fixture) {
    let mut command = fixture.script(
        "grep ^Uid /proc/self/status; readlink /proc/self/exe; echo x > /dev/stdout; \
         ls /proc/self/fd | head -n 2; cat /proc/self/environ > /dev/null && echo mine; \
         head -c 9 /proc/self/root/etc/shadow; head -c 3 /proc/meminfo",
    );
    fs::create_dir_all(fixture.root.join("etc")).unwrap();
    fs::write(fixture.root.join("etc/shadow"), "forbidden").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(fixture.root.join("etc/shadow"), mode).unwrap();
    command.user = User { uid: 33, gid: 34, groups: vec![34] };
    let done = fixture.run(&command);
    let expected = "Uid:\t33\t33\t33\t33\n/bin/busybox\nx\n0\n1\nmine\nMem";
    assert_eq!(done.stdout, expected, "{done:?}");
    assert!(done.stderr.contains("Permission denied"), "{done:?}");
}

fn links_of_proc_do_not_lead_out(fixture: &Fixture) {
    let outside = fixture.directory.path().join("outside");
    fs::write(&outside, "outside").unwrap();
    let path = outside.display();
    let tries = [
        format!("/proc/self/root{path}"),
        "/proc/self/root/../outside".to_owned(),
        "/proc/self/root/../../../../../../../etc/passwd".to_owned(),
        "/proc/self/cwd/../outside".to_owned(),
        "/proc/self/fd/3/../outside".to_owned(),
        "/proc/self/fd/../../../../outside".to_owned(),
        "/proc/self/root/link".to_owned(),
        format!("/proc/1/root{path}"),
        "/proc/self/task/$$/root/../outside".to_owned(),
    ];
    std::os::unix::fs::symlink(&outside, fixture.root.join("link")).unwrap();
    for tried in tries {
        let done = fixture.run(&fixture.script(&format!("exec 3</; cat {tried}")));
        assert_eq!((done.exit(), done.stdout.as_str()), (Exit::Code(1), ""), "{tried}");
    }
}

/// Ends when every open of a path that changes all the time has been answered, and no answer was a
/// file of the host. The program is one of this machine's, and tells what it got.
fn changing_arguments_lead_nowhere(fixture: &Fixture) {
    // Two shells change a link that the path goes through; the supervisor goes by its own reading.
    let outside = fixture.directory.path().join("outside");
    fs::write(&outside, "outside").unwrap();
    let script = format!(
        "mkdir /a; echo inside > /a/f; (while true; do ln -sfn {} /a/l; ln -sfn f /a/l; done) & \
         n=0; while test $n -lt 200; do cat /proc/self/root/a/l 2>/dev/null; n=$((n+1)); done \
         | grep -c outside; kill $!; rm -r /a",
        outside.display()
    );
    assert_eq!(fixture.run(&fixture.script(&script)).stdout, "0\n");
}

fn a_supervisor_that_is_killed_ends_the_run(fixture: &Fixture) {
    let before = fixture.snapshot();
    let script = "kill -9 $PPID; while true; do cat /proc/uptime; done > /dev/null 2>&1";
    let done = fixture.run(&fixture.script(script));
    let error = done.result.unwrap_err();
    assert!(matches!(error, RunError::HelperLost { .. }), "{error:?}");
    assert_eq!(fixture.snapshot(), before);
}
