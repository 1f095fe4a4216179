//! From a commit to files.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Extras, Git, GitError, Repository, Revision};

impl Git {
    /// Puts the files of a commit into an empty directory. Modes are those that git knows: 0755 for
    /// directories and what can be executed, 0644 for other files.
    ///
    /// Gives the time of the commit, in seconds since 1970.
    pub fn checkout(
        &self,
        repository: &Repository,
        revision: &Revision,
        extras: Extras,
        into: &Path,
    ) -> Result<i64, GitError> {
        let run = |arguments: &[&str]| self.run(repository, Some(into), arguments);
        match revision.object.len() {
            64 => run(&["init", "--quiet", "--object-format=sha256"])?,
            _ => run(&["init", "--quiet"])?,
        };
        // Submodules may have addresses that are relative to this one.
        run(&["remote", "add", "--", "origin", &repository.remote])?;
        self.fetch(repository, revision, into)?;
        run(&["checkout", "--quiet", "--force", "--detach", &revision.object])?;
        let time = run(&["show", "--no-patch", "--format=%ct", "HEAD", "--"])?;
        let time = time.trim().parse().map_err(|_| GitError::Failed {
            action: "show".to_owned(),
            remote: repository.shown(),
            reason: format!("`{}` is no time of a commit", time.trim()),
        })?;
        if extras.submodules && into.join(".gitmodules").symlink_metadata().is_ok() {
            let update = ["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"];
            run(&update)?;
        }
        if extras.git_directory {
            run(&["remote", "set-url", "--", "origin", &repository.shown()])?;
            run(&["reflog", "expire", "--all", "--expire=now"])?;
            remove(&into.join(".git/FETCH_HEAD"))?;
        } else {
            remove(&into.join(".git"))?;
        }
        tidy(into, extras)?;
        Ok(time)
    }

    fn fetch(
        &self,
        repository: &Repository,
        revision: &Revision,
        into: &Path,
    ) -> Result<(), GitError> {
        let named = revision.reference.as_ref().map(|name| format!("+{name}:{name}"));
        if let Some(named) = &named {
            self.fetch_one(repository, into, named)?;
            if self.has(repository, revision, into) {
                return Ok(());
            }
        }
        // A commit by its id, or what the reference was when it was looked up.
        match self.fetch_one(repository, into, &revision.object) {
            Ok(()) => Ok(()),
            // Not every server gives commits by their ids.
            Err(error) => {
                let all = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
                let fetch = ["fetch", "--quiet", "--no-recurse-submodules", "--", "origin"];
                let whole: Vec<&str> = fetch.into_iter().chain(all).collect();
                self.run(repository, Some(into), &whole)?;
                if self.has(repository, revision, into) { Ok(()) } else { Err(error) }
            }
        }
    }

    fn fetch_one(&self, repository: &Repository, into: &Path, what: &str) -> Result<(), GitError> {
        let options = ["--quiet", "--no-tags", "--no-recurse-submodules", "--update-head-ok"];
        let run = |depth: &[&str]| {
            let words = ["fetch"].iter().chain(depth).chain(&options).copied();
            let words: Vec<&str> = words.chain(["--", "origin", what]).collect();
            self.run(repository, Some(into), &words)
        };
        match run(&["--depth=1"]) {
            // A plain web server can give the whole history only.
            Err(GitError::Failed { reason, .. }) if reason.contains("shallow") => run(&[])?,
            other => other?,
        };
        Ok(())
    }

    fn has(&self, repository: &Repository, revision: &Revision, into: &Path) -> bool {
        let commit = format!("{}^{{commit}}", revision.object);
        self.run(repository, Some(into), &["cat-file", "-e", &commit]).is_ok()
    }
}

/// Gives every file the mode that git means, whatever the umask, and takes away what links submodules to
/// a `.git` that does not stay.
fn tidy(directory: &Path, extras: Extras) -> Result<(), GitError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| GitError::File { path, source }
    };
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        set_mode(&directory, 0o755).map_err(failed(&directory))?;
        for entry in fs::read_dir(&directory).map_err(failed(&directory))? {
            let path = entry.map_err(failed(&directory))?.path();
            if path.file_name().is_some_and(|name| name == ".git") && !extras.git_directory {
                remove(&path)?;
                continue;
            }
            let metadata = path.symlink_metadata().map_err(failed(&path))?;
            if metadata.is_dir() {
                pending.push(path);
            } else if metadata.is_file() {
                let mode = metadata.permissions().mode();
                // Objects in `.git` are read-only.
                let write = if mode & 0o200 == 0 { 0 } else { 0o200 };
                let execute = if mode & 0o100 == 0 { 0 } else { 0o111 };
                set_mode(&path, 0o444 | write | execute).map_err(failed(&path))?;
            }
        }
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn remove(path: &Path) -> Result<(), GitError> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(GitError::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
