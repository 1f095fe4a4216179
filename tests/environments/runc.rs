//! Containers that runc makes, with a root and a volume of their own.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::table::{Environment, FIRST_OWN_USER, OWN_USERS};
use crate::person::STRATA;
use crate::requirement::busybox;

const MASKED: [&str; 9] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];

const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Where the volume is, inside.
pub(super) const VOLUME: &str = "/volume";

static STARTED: AtomicU32 = AtomicU32::new(0);

/// Which network a container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Net {
    /// One of its own, with nothing but a loopback interface.
    Own,
    /// The machine's.
    Machine,
}

/// Mounts the root as container engines do, where nobody else sees it: an overlay, so that what is written to the
/// root shows in a directory of its own.
const MOUNTED: &str = r#"
    mount -t overlay overlay -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" "$1/rootfs"
    shift
    exec runc "$@"
"#;

/// The static program and a busybox in a root, and a volume.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) environment: Environment,
    net: Net,
    directory: tempfile::TempDir,
}

/// What runc is told of a container in this environment, with a volume on [`VOLUME`].
pub(super) fn config(
    environment: &Environment,
    net: Net,
    volume: &Path,
    arguments: &[&str],
) -> Value {
    let mount = |target: &str, kind: &str, options: &[&str]| json!({"destination": target, "type": kind, "source": kind, "options": options});
    let mut namespaces = vec![
        json!({"type": "pid"}),
        json!({"type": "mount"}),
        json!({"type": "ipc"}),
        json!({"type": "uts"}),
    ];
    // A sysfs belongs to a network namespace; that of the machine is not ours to mount.
    let sys = match net {
        Net::Own => {
            namespaces.push(json!({"type": "network"}));
            mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"])
        }
        Net::Machine => {
            // In a user namespace what is mounted below cannot be left behind.
            let bind = if environment.own_users { "rbind" } else { "bind" };
            let options = [bind, "ro", "nosuid", "noexec", "nodev"];
            json!({"destination": "/sys", "type": "bind", "source": "/sys", "options": options})
        }
    };
    let variables = ["PATH=/bin", "HOME=/root", "SOURCE_DATE_EPOCH=1700000000"];
    // Enough for a build, and an end to what forks without one.
    let mut linux = json!({"resources": {"pids": {"limit": 200}}});
    if environment.own_users {
        namespaces.push(json!({"type": "user"}));
        let map = json!([{"containerID": 0, "hostID": FIRST_OWN_USER, "size": OWN_USERS}]);
        linux["uidMappings"] = map.clone();
        linux["gidMappings"] = map;
    }
    linux["namespaces"] = namespaces.into();
    if environment.masked {
        linux["maskedPaths"] = json!(MASKED);
        linux["readonlyPaths"] = json!(READ_ONLY);
    }
    let profile = environment.profile.to_json();
    if !profile.is_null() {
        linux["seccomp"] = profile;
    }
    let capabilities = environment.capabilities;
    json!({
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs", "readonly": environment.read_only_root},
        "hostname": "ordinary",
        "process": {
            "terminal": false,
            "user": {"uid": environment.user.0, "gid": environment.user.1},
            "args": arguments,
            "env": variables,
            "cwd": "/",
            "noNewPrivileges": environment.no_new_privileges,
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            },
        },
        "mounts": [
            mount("/proc", "proc", &[]),
            mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
            mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777"]),
            sys,
            mount("/small", "tmpfs", &["nosuid", "mode=1777", "size=64m"]),
            {"destination": VOLUME, "type": "bind", "source": volume, "options": ["rbind", "rw"]},
        ],
        "linux": linux,
    })
}

