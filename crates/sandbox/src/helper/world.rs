//! What the command sees: its root, and the kernel's file systems in it.
//!
//! Runs in init, in namespaces of its own, and ends with the root changed. Every place is resolved
//! inside the root by the kernel, and mounted on through its descriptor.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use strata_sys::idmap::{IdKind, IdMap};
use strata_sys::mount::{self, Attributes, Depth, Detached, MountError};
use strata_sys::{Dir, PathError, Root};

use super::{broken, failed};
use crate::enter::Processes;
use crate::mount_points::{MountPoints, Want};
use crate::{Command, Mount, Network, RunError, hosts};

/// Devices that a container has, all harmless.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Links that programs expect in `/dev`.
const DEVICE_LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// What Docker hides, because it tells about the host or controls it.
const MASKED: [&str; 12] = [
    "proc/acpi",
    "proc/asound",
    "proc/interrupts",
    "proc/kcore",
    "proc/keys",
    "proc/latency_stats",
    "proc/sched_debug",
    "proc/scsi",
    "proc/timer_list",
    "proc/timer_stats",
    "sys/devices/virtual/powercap",
    "sys/firmware",
];

/// What Docker lets be read only.
const READ_ONLY: [&str; 5] = ["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"];

/// The group that owns terminals in every distribution.
const TTY_GROUP: u32 = 5;

/// Builds the world of `command` and makes it this process's own.
pub(super) fn build(command: &Command, processes: Processes) -> Result<(), RunError> {
    let opened =
        |error: PathError| RunError::Root { path: command.root.clone(), source: error.source };
    // `pivot_root` wants a mount, and the mount must not hand anything on.
    let tree = bind(&command.root, "/")?;
    tree.make_private(Depth::Recursive)
        .and_then(|()| tree.attach_at(&command.root))
        .map_err(|error| refused("the root", b"/", error))?;
    let root = Root::open(&command.root).map_err(opened)?;
    let world = World { root: &root, command, processes };
    let files = world.files()?;
    world.proc()?;
    world.dev()?;
    world.sys()?;
    let (of_mounts, own): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.is_mount);
    for file in own {
        file.attach(&world)?;
    }
    let mut of_mounts = of_mounts.into_iter();
    for mount in &command.mounts {
        match mount {
            // In its turn: a mount before it may be what it lies below.
            Mount::File { .. } => of_mounts.next().map_or(Ok(()), |file| file.attach(&world))?,
            Mount::Bind { .. } | Mount::Tmpfs { .. } => world.mount(mount)?,
        }
    }
    mount::change_root(root.as_fd()).map_err(|error| failed(&error.operation, error.source))
}

/// A file that exists for the run, and where it belongs.
struct RunFile {
    target: Vec<u8>,
    bound: Detached,
    /// It is one of the command's mounts, and not one that every command has.
    is_mount: bool,
}

impl RunFile {
    fn attach(&self, world: &World<'_>) -> Result<(), RunError> {
        attach(world, &self.bound, "a file", &self.target, Want::File)
    }
}

/// What such a file is made of.
struct Wanted<'a> {
    target: &'a [u8],
    content: &'a [u8],
    mode: u32,
    uid: u32,
    gid: u32,
    is_mount: bool,
}

impl<'a> Wanted<'a> {
    fn own(target: &'a [u8], content: &'a [u8]) -> Self {
        Self { target, content, mode: 0o644, uid: 0, gid: 0, is_mount: false }
    }

    fn of_mount(mount: &'a Mount) -> Option<Self> {
        match mount {
            Mount::File { target, content, mode, uid, gid } => {
                Some(Self { target, content, mode: *mode, uid: *uid, gid: *gid, is_mount: true })
            }
            Mount::Bind { .. } | Mount::Tmpfs { .. } => None,
        }
    }
}

struct World<'a> {
    root: &'a Root,
    command: &'a Command,
    processes: Processes,
}

