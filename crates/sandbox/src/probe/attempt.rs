//! The attempts themselves. Each runs in a child process that is thrown away after it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, WaitOptions, waitpid};
use strata_sys::idmap::{IdKind, IdMap};
use strata_sys::mount::{Attributes, Depth, Detached, Overlay, change_root, detach};
use strata_sys::process::{self, Fork, UnshareFlags};
use strata_sys::seccomp::Action;
use strata_sys::{Dir, Node, kernel};

use crate::enter::{Processes, chain, hand_over};

/// Runs an attempt in a forked child, and gives back what it found or why it failed.
pub(super) fn in_child(attempt: impl FnOnce() -> Result<String, String>) -> Result<String, String> {
    let (reader, writer) =
        std::io::pipe().map_err(|error| format!("cannot make a pipe: {error}"))?;
    match process::fork().map_err(|error| chain(&error))? {
        Fork::Child => {
            drop(reader);
            let result = attempt();
            let (word, text) = match &result {
                Ok(text) => (b"+", text),
                Err(text) => (b"-", text),
            };
            let mut writer = writer;
            let _ = writer.write_all(&[word, text.as_bytes()].concat());
            process::exit_now(0)
        }
        Fork::Parent(child) => {
            drop(writer);
            let mut message = String::new();
            let read = { reader }.read_to_string(&mut message);
            reap(child)?;
            read.map_err(|error| format!("cannot read what the attempt found: {error}"))?;
            match message.split_at_checked(1) {
                Some(("+", text)) => Ok(text.to_owned()),
                Some((_, text)) => Err(text.to_owned()),
                None => Err("the attempt was killed".into()),
            }
        }
    }
}

fn reap(child: Pid) -> Result<(), String> {
    retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()))
        .map(drop)
        .map_err(|errno| format!("cannot wait for the attempt: {errno}"))
}

/// Mounts an overlay on the state directory's file system, and does in it what fails where the mount
/// succeeds but `user.overlay.*` does not work: removes a directory of the lower.
pub(super) fn overlay(state: &Path) -> Result<String, String> {
    let scratch = Scratch::new(state)?;
    let at = |name: &str| scratch.path.join(name);
    for name in ["lower/directory", "upper", "work", "merged"] {
        fs::create_dir_all(at(name)).map_err(|error| io("create a directory in", state, &error))?;
    }
    let merged = at("merged");
    let overlay = Overlay {
        lowers: vec![at("lower")],
        upper: Some((at("upper"), at("work"))),
        user_xattrs: true,
        volatile: true,
    };
    overlay.mount(&merged).map_err(|error| chain(&error))?;
    let used = fs::remove_dir(merged.join("directory"))
        .and_then(|()| fs::create_dir(merged.join("directory")))
        .map_err(|error| io("replace a directory in an overlay on", state, &error));
    let detached = detach(&merged).map_err(|error| chain(&error));
    used.and(detached).map(|()| format!("works on `{}`", state.display()))
}

/// Does what a command's helper does before the command: makes its namespaces, mounts file systems of
/// the kernel, and changes the root directory.
pub(super) fn world(state: &Path, processes: Processes) -> Result<String, String> {
    let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    flags.set(UnshareFlags::NEWPID, processes == Processes::Own);
    process::unshare(flags).map_err(|error| chain(&error))?;
    in_child(|| {
        let proc = match processes {
            Processes::Own => Detached::new("proc", &[], Attributes::empty())
                .map_err(|error| format!("{} in a new pid namespace", chain(&error)))?,
            Processes::Shared => Detached::bind(Path::new("/proc"), Depth::Recursive)
                .map_err(|error| chain(&error))?,
        };
        let memory = Detached::new("tmpfs", &[], Attributes::empty());
        memory
            .and_then(|memory| {
                strata_sys::mount::make_all_private()?;
                memory.attach_at(state)?;
                proc.attach_at(state)
            })
            .map_err(|error| chain(&error))?;
        let root = Dir::open(state).map_err(|error| chain(&error))?;
        change_root(root.as_fd()).map_err(|error| chain(&error))?;
        fs::read_to_string("/self/stat")
            .map(|_| "works".into())
            .map_err(|error| io("read", Path::new("/proc/self/stat"), &error))
    })
}

