//! Owners, users and devices in a user namespace that has one id: a supervisor fakes them.

use std::fs;

use strata_sandbox::{Command, Device, Exit, Ownership, RunError, Seeming, User};
use strata_sys::mount::{Overlay, detach};

use crate::cases::Case;
use crate::fixture::Fixture;

pub(crate) const ALL: &[(&str, Case)] = &[
    ("files_are_given_away", files_are_given_away),
    ("owners_of_the_base_are_seen", owners_of_the_base_are_seen),
    ("owners_survive_a_copy_up", owners_survive_a_copy_up),
    ("processes_become_others", processes_become_others),
    ("new_files_belong_to_whoever_made_them", new_files_belong_to_whoever_made_them),
    ("directories_pass_their_group_on", directories_pass_their_group_on),
    ("devices_seem_to_be_made", devices_seem_to_be_made),
    ("a_deleted_file_leaves_no_owner", a_deleted_file_leaves_no_owner),
    ("a_command_of_another_user_is_that_user", a_command_of_another_user_is_that_user),
    ("children_keep_what_they_were_born_with", children_keep_what_they_were_born_with),
    ("a_killed_supervisor_ends_the_run", a_killed_supervisor_ends_the_run),
];

fn faked(fixture: &Fixture, script: &str, owners: Vec<Ownership>) -> Command {
    let mut command = fixture.script(script);
    command.owners = Some(owners);
    command
}

fn owned(path: &str, uid: u32, gid: u32) -> Ownership {
    Ownership { path: path.into(), seems: Seeming { uid, gid, ..Seeming::default() } }
}

/// What a script prints, and what files seem after it.
fn run(fixture: &Fixture, script: &str, owners: Vec<Ownership>) -> (String, Vec<Ownership>) {
    let done = fixture.run(&faked(fixture, script, owners));
    assert_eq!((done.exit(), done.stderr.as_str()), (Exit::Code(0), ""), "{script}");
    (done.stdout, done.result.unwrap().owners.unwrap())
}

fn files_are_given_away(fixture: &Fixture) {
    let script = "mkdir /d; echo x > /d/f; ln -s f /d/l; chown 33:34 /d; chown 5 /d/f; chown -h 7:8 /d/l; \
                  stat -c '%u:%g %n' /d /d/f /d/l; chown :9 /d/f; ln /d/f /d/same; mv /d/f /d/moved; \
                  stat -c '%u:%g %n' /d/moved; stat -L -c %u:%g /d/l 2>/dev/null || echo dangling; \
                  chown -h 0:0 /d/l; stat -c %u:%g /d/l";
    let (stdout, owners) = run(fixture, script, Vec::new());
    assert_eq!(stdout, "33:34 /d\n5:0 /d/f\n7:8 /d/l\n5:9 /d/moved\ndangling\n0:0\n");
    let expected = [owned("d", 33, 34), owned("d/moved", 5, 9), owned("d/same", 5, 9)];
    assert_eq!(owners, expected);
}

fn owners_of_the_base_are_seen(fixture: &Fixture) {
    fs::write(fixture.root.join("theirs"), "").unwrap();
    let base = vec![owned("theirs", 33, 34), owned("gone", 1, 1)];
    let script = "stat -c %u:%g /theirs; exec 3</theirs; stat -L -c %u:%g /bin/busybox";
    let (stdout, owners) = run(fixture, script, base);
    assert_eq!(stdout, "33:34\n0:0\n");
    assert_eq!(owners, [owned("theirs", 33, 34)]);
}

