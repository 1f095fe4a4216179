//! Git repositories, by the `git` program.
//!
//! Nothing of the machine's own configuration has a say, no terminal is asked, no hook or filter runs, and
//! only the protocols that are allowed are spoken, by submodules too. What an address says is always an
//! operand, never an option.

mod checkout;
mod command;
mod error;
mod resolve;

use std::ffi::OsString;
use std::fmt;

pub use error::GitError;

/// The protocols that an address may have.
const PROTOCOLS: &str = "http:https:git:ssh";

/// A repository, and what to take of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    /// An URL or `user@host:path`.
    pub remote: String,
    /// Branch, tag, ref or a whole commit id; the default branch if absent.
    pub reference: Option<String>,
    /// What the commit's id must begin with.
    pub checksum: Option<String>,
}

/// What a reference stood for when it was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The full name of the reference; nothing where a commit was named.
    pub reference: Option<String>,
    /// The id of the object: that of an annotated tag if it is one.
    pub object: String,
    /// The id of the commit, as far as the server tells it apart from its tag.
    pub commit: String,
}

/// What a checkout has besides the files of the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extras {
    /// The files of submodules.
    pub submodules: bool,
    /// The directory `.git`.
    pub git_directory: bool,
}

/// An `Authorization` header for a server. Shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization(String);

impl Authorization {
    /// Takes the header's value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization(…)")
    }
}

/// How the program is run.
#[derive(Clone, Debug)]
pub struct Git {
    environment: Vec<(String, OsString)>,
    authorization: Option<Authorization>,
    protocols: String,
}

impl Git {
    /// A git that sees these variables and no others: `PATH`, proxies, the socket of an ssh agent.
    pub fn new(environment: impl IntoIterator<Item = (String, OsString)>) -> Self {
        Self {
            environment: environment.into_iter().collect(),
            authorization: None,
            protocols: PROTOCOLS.to_owned(),
        }
    }

    /// Sends a header to the server of the repository, if that speaks HTTP; to no other server.
    #[must_use]
    pub fn with_authorization(mut self, authorization: Option<Authorization>) -> Self {
        self.authorization = authorization;
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }
}

impl Repository {
    /// The address without the password in it.
    pub fn shown(&self) -> String {
        match self.password() {
            Some(password) => self.remote.replacen(&format!("{password}@"), "", 1),
            None => self.remote.clone(),
        }
    }

    /// The name of the server, without a port.
    pub fn host(&self) -> Option<&str> {
        let after_user = |text: &'_ str| text.rfind('@').map_or(0, |at| at + 1);
        let authority = match self.remote.split_once("://") {
            Some((_, rest)) => {
                let authority = rest.split('/').next()?;
                &authority[after_user(authority)..]
            }
            None => {
                let (authority, _) = self.remote.split_once(':')?;
                &authority[after_user(authority)..]
            }
        };
        let host = match authority.strip_prefix('[') {
            Some(address) => address.split(']').next(),
            None => authority.split(':').next(),
        };
        host.filter(|host| !host.is_empty())
    }

    /// What stands before the `@` of an URL.
    fn password(&self) -> Option<&str> {
        let (scheme, rest) = self.remote.split_once("://")?;
        let (user, _) = rest.split('/').next()?.rsplit_once('@')?;
        // A user without a password is no secret where it is the name of an account.
        (matches!(scheme, "http" | "https") || user.contains(':')).then_some(user)
    }

    /// The part of an HTTP address that a header is for: `https://host:port/`.
    fn origin(&self) -> Option<String> {
        let (scheme, rest) = self.remote.split_once("://")?;
        if !matches!(scheme, "http" | "https") {
            return None;
        }
        let authority = rest.split('/').next()?;
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        Some(format!("{scheme}://{authority}/"))
    }
}

/// Whether a text is the whole id of an object, of either hash.
fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests;
