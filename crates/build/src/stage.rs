//! One stage from its base to its last step. What it must see of a file system it gets when the first step asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use strata_layer::Content;
use strata_oci::{LayerRef, Timestamp as Created};
use strata_plan::{Base, Op, Origin, Recipe, StageId, Step, WorkdirOp};
use strata_rootfs::Workspace;
use strata_tree::{ChangeSet, Tree, TreePath};

use crate::archive;
use crate::blocking::blocking;
use crate::copy::{Copier, CopyError};
use crate::engine::{Session, StageFuture};
use crate::error::{BuildError, ErrorKind};
use crate::event::Event;
use crate::materialise::{Early, materialise};
use crate::ports::{Lookup, StepResult};
use crate::sealing::{Layers, Unsealed};
use crate::trees::tree_of;
use crate::users::UserDatabase;
use crate::{content_key, copy_step, ignored, run, spool};

/// A layer of a stage.
#[derive(Debug, Clone)]
pub(crate) struct StageLayer {
    pub(crate) layer: LayerRef,
    /// When it was made; nothing for layers of base images.
    pub(crate) created: Option<Created>,
}

/// What a finished stage leaves to those that start or copy from it.
#[derive(Debug)]
pub(crate) struct StageOutput {
    pub(crate) layers: Vec<StageLayer>,
    tree: Mutex<Option<Tree<Content>>>,
    workspace: Mutex<Option<Box<dyn Workspace>>>,
}

impl StageOutput {
    /// The files of the stage, from whatever already knows them.
    pub(crate) async fn tree(&self, session: &Arc<Session>) -> Result<Tree<Content>, ErrorKind> {
        let known = self.tree.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(tree) = known {
            return Ok(tree);
        }
        let layers: Vec<LayerRef> = self.layers.iter().map(|layer| layer.layer.clone()).collect();
        let tree = tree_of(session, &layers).await?;
        *self.tree.lock().unwrap_or_else(PoisonError::into_inner) = Some(tree.clone());
        Ok(tree)
    }

