//! What ADD takes from elsewhere. Files are fetched and references looked up before keys are computed, because
//! they count: a cached ADD is never older than what its address gives now.
//!
//! A file with `--checksum` cannot be another one, so that it is fetched only for a step that runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use futures_util::future::try_join_all;
use strata_context::{Repository, Revision};
use strata_layer::Content;
use strata_oci::Digest;
use strata_plan::{CopyOp, CopySource, Op, Plan, UrlSource};
use strata_tree::TreePath;

use crate::authorization;
use crate::engine::Session;
use crate::error::{BuildError, ErrorKind};
use crate::repository;
use crate::settings::{Ports, Settings};

/// A file that was downloaded.
#[derive(Debug, Clone)]
pub(crate) struct DownloadedFile {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) last_modified: Option<i64>,
    directory: Arc<Path>,
    name: TreePath,
}

impl DownloadedFile {
    pub(crate) fn content(&self) -> Content {
        Content::Disk { directory: Arc::clone(&self.directory), path: self.name.clone() }
    }
}

/// Downloaded files by address, and repositories with what was found there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    files: BTreeMap<String, DownloadedFile>,
    revisions: BTreeMap<Repository, Revision>,
}

impl Files {
    pub(crate) fn get(&self, url: &str) -> Option<&DownloadedFile> {
        self.files.get(url)
    }

    pub(crate) fn revision(&self, repository: &Repository) -> Option<&Revision> {
        self.revisions.get(repository)
    }
}

/// Looks at every address of a plan, each once, all at the same time.
pub(crate) async fn all(
    plan: &Plan,
    ports: &Ports,
    settings: &Settings,
    scratch: &Path,
) -> Result<Files, BuildError> {
    let mut wanted_files = BTreeMap::new();
    let mut wanted_revisions = BTreeMap::new();
    for step in plan.stages.iter().flat_map(|stage| &stage.steps) {
        let Op::Copy(copy) = &step.op else { continue };
        for source in &copy.sources {
            match source {
                CopySource::Url(url) if url.checksum.is_none() => {
                    wanted_files.entry(url.url.as_str()).or_insert(step.span);
                }
                CopySource::Git(git) => {
                    wanted_revisions.entry(repository::repository(git)).or_insert(step.span);
                }
                CopySource::Path { .. } | CopySource::Inline(_) | CopySource::Url(_) => {}
            }
        }
    }
    let at = |span| move |kind| BuildError { step: None, span: Some(span), kind };
    let files = wanted_files.into_iter().map(|(url, span)| async move {
        let file = fetch(ports, settings, scratch, url).await.map_err(at(span))?;
        Ok::<_, BuildError>((url.to_owned(), file))
    });
    let revisions = wanted_revisions.into_iter().map(|(repository, span)| async move {
        let revision = repository::resolve(settings, repository.clone()).await;
        Ok::<_, BuildError>((repository, revision.map_err(at(span))?))
    });
    let (files, revisions) = tokio::try_join!(try_join_all(files), try_join_all(revisions))?;
    Ok(Files { files: files.into_iter().collect(), revisions: revisions.into_iter().collect() })
}

/// The files of a step that runs: those that are there, and those with a checksum, fetched now.
pub(crate) async fn of_step(session: &Session, copy: &CopyOp) -> Result<Files, ErrorKind> {
    let mut found = Files::default();
    let urls: BTreeSet<&str> = copy.sources.iter().filter_map(url).map(|url| &*url.url).collect();
    let scratch = session.scratch.path();
    let fetches = urls.into_iter().map(|url| async move {
        let file = match session.download(url) {
            Some(file) => file.clone(),
            None => fetch(&session.ports, &session.settings, scratch, url).await?,
        };
        Ok::<_, ErrorKind>((url.to_owned(), file))
    });
    found.files.extend(try_join_all(fetches).await?);
    for url in copy.sources.iter().filter_map(url) {
        match (url.checksum, found.get(&url.url)) {
            (Some(expected), Some(file)) if expected != file.digest => {
                let (url, actual) = (url.url.clone(), file.digest);
                return Err(ErrorKind::Checksum { url, expected, actual });
            }
            _ => {}
        }
    }
    Ok(found)
}

fn url(source: &CopySource) -> Option<&UrlSource> {
    match source {
        CopySource::Url(url) => Some(url),
        CopySource::Path { .. } | CopySource::Inline(_) | CopySource::Git(_) => None,
    }
}

async fn fetch(
    ports: &Ports,
    settings: &Settings,
    scratch: &Path,
    url: &str,
) -> Result<DownloadedFile, ErrorKind> {
    const NAME: &str = "file";
    let made = tempfile::Builder::new().prefix("download-").tempdir_in(scratch);
    // Kept: the scratch directory as a whole goes away with the build.
    let directory = made.map(tempfile::TempDir::keep).map_err(|source| ErrorKind::Io {
        action: "create",
        what: "a directory for a download".to_owned(),
        source,
    })?;
    let authorization = authorization::http(&settings.secrets, url);
    let into = directory.join(NAME);
    let found = ports.downloads.download(url, authorization.as_deref(), &into).await?;
    let name = TreePath::parse(NAME).map_err(crate::copy::CopyError::Path)?;
    Ok(DownloadedFile {
        digest: found.digest,
        size: found.size,
        last_modified: found.last_modified,
        directory: directory.into(),
        name,
    })
}
