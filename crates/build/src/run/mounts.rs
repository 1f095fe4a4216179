//! What a RUN sees besides its stage.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::{getegid, geteuid};
use strata_agent::{Access as AgentAccess, Server as AgentServer};
use strata_plan::{Access, Mount, MountFrom, MountKind, Origin, RunOp};
use strata_rootfs::Workspace;
use strata_sandbox::{Mount as SandboxMount, Ownership, Seeming};
use strata_tree::lookup::Last;
use strata_tree::{Resolved, Tree, TreePath};

use super::cache_mount::{self, CacheDirectory, Wanted};
use super::seed;
use crate::blocking::blocking;
use crate::cancelled::unless_cancelled;
use crate::copy::{Copier, CopyError, CopyOptions, Destination, Owner};
use crate::error::ErrorKind;
use crate::materialise::materialise;
use crate::stage::Running;

/// Mounts that are ready, and what keeps them ready.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    pub(super) list: Vec<SandboxMount>,
    /// Variables that mounts bring: secrets.
    pub(super) environment: Vec<(String, String)>,
    /// Owners of caches, for where the disk may not have them.
    pub(super) owners: Vec<Ownership>,
    // Directories that exist for this run only; writes into them go away with them.
    workspaces: Vec<Box<dyn Workspace>>,
    // Locks on cache directories, held until the command has ended.
    caches: Vec<CacheDirectory>,
    // Each ssh mount has a socket of its own, which ends with the run.
    agents: Vec<AgentServer>,
}

/// Makes everything that the mounts of a RUN show.
pub(super) async fn prepare(running: &mut Running, run: &RunOp) -> Result<Mounts, ErrorKind> {
    let mut ready = Mounts::default();
    for mount in &run.mounts {
        match &mount.kind {
            MountKind::Bind { from, access } => {
                let (workspace, source) = bound(running, from).await?;
                ready.list.push(SandboxMount::Bind {
                    source,
                    target: target(mount),
                    read_only: *access == Access::ReadOnly,
                });
                ready.workspaces.push(workspace);
            }
            MountKind::Cache { id, from, sharing, access, owner } => {
                let seed = match from {
                    Some(from) => Some(seed::prepare(running, from).await?.gather(running).await?),
                    None => None,
                };
                let wanted = Wanted {
                    all: running.session.settings.cache_mounts.clone(),
                    id: id.clone(),
                    sharing: *sharing,
                    owner: *owner,
                    seed,
                };
                ready.owners.push(Ownership {
                    path: target(mount),
                    seems: Seeming { uid: owner.uid, gid: owner.gid, ..Seeming::default() },
                });
                let cache = cached(running, wanted).await?;
                ready.list.push(SandboxMount::Bind {
                    source: cache.path(),
                    target: target(mount),
                    read_only: *access == Access::ReadOnly,
                });
                ready.caches.push(cache);
            }
            MountKind::Tmpfs { size, .. } => ready.list.push(SandboxMount::Tmpfs {
                target: target(mount),
                size: *size,
                mode: 0o1777,
            }),
            MountKind::Secret { id, required, env, owner } => {
                let Some(secret) = running.session.settings.secrets.get(id) else {
                    if *required {
                        return Err(ErrorKind::SecretMissing { id: id.clone() });
                    }
                    continue;
                };
                if let Some(name) = env {
                    let value = String::from_utf8_lossy(secret.expose()).into_owned();
                    ready.environment.push((name.clone(), value));
                }
                if mount.target.is_some() {
                    ready.list.push(SandboxMount::File {
                        target: target(mount),
                        content: secret.expose().to_vec(),
                        mode: owner.mode,
                        uid: owner.uid,
                        gid: owner.gid,
                    });
                }
            }
            MountKind::Ssh { id, required, owner } => {
                let Some(agent) = running.session.settings.ssh.get(id).cloned() else {
                    if *required {
                        return Err(ErrorKind::SshMissing { id: id.clone() });
                    }
                    continue;
                };
                let scratch = running.session.settings.scratch.clone();
                let access = if running.session.fakes_ids() {
                    ready.owners.push(Ownership {
                        path: target(mount),
                        seems: Seeming {
                            uid: owner.uid,
                            gid: owner.gid,
                            mode: Some(owner.mode),
                            ..Seeming::default()
                        },
                    });
                    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
                    AgentAccess { uid, gid, mode: owner.mode | 0o600 }
                } else {
                    AgentAccess { uid: owner.uid, gid: owner.gid, mode: owner.mode }
                };
                let server =
                    blocking(move || Ok(AgentServer::start(agent, &scratch, access)?)).await?;
                ready.list.push(SandboxMount::Bind {
                    source: server.path().to_owned(),
                    target: target(mount),
                    read_only: false,
                });
                ready.agents.push(server);
            }
        }
    }
    Ok(ready)
}

