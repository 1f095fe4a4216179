//! The keys of a whole plan, computed before anything runs.
//!
//! On the way every source of COPY and ADD is looked for in its context, so that a path that is not there is
//! told before the first download.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use strata_dockerfile::Span;
use strata_layer::Content as FileContent;
use strata_oci::Digest;
use strata_plan::recipe::{Content, Fact, FactKind, Hole};
use strata_plan::{
    Base, ContextId, CopyOp, CopySource, MountFrom, MountKind, Op, Origin, Plan, Recipe, Stage,
    StageId, StepKey,
};
use strata_tree::{Change, ChangeSet, Entry, LeafKind, Tree, TreePath};

use crate::context::BuildContext;
use crate::copy::{
    Copier, CopyError, CopyOptions, Destination, find_sources, require_below, require_included,
};
use crate::download::Files;
use crate::error::ErrorKind;
use crate::filter::Filter;
use crate::repository;

/// What a step's key is made of, and the key.
#[derive(Debug, Clone)]
pub(crate) struct StepRecipe {
    pub(crate) key: StepKey,
    recipe: Recipe,
}

impl StepRecipe {
    pub(crate) fn new(recipe: Recipe) -> Self {
        Self { key: recipe.key(), recipe }
    }

    /// The recipe as JSON, which is stored beside the result so that a later miss can be explained. Made when it is
    /// asked for: that of a large COPY is megabytes, and nobody needs it while the step runs.
    pub(crate) fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(&self.recipe).unwrap_or_default().into()
    }

    pub(crate) fn recipe(&self) -> &Recipe {
        &self.recipe
    }
}

/// The recipes of one stage's steps, by their index.
pub(crate) type StageKeys = BTreeMap<usize, StepRecipe>;

/// A failure with the step it belongs to.
#[derive(Debug)]
pub(crate) struct KeyError {
    pub(crate) at: (StageId, usize),
    pub(crate) span: Span,
    pub(crate) kind: Box<ErrorKind>,
}

/// Computes all keys. Reads the files that are copied or mounted from contexts, once each.
pub(crate) fn compute(
    plan: &Plan,
    contexts: &BTreeMap<ContextId, Arc<BuildContext>>,
    downloads: &Files,
    threads: usize,
) -> Result<Vec<StageKeys>, KeyError> {
    let mut digests =
        Digests { contexts, downloads, threads: threads.max(1), known: HashMap::new() };
    let mut states: Vec<StepKey> = Vec::with_capacity(plan.stages.len());
    let mut keys = Vec::with_capacity(plan.stages.len());
    for stage in &plan.stages {
        let (state, stage_keys) = stage_keys(plan, stage, &states, &mut digests)?;
        states.push(state);
        keys.push(stage_keys);
    }
    Ok(keys)
}

fn stage_keys(
    plan: &Plan,
    stage: &Stage,
    states: &[StepKey],
    digests: &mut Digests<'_>,
) -> Result<(StepKey, StageKeys), KeyError> {
    let mut state = match stage.base {
        Base::Scratch => StepKey::scratch(),
        Base::Image(image) => image_state(plan, image),
        Base::Stage(base) => states[base.index()],
    };
    let mut keys = StageKeys::new();
    for (index, step) in stage.steps.iter().enumerate() {
        let Some(template) = &step.recipe else { continue };
        let recipe =
            template.fill(state, |hole| hole_content(plan, &step.op, hole, states, digests));
        let recipe = recipe.map_err(|kind| KeyError {
            at: (stage.id, index),
            span: step.span,
            kind: Box::new(kind),
        })?;
        state = recipe.state_after(state);
        keys.insert(index, StepRecipe::new(recipe));
    }
    Ok((state, keys))
}

fn image_state(plan: &Plan, image: strata_plan::ImageId) -> StepKey {
    StepKey::of_layers(plan.image(image).layers().iter().map(|layer| &layer.diff_id))
}

