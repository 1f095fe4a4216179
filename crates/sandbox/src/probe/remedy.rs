//! What an administrator can do about a refusal.

use super::attempt::setting;
use crate::enter::Mode;

/// Looks at the settings that are known to forbid user namespaces, then at the reason.
pub(super) fn of(mode: Mode, reason: &str) -> Option<String> {
    let is = |path: &str, value: &str| setting(path).is_some_and(|found| found == value);
    if mode == Mode::MountsOnly {
        return without_user_namespace(reason).map(str::to_owned);
    }
    if is("/proc/sys/user/max_user_namespaces", "0") {
        return Some("set the sysctl `user.max_user_namespaces` above 0".into());
    }
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") && mode != Mode::Identity {
        return Some("set the sysctl `kernel.unprivileged_userns_clone` to 1".into());
    }
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") && mode != Mode::Identity {
        return Some(
            "give strata an AppArmor profile that allows `userns`, or set the sysctl \
             `kernel.apparmor_restrict_unprivileged_userns` to 0"
                .into(),
        );
    }
    by_reason(reason).map(str::to_owned)
}

/// What a build without namespaces needs.
pub(super) fn of_chroot(reason: &str) -> Option<String> {
    const KNOWN: [(&str, &str); 6] = [
        (
            "(a supervisor)",
            "allow `seccomp` to install a listener, and run strata under no other supervisor of system calls",
        ),
        ("set the owner", "run as root with the capability `CHOWN`"),
        ("(a device)", "put the state directory on a file system that can hold device nodes"),
        ("use a device", "put the state directory on a file system without the option `nodev`"),
        ("noexec", "put the state directory on a file system without the option `noexec`"),
        ("change the root", "allow the capability `SYS_CHROOT`"),
    ];
    let known = KNOWN.iter().find(|(part, _)| reason.contains(part));
    known.map(|(_, remedy)| (*remedy).to_owned())
}

/// What a build without any privileges needs.
#[cfg(target_arch = "x86_64")]
pub(super) fn of_translated(reason: &str) -> Option<String> {
    const KNOWN: [(&str, &str); 4] = [
        (
            "filter that notifies",
            "allow `seccomp` to install a listener, and run strata under no other supervisor of system calls",
        ),
        ("trace", "allow `ptrace` of own processes (in Yama, `kernel.yama.ptrace_scope` 0 or 1)"),
        ("noexec", "put the state directory on a file system without the option `noexec`"),
        ("create", "give strata a state directory that it can write to"),
    ];
    let known = KNOWN.iter().find(|(part, _)| reason.contains(part));
    known.map(|(_, remedy)| (*remedy).to_owned())
}

fn without_user_namespace(reason: &str) -> Option<&'static str> {
    reason.contains("NEWNS").then_some(
        "allow the capability `SYS_ADMIN`, with a seccomp profile that follows it; another rung asks for less",
    )
}

fn by_reason(reason: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 7] = [
        (
            "in a new pid namespace",
            "leave `/proc` unmasked (in Kubernetes `procMount: Unmasked`, in Podman `--security-opt unmask=ALL`)",
        ),
        ("uid_map", "allow the capabilities `SETUID`, `SETGID` and `SETFCAP`"),
        (
            "/etc/sub",
            "add a range for this user: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER`",
        ),
        (
            "cannot run `new",
            "install `newuidmap` and `newgidmap` (package `uidmap` or `shadow-utils`)",
        ),
        (
            "refused the map",
            "check that `newuidmap` is set-id root, that `no_new_privs` is not set, and the range of this user",
        ),
        (
            "NEWUSER",
            "allow `unshare` of user namespaces: in a container, a seccomp profile that permits it",
        ),
        (
            "overlay",
            "put the state directory on a file system that can hold an overlay's upper directory, such as a volume",
        ),
    ];
    KNOWN.iter().find(|(part, _)| reason.contains(part)).map(|(_, remedy)| *remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_follow_the_reason() {
        let cases = [
            ("user 5 has no range in `/etc/subuid`", Some("add a range")),
            ("cannot run `newuidmap`: No such file", Some("install `newuidmap`")),
            ("cannot unshare UnshareFlags(NEWUSER): x", Some("allow `unshare`")),
            ("cannot mount `overlay`", Some("put the state directory")),
            ("something else", None),
        ];
        for (reason, start) in cases {
            let remedy = by_reason(reason);
            assert_eq!(remedy.is_some(), start.is_some(), "{reason}");
            assert!(remedy.unwrap_or("").starts_with(start.unwrap_or("")), "{reason}: {remedy:?}");
        }
    }
}
