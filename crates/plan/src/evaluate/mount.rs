//! `RUN --mount`.

use strata_dockerfile::Literal;
use strata_dockerfile::instruction::{self as syntax, MountKey, MountSpec, Run};

use super::stage::Current;
use crate::error::PlanErrorKind;
use crate::op::{Access, Mount, MountFrom, MountKind, MountOwner, Origin, Sharing};
use crate::request::ContextId;
use crate::value::path;

impl Current<'_, '_> {
    pub(super) fn mounts(&mut self, run: &Run, comments: &[Literal]) -> Vec<Mount> {
        let mut mounts = Vec::new();
        let mut sockets = 0;
        for spec in &run.mounts {
            let Some(mount) = self.resolve(spec, comments) else {
                continue;
            };
            mounts.extend(self.mount(spec, mount, &mut sockets));
        }
        mounts
    }

    fn resolve(&mut self, spec: &MountSpec, comments: &[Literal]) -> Option<syntax::Mount> {
        let expander = self.expander();
        let mut undefined = Vec::new();
        let resolved = spec.resolve(|word| {
            let lookup = |name: &str| self.scope.get(name).map(str::to_owned);
            let expansion = expander.process_word(&word.text, &lookup)?;
            undefined.push((word.span, expansion.unmatched));
            Ok(expansion.text)
        });
        for (span, names) in undefined {
            super::warn::undefined(self, &names, span, comments);
        }
        match resolved {
            Ok(mount) => Some(mount),
            Err((span, error)) => {
                self.error(span, error);
                None
            }
        }
    }

    fn mount(
        &mut self,
        spec: &MountSpec,
        mount: syntax::Mount,
        sockets: &mut u32,
    ) -> Option<Mount> {
        let kind = match mount {
            syntax::Mount::Bind { from, source, target, access } => {
                let from = MountFrom {
                    origin: self.mount_origin(spec, from.as_deref()),
                    path: path::clean(&source),
                };
                (Some(target), MountKind::Bind { from, access: read_access(access) })
            }
            syntax::Mount::Cache { id, from, source, target, sharing, access, owner } => {
                let id = id.unwrap_or_else(|| clean_as_written(&target));
                let from = from.map(|from| MountFrom {
                    origin: self.mount_origin(spec, Some(&from)),
                    path: path::clean(&source),
                });
                let kind = MountKind::Cache {
                    id: match &self.evaluation.globals.cache_namespace {
                        Some(namespace) => format!("{namespace}/{id}"),
                        None => id,
                    },
                    from: from.filter(|from| from.origin != Origin::Scratch),
                    sharing: match sharing {
                        syntax::Sharing::Shared => Sharing::Shared,
                        syntax::Sharing::Private => Sharing::Private,
                        syntax::Sharing::Locked => Sharing::Locked,
                    },
                    access: read_access(access),
                    owner: with_mode(owner, MountOwner::OF_CACHES.mode),
                };
                (Some(target), kind)
            }
            syntax::Mount::Tmpfs { target, size, access } => {
                let kind = MountKind::Tmpfs {
                    size: Some(size).filter(|size| *size > 0),
                    access: read_access(access),
                };
                (Some(target), kind)
            }
            syntax::Mount::Secret { id, target, env, required, owner } => {
                // `env` without a name means the secret's own.
                let env = env.map(|env| if env.is_empty() { id.clone() } else { env });
                let owner = with_mode(owner, 0o400);
                (target, MountKind::Secret { id, required, env, owner })
            }
            syntax::Mount::Ssh { id, target, required, owner } => {
                let target = target.unwrap_or_else(|| format!("/run/buildkit/ssh_agent.{sockets}"));
                *sockets += 1;
                let id = id.unwrap_or_else(|| "default".to_owned());
                let owner = with_mode(owner, 0o600);
                (Some(target), MountKind::Ssh { id, required, owner })
            }
        };
        let (target, kind) = kind;
        let target = match target {
            None => None,
            Some(written) => Some(self.mount_target(spec, written)?),
        };
        Some(Mount { target, kind })
    }

    /// The tree that a mount shows: the context unless it says another one.
    fn mount_origin(&mut self, spec: &MountSpec, from: Option<&str>) -> Origin {
        let Some(from) = from else {
            return Origin::Context(ContextId::MAIN);
        };
        let span = spec.value(MountKey::From).map_or(spec.span, |word| word.span);
        let evaluation = &mut *self.evaluation;
        let (heads, request) = (evaluation.heads, evaluation.request);
        let target = heads.mount_from(request, from, self.number, span, evaluation.findings);
        evaluation.origin(&target)
    }

    fn mount_target(&mut self, spec: &MountSpec, written: String) -> Option<String> {
        let target = path::resolve(self.directory(), &written);
        if target == "/" {
            let span = spec.value(MountKey::Target).map_or(spec.span, |word| word.span);
            self.error(span, PlanErrorKind::InvalidMountTarget { target: written });
            return None;
        }
        Some(target)
    }
}

/// As Go's `path.Clean`: relative stays relative.
fn clean_as_written(target: &str) -> String {
    let clean = path::clean(target);
    if target.starts_with('/') {
        return clean;
    }
    match &clean[1..] {
        "" => ".".to_owned(),
        relative => relative.to_owned(),
    }
}

fn read_access(access: syntax::Access) -> Access {
    match access {
        syntax::Access::ReadOnly => Access::ReadOnly,
        syntax::Access::ReadWrite => Access::ReadWrite,
    }
}

fn with_mode(owner: syntax::MountOwner, mode: u32) -> MountOwner {
    MountOwner {
        mode: owner.mode.unwrap_or(mode),
        uid: owner.uid.unwrap_or(0),
        gid: owner.gid.unwrap_or(0),
    }
}
