//! What a token is for.

use std::collections::BTreeMap;

/// Is what may be done with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    Pull,
    PullAndPush,
    Everything,
}

/// Is a set of repositories with what may be done to each, and the one of them that a request is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scopes {
    subject: Option<String>,
    access: BTreeMap<String, Access>,
}

impl Scopes {
    /// Is for requests that are about no repository.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    pub(crate) fn of(repository: &str, access: Access) -> Self {
        Self {
            subject: Some(repository.to_owned()),
            access: BTreeMap::from([(repository.to_owned(), access)]),
        }
    }

    /// Adds reading of another repository: the source of a mount.
    pub(crate) fn and_pull(mut self, repository: &str) -> Self {
        self.access.entry(repository.to_owned()).or_insert(Access::Pull);
        self
    }

    pub(crate) fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Is true if a token for these scopes is good for `wanted`. The subject must be the same: identities may
    /// differ by repository.
    pub(crate) fn cover(&self, wanted: &Self) -> bool {
        self.subject == wanted.subject
            && wanted.access.iter().all(|(repository, access)| {
                self.access.get(repository).is_some_and(|granted| granted >= access)
            })
    }

    /// Lists the values of the `scope` parameter.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = String> {
        self.access.iter().map(|(repository, access)| {
            let actions = match access {
                Access::Pull => "pull",
                Access::PullAndPush => "pull,push",
                Access::Everything => "pull,push,delete",
            };
            format!("repository:{repository}:{actions}")
        })
    }
}