impl World<'_> {
    /// Makes all files that exist for the run, on one file system in memory that nothing else leads
    /// to: it is put on `/dev`, where it will be covered, because before Linux 6.15 only an attached
    /// mount can be bound from.
    fn files(&self) -> Result<Vec<RunFile>, RunError> {
        let command = self.command;
        let hosts = hosts::hosts_file(&command.hostname, &command.extra_hosts);
        let hostname = format!("{}\n", command.hostname).into_bytes();
        let mut wanted =
            vec![Wanted::own(b"etc/hosts", &hosts), Wanted::own(b"etc/hostname", &hostname)];
        if let Some(content) = &command.resolver_configuration {
            wanted.push(Wanted::own(b"etc/resolv.conf", content));
        }
        wanted.extend(command.mounts.iter().filter_map(Wanted::of_mount));
        let stage = tmpfs(&[("mode", Some("0700"))], Attributes::empty(), b"dev")?;
        attach(self, &stage, "tmpfs", b"dev", Want::PlainDirectory)?;
        let stage = self.root.open_dir("dev").map_err(|error| place(b"dev", &error))?;
        let mut files = Vec::new();
        for (index, wanted) in wanted.into_iter().enumerate() {
            files.push(make_file(&stage, &index.to_string(), &wanted, command)?);
        }
        Ok(files)
    }

    fn proc(&self) -> Result<(), RunError> {
        let target = b"proc";
        match self.processes {
            Processes::Own => {
                let proc = Detached::new("proc", &[], restrictions())
                    .map_err(|error| refused("proc", target, error))?;
                attach(self, &proc, "proc", target, Want::PlainDirectory)?;
            }
            // Where the builder's own is masked, the kernel allows no other. The command sees that one,
            // with its masks and with the builder's processes.
            Processes::Shared => {
                let proc = bind(Path::new("/proc"), "proc")?;
                attach(self, &proc, "the builder's proc", target, Want::PlainDirectory)?;
            }
        }
        self.protect("proc/")
    }

    fn sys(&self) -> Result<(), RunError> {
        // A sysfs of its own shows the devices of its own network namespace.
        if self.command.network == Network::None {
            let attributes = restrictions() | Attributes::MOUNT_ATTR_RDONLY;
            match Detached::new("sysfs", &[], attributes) {
                Ok(sysfs) => {
                    attach(self, &sysfs, "sysfs", b"sys", Want::PlainDirectory)?;
                    return self.protect("sys/");
                }
                Err(error) if is_denied(error.source) => {}
                Err(error) => return Err(refused("sysfs", b"sys", error)),
            }
        }
        let sysfs = bind(Path::new("/sys"), "sys")?;
        sysfs
            .restrict(restrictions() | Attributes::MOUNT_ATTR_RDONLY, Depth::Recursive)
            .map_err(|error| refused("the host's sysfs", b"sys", error))?;
        attach(self, &sysfs, "the host's sysfs", b"sys", Want::PlainDirectory)?;
        self.protect("sys/")
    }

    fn dev(&self) -> Result<(), RunError> {
        let options = [("mode", Some("0755")), ("size", Some("65536k"))];
        let dev = tmpfs(&options, Attributes::MOUNT_ATTR_NOSUID, b"dev")?;
        attach(self, &dev, "tmpfs", b"dev", Want::PlainDirectory)?;
        let dir = self.root.open_dir("dev").map_err(|error| place(b"dev", &error))?;
        for name in DEVICES {
            drop(dir.create_file(name, 0o666).map_err(|error| place(b"dev", &error))?);
            let node = bind(&Path::new("/dev").join(name), name)?;
            let target = format!("dev/{name}");
            attach(self, &node, name, target.as_bytes(), Want::File)?;
        }
        for (name, target) in DEVICE_LINKS {
            dir.symlink(target, name).map_err(|error| place(b"dev", &error))?;
        }
        self.dev_pts(&dir)?;
        self.dev_directory(&dir, "mqueue", &Detached::new("mqueue", &[], restrictions()))?;
        let size = self.command.shm_size.to_string();
        let options = [("mode", Some("1777")), ("size", Some(size.as_str()))];
        self.dev_directory(&dir, "shm", &Detached::new("tmpfs", &options, restrictions()))
    }

    fn dev_pts(&self, dev: &Dir) -> Result<(), RunError> {
        let mut options =
            vec![("newinstance", None), ("ptmxmode", Some("0666")), ("mode", Some("0620"))];
        let group = TTY_GROUP.to_string();
        if IdMap::own(IdKind::Group).is_ok_and(|map| map.contains(TTY_GROUP)) {
            options.push(("gid", Some(group.as_str())));
        }
        let attributes = Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NOEXEC;
        self.dev_directory(dev, "pts", &Detached::new("devpts", &options, attributes))
    }

    fn dev_directory(
        &self,
        dev: &Dir,
        name: &str,
        mount: &Result<Detached, MountError>,
    ) -> Result<(), RunError> {
        let target = format!("dev/{name}");
        dev.mkdir(name, 0o755).map_err(|error| place(target.as_bytes(), &error))?;
        let mount =
            mount.as_ref().map_err(|error| refused(name, target.as_bytes(), error.clone()))?;
        attach(self, mount, name, target.as_bytes(), Want::Directory)
    }

    /// Masks and write-protects what Docker does, of what lies below `prefix`.
    fn protect(&self, prefix: &str) -> Result<(), RunError> {
        for path in MASKED.into_iter().filter(|path| path.starts_with(prefix)) {
            let Some(found) = self.find(path)? else {
                continue;
            };
            let cover = if is_directory(&found) {
                let attributes = restrictions() | Attributes::MOUNT_ATTR_RDONLY;
                tmpfs(
                    &[("size", Some("0")), ("nr_inodes", Some("1"))],
                    attributes,
                    path.as_bytes(),
                )?
            } else {
                bind(Path::new("/dev/null"), path)?
            };
            cover
                .attach(found.as_fd())
                .map_err(|error| refused("a mask", path.as_bytes(), error))?;
        }
        for path in READ_ONLY.into_iter().filter(|path| path.starts_with(prefix)) {
            let Some(found) = self.find(path)? else {
                continue;
            };
            Detached::bind_fd(found.as_fd(), Depth::Recursive)
                .and_then(|view| {
                    let attributes = restrictions() | Attributes::MOUNT_ATTR_RDONLY;
                    view.restrict(attributes, Depth::Recursive)?;
                    view.attach(found.as_fd())
                })
                .map_err(|error| refused("a read-only view", path.as_bytes(), error))?;
        }
        Ok(())
    }

    fn find(&self, path: &str) -> Result<Option<OwnedFd>, RunError> {
        match self.root.locate(path) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(place(path.as_bytes(), &error)),
        }
    }

    fn mount(&self, mount: &Mount) -> Result<(), RunError> {
        match mount {
            Mount::File { .. } => Ok(()),
            Mount::Bind { source, target, read_only } => {
                let tree = bind(source, &target.escape_ascii().to_string())?;
                let failure = |error| refused(&source.display().to_string(), target, error);
                if *read_only {
                    tree.restrict(Attributes::MOUNT_ATTR_RDONLY, Depth::Recursive)
                        .map_err(failure)?;
                }
                let want = if is_directory(&tree) { Want::Directory } else { Want::File };
                attach(self, &tree, &source.display().to_string(), target, want)
            }
            Mount::Tmpfs { target, size, mode } => {
                let mode = format!("{:o}", mode & 0o7777);
                let size = size.map(|size| size.to_string());
                let mut options = vec![("mode", Some(mode.as_str()))];
                if let Some(size) = &size {
                    options.push(("size", Some(size.as_str())));
                }
                let attributes = Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NODEV;
                let mount = tmpfs(&options, attributes, target)?;
                attach(self, &mount, "tmpfs", target, Want::Directory)
            }
        }
    }
}