fn hole_content(
    plan: &Plan,
    op: &Op,
    hole: Hole,
    states: &[StepKey],
    digests: &mut Digests<'_>,
) -> Result<Content, ErrorKind> {
    let elsewhere = |origin: Origin| match origin {
        Origin::Stage(stage) => Some(states[stage.index()]),
        Origin::Image(image) => Some(image_state(plan, image)),
        Origin::Scratch => Some(StepKey::scratch()),
        Origin::Context(_) => None,
    };
    match (op, hole) {
        (Op::Copy(copy), Hole::Source(index)) => match (&copy.sources[index], elsewhere(copy.from))
        {
            (CopySource::Path { .. }, Some(state)) => Ok(Content::State(state)),
            (source @ CopySource::Path { .. }, None) => digests.of_source(copy, source),
            (CopySource::Inline(file), _) => Ok(Content::Blob(Digest::of(&file.bytes))),
            (CopySource::Url(url), _) => match digests.downloads.get(&url.url) {
                Some(file) => Ok(Content::Blob(file.digest)),
                None => {
                    Err(ErrorKind::NotBuilt { what: format!("ADD of the address `{}`", url.url) })
                }
            },
            (CopySource::Git(git), _) => {
                let revision = digests.downloads.revision(&repository::repository(git));
                // Every repository of the plan was looked up.
                let revision = revision.ok_or(ErrorKind::Cancelled)?;
                Ok(Content::Commit(repository::key(git, revision)))
            }
        },
        (Op::Run(run), Hole::Mount(index)) => {
            let (MountKind::Bind { from, .. } | MountKind::Cache { from: Some(from), .. }) =
                &run.mounts[index].kind
            else {
                return Ok(Content::State(StepKey::scratch()));
            };
            match elsewhere(from.origin) {
                Some(state) => Ok(Content::State(state)),
                None => digests.of_mount(from),
            }
        }
        // The plan makes no other holes.
        _ => Ok(Content::State(StepKey::scratch())),
    }
}

/// Why a step's result was not found, told from the recipe of an earlier one: the first reasons, and how many more.
pub(crate) fn explain(older: &[u8], newer: &StepRecipe) -> Option<String> {
    const TOLD: usize = 3;
    let older: Recipe = serde_json::from_slice(older).ok()?;
    let reasons = newer.recipe.differences(&older);
    let told: Vec<String> = reasons.iter().take(TOLD).map(ToString::to_string).collect();
    let told = (!told.is_empty()).then(|| told.join(", "))?;
    Some(match reasons.len().saturating_sub(TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    })
}

/// The files that one source of a COPY takes, as if they were copied onto nothing.
pub(crate) fn selected(
    from: &Tree<FileContent>,
    copy: &CopyOp,
    source: &CopySource,
) -> Result<ChangeSet<FileContent>, ErrorKind> {
    let mut copier = Copier::new(&Tree::default());
    let CopySource::Path { .. } = source else { return Ok(ChangeSet::default()) };
    copy_source(&mut copier, from, copy, source, Destination(b"/"), &CopyOptions::default())?;
    Ok(copier.finish())
}

/// Copies one path source. With `--parents` what a pattern matches keeps its directories.
pub(crate) fn copy_source(
    copier: &mut Copier<FileContent>,
    from: &Tree<FileContent>,
    copy: &CopyOp,
    source: &CopySource,
    destination: Destination<'_>,
    options: &CopyOptions<'_>,
) -> Result<(), ErrorKind> {
    let CopySource::Path { pattern, pivot, wildcard, .. } = source else { return Ok(()) };
    let exclude = Filter::new(copy.excludes.iter().map(String::as_str))?;
    let exclude = (!copy.excludes.is_empty()).then_some(&exclude);
    if let Some(pivot) = pivot {
        let relative = pattern.trim_start_matches('/');
        let base = TreePath::clean(pivot.as_bytes()).map_err(CopyError::Path)?;
        // All of the pivot is below it.
        let include = if relative.is_empty() { "**" } else { relative };
        let include = Filter::new([include])?;
        let options = CopyOptions { include: Some(&include), exclude, ..*options };
        if !wildcard {
            let path = TreePath::clean(relative).map_err(CopyError::Path)?;
            require_below(from, &base, &path)?;
            if exclude.is_some() {
                require_included(from, &base, &path, &options)?;
            }
        }
        let destination = [destination.0, b"/"].concat();
        return Ok(copier.copy(from, &base, Destination(&destination), &options)?);
    }
    let options = CopyOptions { exclude, ..*options };
    let found = find_sources(from, pattern.as_bytes())?;
    for path in found {
        copier.copy(from, &path, destination, &options)?;
    }
    Ok(())
}

/// Digests of context files, each computed once.
struct Digests<'a> {
    contexts: &'a BTreeMap<ContextId, Arc<BuildContext>>,
    downloads: &'a Files,
    threads: usize,
    known: HashMap<(ContextId, TreePath), Digest>,
}