/// In an overlay a file of a lower layer gets another inode when it is written, and its owner stays.
fn owners_survive_a_copy_up(fixture: &Fixture) {
    let at = |name: &str| fixture.directory.path().join(name);
    for name in ["lower/dir/sub", "upper", "work"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    for name in ["written", "replaced", "moved", "deleted", "dir/in"] {
        fs::write(at("lower").join(name), "lower").unwrap();
    }
    let overlay = Overlay {
        lowers: vec![at("lower"), fixture.root.clone()],
        upper: Some((at("upper"), at("work"))),
        user_xattrs: true,
        volatile: true,
    };
    overlay.mount(&fixture.root).unwrap();
    let names = ["written", "replaced", "moved", "deleted", "dir", "dir/in", "dir/sub"];
    let base: Vec<_> = names.iter().map(|name| owned(name, 33, 34)).collect();
    let script = "echo more >> /written; echo new > /new; mv /new /replaced; mv /moved /dir/moved; \
                  rm /deleted; touch /deleted; mkdir /dir/sub/mine; \
                  stat -c %u:%g /written /replaced /dir/moved /deleted /dir /dir/sub /dir/sub/mine";
    let done = fixture.run(&faked(fixture, script, base));
    detach(&fixture.root).unwrap();
    assert_eq!(done.stderr, "");
    assert_eq!(done.stdout, "33:34\n0:0\n33:34\n0:0\n33:34\n33:34\n0:0\n");
    let expected =
        ["dir", "dir/in", "dir/moved", "dir/sub", "written"].map(|name| owned(name, 33, 34));
    assert_eq!(done.result.unwrap().owners.unwrap(), expected);
}

fn write_users(fixture: &Fixture) {
    fs::create_dir_all(fixture.root.join("etc")).unwrap();
    let users = "root:x:0:0::/:/bin/sh\nann:x:33:34::/:/bin/sh\n";
    fs::write(fixture.root.join("etc/passwd"), users).unwrap();
    fs::write(fixture.root.join("etc/group"), "root:x:0:\nann:x:34:\nmore:x:35:ann\n").unwrap();
}

fn processes_become_others(fixture: &Fixture) {
    write_users(fixture);
    let script =
        "id -u; su ann -c 'id -u; id -g; id -G; chown 0 /etc/passwd 2>/dev/null || echo no'; id -u";
    let (stdout, _) = run(fixture, script, Vec::new());
    assert_eq!(stdout, "0\n33\n34\n34 35\nno\n0\n");
}

fn new_files_belong_to_whoever_made_them(fixture: &Fixture) {
    write_users(fixture);
    let script = "mkdir -m 777 /d; su ann -c 'umask 027; cd /d; echo x > f; mkdir dir; ln -s f link; \
                  echo y >> f; ln f hard; mkfifo fifo; stat -c \"%a %u:%g %n\" f dir link fifo'; \
                  echo mine > /d/root; stat -c %u:%g /d/root";
    let (stdout, owners) = run(fixture, script, Vec::new());
    assert_eq!(stdout, "640 33:34 f\n750 33:34 dir\n777 33:34 link\n640 33:34 fifo\n0:0\n");
    let names = ["d/dir", "d/f", "d/fifo", "d/hard", "d/link"];
    assert_eq!(owners, names.map(|name| owned(name, 33, 34)));
}

fn directories_pass_their_group_on(fixture: &Fixture) {
    let script = "mkdir /d; chown 0:50 /d; chmod 2775 /d; echo x > /d/f; mkdir /d/sub; echo x > /d/sub/f; \
                  stat -c '%a %u:%g' /d/f /d/sub /d/sub/f";
    let (stdout, mut owners) = run(fixture, script, Vec::new());
    assert_eq!(stdout, "644 0:50\n2755 0:50\n644 0:50\n");
    // Where the disk has no set-id bits, the journal does.
    for owner in &mut owners {
        owner.seems.mode = None;
    }
    assert_eq!(owners, ["d", "d/f", "d/sub", "d/sub/f"].map(|name| owned(name, 0, 50)));
}

fn devices_seem_to_be_made(fixture: &Fixture) {
    let script = "mknod -m 620 /null c 1 3; mknod /disk b 8 1; stat -c '%F %a %t:%T' /null /disk; chown 0:6 /disk";
    let (stdout, owners) = run(fixture, script, Vec::new());
    assert_eq!(stdout, "character special file 620 1:3\nblock special file 644 8:1\n");
    let device = |path: &str, gid, device| Ownership {
        path: path.into(),
        seems: Seeming { gid, device: Some(device), ..Seeming::default() },
    };
    let expected = [
        device("disk", 6, Device::Block { major: 8, minor: 1 }),
        device("null", 0, Device::Character { major: 1, minor: 3 }),
    ];
    assert_eq!(owners, expected);
    // The next command sees them again.
    assert_eq!(run(fixture, "stat -c %F /null", owners).0, "character special file\n");
}

fn a_deleted_file_leaves_no_owner(fixture: &Fixture) {
    let script = "n=0; while test $n -lt 50; do echo x > /f$n; chown 33 /f$n; n=$((n+1)); done; rm /f*; \
                  sleep 0.02; n=0; while test $n -lt 50; do echo y > /g$n; n=$((n+1)); done; \
                  stat -c %u /g* | grep -vc '^0$' || true";
    let (stdout, owners) = run(fixture, script, Vec::new());
    assert_eq!((stdout.as_str(), owners), ("0\n", Vec::new()));
}

fn a_command_of_another_user_is_that_user(fixture: &Fixture) {
    fs::create_dir(fixture.root.join("home")).unwrap();
    let script = "id -u; id -G; echo x > /home/f; stat -c %u:%g /home/f; echo x > /dev/stdout";
    let mut command = faked(fixture, script, vec![owned("home", 33, 34)]);
    command.user = User { uid: 33, gid: 34, groups: vec![34, 35] };
    let done = fixture.run(&command);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("33\n34 35\n33:34\nx\n", ""));
    let owners = done.result.unwrap().owners.unwrap();
    assert_eq!(owners, [owned("home", 33, 34), owned("home/f", 33, 34)]);
}

fn children_keep_what_they_were_born_with(fixture: &Fixture) {
    write_users(fixture);
    // The inner shells end before the last one asks who it is.
    let script = "mkfifo /go; su ann -c '( (read x < /go; id -u > /who) & ) & exit 0'; \
                  echo go > /go; while ! test -s /who; do :; done; cat /who; id -u";
    let (stdout, _) = run(fixture, script, Vec::new());
    assert_eq!(stdout, "33\n0\n");
}

fn a_killed_supervisor_ends_the_run(fixture: &Fixture) {
    // Only its builder can reach it: it is not in the command's pid namespace.
    let command =
        faked(fixture, "echo ready; while true; do stat /bin/sh > /dev/null; done", Vec::new());
    let cancel = strata_sandbox::Cancel::new().unwrap();
    let result = fixture.isolation().run(&command, &cancel, &mut |_, _| {
        let own = rustix::process::getpid().as_raw_nonzero();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
        for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            let pid = rustix::process::Pid::from_raw(child).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
    });
    assert!(matches!(result, Err(RunError::HelperLost { .. })), "{result:?}");
}
