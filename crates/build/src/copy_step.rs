//! COPY and ADD as a step: collects what they take from elsewhere, then copies tree to tree.

use std::sync::Arc;

use strata_layer::Content;
use strata_plan::{CopyOp, CopySource, Origin, UrlSource};
use strata_tree::{ChangeSet, Leaf, LeafKind, Metadata, Timestamp, Tree, TreePath};

use crate::archive;
use crate::blocking::blocking;
use crate::copy::{Copier, CopyError, CopyOptions, Destination, Owner};
use crate::download::{self, Files};
use crate::engine::Session;
use crate::error::ErrorKind;
use crate::filter::Filter;
use crate::keys::copy_source;
use crate::repository;
use crate::stage::Running;

/// Copies into the stage and gives what changed; nothing is written yet.
pub(crate) async fn run(
    running: &mut Running,
    copy: &CopyOp,
) -> Result<ChangeSet<Content>, ErrorKind> {
    let named = copy.chown.as_ref().is_some_and(strata_plan::Chown::needs_lookup);
    let onto = if copy.link && !named { Tree::default() } else { running.tree().await? };
    let owner = match &copy.chown {
        Some(chown) => Some(running.users(&onto).await?.owner(chown)?),
        None => None,
    };
    let onto = if copy.link { Tree::default() } else { onto };
    let from = running.origin_tree(copy.from).await?;
    let files = download::of_step(&running.session, copy).await?;
    let mut checkouts = Vec::new();
    for source in &copy.sources {
        if let CopySource::Git(git) = source {
            checkouts.push(repository::checkout(&running.session, git).await?);
        }
    }
    let work = CopyWork {
        session: Arc::clone(&running.session),
        copy: copy.clone(),
        from,
        onto,
        owner,
        files,
        checkouts,
    };
    let work = work.gather_archives().await?;
    blocking(move || work.run()).await
}

/// A COPY with everything it needs, ready to run on a thread that may block.
struct CopyWork {
    session: Arc<Session>,
    copy: CopyOp,
    from: Tree<Content>,
    onto: Tree<Content>,
    owner: Option<Owner>,
    // What was downloaded, and the repositories among the sources in their order.
    files: Files,
    checkouts: Vec<Tree<Content>>,
}

impl CopyWork {
    /// Archives of other stages may lie inside layers; what an ADD may have to unpack is made readable first.
    async fn gather_archives(mut self) -> Result<Self, ErrorKind> {
        if self.copy.unpack_local && !matches!(self.copy.from, Origin::Context(_)) {
            let sources = self.copy.sources.clone();
            for source in &sources {
                self.from = archive::gather_source(&self.session, self.from, source).await?;
            }
        }
        Ok(self)
    }

    fn run(self) -> Result<ChangeSet<Content>, ErrorKind> {
        let copy = &self.copy;
        let destination = Destination(copy.destination.as_bytes());
        // Files of a context belong to root, whoever owns them on the host.
        let owner = match copy.from {
            Origin::Context(_) => Some(self.owner.unwrap_or(Owner { uid: 0, gid: 0 })),
            Origin::Stage(_) | Origin::Image(_) | Origin::Scratch => self.owner,
        };
        let options = CopyOptions {
            owner,
            made_owner: self.owner,
            mode: copy.chmod.as_ref(),
            include: None,
            exclude: None,
        };
        let mut copier = Copier::new(&self.onto);
        let mut checkouts = self.checkouts.iter();
        for source in &copy.sources {
            match source {
                CopySource::Path { written, .. } => {
                    let unpacked = copy.unpack_local
                        && self.unpack(&mut copier, source, destination, &options)?;
                    if !unpacked {
                        copy_source(&mut copier, &self.from, copy, source, destination, &options)
                            .map_err(|kind| self.explain(kind, written))?;
                    }
                }
                CopySource::Inline(file) => {
                    let bytes: Arc<[u8]> = Arc::from(file.bytes.as_slice());
                    let size = bytes.len() as u64;
                    let owner = self.owner.unwrap_or(Owner { uid: 0, gid: 0 });
                    let mode = copy.chmod.as_ref().map_or(0o644, |mode| mode.apply(0o644, false));
                    let metadata = Metadata {
                        mode,
                        uid: owner.uid,
                        gid: owner.gid,
                        mtime: self.session.now(),
                        ..Metadata::default()
                    };
                    let kind = LeafKind::File { size, content: Content::Inline(bytes) };
                    copier.put_file(
                        file.name.as_bytes(),
                        &Leaf { metadata, kind },
                        destination,
                        &options,
                    )?;
                }
                CopySource::Url(url) => {
                    self.put_download(&mut copier, url, destination, &options)?;
                }
                CopySource::Git(_) => {
                    let Some(files) = checkouts.next() else { return Err(ErrorKind::Cancelled) };
                    let owner = Some(self.owner.unwrap_or(Owner { uid: 0, gid: 0 }));
                    let exclude = Filter::new(copy.excludes.iter().map(String::as_str))?;
                    let exclude = (!copy.excludes.is_empty()).then_some(&exclude);
                    let options = CopyOptions { owner, exclude, ..options };
                    copier.copy(files, &TreePath::root(), destination, &options)?;
                }
            }
        }
        Ok(copier.finish())
    }

