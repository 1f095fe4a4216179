//! Builds in places that allow little: the static program alone, in containers that runc makes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use strata_testkit::TestEnvironment;

use crate::requirement::{Need, busybox, require};

const STRATA: &str = env!("CARGO_BIN_EXE_strata");

/// The calls that Docker's profile allows without conditions in a container with its default capabilities.
const ALLOWED_CALLS: &str = include_str!("../testdata/environments/allowed-calls.txt");

/// Docker's default capabilities, which are `a80425fb` together.
const CAPABILITIES: [&str; 14] = [
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

/// What real Dockerfiles do, as far as a busybox can.
const DOCKERFILE: &str = r#"FROM scratch
COPY busybox /bin/busybox
COPY passwd group /etc/
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN echo somebody:x:1000:1000::/home/somebody:/bin/sh >> /etc/passwd && mkdir -p /srv/data /home/somebody \
    && echo one > /srv/data/file && chown -R somebody /srv/data /home/somebody
RUN (sleep 1000 &) ; (setsid sleep 1000 &) ; echo discarded > /dev/null && head -c 10 /dev/zero > /srv/zeroes
RUN ln /srv/data/file /srv/linked && chmod 4750 /srv/zeroes && mkfifo /srv/fifo && rm /etc/group
RUN echo gone > /etc/hosts; test -s /etc/resolv.conf && grep -q localhost /etc/hosts || true
RUN --network=none nc -w 1 127.0.0.1 9 2>/srv/refused; test -s /srv/refused && rm /srv/refused
RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/scratch \
    --mount=type=bind,source=passwd,target=/bound \
    touch /cache/kept /scratch/gone && cp /bound /srv/copied
RUN --mount=type=secret,id=token,required test "$(cat /run/secrets/token)" = s3cret
USER somebody
WORKDIR /home/somebody
RUN id -un > name && test "$(stat -c %U name)" = somebody
"#;

/// The config of an ordinary unprivileged container as Docker starts it, with a volume on `/volume`.
pub(crate) fn ordinary_container(volume: &Path, arguments: &[&str]) -> Value {
    Container::config(volume, arguments)
}

/// An ordinary unprivileged container as Docker starts it, with a volume on `/volume`.
struct Container {
    bundle: PathBuf,
    number: u32,
}

impl Container {
    fn new(environment: &TestEnvironment) -> Result<Self> {
        let bundle = environment.temporary().join("bundle");
        let root = bundle.join("rootfs");
        for directory in ["bin", "etc", "proc", "sys", "dev", "tmp", "volume"] {
            fs::create_dir_all(root.join(directory))?;
        }
        fs::copy(STRATA, root.join("bin/strata"))?;
        fs::copy(busybox().context("it was required")?, root.join("bin/busybox"))?;
        symlink("busybox", root.join("bin/sh"))?;
        symlink("busybox", root.join("bin/cat"))?;
        fs::write(root.join("etc/resolv.conf"), "nameserver 192.0.2.1\n")?;
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755))?;
        Ok(Self { bundle, number: 0 })
    }

    fn config(volume: &Path, arguments: &[&str]) -> Value {
        let calls: Vec<&str> = ALLOWED_CALLS.split_whitespace().collect();
        let allowed = |names: Value, rest: Value| {
            let mut rule = json!({"names": names, "action": "SCMP_ACT_ALLOW"});
            if !rest.is_null() {
                rule["args"] = rest;
            }
            rule
        };
        let argument =
            |value: u64, operation: &str| json!([{"index": 0, "value": value, "op": operation}]);
        let mut rules = vec![allowed(json!(calls), Value::Null)];
        for (value, operation) in [(38, "SCMP_CMP_LT"), (39, "SCMP_CMP_EQ"), (40, "SCMP_CMP_GT")] {
            rules.push(allowed(json!(["socket"]), argument(value, operation)));
        }
        for value in [0, 8, 0x20000, 0x20008, 0xffff_ffff] {
            rules.push(allowed(json!(["personality"]), argument(value, "SCMP_CMP_EQ")));
        }
        // No namespaces, by either call.
        let flags =
            json!([{"index": 0, "value": 0x7e02_0000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]);
        rules.push(allowed(json!(["clone"]), flags));
        rules.push(json!({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}));
        let mount = |target: &str, kind: &str, options: &[&str]| json!({"destination": target, "type": kind, "source": kind, "options": options});
        json!({
            "ociVersion": "1.0.2",
            "root": {"path": "rootfs", "readonly": false},
            "hostname": "ordinary",
            "process": {
                "terminal": false,
                "user": {"uid": 0, "gid": 0},
                "args": arguments,
                "env": ["PATH=/bin", "HOME=/tmp", "SOURCE_DATE_EPOCH=1700000000"],
                "cwd": "/",
                "noNewPrivileges": false,
                "capabilities": {
                    "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES,
                },
            },
            "mounts": [
                mount("/proc", "proc", &[]),
                mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
                mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
                mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777"]),
                mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
                {"destination": "/volume", "type": "bind", "source": volume, "options": ["rbind", "rw"]},
            ],
            "linux": {
                "namespaces": [
                    {"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"},
                ],
                "maskedPaths": MASKED,
                "readonlyPaths": READ_ONLY,
                "seccomp": {
                    "defaultAction": "SCMP_ACT_ERRNO",
                    "defaultErrnoRet": 1,
                    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
                    "syscalls": rules,
                },
            },
        })
    }

    fn run(&mut self, volume: &Path, arguments: &[&str]) -> Result<Output> {
        self.number += 1;
        let config = serde_json::to_string(&Self::config(volume, arguments))?;
        fs::write(self.bundle.join("config.json"), config)?;
        let name = format!("strata-test-{}-{}", std::process::id(), self.number);
        Command::new("runc")
            .arg("--root")
            .arg(self.bundle.join("runc"))
            .args(["run", "--bundle"])
            .args([self.bundle.as_os_str(), name.as_ref()])
            .output()
            .context("cannot run runc")
    }

    /// Every path of the container's own root with size and mode.
    fn snapshot(&self) -> Result<Vec<(PathBuf, u64, u32)>> {
        let mut found = Vec::new();
        let mut left = vec![self.bundle.join("rootfs")];
        while let Some(path) = left.pop() {
            let metadata = path.symlink_metadata()?;
            if metadata.is_dir() {
                for entry in path.read_dir()? {
                    left.push(entry?.path());
                }
            }
            found.push((path, metadata.len(), metadata.permissions().mode()));
        }
        found.sort();
        Ok(found)
    }
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The diff ids of an image in a layout.
fn diff_ids(layout: &Path) -> Result<Vec<String>> {
    let blob = |descriptor: &Value| -> Result<Value> {
        let digest = descriptor["digest"].as_str().context("a descriptor has a digest")?;
        let path = layout.join("blobs").join(digest.replace(':', "/"));
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    };
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    let manifest = blob(&index["manifests"][0])?;
    let config = blob(&manifest["config"])?;
    let ids = config["rootfs"]["diff_ids"].as_array().context("a config has diff ids")?;
    Ok(ids.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

#[test]
fn run_works_in_an_ordinary_container() -> Result<()> {
    let needs = [Need::Root, Need::Program("runc"), Need::StaticBusybox, Need::UserNamespaces];
    if !require(&needs) {
        return Ok(());
    }
    let environment =
        TestEnvironment::new(STRATA)?.with_variable("SOURCE_DATE_EPOCH", "1700000000");
    let volume = environment.context();
    environment.write("passwd", "root:x:0:0:root:/root:/bin/sh\n")?;
    environment.write("group", "root:x:0:\n")?;
    environment.write("token", "s3cret")?;
    environment.write("Dockerfile", DOCKERFILE)?;
    fs::copy(busybox().context("it was required")?, volume.join("busybox"))?;
    let mut container = Container::new(&environment)?;

    let status = container.run(&volume, &["/bin/cat", "/proc/self/status"])?;
    let status = text(&status.stdout).into_owned();
    for line in ["CapEff:\t00000000a80425fb", "Seccomp:\t2", "NoNewPrivs:\t0"] {
        assert!(status.contains(line), "{status}");
    }

    let before = container.snapshot()?;
    let arguments = |rung: &'static str, place: &str| {
        let at = |name: &str| format!("{place}/{name}");
        vec![
            "build".to_owned(),
            format!("--isolation={rung}"),
            format!("--state-dir={}", at(&format!("state-{rung}"))),
            format!("--secret=id=token,src={}", at("token")),
            format!("--output=type=oci,dest={}", at(&format!("layout-{rung}"))),
            "--no-cache".to_owned(),
            "--progress=plain".to_owned(),
            "--file".to_owned(),
            at("Dockerfile"),
            place.to_owned(),
        ]
    };
    // The first is chosen by itself in there, and the second here.
    for rung in ["auto", "chroot-supervised"] {
        let mut command = vec!["/bin/strata".to_owned()];
        command.extend(arguments(rung, "/volume"));
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let output = container.run(&volume, &command)?;
        let said = text(&output.stderr);
        assert!(output.status.success(), "{rung}: {said}");
    }
    assert_eq!(container.snapshot()?, before, "a build changed the container's own files");
    let ran = environment.run(arguments("userns-range", &volume.to_string_lossy()))?;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let expected = diff_ids(&volume.join("layout-userns-range"))?;
    for rung in ["auto", "chroot-supervised"] {
        let found = diff_ids(&volume.join(format!("layout-{rung}")))?;
        assert_eq!(found, expected, "{rung}");
    }
    Ok(())
}