pub(super) fn pid_namespace() -> Result<String, String> {
    process::unshare(UnshareFlags::NEWPID).map_err(|error| chain(&error))?;
    in_child(|| Ok("works".into()))
}

/// Mounts a procfs of a new pid namespace.
pub(super) fn new_proc() -> Result<String, String> {
    process::unshare(UnshareFlags::NEWNS | UnshareFlags::NEWPID).map_err(|error| chain(&error))?;
    in_child(|| {
        Detached::new("proc", &[], Attributes::empty())
            .map(|_| "works".into())
            .map_err(|error| format!("{}; commands see this container's", chain(&error)))
    })
}

pub(super) fn host_name() -> Result<String, String> {
    process::unshare(UnshareFlags::NEWUTS).map_err(|error| chain(&error))?;
    rustix::system::sethostname(b"strata")
        .map(|()| "works".into())
        .map_err(|errno| format!("cannot set a host name: {}", text(errno)))
}

pub(super) fn network_namespace() -> Result<String, String> {
    process::unshare(UnshareFlags::NEWNET)
        .and_then(|()| process::bring_loopback_up())
        .map(|()| "works".into())
        .map_err(|error| chain(&error))
}

pub(super) fn pivot_root(state: &Path) -> Result<String, String> {
    let tree = Detached::bind(state, Depth::Recursive).map_err(|error| chain(&error))?;
    tree.attach_at(state).map_err(|error| chain(&error))?;
    let root = Dir::open(state).map_err(|error| chain(&error))?;
    change_root(root.as_fd()).map(|()| "works".into()).map_err(|error| chain(&error))
}

/// Does in the state directory what a build without namespaces does: gives a file away, makes a device
/// and writes to it, changes the root directory and the user, has its calls listened to.
pub(super) fn changed_root(state: &Path) -> Result<String, String> {
    use rustix::process::{Gid, Uid, chdir, chroot, fchdir};
    use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

    executes(state)?;
    let scratch = Scratch::new(state)?;
    // Held, because the path leads nowhere once the root has changed.
    let outside = Dir::open(Path::new("/")).map_err(|error| chain(&error))?;
    let dir = Dir::open(&scratch.path).map_err(|error| chain(&error))?;
    let tried = (|| {
        drop(dir.create_file("file", 0o600).map_err(|error| chain(&error))?);
        dir.set_owner("file", OTHER, OTHER).map_err(|error| chain(&error))?;
        let null = Node::CharDevice(1, 3);
        match dir.mknod("null", null, 0o666) {
            Ok(()) => File::options()
                .write(true)
                .open(scratch.path.join("null"))
                .and_then(|mut null| null.write_all(b"x"))
                .map_err(|error| io("use a device in", state, &error))?,
            // Then the supervisor serves them.
            Err(error) if error.source == Errno::PERM => {}
            Err(error) => return Err(format!("{} (a device)", chain(&error))),
        }
        fchdir(dir.as_fd())
            .and_then(|()| chroot("."))
            .map_err(|errno| format!("cannot change the root directory: {}", text(errno)))
    })();
    // Back, for what is removed by its path.
    let back = fchdir(outside.as_fd()).and_then(|()| chroot(".")).and_then(|()| chdir("/"));
    drop(scratch);
    tried?;
    back.map_err(|errno| format!("cannot change the root directory: {}", text(errno)))?;
    let (user, group) = (Uid::from_raw(OTHER), Gid::from_raw(OTHER));
    set_thread_groups(&[group])
        .and_then(|()| set_thread_res_gid(group, group, group))
        .and_then(|()| set_thread_res_uid(user, user, user))
        .map_err(|errno| format!("cannot become another user: {}", text(errno)))?;
    rustix::thread::set_no_new_privs(true)
        .map_err(|errno| format!("cannot forbid new privileges: {}", text(errno)))?;
    // Nothing is notified about; what is tried is whether there can be a listener.
    strata_sys::seccomp::install_listening(&[Action::Allow.instruction()])
        .map(|_| format!("works on `{}`", state.display()))
        .map_err(|error| format!("{} (a supervisor)", chain(&error)))
}

