//! Recipes with holes: what planning knows of a key, before contents are known.

use std::fmt;

use strata_oci::{Digest, Platform};

use super::ingredient::{Content, Ingredient, OpKind, Place};
use super::{Recipe, StepKey, VERSION};
use crate::op::{
    Access, Chown, CopyOp, CopySource, Mount, MountFrom, MountKind, MountOwner, Network, Op,
    Origin, RunOp, Sharing, WorkdirOp,
};

/// A recipe whose contents and parent are not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeTemplate {
    op: OpKind,
    independent: bool,
    slots: Vec<Slot>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Slot {
    Known(Ingredient),
    Hole(Hole, Place),
}

/// Content that is not known while planning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hole {
    /// What [`CopyOp::sources`] at this index takes. Of a path: facts of the files in a context; of a stage
    /// or an image either its state, for the key by definition, or facts, for the key by content. Of a
    /// download its digest, of a repository its commit.
    Source(usize),
    /// What [`RunOp::mounts`] at this index shows, likewise.
    Mount(usize),
}

impl RecipeTemplate {
    /// What the result of an op depends on. Nothing for one that makes no layer.
    pub(crate) fn of(op: &Op, platform: &Platform, epoch: Option<i64>) -> Option<Self> {
        let mut slots = Slots(Vec::new());
        if let Some(epoch) = epoch {
            slots.known(Ingredient::Epoch(epoch));
        }
        let (op, independent) = match op {
            Op::Config => return None,
            Op::Copy(copy) => {
                slots.copy(copy);
                // A name is looked up in what the stage holds.
                let named = copy.chown.as_ref().is_some_and(Chown::needs_lookup);
                (OpKind::Copy, copy.link && !named)
            }
            Op::Run(run) => {
                slots.run(run, platform);
                (OpKind::Run, false)
            }
            Op::Workdir(workdir) => {
                slots.workdir(workdir);
                (OpKind::Workdir, false)
            }
        };
        Some(Self { op, independent, slots: slots.0 })
    }

    /// The contents that are missing, in order.
    pub fn holes(&self) -> impl Iterator<Item = Hole> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Known(_) => None,
            Slot::Hole(hole, _) => Some(*hole),
        })
    }

    /// Whether the result does not depend on what the step stands on.
    pub fn is_independent(&self) -> bool {
        self.independent
    }

    /// Completes the recipe for a step that stands on `parent`.
    pub fn fill<E>(
        &self,
        parent: StepKey,
        mut content: impl FnMut(Hole) -> Result<Content, E>,
    ) -> Result<Recipe, E> {
        let ingredients = self.slots.iter().map(|slot| match slot {
            Slot::Known(ingredient) => Ok(ingredient.clone()),
            Slot::Hole(hole, place) => {
                Ok(Ingredient::Content { place: place.clone(), content: content(*hole)? })
            }
        });
        Ok(Recipe {
            version: VERSION,
            parent: (!self.independent).then_some(parent),
            op: self.op,
            ingredients: ingredients.collect::<Result<_, E>>()?,
        })
    }
}

struct Slots(Vec<Slot>);

impl Slots {
    fn known(&mut self, ingredient: Ingredient) {
        self.0.push(Slot::Known(ingredient));
    }

    fn flag(&mut self, name: &str, value: &dyn fmt::Display) {
        self.known(Ingredient::Flag { name: name.to_owned(), value: value.to_string() });
    }

    fn copy(&mut self, copy: &CopyOp) {
        self.known(Ingredient::Destination(copy.destination.clone()));
        if let Some(chown) = &copy.chown {
            self.flag("chown", chown);
        }
        if let Some(chmod) = &copy.chmod {
            self.flag("chmod", chmod);
        }
        if copy.link {
            self.flag("link", &true);
        }
        if copy.parents {
            self.flag("parents", &true);
        }
        for exclude in &copy.excludes {
            self.flag("exclude", exclude);
        }
        for (index, source) in copy.sources.iter().enumerate() {
            self.source(copy, index, source);
        }
    }

