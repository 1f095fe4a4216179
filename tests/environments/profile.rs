//! Seccomp profiles, stated by what container engines document of theirs.

use serde_json::{Value, json};

/// The calls that Docker's profile allows without conditions in a container with its default capabilities.
const ALLOWED_CALLS: &str = include_str!("../../testdata/environments/allowed-calls.txt");

/// What Docker's profile adds for `CAP_SYS_ADMIN`; `pivot_root` is not among it.
const OF_SYS_ADMIN: [&str; 19] = [
    "bpf",
    "clone",
    "clone3",
    "fanotify_init",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "perf_event_open",
    "setdomainname",
    "sethostname",
    "setns",
    "umount",
    "umount2",
    "unshare",
];

/// What Podman's profile allows beyond Docker's to everybody.
const OF_PODMAN: [&str; 15] = [
    "clone",
    "clone3",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "keyctl",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "pivot_root",
    "umount",
    "umount2",
    "unshare",
];

/// What `AppArmor`'s profile for containers refuses.
const MOUNTING: [&str; 8] =
    ["fsmount", "fsopen", "mount", "move_mount", "open_tree", "pivot_root", "umount", "umount2"];

const NEW_USER_NAMESPACE: u64 = 0x1000_0000;
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// A seccomp profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Profile {
    /// None at all.
    Unconfined,
    /// Docker's, which is also what runtimes for Kubernetes call theirs.
    Docker,
    /// The same without this call.
    DockerWithout(&'static str),
    /// Docker's for a container with `CAP_SYS_ADMIN`.
    DockerSysAdmin,
    /// The same on a host that allows no user namespaces.
    DockerSysAdminWithoutUsers,
    /// Podman's.
    Podman,
    /// Nothing but mounting is refused: what `AppArmor` does, by other means.
    MountsDenied,
}

impl Profile {
    /// The profile in a runtime's configuration.
    pub(super) fn to_json(self) -> Value {
        match self {
            Self::Unconfined => Value::Null,
            Self::Docker | Self::DockerWithout(_) => {
                let mut rules = common(match self {
                    Self::DockerWithout(call) => Some(call),
                    _ => None,
                });
                // No namespaces, by either call.
                rules.push(allowed_with(&["clone"], &without_flags(NEW_NAMESPACES)));
                rules.push(refused(&["clone3"], 38));
                profile("SCMP_ACT_ERRNO", 1, &rules)
            }
            Self::DockerSysAdmin => {
                let mut rules = common(None);
                rules.push(allowed(&OF_SYS_ADMIN));
                profile("SCMP_ACT_ERRNO", 1, &rules)
            }
            Self::DockerSysAdminWithoutUsers => {
                let mut rules = common(None);
                let calls = OF_SYS_ADMIN
                    .iter()
                    .filter(|call| !matches!(**call, "clone" | "clone3" | "unshare"));
                rules.push(allowed(&calls.copied().collect::<Vec<_>>()));
                rules.push(allowed_with(&["clone", "unshare"], &without_flags(NEW_USER_NAMESPACE)));
                rules.push(refused(&["clone3"], 38));
                profile("SCMP_ACT_ERRNO", 1, &rules)
            }
            Self::Podman => {
                let mut rules = common(None);
                rules.push(allowed(&OF_PODMAN));
                rules.push(refused(&["setdomainname", "sethostname", "setns"], 1));
                profile("SCMP_ACT_ERRNO", 38, &rules)
            }
            Self::MountsDenied => profile("SCMP_ACT_ALLOW", 1, &[refused(&MOUNTING, 13)]),
        }
    }
}

fn profile(action: &str, errno: u32, rules: &[Value]) -> Value {
    let mut profile = json!({
        "defaultAction": action,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    });
    if action == "SCMP_ACT_ERRNO" {
        profile["defaultErrnoRet"] = errno.into();
    }
    profile
}

/// What is allowed without conditions, but for one call.
fn common(but: Option<&str>) -> Vec<Value> {
    let calls = ALLOWED_CALLS.split_whitespace();
    let calls: Vec<&str> = calls.filter(|call| Some(*call) != but).collect();
    let argument =
        |value: u64, operation: &str| json!([{"index": 0, "value": value, "op": operation}]);
    let mut rules = vec![allowed(&calls)];
    for (value, operation) in [(38, "SCMP_CMP_LT"), (39, "SCMP_CMP_EQ"), (40, "SCMP_CMP_GT")] {
        rules.push(allowed_with(&["socket"], &argument(value, operation)));
    }
    for value in [0, 8, 0x20000, 0x20008, 0xffff_ffff] {
        rules.push(allowed_with(&["personality"], &argument(value, "SCMP_CMP_EQ")));
    }
    rules
}

fn allowed(names: &[&str]) -> Value {
    json!({"names": names, "action": "SCMP_ACT_ALLOW"})
}

fn allowed_with(names: &[&str], arguments: &Value) -> Value {
    json!({"names": names, "action": "SCMP_ACT_ALLOW", "args": arguments})
}

fn refused(names: &[&str], errno: u32) -> Value {
    json!({"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno})
}

fn without_flags(flags: u64) -> Value {
    json!([{"index": 0, "value": flags, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}])
}
