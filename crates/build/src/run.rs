//! RUN: a root, a world around it, a command, and what the command changed.

mod cache_mount;
mod mounts;
mod owners;
mod seed;

use std::collections::VecDeque;
use std::sync::Arc;

use strata_layer::Content;
use strata_plan::{Network, RunOp, StageId};
use strata_sandbox::{Command, Exit, RunError, Stream};
use strata_sys::Root;
use strata_tree::lookup::Last;
use strata_tree::{ChangeSet, Resolved, Tree, TreePath};

use crate::blocking::blocking;
use crate::copy::CopyError;
use crate::error::{Disk, ErrorKind};
use crate::event::{Event, OutputStream};
use crate::stage::Running;
use crate::users::Identity;

/// How many of the last lines an error shows.
const TAIL_LINES: usize = 20;

/// The longest line that is kept for an error, in bytes.
const TAIL_LINE: usize = 1024;

/// The host name of commands, unless the build asks for another (BuildKit's).
const HOSTNAME: &str = "buildkitsandbox";

/// Runs a command in the stage and gives what it changed, which is part of the stage's workspace then.
pub(crate) async fn run(
    running: &mut Running,
    stage: StageId,
    index: usize,
    operation: &RunOp,
    text: &str,
) -> Result<ChangeSet<Content>, ErrorKind> {
    let session = Arc::clone(&running.session);
    let isolation = match &session.ports.isolation {
        Ok(isolation) => Arc::clone(isolation),
        Err(reasons) => return Err(ErrorKind::NoIsolation { reasons: reasons.clone() }),
    };
    let tree = running.tree().await?;
    let identity = running.users(&tree).await?.identity(&operation.user)?;
    let mounts = mounts::prepare(running, operation).await?;
    let mut workspace = running.workspace().await?;
    let number = session.number(stage, index);
    let (operation, text) = (operation.clone(), text.to_owned());
    let working = Arc::clone(&session);
    let permit = working.commands.acquire().await.map_err(|_| ErrorKind::Cancelled)?;
    let done = blocking(move || {
        let root = workspace.root()?;
        let made = make_directory(&root, workspace.tree(), &operation.directory)?;
        let mut command = command(&session, &operation, root, &identity, &mounts);
        if isolation.fakes_ids() {
            command.owners = Some(owners::by_file(workspace.owners(), &mounts.owners));
        }
        let mut tail = Tail::default();
        let outcome = isolation.run(&command, &session.cancel, &mut |stream, bytes| {
            tail.take(bytes);
            if let Some(step) = number {
                let stream = match stream {
                    Stream::Stdout => OutputStream::Stdout,
                    Stream::Stderr => OutputStream::Stderr,
                };
                let text = String::from_utf8_lossy(bytes).into_owned();
                session.emit(Event::Output { step, stream, text });
            }
        });
        let outcome = outcome.map_err(|error| explained(&session, stage, error))?;
        if outcome.exit != Exit::Code(0) {
            return Err(ErrorKind::CommandFailed {
                command: text,
                exit: outcome.exit,
                tail: tail.finish(),
                disk: room(&command.root),
            });
        }
        drop(made);
        let mount_points: Result<Vec<_>, _> =
            outcome.mount_points.iter().map(TreePath::clean).collect();
        let owners = outcome.owners.map(owners::by_path).transpose().map_err(CopyError::Path)?;
        let mount_points = mount_points.map_err(CopyError::Path)?;
        let changes = workspace.take_changes(&mount_points, owners.as_ref())?;
        // Only now may what was mounted go away.
        drop(mounts);
        Ok((workspace, changes))
    })
    .await?;
    drop(permit);
    running.workspace = Some(done.0);
    Ok(done.1)
}

/// What the kernel will not start is in most cases for another processor.
fn explained(session: &crate::engine::Session, stage: StageId, error: RunError) -> ErrorKind {
    let (platform, host) = (&session.plan.stage(stage).platform, &session.settings.host);
    match error {
        RunError::Exec { .. } if platform.architecture != host.architecture => {
            let (platform, host) = (Box::new(platform.clone()), Box::new(host.clone()));
            ErrorKind::ForeignCommand { platform, host, source: error }
        }
        error => error.into(),
    }
}

