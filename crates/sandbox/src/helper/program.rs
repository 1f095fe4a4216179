//! The last steps before the program: limits, privileges, finding it, executing it.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Access, AtFlags, CWD, Gid, Mode, Uid, accessat, fchown, stat};
use rustix::io::Errno;
use rustix::process::{Resource as Limit, Rlimit, chdir, fchdir, setrlimit, setsid, umask};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use strata_sys::idmap::{IdKind, IdMap};
use strata_sys::process::{close_on_exec_from, execute, reset_signals};
use strata_sys::{Kind, Root, caps};

use super::supervision::Supervision;
use super::{failed, setup};
use crate::command::{DEFAULT_PATH, Resource, Ulimit, User};
use crate::{Command, RunError};

/// Becomes the program; returns only with the reason why not.
///
/// Where its calls are to be supervised, the last step before is to hand the supervisor its end.
pub(super) fn start(command: &Command, supervision: Option<&Supervision>) -> RunError {
    start_in(&View { seeming_root: None }, command, supervision)
}

/// Where the program and its working directory are looked for.
pub(super) struct View<'a> {
    /// A directory that the program will take for its root, where it will seem to be its user. Without
    /// one, it has this process's root, and is that user.
    pub(super) seeming_root: Option<&'a Root>,
}

/// Becomes the program, as [`start`] does.
pub(super) fn start_in(
    view: &View<'_>,
    command: &Command,
    supervision: Option<&Supervision>,
) -> RunError {
    let ready = match prepare(view, command) {
        Ok(ready) => ready,
        Err(error) => return error,
    };
    match supervision.map_or(Ok(()), Supervision::begin) {
        Ok(()) => ready.execute(),
        Err(error) => error,
    }
}

struct Ready {
    name: String,
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

fn prepare(view: &View<'_>, command: &Command) -> Result<Ready, RunError> {
    let program = command.arguments.first().ok_or(RunError::NoProgram)?;
    let arguments = command.arguments.iter();
    let arguments = arguments
        .map(|argument| c_string(argument.as_bytes(), "pass an argument with a zero byte"))
        .collect::<Result<_, _>>()?;
    let environment = command.environment.iter();
    let environment = environment
        .map(|(name, value)| {
            let pair = [name.as_bytes(), value.as_bytes()].join(&b'=');
            c_string(&pair, "pass a variable with a zero byte")
        })
        .collect::<Result<_, _>>()?;

    // A session of its own, so that it cannot reach into the builder's terminal.
    setsid().map_err(|errno| failed("start a session", errno))?;
    reset_signals();
    umask(Mode::from_raw_mode(0o022));
    // As root: Docker lets a working directory be one that the user itself cannot enter.
    view.enter(&command.working_directory).map_err(|source| RunError::WorkingDirectory {
        path: command.working_directory.escape_ascii().to_string(),
        source,
    })?;
    command.ulimits.iter().try_for_each(set_limit)?;
    if view.is_real() {
        caps::bound(caps::DOCKER_DEFAULT).map_err(setup)?;
    }
    // Where ids are faked, the supervisor knows who this is, and it stays root.
    if command.owners.is_none() && view.is_real() {
        hand_over_outputs(&command.user);
        become_user(&command.user)?;
    }
    close_on_exec_from(3).map_err(setup)?;

    // As the user: who may not see a program does not find it.
    let path = find(view, command, program)?;
    Ok(Ready { name: program.to_string_lossy().into_owned(), path, arguments, environment })
}

impl View<'_> {
    fn enter(&self, directory: &[u8]) -> Result<(), Errno> {
        match self.seeming_root {
            None => chdir(directory),
            Some(root) => {
                let directory = root.open_dir(directory).map_err(|error| error.source)?;
                fchdir(directory)
            }
        }
    }

    /// Whether there are ids and capabilities to be given.
    fn is_real(&self) -> bool {
        self.seeming_root.is_none()
    }

    fn executable(&self, command: &Command, path: &CString) -> Result<(), Errno> {
        let Some(root) = self.seeming_root else {
            return executable(path);
        };
        let path = [&command.working_directory, b"/".as_slice(), path.as_bytes()];
        let skipped = if path[2].starts_with(b"/") { 2 } else { 0 };
        let found = root.metadata_following(path[skipped..].concat());
        let found = found.map_err(|error| error.source)?;
        let is_program = found.kind != Kind::Dir && found.mode & 0o111 != 0;
        if is_program { Ok(()) } else { Err(Errno::ACCESS) }
    }
}

impl Ready {
    fn execute(self) -> RunError {
        match execute(&self.path, &self.arguments, &self.environment) {
            Errno::ACCESS => RunError::ProgramNotExecutable { program: self.name },
            source => RunError::Exec { program: self.path.to_string_lossy().into_owned(), source },
        }
    }
}

fn c_string(bytes: &[u8], operation: &str) -> Result<CString, RunError> {
    CString::new(bytes).map_err(|_| failed(operation, Errno::INVAL))
}