impl Digests<'_> {
    fn context(&self, id: ContextId) -> Result<Arc<BuildContext>, ErrorKind> {
        let missing = || ErrorKind::NotBuilt { what: format!("build context {}", id.0) };
        self.contexts.get(&id).cloned().ok_or_else(missing)
    }

    fn of_source(&mut self, copy: &CopyOp, source: &CopySource) -> Result<Content, ErrorKind> {
        let Origin::Context(id) = copy.from else { return Ok(Content::Files([].into())) };
        let context = self.context(id)?;
        let files = selected(context.tree(), copy, source)
            .map_err(|kind| not_in_context(kind, source, &context))?;
        self.facts(id, &context, &files)
    }

    fn of_mount(&mut self, from: &MountFrom) -> Result<Content, ErrorKind> {
        let Origin::Context(id) = from.origin else { return Ok(Content::Files([].into())) };
        let context = self.context(id)?;
        let path = TreePath::clean(&from.path).map_err(CopyError::Path)?;
        let mut copier = Copier::new(&Tree::default());
        copier.copy(context.tree(), &path, Destination(b"/"), &CopyOptions::default()).map_err(
            |error| match error {
                CopyError::SourceMissing { path } => ErrorKind::NotInContext {
                    written: from.path.clone(),
                    reason: context.missing_reason(&path),
                },
                error => error.into(),
            },
        )?;
        self.facts(id, &context, &copier.finish())
    }

    fn facts(
        &mut self,
        id: ContextId,
        context: &BuildContext,
        files: &ChangeSet<FileContent>,
    ) -> Result<Content, ErrorKind> {
        let paths = files.iter().filter_map(|change| match change {
            Change::Put { entry: Entry::Leaf(leaf), .. } => match &leaf.kind {
                LeafKind::File { content: FileContent::Context { path, .. }, .. } => {
                    Some(path.clone())
                }
                _ => None,
            },
            _ => None,
        });
        let new: Vec<TreePath> =
            paths.filter(|path| !self.known.contains_key(&(id, path.clone()))).collect();
        for (path, digest) in hash(context, &new, self.threads)? {
            self.known.insert((id, path), digest);
        }
        let targets: HashSet<&TreePath> = files
            .iter()
            .filter_map(|change| match change {
                Change::Link { target, .. } => Some(target),
                _ => None,
            })
            .collect();
        let mut linked: HashMap<&TreePath, Fact> = HashMap::new();
        let mut facts = Vec::with_capacity(files.len());
        for change in files {
            let fact = match change {
                Change::Put { path, entry } => self.fact(id, path, entry),
                Change::Link { path, target } => {
                    // A hard link is the file it names.
                    linked.get(target).map(|fact| Fact { path: path.clone(), ..fact.clone() })
                }
                Change::Remove { .. } | Change::Opaque { .. } => None,
            };
            if let Some(fact) = fact {
                if targets.contains(change.path()) {
                    linked.insert(change.path(), fact.clone());
                }
                facts.push(fact);
            }
        }
        Ok(Content::Files(facts.into()))
    }

    fn fact(&self, id: ContextId, path: &TreePath, entry: &Entry<FileContent>) -> Option<Fact> {
        let metadata = entry.metadata();
        let (path, kind) = match entry {
            Entry::Directory(_) => (path.clone(), FactKind::Directory),
            Entry::Leaf(leaf) => match &leaf.kind {
                LeafKind::File { content: FileContent::Context { path: source, .. }, .. } => {
                    (source.clone(), FactKind::File(*self.known.get(&(id, source.clone()))?))
                }
                LeafKind::File { .. } => return None,
                LeafKind::Symlink { target } => (path.clone(), FactKind::Symlink(target.clone())),
                LeafKind::CharDevice { major, minor } => {
                    (path.clone(), FactKind::CharDevice { major: *major, minor: *minor })
                }
                LeafKind::BlockDevice { major, minor } => {
                    (path.clone(), FactKind::BlockDevice { major: *major, minor: *minor })
                }
                LeafKind::Fifo => (path.clone(), FactKind::Fifo),
            },
        };
        let xattrs = metadata.xattrs.clone();
        Some(Fact { path, mode: metadata.mode, owner: None, xattrs, kind })
    }
}

fn not_in_context(kind: ErrorKind, source: &CopySource, context: &BuildContext) -> ErrorKind {
    let ErrorKind::Copy(CopyError::SourceMissing { path }) = kind else { return kind };
    let written = match source {
        CopySource::Path { written, .. } => written.clone(),
        CopySource::Inline(_) | CopySource::Url(_) | CopySource::Git(_) => path.to_string(),
    };
    ErrorKind::NotInContext { written, reason: context.missing_reason(&path) }
}

// Files are hashed by as many threads as there are processors, each taking the next one.
fn hash(
    context: &BuildContext,
    paths: &[TreePath],
    threads: usize,
) -> Result<Vec<(TreePath, Digest)>, ErrorKind> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(paths.len()));
    let work = || -> Result<(), ErrorKind> {
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            let digest = context.context().digest(path)?;
            let digest = Digest::from_bytes(digest.sha256);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((path.clone(), digest));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.min(paths.len())).map(|_| scope.spawn(work)).collect();
        let mut result = work();
        for helper in helpers {
            let other = helper.join().unwrap_or_else(|_| {
                Err(ErrorKind::Worker { message: "hashing the build context".to_owned() })
            });
            result = result.and(other);
        }
        result
    })?;
    Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner))
}