fn command(
    session: &crate::engine::Session,
    operation: &RunOp,
    root: std::path::PathBuf,
    identity: &Identity,
    mounts: &mounts::Mounts,
) -> Command {
    let mut environment: Vec<(String, String)> = operation.env.clone();
    for (name, value) in operation.proxies.iter().chain(&mounts.environment) {
        environment.retain(|(known, _)| known != name);
        environment.push((name.clone(), value.clone()));
    }
    if !environment.iter().any(|(name, _)| name == "HOME") {
        environment.push(("HOME".to_owned(), identity.home.clone()));
    }
    let mut all = mounts.list.clone();
    for file in &operation.files {
        all.push(strata_sandbox::Mount::File {
            target: format!("{}/{}", RunOp::FILES_AT, file.name).into_bytes(),
            content: file.bytes.clone(),
            mode: 0o755,
            uid: identity.user.uid,
            gid: identity.user.gid,
        });
    }
    let hosts = operation.hosts.iter();
    Command {
        root,
        arguments: operation.argv.iter().map(Into::into).collect(),
        environment: environment
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        working_directory: operation.directory.clone().into_bytes(),
        user: identity.user.clone(),
        hostname: operation.hostname.clone().unwrap_or_else(|| HOSTNAME.to_owned()),
        network: match operation.network {
            Network::Default | Network::Host => strata_sandbox::Network::Host,
            Network::None => strata_sandbox::Network::None,
        },
        mounts: all,
        extra_hosts: hosts
            .filter_map(|(name, address)| Some((name.clone(), address.parse().ok()?)))
            .collect(),
        resolver_configuration: session.settings.resolver_configuration.clone(),
        ulimits: session.settings.ulimits.clone(),
        shm_size: session.settings.shm_size,
        owners: None,
    }
}

/// Looks before what the command wrote is gone.
fn room(root: &std::path::Path) -> Disk {
    /// Less than any program's file.
    const LEAST: u64 = 64 << 10;
    match rustix::fs::statvfs(root) {
        Ok(found) if found.f_bavail.saturating_mul(found.f_frsize) < LEAST => Disk::Full,
        Ok(_) | Err(_) => Disk::Roomy,
    }
}

/// Makes the working directory where the image lacks it. It stays: the command's layer has it, as in BuildKit.
fn make_directory(
    root: &std::path::Path,
    tree: &Tree<Content>,
    directory: &str,
) -> Result<Root, ErrorKind> {
    let failed = |source| ErrorKind::Io {
        action: "create",
        what: format!("the working directory `{directory}`"),
        source,
    };
    let root = Root::open(root).map_err(|error| failed(std::io::Error::other(error)))?;
    let place = match tree.resolve(directory, Last::Follow).map_err(CopyError::Lookup)? {
        Resolved::Found { .. } => return Ok(root),
        Resolved::Missing { path } => path,
    };
    let mut way = place.ancestors();
    way.push(place);
    for path in way {
        if tree.get(&path).is_none() {
            root.mkdir(path.as_bytes(), 0o755)
                .map_err(|error| failed(std::io::Error::other(error)))?;
            root.set_mode(path.as_bytes(), 0o755)
                .map_err(|error| failed(std::io::Error::other(error)))?;
        }
    }
    Ok(root)
}

/// The last lines of a command's output, whichever stream they came from.
#[derive(Default)]
struct Tail {
    lines: VecDeque<String>,
    partial: Vec<u8>,
}

impl Tail {
    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.end_line();
            } else if self.partial.len() < TAIL_LINE {
                self.partial.push(byte);
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.partial).trim_end_matches('\r').to_owned();
        self.partial.clear();
        if self.lines.len() == TAIL_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn finish(mut self) -> Vec<String> {
        if !self.partial.is_empty() {
            self.end_line();
        }
        self.lines.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_keeps_the_last_lines_whole_and_bounded() {
        let mut tail = Tail::default();
        for number in 0..30 {
            tail.take(format!("line {number}\r\n").as_bytes());
        }
        tail.take(&[b'x'; 5000]);
        let lines = tail.finish();
        assert_eq!(lines.len(), TAIL_LINES);
        assert_eq!(lines[0], "line 11");
        assert_eq!(lines[19], "x".repeat(TAIL_LINE));
    }
}