fn set_limit(ulimit: &Ulimit) -> Result<(), RunError> {
    let limit = match ulimit.resource {
        Resource::Core => Limit::Core,
        Resource::Cpu => Limit::Cpu,
        Resource::Data => Limit::Data,
        Resource::Fsize => Limit::Fsize,
        Resource::Locks => Limit::Locks,
        Resource::Memlock => Limit::Memlock,
        Resource::Msgqueue => Limit::Msgqueue,
        Resource::Nice => Limit::Nice,
        Resource::Nofile => Limit::Nofile,
        Resource::Nproc => Limit::Nproc,
        Resource::Rss => Limit::Rss,
        Resource::Rtprio => Limit::Rtprio,
        Resource::Rttime => Limit::Rttime,
        Resource::Sigpending => Limit::Sigpending,
        Resource::Stack => Limit::Stack,
    };
    let value = Rlimit { current: ulimit.soft, maximum: ulimit.hard };
    setrlimit(limit, value).map_err(|source| RunError::Limit { resource: ulimit.resource, source })
}

/// Gives the outputs to the user, who may open them again by name (`/dev/stdout`); runc does too.
fn hand_over_outputs(user: &User) {
    let uid = Some(Uid::from_raw(user.uid));
    // Where the id does not exist outside, they can be written to all the same, as they are open.
    let _ = fchown(std::io::stdout(), uid, None);
    let _ = fchown(std::io::stderr(), uid, None);
}

/// Takes the user's ids on; the kernel drops the capabilities of whoever stops being root.
fn become_user(user: &User) -> Result<(), RunError> {
    let groups: Vec<_> = user.groups.iter().map(|&gid| Gid::from_raw(gid)).collect();
    match set_thread_groups(&groups) {
        Ok(()) => {}
        // Where a map of one id forbids `setgroups`, asking for no more than the own group changes
        // nothing that the command could use.
        Err(Errno::PERM) if user.groups.iter().all(|&gid| gid == user.gid) => {}
        Err(errno) => {
            let unmapped = user.groups.iter().copied().find(|&gid| !is_mapped(IdKind::Group, gid));
            return Err(id_error(unmapped, "group", "set the supplementary groups", errno));
        }
    }
    let gid = Gid::from_raw(user.gid);
    set_thread_res_gid(gid, gid, gid).map_err(|errno| {
        let unmapped = Some(user.gid).filter(|&gid| !is_mapped(IdKind::Group, gid));
        id_error(unmapped, "group", "set the group", errno)
    })?;
    let uid = Uid::from_raw(user.uid);
    set_thread_res_uid(uid, uid, uid).map_err(|errno| {
        let unmapped = Some(user.uid).filter(|&uid| !is_mapped(IdKind::User, uid));
        id_error(unmapped, "user", "set the user", errno)
    })
}

fn id_error(unmapped: Option<u32>, what: &str, operation: &str, errno: Errno) -> RunError {
    match unmapped {
        Some(id) => RunError::IdNotMapped { what: what.to_owned(), id },
        None => failed(operation, errno),
    }
}

fn is_mapped(kind: IdKind, id: u32) -> bool {
    // A map that cannot be read explains nothing.
    IdMap::own(kind).map_or(true, |map| map.contains(id))
}

fn search_path(command: &Command) -> &OsStr {
    let variable = command.environment.iter().rev();
    variable
        .into_iter()
        .find(|(name, _)| name == "PATH")
        .map_or(OsStr::new(DEFAULT_PATH), |(_, value)| value)
}

/// Finds the file to execute, as a shell would, and says what runc says if there is none.
fn find(view: &View<'_>, command: &Command, program: &OsStr) -> Result<CString, RunError> {
    let name = || program.to_string_lossy().into_owned();
    let bytes = program.as_bytes();
    if bytes.contains(&b'/') {
        let path = c_string(bytes, "execute a program with a zero byte")?;
        return match view.executable(command, &path) {
            Ok(()) => Ok(path),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(RunError::ProgramMissing { program: name() }),
            Err(_) => Err(RunError::ProgramNotExecutable { program: name() }),
        };
    }
    if bytes.is_empty() {
        return Err(RunError::ProgramNotFound { program: name() });
    }
    let mut refused = false;
    for directory in search_path(command).as_bytes().split(|&byte| byte == b':') {
        // An empty entry means the working directory.
        let directory = if directory.is_empty() { b"." } else { directory };
        let path = c_string(&[directory, bytes].join(&b'/'), "execute a program with a zero byte")?;
        match view.executable(command, &path) {
            Ok(()) => return Ok(path),
            Err(Errno::ACCESS) => refused = true,
            _ => {}
        }
    }
    if refused {
        return Err(RunError::ProgramNotExecutable { program: name() });
    }
    Err(RunError::ProgramNotFound { program: name() })
}

fn executable(path: &CString) -> Result<(), Errno> {
    let found = stat(path.as_c_str())?;
    if rustix::fs::FileType::from_raw_mode(found.st_mode) == rustix::fs::FileType::Directory {
        return Err(Errno::ACCESS);
    }
    accessat(CWD, path.as_c_str(), Access::EXEC_OK, AtFlags::EACCESS)
}
