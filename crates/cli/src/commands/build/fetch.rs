//! Contexts and Dockerfiles that are elsewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use strata_build::ports::Downloads;
use strata_build::{Secret, authorization};
use strata_context::{Authorization, Extras, Git, Repository};
use strata_plan::GitSource;
use strata_registry::Client;
use strata_remote::ClientDownloads;
use tempfile::TempDir;

use crate::diagnostic::{Diagnostic, Failure, fold};
use crate::exit::Exit;
use crate::settings::clouds::Clouds;
use crate::settings::context::{self, OpenedContext};
use crate::settings::dockerfile::{self, Found};

/// What it takes to read from elsewhere.
pub(super) struct Fetch {
    downloads: ClientDownloads,
    clouds: Clouds,
    git: Git,
    secrets: BTreeMap<String, Secret>,
    scratch: PathBuf,
    /// Whether contexts keep their `.git` (`BUILDKIT_CONTEXT_KEEP_GIT_DIR`).
    keep_git_dir: bool,
}

impl Fetch {
    pub(super) fn new(
        client: Client,
        clouds: Clouds,
        git: Git,
        secrets: BTreeMap<String, Secret>,
        scratch: &Path,
        keep_git_dir: bool,
    ) -> Self {
        let downloads = ClientDownloads::new(client);
        Self { downloads, clouds, git, secrets, scratch: scratch.to_owned(), keep_git_dir }
    }

    pub(super) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// An archive, or a Dockerfile alone, from a web server.
    pub(super) async fn archive(&self, url: &str) -> Result<OpenedContext, Failure> {
        let (directory, path, time) = self.download(url).await?;
        self.unpack(url, directory, &path, time)
    }

    /// The same from an object store.
    pub(super) async fn object(&self, address: &str) -> Result<OpenedContext, Failure> {
        let directory = context::directory(&self.scratch)?;
        let path = directory.path().join("file");
        let time = self.clouds.download(address, &path).await?;
        self.unpack(address, directory, &path, Some(time))
    }

    fn unpack(
        &self,
        name: &str,
        directory: TempDir,
        path: &Path,
        time: Option<i64>,
    ) -> Result<OpenedContext, Failure> {
        let file =
            std::fs::File::open(path).map_err(|error| Failure::file("read", path, &error))?;
        let mut opened = context::piped(file, Path::new(name), &self.scratch)?;
        drop(directory);
        opened.time = time.or(opened.time);
        Ok(opened)
    }

    /// A Dockerfile from a web server.
    pub(super) async fn dockerfile(&self, url: &str) -> Result<Found, Failure> {
        let (directory, path, _time) = self.download(url).await?;
        let found = dockerfile::downloaded(url, &path);
        drop(directory);
        found
    }

    /// A file, the directory that it lives in, and its `Last-Modified`.
    async fn download(&self, url: &str) -> Result<(TempDir, PathBuf, Option<i64>), Failure> {
        let directory = context::directory(&self.scratch)?;
        let path = directory.path().join("file");
        let header = authorization::http(&self.secrets, url);
        let downloaded = self
            .downloads
            .download(url, header.as_deref(), &path)
            .await
            .map_err(|error| fold::classified(&error, error.class, error.hint.clone()))?;
        Ok((directory, path, downloaded.last_modified))
    }

    /// The files of a repository. Blocks.
    pub(super) fn repository(&self, address: &str) -> Result<OpenedContext, Failure> {
        let source = GitSource::parse(address)
            .map_err(|problem| Failure::usage(format!("`{address}`: {problem}")))?
            .ok_or_else(|| Failure::usage(format!("`{address}` is no git repository")))?;
        let repository = Repository {
            remote: source.remote.clone(),
            reference: source.reference.clone().or_else(|| whole_id(source.checksum.as_deref())),
            checksum: source.checksum.clone(),
        };
        let header = authorization::git(&self.secrets, &repository).map(Authorization::new);
        let git = self.git.clone().with_authorization(header);
        let failed =
            |error: &dyn std::error::Error| Failure::new(Exit::Registry, Diagnostic::of(error));
        let revision = git.resolve(&repository).map_err(|error| failed(&error))?;
        let directory = context::directory(&self.scratch)?;
        let extras = Extras {
            submodules: source.submodules,
            git_directory: self.keep_git_dir || source.keep_git_dir,
        };
        let time = git
            .checkout(&repository, &revision, extras, directory.path())
            .map_err(|error| failed(&error))?;
        let path = subdirectory(directory.path(), source.directory.as_deref())?;
        Ok(OpenedContext::unpacked(path, directory, Some(time)))
    }
}

fn whole_id(checksum: Option<&str>) -> Option<String> {
    checksum.filter(|checksum| matches!(checksum.len(), 40 | 64)).map(str::to_owned)
}

/// A directory in a checkout. No link may lead to it: it would lead out of the repository.
fn subdirectory(checkout: &Path, written: Option<&str>) -> Result<PathBuf, Failure> {
    let mut path = checkout.to_owned();
    let Some(written) = written else { return Ok(path) };
    for name in written.split('/').filter(|name| !matches!(*name, "" | ".")) {
        path.push(name);
        let real = name != ".." && path.symlink_metadata().is_ok_and(|found| found.is_dir());
        if !real {
            let message = format!("`{written}` is no directory of the repository");
            return Err(Failure::new(Exit::Failed, Diagnostic::error(message)));
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_of_a_repository_is_a_real_one() {
        let checkout = tempfile::tempdir().expect("a temporary directory can be made");
        let root = checkout.path();
        std::fs::create_dir_all(root.join("a/b")).expect("is new");
        std::fs::write(root.join("f"), "").expect("can be written");
        std::os::unix::fs::symlink("/", root.join("l")).expect("is new");
        for (written, expected) in [
            (None, Some("")),
            (Some("a/b"), Some("a/b")),
            (Some("/a/"), Some("a")),
            (Some("f"), None),
            (Some("l"), None),
            (Some("l/etc"), None),
            (Some("../a"), None),
        ] {
            let found = subdirectory(root, written).ok();
            assert_eq!(found, expected.map(|path| root.join(path)), "{written:?}");
        }
    }
}