fn make_file(
    stage: &Dir,
    name: &str,
    wanted: &Wanted<'_>,
    command: &Command,
) -> Result<RunFile, RunError> {
    let failure = |error: PathError| place(wanted.target, &error);
    let mut file = stage.create_file(name, 0o600).map_err(failure)?;
    file.write_all(wanted.content).map_err(|error| broken("write a file of the run", &error))?;
    // Where ids are faked, the supervisor knows whose it is.
    let (uid, gid) = if command.owners.is_some() { (0, 0) } else { (wanted.uid, wanted.gid) };
    stage.set_owner(name, uid, gid).map_err(|error| match error.source {
        Errno::INVAL => not_mapped(uid, gid),
        _ => failure(error),
    })?;
    stage.set_mode(name, wanted.mode).map_err(failure)?;
    let bound = Detached::bind_fd(file.as_fd(), Depth::Single)
        .and_then(|bound| {
            let mut read_only = restrictions() | Attributes::MOUNT_ATTR_RDONLY;
            // A heredoc with an interpreter line is run from here; a secret never is.
            if wanted.mode & 0o111 != 0 {
                read_only -= Attributes::MOUNT_ATTR_NOEXEC;
            }
            bound.restrict(read_only, Depth::Single).map(|()| bound)
        })
        .map_err(|error| refused("a file", wanted.target, error))?;
    Ok(RunFile { target: wanted.target.to_vec(), bound, is_mount: wanted.is_mount })
}