    fn has_workspace(&self) -> bool {
        self.workspace.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// A workspace of its own that begins as the stage ended.
    pub(crate) async fn fork(
        self: &Arc<Self>,
        session: &Arc<Session>,
    ) -> Result<Box<dyn Workspace>, ErrorKind> {
        let output = Arc::clone(self);
        let forked = blocking(move || {
            let workspace = output.workspace.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(workspace.as_ref().map(|workspace| workspace.fork()).transpose()?)
        })
        .await?;
        match forked {
            Some(workspace) => Ok(workspace),
            None => {
                let layers = self.layers.iter().map(|layer| layer.layer.clone()).collect();
                materialise(session, layers).await
            }
        }
    }
}

/// Leaves out what a command wrote to ignored paths; nothing if it wrote nothing there.
fn without_ignored(
    changes: &ChangeSet<Content>,
    paths: &[String],
) -> Result<Option<ChangeSet<Content>>, ErrorKind> {
    let paths: Result<Vec<_>, _> = paths.iter().map(TreePath::clean).collect();
    Ok(ignored::without(changes, &paths.map_err(CopyError::Path)?))
}

/// A stage in progress.
pub(crate) struct Running {
    pub(crate) session: Arc<Session>,
    pub(crate) needs: BTreeMap<StageId, StageFuture>,
    layers: Layers,
    tree: Option<Tree<Content>>,
    pub(crate) workspace: Option<Box<dyn Workspace>>,
    // A command will run, so a directory is needed in any case: names come from there, not from a pass of their own.
    runs: bool,
    // A directory on its way, where it is certain that a command will run.
    early: Option<Early>,
    // How many of the layers that are there were told to be part of the result; nothing if they are not.
    shipped: Option<usize>,
    // The stage this one starts from, until something of its own comes on top.
    base: Option<Arc<StageOutput>>,
    // The second key of the step at work, if it has one; the layers below it are not in there yet.
    content: Option<Recipe>,
}

/// Runs a stage.
pub(crate) async fn run(
    session: Arc<Session>,
    id: StageId,
    needs: BTreeMap<StageId, StageFuture>,
) -> Result<Arc<StageOutput>, Arc<BuildError>> {
    let plan = Arc::clone(&session.plan);
    let stage = plan.stage(id);
    // Where every layer was found there is nothing to be ahead of, and the push may learn with one question that the
    // registry has the whole image.
    let makes_layers = (stage.steps.iter().enumerate())
        .any(|(index, step)| step.makes_layer() && session.hit(id, index).is_none());
    let mut running =
        Running {
            session: Arc::clone(&session),
            needs,
            layers: Layers::default(),
            tree: None,
            workspace: None,
            runs: stage.steps.iter().enumerate().any(|(index, step)| {
                matches!(step.op, Op::Run(_)) && session.hit(id, index).is_none()
            }),
            early: None,
            shipped: (makes_layers && session.ships(id)).then_some(0),
            base: None,
            content: None,
        };
    match stage.base {
        Base::Scratch => running.tree = Some(Tree::default()),
        Base::Image(image) => {
            let layers = plan.image(image).layers().iter();
            let layers = layers.map(|layer| StageLayer { layer: layer.clone(), created: None });
            running.layers = Layers::Sealed(layers.collect());
        }
        Base::Stage(base) => {
            let output = running.stage(base).await?;
            running.layers = Layers::Sealed(output.layers.clone());
            running.base = Some(output);
        }
    }
    if !running.runs {
        running.ship_all();
    }
    if session.certainly_runs(id) && running.base.as_ref().is_none_or(|base| !base.has_workspace())
    {
        let mut layers = running.layer_refs();
        layers.extend(session.first_hits(id));
        running.early = Some(Early::begin(&session, layers));
    }
    let done = running.steps(id).await;
    // Nothing is left at work behind an error, and what failed first is the error.
    let settled = running.layers.settle().await;
    if let Some(early) = running.early.take() {
        early.discard().await;
    }
    match (settled, done) {
        (Err(error), Ok(())) => return Err(error),
        (Err(error), Err(_)) if !error.is_cancelled() => return Err(error),
        (_, done) => done?,
    }
    let layers = running.layers.sealed().to_vec();
    let Running { tree, workspace, base, .. } = running;
    let tree = match (&workspace, tree) {
        (Some(workspace), _) => Some(workspace.tree().clone()),
        (None, tree) => tree,
    };
    drop(base);
    Ok(Arc::new(StageOutput { layers, tree: Mutex::new(tree), workspace: Mutex::new(workspace) }))
}

impl Running {
    /// What another stage ends with; waits for it.
    pub(crate) async fn stage(&self, id: StageId) -> Result<Arc<StageOutput>, Arc<BuildError>> {
        match self.needs.get(&id) {
            Some(future) => future.clone().await,
            None => Err(Arc::new(ErrorKind::Cancelled.into())),
        }
    }

    async fn steps(&mut self, id: StageId) -> Result<(), Arc<BuildError>> {
        let plan = Arc::clone(&self.session.plan);
        for (index, step) in plan.stage(id).steps.iter().enumerate() {
            if step.makes_layer() {
                self.step(id, index, step).await?;
            }
        }
        Ok(())
    }

    // Lets all layers there are go where the result goes. One that is being fetched is sent once it is here: sent
    // from where it is, it would travel twice.
    fn ship_all(&mut self) {
        let Some(shipped) = &mut self.shipped else { return };
        let layers = self.layers.sealed();
        // Those that are being sealed go by themselves.
        for layer in layers.iter().skip(*shipped) {
            self.session.ports.uploads.begin(&layer.layer);
        }
        *shipped = (*shipped).max(layers.len());
    }

