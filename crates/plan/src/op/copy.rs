//! COPY and ADD.

use std::fmt;

use serde::{Serialize, Serializer};
use strata_oci::Digest;

use super::{Chmod, Origin};

/// Which of the two instructions it is; they differ in what their sources may be and in unpacking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyKind {
    /// COPY.
    Copy,
    /// ADD.
    Add,
}

/// COPY or ADD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the instruction's flags, each on its own"
)]
pub struct CopyOp {
    /// Which instruction.
    pub kind: CopyKind,
    /// Sources in the order of copying; a later one overwrites an earlier one.
    pub sources: Vec<CopySource>,
    /// The tree that [`CopySource::Path`]s are looked up in.
    pub from: Origin,
    /// Absolute. A trailing `/` or `/.` is kept: it says that the destination is a directory.
    pub destination: String,
    /// `--chown`: owners of all that is copied. Without it everything belongs to 0:0, but for what comes from
    /// another stage or image, which keeps its owners.
    pub chown: Option<Chown>,
    /// `--chmod`.
    pub chmod: Option<Chmod>,
    /// `--link`: the result does not depend on what the stage holds; symbolic links at the destination are
    /// not followed but replaced.
    pub link: bool,
    /// `--parents`: keep the sources' directories; see [`CopySource::Path::pivot`].
    pub parents: bool,
    /// `--exclude` patterns, as in `.dockerignore`.
    pub excludes: Vec<String>,
    /// Whether archives among local sources are unpacked (ADD unless `--unpack=false`), and whether downloaded
    /// ones are (only with `--unpack`).
    pub unpack_local: bool,
    /// See `unpack_local`.
    pub unpack_remote: bool,
}

/// One source of a COPY or ADD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopySource {
    /// A path or pattern in [`CopyOp::from`]. Symbolic links of the path itself are followed inside the tree;
    /// a directory stands for what is in it.
    Path {
        /// Absolute and clean (no `..`), possibly with `*`, `?`, `[…]` and `\` escapes, never with a trailing
        /// slash. With `--parents` the part below the pivot.
        pattern: String,
        /// With `--parents`: the directory that parents are kept below, absolute and clean; `/` unless the
        /// source had `/./` in it.
        pivot: Option<String>,
        /// Whether the source has a wildcard. Without one the path must exist; with one, matching nothing is
        /// not an error, as in `BuildKit`.
        wildcard: bool,
        /// The source as written and expanded, for messages.
        written: String,
    },
    /// A heredoc: a file of mode 0644 with this name and content.
    Inline(InlineFile),
    /// A file to download.
    Url(UrlSource),
    /// A git repository to check out.
    Git(GitSource),
}

/// A file whose content is in the Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InlineFile {
    /// Its name: one component.
    pub name: String,
    /// Its bytes.
    #[serde(serialize_with = "lossy")]
    pub bytes: Vec<u8>,
}

impl InlineFile {
    /// Takes a name only if it is one component of a path.
    pub(crate) fn new(name: &str, content: String) -> Option<Self> {
        let component = !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']);
        component.then(|| Self { name: name.to_owned(), bytes: content.into_bytes() })
    }
}

fn lossy<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(bytes))
}

/// A file to download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UrlSource {
    /// The address, `http` or `https`.
    pub url: String,
    /// The last component of its path, or `__unnamed__`: what the file is called when the destination is a
    /// directory.
    pub name: String,
    /// `--checksum`.
    pub checksum: Option<Digest>,
}

/// A git repository to check out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GitSource {
    /// What git is given: an URL or `user@host:path`.
    pub remote: String,
    /// Branch, tag, ref or commit; the default branch if absent.
    pub reference: Option<String>,
    /// A directory in the repository to take instead of its root.
    pub directory: Option<String>,
    /// The commit that the reference must be, possibly shortened.
    pub checksum: Option<String>,
    /// Whether `.git` stays.
    pub keep_git_dir: bool,
    /// Whether submodules are fetched.
    pub submodules: bool,
}

/// `user[:group]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Chown {
    /// The user.
    pub user: Principal,
    /// The group. If absent: for a named user their primary group, for a number the group of that number.
    pub group: Option<Principal>,
}

impl Chown {
    /// Reads `user[:group]`; nothing for an empty text. An empty half is root.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        Some(Self { user: Principal::parse(user), group: group.map(Principal::parse) })
    }

    /// Whether a name has to be looked up in the stage's `/etc/passwd` or `/etc/group`.
    pub fn needs_lookup(&self) -> bool {
        let named = |principal: &Principal| matches!(principal, Principal::Name(_));
        named(&self.user) || self.group.as_ref().is_some_and(named)
    }
}

impl Principal {
    /// `root` is 0 whatever the stage's files say, as in `BuildKit`.
    fn parse(text: &str) -> Self {
        match text {
            "" | "root" => Self::Id(0),
            text => text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Id),
        }
    }
}

impl fmt::Display for Chown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.user.fmt(f)?;
        match &self.group {
            Some(group) => write!(f, ":{group}"),
            None => Ok(()),
        }
    }
}

/// A user or group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Principal {
    /// By number; nothing is looked up.
    Id(u32),
    /// By name; looked up in the stage's `/etc/passwd` or `/etc/group`.
    Name(String),
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}