/// Attaches a mount on an image path.
///
/// The builder has created what the image lacks; what is missing now lies below a mount of this very
/// command (`/dev/x`, or a directory below a tmpfs) and goes with it.
fn attach(
    world: &World<'_>,
    mount: &Detached,
    what: &str,
    target: &[u8],
    want: Want,
) -> Result<(), RunError> {
    let mut points = MountPoints::new(world.root);
    points.ensure(target, want)?;
    points.keep();
    let found = world.root.locate(target).map_err(|error| place(target, &error))?;
    mount.attach(found.as_fd()).map_err(|error| refused(what, target, error))
}

fn bind(source: &Path, target: &str) -> Result<Detached, RunError> {
    Detached::bind(source, Depth::Recursive)
        .map_err(|error| refused(&source.display().to_string(), target.as_bytes(), error))
}

fn tmpfs(
    options: &[(&str, Option<&str>)],
    attributes: Attributes,
    target: &[u8],
) -> Result<Detached, RunError> {
    Detached::new("tmpfs", options, attributes).map_err(|error| refused("tmpfs", target, error))
}

/// No set-id programs, no devices, no programs.
fn restrictions() -> Attributes {
    Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NODEV | Attributes::MOUNT_ATTR_NOEXEC
}

fn is_denied(errno: Errno) -> bool {
    matches!(errno, Errno::PERM | Errno::ACCESS)
}

fn is_directory(found: &impl AsFd) -> bool {
    rustix::fs::fstat(found).is_ok_and(|stat| {
        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory
    })
}

fn refused(what: &str, target: &[u8], error: MountError) -> RunError {
    let what = match error.explanation {
        Some(explanation) => format!("{what} ({explanation})"),
        None => what.to_owned(),
    };
    RunError::Mount { what, target: target.escape_ascii().to_string(), source: error.source }
}

fn place(target: &[u8], error: &PathError) -> RunError {
    RunError::MountPoint { target: target.escape_ascii().to_string(), source: error.source }
}

fn not_mapped(uid: u32, gid: u32) -> RunError {
    let user = IdMap::own(IdKind::User).is_ok_and(|map| !map.contains(uid));
    let (what, id) = if user { ("user", uid) } else { ("group", gid) };
    RunError::IdNotMapped { what: what.to_owned(), id }
}