    async fn step(
        &mut self,
        stage: StageId,
        index: usize,
        step: &Step,
    ) -> Result<(), Arc<BuildError>> {
        let session = Arc::clone(&self.session);
        let number = session.number(stage, index);
        if !session.certainly_misses(stage, index) {
            self.layers.settle().await?;
        }
        if let Some(hit) = session.hit(stage, index).cloned() {
            if let Some(step) = number {
                session.emit(Event::StepCached { step });
            }
            return self.put(hit).await;
        }
        // A stage that this step waits for fails with its own place, not with this step's.
        for origin in step.origins() {
            if let Origin::Stage(id) = origin {
                self.stage(id).await?;
            }
        }
        if let Some(hit) = self.found_by_content(stage, index, step).await {
            return self.put(hit).await;
        }
        if let Some(step) = number {
            session.emit(Event::StepStarted { step });
        }
        let begun = Instant::now();
        match self.execute(stage, index, step).await {
            Ok(changes) => self.seal(stage, index, step, changes).await?,
            Err(kind) => return Err(session.failure(stage, index, step, kind)),
        }
        if let Some(step) = number {
            let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            session.emit(Event::StepFinished { step, milliseconds });
        }
        Ok(())
    }

    async fn found_by_content(
        &mut self,
        stage: StageId,
        index: usize,
        step: &Step,
    ) -> Option<StepResult> {
        let session = Arc::clone(&self.session);
        self.content = None;
        let definition = session.key(stage, index)?;
        self.content = content_key::recipe(self, step, definition.recipe()).await;
        // Nobody knows a result, so that it is not waited for what is below.
        if step.no_cache || self.layers.are_at_work() {
            return None;
        }
        let content = content_key::on(self.content.clone()?, self.layers.sealed(), definition)?;
        let Lookup::Hit(hit) = session.ports.cache.lookup(&content, &Bytes::new()).await else {
            return None;
        };
        session.believe(&hit);
        // The next build need not get here to find it.
        session.ports.cache.store(&definition.key, &definition.to_bytes(), &hit).await;
        if let Some(step) = session.number(stage, index) {
            session.emit(Event::StepCached { step });
        }
        Some(*hit)
    }

    // A result that was found: nothing is unpacked for it. Whoever needs files later reads all layers again.
    async fn put(&mut self, result: StepResult) -> Result<(), Arc<BuildError>> {
        let layer = StageLayer { layer: result.layer, created: Some(result.created) };
        self.layers.push(layer).await?;
        self.forget_files();
        if !self.runs {
            self.ship_all();
        }
        Ok(())
    }

    fn forget_files(&mut self) {
        self.tree = None;
        self.workspace = None;
        self.base = None;
    }

    /// Does what a step says, and gives what it changed, which stands in the workspace then.
    async fn execute(
        &mut self,
        stage: StageId,
        index: usize,
        step: &Step,
    ) -> Result<ChangeSet<Content>, ErrorKind> {
        let changes = match &step.op {
            Op::Config => return Ok(ChangeSet::default()),
            Op::Run(command) => return run::run(self, stage, index, command, &step.text).await,
            Op::Workdir(workdir) => self.workdir(workdir).await?,
            Op::Copy(copy) => copy_step::run(self, copy).await?,
        };
        let changes = spool::gather(&self.session, changes).await?;
        self.put_on_top(&changes).await?;
        Ok(changes)
    }

    /// Makes a layer of what a step changed: beside the next step where that can be, otherwise before it.
    async fn seal(
        &mut self,
        stage: StageId,
        index: usize,
        step: &Step,
        changes: ChangeSet<Content>,
    ) -> Result<(), Arc<BuildError>> {
        let failed = |kind| self.session.failure(stage, index, step, kind);
        let kept = match &step.op {
            Op::Run(command) => without_ignored(&changes, &command.ignored).map_err(failed)?,
            Op::Config | Op::Workdir(_) | Op::Copy(_) => None,
        };
        let leaves_out = kept.is_some();
        let files = match &self.workspace {
            Some(workspace) if workspace.keeps_changes() && !leaves_out => {
                Some(workspace.fork().map_err(|error| failed(error.into()))?)
            }
            _ => None,
        };
        let goes_on = files.is_some() && self.session.next_certainly_misses(stage, index);
        // What is below goes first.
        self.ship_all();
        if let Some(shipped) = &mut self.shipped {
            *shipped += 1;
        }
        let unsealed = Unsealed {
            stage,
            index,
            changes: kept.unwrap_or(changes),
            content: self.content.take(),
            files,
            ships: self.shipped.is_some(),
        };
        self.layers.seal(&self.session, step, unsealed);
        self.base = None;
        if !goes_on {
            self.layers.settle().await?;
        }
        if leaves_out {
            // The workspace has what was left out, and what comes next must see the same files as in a build that
            // finds this step: it is made anew of the layers.
            self.forget_files();
        }
        Ok(())
    }