/// Programs of an image lie in the state directory.
fn executes(state: &Path) -> Result<(), String> {
    let found = rustix::fs::statvfs(state);
    if found.is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::NOEXEC)) {
        return Err(format!("programs on `{}` cannot be executed (noexec)", state.display()));
    }
    Ok(())
}

/// Has a process supervised and traced whose root is to be a directory in the state directory.
#[cfg(target_arch = "x86_64")]
pub(super) fn translated(state: &Path) -> Result<String, String> {
    executes(state)?;
    let scratch = Scratch::new(state)?;
    let place = scratch.path.join("entered");
    fs::create_dir(&place)
        .and_then(|()| fs::write(place.join("opened"), ""))
        .map_err(|error| io("create a file in", state, &error))?;
    crate::helper::translated::try_in(&scratch.path)
        .map(|()| format!("works on `{}`", state.display()))
        .map_err(|error| chain(&error))
}

/// Any id but root's: that of `nobody`, nearly everywhere.
const OTHER: u32 = 65534;

pub(super) fn id_ranges(_: &Path) -> Result<String, String> {
    let count = |kind| IdMap::own(kind).map(|map| map.len()).map_err(|error| chain(&error));
    let (users, groups) = (count(IdKind::User)?, count(IdKind::Group)?);
    Ok(format!("{users} user ids, {groups} group ids"))
}

pub(super) fn openat2() -> Result<String, String> {
    kernel::openat2_in_root().map(|()| "works".into()).map_err(text)
}

pub(super) fn seccomp_notification() -> Result<String, String> {
    kernel::seccomp_notification().map(|()| "works".into()).map_err(text)
}

pub(super) fn landlock() -> Result<String, String> {
    kernel::landlock_version().map(|version| format!("version {version}")).map_err(text)
}

fn text(errno: Errno) -> String {
    std::io::Error::from(errno).to_string()
}

fn io(operation: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {operation} `{}`: {error}", path.display())
}

/// A directory beside the state that goes with the attempt.
struct Scratch {
    parent: Dir,
    name: String,
    path: PathBuf,
}

impl Scratch {
    fn new(state: &Path) -> Result<Self, String> {
        let name = format!(".strata-probe-{}", rustix::process::getpid().as_raw_nonzero());
        let path = state.join(&name);
        let parent = Dir::open(state).map_err(|error| chain(&error))?;
        fs::create_dir(&path).map_err(|error| io("create a directory in", state, &error))?;
        // The pid belongs to this process, but the name of a dead one may have been guessed.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
            .map_err(|error| io("create a directory in", state, &error))?;
        Ok(Self { parent, name, path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.parent.remove_all(&self.name) {
            tracing::debug!(path = %self.path.display(), %error, "a directory of a probe stays");
        }
    }
}

/// A directory beside the state that belongs to who is root in a namespace without user 0.
pub(super) struct Given(Scratch);

impl Given {
    /// Beside, and not in, the state directory, which is closed to others until it is given away.
    pub(super) fn new(state: &Path) -> Result<Self, String> {
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
        let parent = state.parent().filter(|parent| device(parent) == device(state));
        let scratch = Scratch::new(parent.unwrap_or(state))?;
        hand_over(&scratch.path).map_err(|error| chain(&error))?;
        Ok(Self(scratch))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }
}

/// Reads a setting of the kernel, which may not exist.
pub(super) fn setting(path: &str) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(64).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned())
}