    fn unpack(
        &self,
        copier: &mut Copier<Content>,
        source: &CopySource,
        destination: Destination<'_>,
        options: &CopyOptions<'_>,
    ) -> Result<bool, ErrorKind> {
        let archives = archive::archives(&self.session, &self.from, source)?;
        let Some(archives) = archives else { return Ok(false) };
        for (path, entries) in archives {
            match entries {
                Some(entries) => {
                    let options = CopyOptions { owner: self.owner, mode: None, ..*options };
                    copier.unpack(&entries, destination, self.session.now(), &options)?;
                }
                None => copier.copy(&self.from, &path, destination, options)?,
            }
        }
        Ok(true)
    }

    // Mode 0600 and the time that the server says, as the reference has it.
    fn put_download(
        &self,
        copier: &mut Copier<Content>,
        url: &UrlSource,
        destination: Destination<'_>,
        options: &CopyOptions<'_>,
    ) -> Result<(), ErrorKind> {
        let Some(file) = self.files.get(&url.url) else { return Err(ErrorKind::Cancelled) };
        let content = file.content();
        let owner = self.owner.unwrap_or(Owner { uid: 0, gid: 0 });
        let mtime = file.last_modified.map_or_else(|| self.session.now(), Timestamp::from_seconds);
        let metadata =
            Metadata { mode: 0o600, uid: owner.uid, gid: owner.gid, mtime, ..Metadata::default() };
        let leaf = Leaf { metadata, kind: LeafKind::File { size: file.size, content } };
        if self.copy.unpack_remote
            && let Some(entries) = archive::unpacked(&self.session, &url.name, &leaf)?
        {
            let options = CopyOptions { owner: self.owner, mode: None, ..*options };
            return Ok(copier.unpack(&entries, destination, self.session.now(), &options)?);
        }
        Ok(copier.put_file(url.name.as_bytes(), &leaf, destination, options)?)
    }

    fn explain(&self, kind: ErrorKind, written: &str) -> ErrorKind {
        let ErrorKind::Copy(CopyError::SourceMissing { path }) = kind else { return kind };
        let written = written.to_owned();
        let origin = match self.copy.from {
            Origin::Context(id) => {
                let context = self.session.contexts.get(&id);
                let reason = context.map_or(crate::error::MissingReason::Unknown, |context| {
                    context.missing_reason(&path)
                });
                return ErrorKind::NotInContext { written, reason };
            }
            Origin::Stage(id) => format!("stage `{}`", self.session.plan.stage(id).label),
            Origin::Image(id) => format!("image `{}`", self.session.plan.image(id).source),
            Origin::Scratch => "the empty image".to_owned(),
        };
        ErrorKind::NotInOrigin { written, origin }
    }
}
