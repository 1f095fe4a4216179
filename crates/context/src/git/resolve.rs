//! From a reference to a commit.

use super::{Git, GitError, Repository, Revision, is_object_id};

/// What a repository has where nothing is asked for.
enum Head {
    Branch(String),
    Detached(Revision),
}

impl Git {
    /// Finds out which commit is meant, without fetching it. A whole commit id asks nobody.
    pub fn resolve(&self, repository: &Repository) -> Result<Revision, GitError> {
        if let Some(reference) = &repository.reference {
            check_reference(reference)?;
            if is_object_id(reference) {
                let revision = Revision {
                    reference: None,
                    object: reference.clone(),
                    commit: reference.clone(),
                };
                return verified(repository, revision);
            }
        }
        let wanted = match &repository.reference {
            Some(reference) => reference.clone(),
            None => match self.head(repository)? {
                Head::Branch(branch) => branch,
                Head::Detached(revision) => return verified(repository, revision),
            },
        };
        let peeled = format!("{wanted}^{{}}");
        let listed =
            self.run(repository, None, &["ls-remote", "--", &repository.remote, &wanted, &peeled])?;
        match find(&listed, &wanted) {
            Some(revision) => verified(repository, revision),
            None => Err(GitError::NoReference { remote: repository.shown(), reference: wanted }),
        }
    }

    fn head(&self, repository: &Repository) -> Result<Head, GitError> {
        let arguments = ["ls-remote", "--symref", "--", &repository.remote, "HEAD"];
        let listed = self.run(repository, None, &arguments)?;
        let branch = listed.lines().find_map(|line| {
            line.strip_prefix("ref: ")?.strip_suffix("\tHEAD").filter(|name| is_reference(name))
        });
        if let Some(branch) = branch {
            return Ok(Head::Branch(branch.to_owned()));
        }
        // A plain web server does not say which branch it is.
        let ids = listed.lines().filter_map(|line| line.strip_suffix("\tHEAD"));
        match ids.into_iter().find(|id| is_object_id(id)) {
            Some(id) => Ok(Head::Detached(Revision {
                reference: None,
                object: id.to_owned(),
                commit: id.to_owned(),
            })),
            None => Err(GitError::NoReference {
                remote: repository.shown(),
                reference: "HEAD".to_owned(),
            }),
        }
    }
}

/// Chooses among lines of `id TAB name`: a name that is meant in full, a branch, a tag, in this order.
fn find(listed: &str, wanted: &str) -> Option<Revision> {
    let id = |name: &str| {
        let found = listed.lines().find_map(|line| {
            let (id, found) = line.split_once('\t')?;
            (found == name && is_object_id(id)).then_some(id)
        });
        found.map(str::to_owned)
    };
    let strip = |prefix: &str| wanted.strip_prefix(prefix).unwrap_or(wanted).to_owned();
    let names = [
        format!("refs/{}", strip("refs/")),
        format!("refs/heads/{}", strip("refs/heads/")),
        format!("refs/tags/{}", strip("refs/tags/")),
    ];
    names.into_iter().find_map(|name| {
        let object = id(&name)?;
        let commit = id(&format!("{name}^{{}}")).unwrap_or_else(|| object.clone());
        Some(Revision { reference: Some(name), object, commit })
    })
}

fn verified(repository: &Repository, revision: Revision) -> Result<Revision, GitError> {
    let Some(expected) = &repository.checksum else { return Ok(revision) };
    if revision.object.starts_with(expected) || revision.commit.starts_with(expected) {
        return Ok(revision);
    }
    Err(GitError::Checksum {
        remote: repository.shown(),
        expected: expected.clone(),
        actual: revision.commit,
    })
}

fn check_reference(reference: &str) -> Result<(), GitError> {
    if is_reference(reference) {
        return Ok(());
    }
    Err(GitError::InvalidReference { reference: reference.to_owned() })
}

/// The rules of `git check-ref-format`, as far as they keep patterns, ranges and refspecs out.
fn is_reference(name: &str) -> bool {
    let forbidden = |c: char| c.is_ascii_control() || " ~^:?*[\\".contains(c);
    !name.is_empty()
        && !name.starts_with(['-', '/', '+'])
        && !name.ends_with(['/', '.'])
        && !name.contains(forbidden)
        && !name.contains("..")
        && !name.contains("@{")
}