impl Container {
    pub(super) fn new(environment: Environment, net: Net) -> Result<Self> {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let container = Self { environment, net, directory };
        let root = container.at("lower");
        for directory in ["bin", "etc", "proc", "root", "small", "sys", "dev", "tmp", "volume"] {
            fs::create_dir_all(root.join(directory))?;
        }
        for directory in ["upper", "work", "rootfs"] {
            fs::create_dir_all(container.at(directory))?;
        }
        fs::copy(STRATA, root.join("bin/strata"))?;
        fs::copy(busybox().context("it was required")?, root.join("bin/busybox"))?;
        for name in ["sh", "cat", "sleep", "mkdir", "dd", "ps"] {
            symlink("busybox", root.join("bin").join(name))?;
        }
        fs::write(root.join("etc/resolv.conf"), "nameserver 192.0.2.1\n")?;
        if net == Net::Machine {
            for file in ["etc/resolv.conf", "etc/hosts"] {
                fs::copy(Path::new("/").join(file), root.join(file))?;
            }
        }
        // The runtime gives a file system in memory the mode of the directory that it is mounted on.
        for directory in ["small", "tmp"] {
            fs::set_permissions(root.join(directory), fs::Permissions::from_mode(0o1777))?;
        }
        for directory in ["context", "out"] {
            fs::create_dir_all(container.volume().join(directory))?;
        }
        // Where root itself cannot be mapped, the builder writes as another user.
        fs::set_permissions(container.volume().join("out"), fs::Permissions::from_mode(0o1777))?;
        Ok(container)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The volume, seen from outside.
    pub(super) fn volume(&self) -> PathBuf {
        self.at("volume")
    }

    /// Where a build of the container puts a layout.
    pub(super) fn layout(&self, name: &str) -> PathBuf {
        self.volume().join("out").join(name)
    }

    /// Writes a file into the context on the volume.
    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let path = self.volume().join("context").join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// Gives root and volume to whom a runtime gives them.
    pub(super) fn give_away(&self) -> Result<()> {
        let (uid, gid) = self.environment.user;
        for directory in ["lower", "upper"] {
            give(&self.at(directory), self.environment.outside(0), self.environment.outside(0))?;
        }
        let (uid, gid) = (self.environment.outside(uid), self.environment.outside(gid));
        lchown(self.volume(), Some(uid), Some(gid))?;
        for entry in self.volume().read_dir()? {
            let entry = entry?;
            // Owners in the builder's state are those of images.
            if !entry.file_name().as_encoded_bytes().starts_with(b".strata-") {
                give(&entry.path(), uid, gid)?;
            }
        }
        Ok(())
    }

    /// Makes a command that starts a container.
    pub(super) fn command(&self, arguments: &[&str]) -> Result<Command> {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("strata-test-{}-{number}", std::process::id());
        let bundle = self.at(&format!("bundle-{number}"));
        fs::create_dir_all(&bundle)?;
        let mut config = config(&self.environment, self.net, &self.volume(), arguments);
        config["root"]["path"] = json!(self.at("rootfs"));
        fs::write(bundle.join("config.json"), config.to_string())?;
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-ec", MOUNTED, "sh"])
            .arg(self.directory.path())
            .arg("--root")
            .arg(self.at("runc"))
            .args(["run", "--bundle"])
            .arg(bundle)
            .arg(name)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a program in a container to its end.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<Output> {
        self.command(arguments)?.output().context("cannot run runc")
    }

    /// Runs what must succeed, and gives what it printed.
    pub(super) fn output(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {arguments:?}: {said}", self.environment.name);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Asserts that the container is what its environment says.
    pub(super) fn assert_environment(&self) -> Result<()> {
        let name = self.environment.name;
        let status = self.output(&["/bin/cat", "/proc/self/status"])?;
        for line in self.environment.status() {
            assert!(
                status.lines().any(|found| found == line),
                "{name}: {line:?} is not in {status}"
            );
        }
        let map = self.output(&["/bin/cat", "/proc/self/uid_map"])?;
        let map: Vec<u32> = map.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        assert_eq!(map, self.environment.user_map(), "{name}");
        let mounts = self.output(&["/bin/cat", "/proc/self/mountinfo"])?;
        let masked = mounts.lines().any(|line| line.contains(" /proc/keys "));
        assert_eq!(masked, self.environment.masked, "{name}: {mounts}");
        Ok(())
    }

    /// What was written to the container's own root: every path with owner, mode, and a hash of its content.
    pub(super) fn written(&self) -> Result<Vec<(PathBuf, u32, u32, u64)>> {
        let mut found = Vec::new();
        let mut left = vec![self.at("upper")];
        while let Some(path) = left.pop() {
            let metadata = path.symlink_metadata()?;
            let mut content = DefaultHasher::new();
            if metadata.is_dir() {
                for entry in path.read_dir()? {
                    left.push(entry?.path());
                }
            } else if metadata.is_file() {
                content.write(&fs::read(&path)?);
            }
            found.push((path, metadata.uid(), metadata.mode(), content.finish()));
        }
        found.sort();
        Ok(found)
    }
}

fn give(path: &Path, uid: u32, gid: u32) -> Result<()> {
    lchown(path, Some(uid), Some(gid))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in path.read_dir()? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}
