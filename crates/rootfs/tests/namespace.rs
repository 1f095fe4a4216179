//! The same suite as root of a user namespace, as an unprivileged build has it.

use std::io::Write;
use std::process::{Command, Stdio};

use strata_sys::idmap::{IdKind, IdMap, IdRange};
use strata_sys::process::Pid;

/// Waits for its id maps, and only then becomes the suite: root of a namespace is who has a mapped id 0
/// when it executes a program.
const WAIT: &str = r#"read -r mapped && exec "$@""#;

#[test]
fn the_suite_holds_in_a_user_namespace() {
    let test = "the_suite_holds_in_a_user_namespace";
    let suite = std::env::current_exe().expect("the suite is a program");
    let child = Command::new("unshare")
        .args(["--user", "--mount", "sh", "-c", WAIT, "sh"])
        .arg(suite)
        .args(["cases::", "sharing::dropped", "sharing::layers_of_many", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("skipped: {test}: needs the program `unshare`");
        return;
    };
    let mut stdin = child.stdin.take().expect("it is piped");
    let pid = Pid::from_raw(child.id().try_into().expect("a process id")).expect("a process id");
    // Until `unshare` has made the namespace, the maps are those of the one we are in, and not to be changed.
    let map = IdMap::new(vec![IdRange { inside: 0, outside: 0, count: 65536 }]);
    let written = (0..10_000).any(|_| {
        std::thread::yield_now();
        map.write(pid, IdKind::User).is_ok()
    });
    if !written || map.write(pid, IdKind::Group).is_err() {
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        println!("skipped: {test}: needs to make user namespaces with a range of ids");
        return;
    }
    writeln!(stdin, "mapped").expect("it waits for this");
    let output = child.wait_with_output().expect("the suite ends");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("cases::contents_and_names ... "), "{text}");
    for skipped in text.lines().filter(|line| line.contains("skipped: ")) {
        println!("in a user namespace: {skipped}");
    }
}
