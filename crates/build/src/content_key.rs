//! The second key of a step: what it really stands on and copies, where the first says how that comes about.
//!
//! ```text
//! by definition   parent: key of the step before          COPY --from: key of the stage
//! by content      parent: the layers that it stands on    COPY --from: the files, without their times
//! ```
//!
//! The first is known for all steps before anything runs; the second once the steps and stages before are done. A
//! stage that was built again with the same result thus costs only itself.

use std::io;
use std::sync::Arc;

use strata_layer::{Content as FileContent, OpenContent};
use strata_oci::{Digest, Hasher};
use strata_plan::recipe::{Content, Fact, FactKind, Ingredient, Place};
use strata_plan::{CopySource, MountFrom, MountKind, Op, Origin, Recipe, Step, StepKey};
use strata_tree::{Change, ChangeSet, Entry, LeafKind, TreePath};

use crate::blocking::blocking;
use crate::contents::Contents;
use crate::keys::{StepRecipe, selected};
use crate::stage::{Running, StageLayer};

/// What the key of a step is made of, but for the layers below it. Nothing if some content cannot be told cheaply, or
/// not at all: running the step will say why.
pub(crate) async fn recipe(running: &Running, step: &Step, definition: &Recipe) -> Option<Recipe> {
    let mut recipe = definition.clone();
    for ingredient in &mut recipe.ingredients {
        let Ingredient::Content { place, content } = ingredient else { continue };
        if matches!(content, Content::State(_)) {
            *content = match place {
                Place::Source(pattern) => source(running, step, pattern).await?,
                Place::Mount(target) => mount(running, step, target).await?,
            };
        }
    }
    Some(recipe)
}

/// The key of a step that stands on these layers, which has no recipe of its own: what is told of a miss is told by
/// the definition. There is none if it says no more than the definition.
pub(crate) fn on(
    mut recipe: Recipe,
    below: &[StageLayer],
    definition: &StepRecipe,
) -> Option<StepKey> {
    if recipe.parent.is_some() {
        recipe.parent = Some(StepKey::of_layers(below.iter().map(|layer| &layer.layer.diff_id)));
    }
    let key = recipe.key();
    (key != definition.key).then_some(key)
}

async fn source(running: &Running, step: &Step, wanted: &str) -> Option<Content> {
    let Op::Copy(copy) = &step.op else { return None };
    // An image's files are known by its layers as they are.
    if let Origin::Image(id) = copy.from {
        let layers = running.session.plan.image(id).layers();
        return Some(Content::State(StepKey::of_layers(layers.iter().map(|layer| &layer.diff_id))));
    }
    let source = copy
        .sources
        .iter()
        .find(|source| matches!(source, CopySource::Path { pattern, .. } if pattern == wanted))?;
    let tree = running.origin_tree(copy.from).await.ok()?;
    let (copy, source) = (copy.clone(), source.clone());
    let contents = Arc::clone(&running.session.contents);
    blocking(move || {
        let files = selected(&tree, &copy, &source)?;
        Ok(facts(&files, &contents))
    })
    .await
    .ok()?
}

/// A command may read all of what is mounted, so that hashing files would cost as much as it saves.
async fn mount(running: &Running, step: &Step, wanted: &str) -> Option<Content> {
    let Op::Run(run) = &step.op else { return None };
    let mount =
        run.mounts.iter().find(|mount| mount.target.as_deref().unwrap_or_default() == wanted)?;
    let (MountKind::Bind { from: MountFrom { origin, .. }, .. }
    | MountKind::Cache { from: Some(MountFrom { origin, .. }), .. }) = &mount.kind
    else {
        return None;
    };
    let state = match origin {
        Origin::Scratch => StepKey::scratch(),
        Origin::Image(id) => {
            let layers = running.session.plan.image(*id).layers();
            StepKey::of_layers(layers.iter().map(|layer| &layer.diff_id))
        }
        Origin::Stage(id) => {
            let output = running.stage(*id).await.ok()?;
            StepKey::of_layers(output.layers.iter().map(|layer| &layer.layer.diff_id))
        }
        Origin::Context(_) => return None,
    };
    Some(Content::State(state))
}

/// What counts of files. Nothing if one of them lies inside a compressed layer.
fn facts(files: &ChangeSet<FileContent>, contents: &Contents) -> Option<Content> {
    let mut facts: Vec<Fact> = Vec::with_capacity(files.len());
    let mut links: Vec<(TreePath, TreePath)> = Vec::new();
    for change in files {
        match change {
            Change::Put { path, entry } => facts.push(fact(path, entry, contents)?),
            Change::Link { path, target } => links.push((path.clone(), target.clone())),
            Change::Remove { .. } | Change::Opaque { .. } => {}
        }
    }
    for (path, target) in links {
        // A hard link is the file it names.
        let named = facts.iter().find(|fact| fact.path == target)?.clone();
        facts.push(Fact { path, ..named });
    }
    facts.sort_by(|one, other| one.path.cmp(&other.path));
    Some(Content::Files(facts.into()))
}

fn fact(path: &TreePath, entry: &Entry<FileContent>, contents: &Contents) -> Option<Fact> {
    let metadata = entry.metadata();
    let kind = match entry {
        Entry::Directory(_) => FactKind::Directory,
        Entry::Leaf(leaf) => match &leaf.kind {
            LeafKind::File { content: FileContent::Layer { .. }, size } if *size > 0 => {
                return None;
            }
            LeafKind::File { size: 0, .. } => FactKind::File(Digest::of(b"")),
            LeafKind::File { content, size } => {
                FactKind::File(digest(content, *size, contents).ok()?)
            }
            LeafKind::Symlink { target } => FactKind::Symlink(target.clone()),
            LeafKind::CharDevice { major, minor } => {
                FactKind::CharDevice { major: *major, minor: *minor }
            }
            LeafKind::BlockDevice { major, minor } => {
                FactKind::BlockDevice { major: *major, minor: *minor }
            }
            LeafKind::Fifo => FactKind::Fifo,
        },
    };
    Some(Fact {
        path: path.clone(),
        mode: metadata.mode,
        owner: Some((metadata.uid, metadata.gid)),
        xattrs: metadata.xattrs.clone(),
        kind,
    })
}

fn digest(content: &FileContent, size: u64, contents: &Contents) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    io::copy(&mut contents.open(content, size)?, &mut hasher)?;
    Ok(hasher.finish())
}