    /// The files of the stage so far.
    pub(crate) async fn tree(&mut self) -> Result<Tree<Content>, ErrorKind> {
        if let Some(workspace) = &self.workspace {
            return Ok(workspace.tree().clone());
        }
        if let Some(tree) = &self.tree {
            return Ok(tree.clone());
        }
        if self.runs {
            let workspace = self.workspace().await?;
            return Ok(self.workspace.insert(workspace).tree().clone());
        }
        let tree = match &self.base {
            Some(base) => base.tree(&self.session).await?,
            None => tree_of(&self.session, &self.layer_refs()).await?,
        };
        self.tree = Some(tree.clone());
        Ok(tree)
    }

    // Asked for only where no workspace stands, and then every layer is sealed.
    fn layer_refs(&self) -> Vec<LayerRef> {
        self.layers.sealed().iter().map(|layer| layer.layer.clone()).collect()
    }

    /// Makes sure that there is a directory to run in.
    pub(crate) async fn workspace(&mut self) -> Result<Box<dyn Workspace>, ErrorKind> {
        if let Some(workspace) = self.workspace.take() {
            return Ok(workspace);
        }
        if let Some(early) = self.early.take() {
            // Layers only come on top: with as many it is the same ones.
            if early.layers() == self.layers.sealed().len() {
                return early.take().await;
            }
            early.discard().await;
        }
        match &self.base {
            Some(base) => base.fork(&self.session).await,
            None => materialise(&self.session, self.layer_refs()).await,
        }
    }

    async fn put_on_top(&mut self, changes: &ChangeSet<Content>) -> Result<(), ErrorKind> {
        if let Some(mut workspace) = self.workspace.take() {
            let (changes, contents) = (changes.clone(), Arc::clone(&self.session.contents));
            self.workspace = Some(
                blocking(move || {
                    workspace.apply(&changes, &*contents)?;
                    Ok(workspace)
                })
                .await?,
            );
        } else if let Some(tree) = &mut self.tree {
            tree.apply(changes).map_err(|source| ErrorKind::Io {
                action: "apply",
                what: "the changes of a step".to_owned(),
                source: std::io::Error::other(source),
            })?;
        }
        Ok(())
    }

    async fn workdir(&mut self, workdir: &WorkdirOp) -> Result<ChangeSet<Content>, ErrorKind> {
        let tree = self.tree().await?;
        let owner = match &workdir.owner {
            Some(chown) => Some(self.users(&tree).await?.owner(chown)?),
            None => None,
        };
        let mut copier = Copier::new(&tree);
        copier.make_directory(workdir.path.as_bytes(), owner, self.session.now())?;
        Ok(copier.finish())
    }

    /// The files of another stage, an image or a context.
    pub(crate) async fn origin_tree(&self, origin: Origin) -> Result<Tree<Content>, ErrorKind> {
        match origin {
            Origin::Scratch => Ok(Tree::default()),
            Origin::Context(id) => match self.session.contexts.get(&id) {
                Some(context) => Ok(context.tree().clone()),
                None => Err(ErrorKind::NotBuilt { what: format!("build context {}", id.0) }),
            },
            Origin::Stage(id) => match self.stage(id).await {
                Ok(output) => output.tree(&self.session).await,
                Err(_) => Err(ErrorKind::Cancelled),
            },
            Origin::Image(id) => {
                let layers = self.session.plan.image(id).layers().to_vec();
                tree_of(&self.session, &layers).await
            }
        }
    }

    /// The users of a tree.
    pub(crate) async fn users(&self, tree: &Tree<Content>) -> Result<UserDatabase, ErrorKind> {
        let passwd = archive::read_small(&self.session, tree, "etc/passwd").await?;
        let group = archive::read_small(&self.session, tree, "etc/group").await?;
        Ok(UserDatabase { passwd, group })
    }
}