/// A cache directory, with what is kept elsewhere if this machine has none.
async fn cached(running: &Running, wanted: Wanted) -> Result<CacheDirectory, ErrorKind> {
    let session = &running.session;
    let (wanted, cancel) = (Arc::new(wanted), session.cancel.clone());
    let asked = Arc::clone(&wanted);
    let (cache, making) = blocking(move || {
        let cache = cache_mount::open(&asked, &cancel)?;
        let making = cache.begin(&asked.id)?;
        Ok((cache, making))
    })
    .await?;
    let kept = cache.kept(&wanted.id);
    let cache = match making {
        Some(making) => {
            if let Some(kept) = &kept {
                let filling = session.ports.cache.fill_mount(kept);
                unless_cancelled(&session.cancel, filling).await.ok_or(ErrorKind::Cancelled)?;
            }
            blocking(move || {
                cache.finish(making, &wanted)?;
                Ok(cache)
            })
            .await?
        }
        None => cache,
    };
    if let Some(kept) = kept {
        session.ports.cache.use_mount(kept);
    }
    Ok(cache)
}

fn target(mount: &Mount) -> Vec<u8> {
    mount.target.clone().unwrap_or_default().into_bytes()
}

/// A directory or file of another tree, in a workspace that is thrown away after the run.
async fn bound(
    running: &mut Running,
    from: &MountFrom,
) -> Result<(Box<dyn Workspace>, PathBuf), ErrorKind> {
    let session = Arc::clone(&running.session);
    let (workspace, origin) = match from.origin {
        Origin::Stage(id) => {
            let output = running.stage(id).await.map_err(|_| ErrorKind::Cancelled)?;
            (output.fork(&session).await?, format!("stage `{}`", session.plan.stage(id).label))
        }
        Origin::Image(id) => {
            let image = session.plan.image(id);
            let workspace = materialise(&session, image.layers().to_vec()).await?;
            (workspace, format!("image `{}`", image.source))
        }
        Origin::Scratch => (materialise(&session, Vec::new()).await?, "the empty image".to_owned()),
        Origin::Context(_) => (context_copy(running, from).await?, "the build context".to_owned()),
    };
    let path = from.path.clone();
    blocking(move || {
        let mut workspace = workspace;
        let root = workspace.root()?;
        let found = workspace.tree().resolve(&path, Last::Follow).map_err(CopyError::Lookup)?;
        let Resolved::Found { path: place, .. } = found else {
            return Err(ErrorKind::MountSourceMissing { path, origin });
        };
        // Every component of `place` is known to be no link, and nothing else writes here.
        let source = root.join(OsStr::from_bytes(place.as_bytes()));
        Ok((workspace, source))
    })
    .await
}

// Only what is not ignored may be seen, so the files that a mount shows are put into a directory of their own.
async fn context_copy(
    running: &mut Running,
    from: &MountFrom,
) -> Result<Box<dyn Workspace>, ErrorKind> {
    let tree = running.origin_tree(from.origin).await?;
    let session = Arc::clone(&running.session);
    let path = TreePath::clean(&from.path).map_err(CopyError::Path)?;
    let reason = match from.origin {
        Origin::Context(id) => {
            session.contexts.get(&id).map(|context| context.missing_reason(&path))
        }
        Origin::Stage(_) | Origin::Image(_) | Origin::Scratch => None,
    };
    let written = from.path.clone();
    let workspace = materialise(&session, Vec::new()).await?;
    blocking(move || {
        let mut workspace = workspace;
        let mut copier = Copier::new(&Tree::default());
        let owner = Some(Owner { uid: 0, gid: 0 });
        let options = CopyOptions { owner, ..CopyOptions::default() };
        let place = [b"/", path.as_bytes()].concat();
        copier.copy(&tree, &path, Destination(&place), &options).map_err(|error| match error {
            CopyError::SourceMissing { .. } => ErrorKind::NotInContext {
                written,
                reason: reason.unwrap_or(crate::error::MissingReason::Unknown),
            },
            error => error.into(),
        })?;
        workspace.apply(&copier.finish(), &*session.contents)?;
        Ok(workspace)
    })
    .await
}
