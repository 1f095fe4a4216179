//! Git repositories that ADD takes from: their commits before keys are computed, their files when a step runs.

use std::sync::Arc;

use strata_context::{Authorization, Context, Extras, Git, KeepAll, Repository, Revision};
use strata_layer::Content;
use strata_plan::GitSource;
use strata_tree::{Node, Tree, TreePath};

use crate::authorization;
use crate::blocking::blocking;
use crate::copy::CopyError;
use crate::engine::Session;
use crate::error::ErrorKind;
use crate::settings::Settings;

/// Which repository a source is of, and what of it.
pub(crate) fn repository(source: &GitSource) -> Repository {
    Repository {
        remote: source.remote.clone(),
        reference: source.reference.clone().or_else(|| whole_id(source.checksum.as_deref()?)),
        checksum: source.checksum.clone(),
    }
}

// A commit that is named in full needs no reference.
fn whole_id(checksum: &str) -> Option<String> {
    let whole = matches!(checksum.len(), 40 | 64);
    whole.then(|| checksum.to_owned())
}

/// The ids that decide about what a checkout holds: that of the commit, and with `.git` the names too.
pub(crate) fn key(source: &GitSource, revision: &Revision) -> String {
    match &revision.reference {
        Some(reference) if source.keep_git_dir => format!("{} {reference}", revision.object),
        _ => revision.commit.clone(),
    }
}

/// Looks a repository up.
pub(crate) async fn resolve(
    settings: &Settings,
    repository: Repository,
) -> Result<Revision, ErrorKind> {
    let git = git(settings, &repository);
    blocking(move || Ok(git.resolve(&repository)?)).await
}

fn git(settings: &Settings, repository: &Repository) -> Git {
    let header = authorization::git(&settings.secrets, repository).map(Authorization::new);
    settings.git.clone().with_authorization(header)
}

/// Checks a source out and gives its files, the directory that is wanted being the root.
pub(crate) async fn checkout(
    session: &Arc<Session>,
    source: &GitSource,
) -> Result<Tree<Content>, ErrorKind> {
    let repository = repository(source);
    let Some(revision) = session.revision(&repository).cloned() else {
        return Err(ErrorKind::Cancelled);
    };
    let git = git(&session.settings, &repository);
    let (session, source) = (Arc::clone(session), source.clone());
    blocking(move || {
        let made = tempfile::Builder::new().prefix("git-").tempdir_in(session.scratch.path());
        // Kept: the scratch directory as a whole goes away with the build.
        let directory = made.map(tempfile::TempDir::keep).map_err(|source| ErrorKind::Io {
            action: "create",
            what: "a directory for a repository".to_owned(),
            source,
        })?;
        let extras = Extras {
            submodules: source.submodules,
            // A part of a repository is none.
            git_directory: source.keep_git_dir && source.directory.is_none(),
        };
        git.checkout(&repository, &revision, extras, &directory)?;
        let context = Context::open(&directory)?;
        let directory = Arc::from(directory);
        let files = context.scan(&mut KeepAll, |path| Content::Disk {
            directory: Arc::clone(&directory),
            path: path.clone(),
        })?;
        subdirectory(files, &source)
    })
    .await
}

// No link may lead to the directory: whose it is would be the repository's decision.
fn subdirectory(files: Tree<Content>, source: &GitSource) -> Result<Tree<Content>, ErrorKind> {
    let Some(written) = &source.directory else { return Ok(files) };
    let path = TreePath::clean(written).map_err(CopyError::Path)?;
    if path.is_root() {
        return Ok(files);
    }
    match files.get(&path) {
        Some(Node::Directory(_)) => Ok(files.subtree(&path)),
        _ => Err(ErrorKind::NotInOrigin {
            written: written.clone(),
            origin: format!("the repository `{}`", repository(source).shown()),
        }),
    }
}
