//! The environments: what a container engine gives, and which ways of isolating commands work there.

use super::profile::Profile;

/// What a container has, and what is expected in it.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of a container that is there or is not"
)]
pub(super) struct Environment {
    pub(super) name: &'static str,
    /// In the words of whoever runs such containers.
    pub(super) description: &'static str,
    pub(super) user: (u32, u32),
    pub(super) capabilities: &'static [&'static str],
    pub(super) profile: Profile,
    pub(super) no_new_privileges: bool,
    /// Whether the runtime hides parts of `/proc`.
    pub(super) masked: bool,
    /// Whether the container has a user namespace of its own (`hostUsers: false`).
    pub(super) own_users: bool,
    pub(super) read_only_root: bool,
    /// `CapEff` in `/proc/self/status`.
    pub(super) effective: &'static str,
    /// Every way that works, best first; the first is taken.
    pub(super) rungs: &'static [&'static str],
}

/// Docker's default capabilities.
const DOCKER: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

const DOCKER_AND_SYS_ADMIN: [&str; 15] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
    "CAP_SYS_ADMIN",
];

const PODMAN: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

const CRI_O: [&str; 9] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_KILL",
];

/// An ordinary container as Docker starts it. The others say what differs.
pub(super) const ORDINARY: Environment = Environment {
    name: "docker",
    description: "root in an ordinary container: Docker's capabilities and seccomp profile",
    user: (0, 0),
    capabilities: &DOCKER,
    profile: Profile::Docker,
    no_new_privileges: false,
    masked: true,
    own_users: false,
    read_only_root: false,
    effective: "00000000a80425fb",
    rungs: &["chroot-supervised", "translated"],
};

/// All of them.
pub(super) const ENVIRONMENTS: [Environment; 14] = [
    ORDINARY,
    Environment {
        name: "podman",
        description: "root in a container with Podman's capabilities and seccomp profile",
        capabilities: &PODMAN,
        profile: Profile::Podman,
        effective: "00000000800405fb",
        rungs: &["own-range", "userns-single", "chroot-supervised", "translated"],
        ..ORDINARY
    },
    Environment {
        name: "pod",
        description: "root in a Kubernetes pod without a seccomp profile",
        profile: Profile::Unconfined,
        rungs: &["own-range", "userns-single", "chroot-supervised", "translated"],
        ..ORDINARY
    },
    Environment {
        name: "pod-no-mounts",
        description: "the same with mounts denied, as AppArmor does",
        profile: Profile::MountsDenied,
        ..ORDINARY
    },
    Environment {
        name: "pod-cri-o",
        description: "the same with CRI-O's capabilities: no SETFCAP, SYS_CHROOT and MKNOD",
        capabilities: &CRI_O,
        profile: Profile::Unconfined,
        effective: "00000000000005fb",
        rungs: &["own-range", "translated"],
        ..ORDINARY
    },
    Environment {
        name: "restricted",
        description: "the restricted Pod Security Standard: user 1000 without capabilities, read-only root",
        user: (1000, 1000),
        capabilities: &[],
        no_new_privileges: true,
        read_only_root: true,
        effective: "0000000000000000",
        rungs: &["translated"],
        ..ORDINARY
    },
    Environment {
        name: "restricted-any-user",
        description: "the same as an arbitrary user of group 0, as OpenShift starts it",
        user: (1_000_660_000, 0),
        capabilities: &[],
        no_new_privileges: true,
        read_only_root: true,
        effective: "0000000000000000",
        rungs: &["translated"],
        ..ORDINARY
    },
    Environment {
        name: "restricted-no-ptrace",
        description: "the restricted standard with a seccomp profile that refuses ptrace",
        user: (1000, 1000),
        capabilities: &[],
        profile: Profile::DockerWithout("ptrace"),
        no_new_privileges: true,
        read_only_root: true,
        effective: "0000000000000000",
        rungs: &[],
        ..ORDINARY
    },
    Environment {
        name: "restricted-unconfined",
        description: "the restricted standard without a seccomp profile",
        user: (1000, 1000),
        capabilities: &[],
        profile: Profile::Unconfined,
        no_new_privileges: true,
        read_only_root: true,
        effective: "0000000000000000",
        rungs: &["userns-single", "translated"],
        ..ORDINARY
    },
    Environment {
        name: "own-users",
        description: "a pod with `hostUsers: false`, default capabilities and seccomp profile",
        own_users: true,
        ..ORDINARY
    },
    Environment {
        name: "own-users-sys-admin",
        description: "the same with SYS_ADMIN",
        capabilities: &DOCKER_AND_SYS_ADMIN,
        profile: Profile::DockerSysAdmin,
        own_users: true,
        effective: "00000000a82425fb",
        rungs: &["own-range", "userns-single", "own-mounts", "chroot-supervised", "translated"],
        ..ORDINARY
    },
    Environment {
        name: "own-users-sys-admin-no-userns",
        description: "the same on a host that allows no further user namespaces",
        capabilities: &DOCKER_AND_SYS_ADMIN,
        profile: Profile::DockerSysAdminWithoutUsers,
        own_users: true,
        effective: "00000000a82425fb",
        rungs: &["own-mounts", "chroot-supervised", "translated"],
        ..ORDINARY
    },
    Environment {
        name: "own-users-unconfined",
        description: "a pod with `hostUsers: false` without a seccomp profile",
        profile: Profile::Unconfined,
        own_users: true,
        rungs: &["own-range", "userns-single", "chroot-supervised", "translated"],
        ..ORDINARY
    },
    Environment {
        name: "own-users-unmasked",
        description: "the same with `procMount: Unmasked`",
        profile: Profile::Unconfined,
        masked: false,
        own_users: true,
        rungs: &["userns-range", "own-range", "userns-single", "chroot-supervised", "translated"],
        ..ORDINARY
    },
];

impl Environment {
    /// What `/proc/self/status` must say.
    pub(super) fn status(&self) -> Vec<String> {
        let seccomp = if self.profile == Profile::Unconfined { 0 } else { 2 };
        vec![
            format!("CapEff:\t{}", self.effective),
            format!("Seccomp:\t{seccomp}"),
            format!("NoNewPrivs:\t{}", u8::from(self.no_new_privileges)),
            format!("Uid:\t{0}\t{0}\t{0}\t{0}", self.user.0),
        ]
    }

    /// What `/proc/self/uid_map` must say.
    pub(super) fn user_map(&self) -> [u32; 3] {
        if self.own_users { [0, FIRST_OWN_USER, OWN_USERS] } else { [0, 0, u32::MAX] }
    }

    /// What a user of the container is outside.
    pub(super) fn outside(&self, id: u32) -> u32 {
        if self.own_users { FIRST_OWN_USER + id } else { id }
    }
}

/// The users of a container that has its own.
pub(super) const FIRST_OWN_USER: u32 = 100_000;
pub(super) const OWN_USERS: u32 = 65_536;