    fn source(&mut self, copy: &CopyOp, index: usize, source: &CopySource) {
        let hole = |text: &str| Slot::Hole(Hole::Source(index), Place::Source(text.to_owned()));
        match source {
            CopySource::Path { pattern, pivot, .. } => {
                if let Some(pivot) = pivot {
                    self.flag("pivot", pivot);
                }
                // Files of a context have no owners that count; those of stages and images do.
                if matches!(copy.from, Origin::Context(_)) {
                    self.flag("owners", &"none");
                }
                self.flag("unpack", &copy.unpack_local);
                self.known(Ingredient::Source(pattern.clone()));
                self.0.push(hole(pattern));
            }
            CopySource::Inline(file) => {
                let text = format!("<<{}", file.name);
                self.known(Ingredient::Source(text.clone()));
                let content = Content::Blob(Digest::of(&file.bytes));
                self.known(Ingredient::Content { place: Place::Source(text), content });
            }
            CopySource::Url(url) => {
                self.flag("unpack", &copy.unpack_remote);
                self.known(Ingredient::Source(url.url.clone()));
                match url.checksum {
                    Some(digest) => self.known(Ingredient::Content {
                        place: Place::Source(url.url.clone()),
                        content: Content::Blob(digest),
                    }),
                    None => self.0.push(hole(&url.url)),
                }
            }
            CopySource::Git(git) => {
                self.flag("keep-git-dir", &git.keep_git_dir);
                self.flag("submodules", &git.submodules);
                if let Some(directory) = &git.directory {
                    self.flag("directory", directory);
                }
                self.known(Ingredient::Source(git.remote.clone()));
                self.0.push(hole(&git.remote));
            }
        }
    }

    fn run(&mut self, run: &RunOp, platform: &Platform) {
        self.known(Ingredient::Platform(platform.normalized().to_string()));
        self.known(Ingredient::Command(run.argv.clone()));
        for file in &run.files {
            let content = Digest::of(&file.bytes);
            self.known(Ingredient::Script { name: file.name.clone(), content });
        }
        // The order of variables means nothing to a program, so it must mean nothing to the key.
        let mut variables: Vec<_> = run.env.iter().collect();
        variables.sort();
        for (name, value) in variables {
            let (is_argument, name, value) =
                (run.arguments.contains(name), name.clone(), value.clone());
            self.known(if is_argument {
                Ingredient::Argument { name, value }
            } else {
                Ingredient::Variable { name, value }
            });
        }
        self.known(Ingredient::User(run.user.clone()));
        self.known(Ingredient::Directory(run.directory.clone()));
        self.known(Ingredient::Network(run.network.word().to_owned()));
        if let Some(name) = &run.hostname {
            self.known(Ingredient::Hostname(name.clone()));
        }
        for (name, address) in &run.hosts {
            self.known(Ingredient::Host { name: name.clone(), address: address.clone() });
        }
        for path in &run.ignored {
            self.known(Ingredient::Flag { name: "ignore-path".to_owned(), value: path.clone() });
        }
        for (index, mount) in run.mounts.iter().enumerate() {
            self.mount(index, mount);
        }
    }

    fn mount(&mut self, index: usize, mount: &Mount) {
        let (properties, shows) = properties(&mount.kind);
        let target = mount.target.clone().unwrap_or_default();
        let properties =
            properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.known(Ingredient::Mount { target: target.clone(), properties });
        if shows {
            self.0.push(Slot::Hole(Hole::Mount(index), Place::Mount(target)));
        }
    }

    fn workdir(&mut self, workdir: &WorkdirOp) {
        self.known(Ingredient::Directory(workdir.path.clone()));
        if let Some(owner) = &workdir.owner {
            self.known(Ingredient::User(owner.to_string()));
        }
    }
}

/// What counts of a mount, and whether the content of another place counts too. What a cache directory
/// begins with does not: what it holds later never did.
fn properties(kind: &MountKind) -> (Vec<(&'static str, String)>, bool) {
    let owned =
        |owner: &MountOwner| ("owner", format!("{}:{}:{:o}", owner.uid, owner.gid, owner.mode));
    match kind {
        MountKind::Bind { from: MountFrom { origin, path }, access } => (
            vec![("type", "bind".into()), ("path", path.clone()), ("access", access.word().into())],
            *origin != Origin::Scratch,
        ),
        MountKind::Cache { id, sharing, access, owner, from: _ } => (
            vec![
                ("type", "cache".into()),
                ("id", id.clone()),
                ("sharing", sharing.word().into()),
                ("access", access.word().into()),
                owned(owner),
            ],
            false,
        ),
        MountKind::Tmpfs { size, access } => (
            vec![
                ("type", "tmpfs".into()),
                ("size", size.map_or_else(String::new, |size| size.to_string())),
                ("access", access.word().into()),
            ],
            false,
        ),
        MountKind::Secret { id, env, owner, required: _ } => (
            vec![
                ("type", "secret".into()),
                ("id", id.clone()),
                ("env", env.clone().unwrap_or_default()),
                owned(owner),
            ],
            false,
        ),
        MountKind::Ssh { id, owner, required: _ } => {
            (vec![("type", "ssh".into()), ("id", id.clone()), owned(owner)], false)
        }
    }
}

impl Access {
    fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::ReadWrite => "read-write",
        }
    }
}

impl Sharing {
    fn word(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Private => "private",
            Self::Locked => "locked",
        }
    }
}

impl Network {
    fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::None => "none",
            Self::Host => "host",
        }
    }
}
