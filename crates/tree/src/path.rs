//! Paths inside a tree: bytes, normalised, never absolute, never upwards.

use std::fmt;
use std::iter::once;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

/// The longest path a tree holds, in bytes. Linux refuses longer ones in one call (`PATH_MAX`), and a
/// bound keeps hostile archives from growing trees without end.
pub const MAX_PATH: usize = 4096;

/// The longest name of one component (`NAME_MAX`).
pub const MAX_NAME: usize = 255;

/// A place in a tree: components joined by `/`, without a leading or trailing slash, `.`, `..` or NUL.
///
/// The root is the empty path. Names are bytes, because image contents need not be UTF-8. It cannot be
/// joined onto a host path: the only way to disk is a directory handle that resolves it beneath itself.
///
/// Clones share their bytes: a file is named in trees, change sets, recipes and contents at the same time.
///
/// The order is that of a depth-first walk with sorted names: a directory comes before what is in it,
/// and everything in it before the next sibling.
#[derive(Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(try_from = "Vec<u8>")]
pub struct TreePath(
    // Nothing for the root; never no bytes.
    Option<Arc<[u8]>>,
);

/// Why bytes are not a path of a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A component is `..`.
    #[error("path `{path}` goes upwards")]
    Upwards {
        /// The whole path, as text.
        path: String,
    },
    /// A byte is NUL, which no file system holds.
    #[error("path `{path}` holds a NUL byte")]
    Nul {
        /// The whole path, as text.
        path: String,
    },
    /// The path or one name is longer than Linux can hold.
    #[error("path `{path}…` is too long")]
    TooLong {
        /// The first bytes of the path, as text.
        path: String,
    },
}

fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

impl TreePath {
    /// The root of a tree.
    pub const fn root() -> Self {
        Self(None)
    }

    /// Takes bytes that are known to be a path.
    fn of(bytes: impl AsRef<[u8]> + Into<Arc<[u8]>>) -> Self {
        Self((!bytes.as_ref().is_empty()).then(|| bytes.into()))
    }

    /// Takes a path as an archive or a Dockerfile spells it: slashes at either end, doubled slashes and
    /// `.` mean nothing. A `..` is refused, because what it means depends on symlinks.
    pub fn parse(path: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let path = path.as_ref();
        let mut clean = Vec::with_capacity(path.len());
        for name in path.split(|&b| b == b'/') {
            match name {
                b"" | b"." => {}
                b".." => return Err(PathError::Upwards { path: lossy(path) }),
                name => push(&mut clean, name)?,
            }
        }
        Ok(Self::of(clean))
    }

    /// Takes a path and resolves `..` as text, stopping at the root, as `path.Clean("/" + path)` of Go
    /// does.
    pub fn clean(path: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let mut clean = Vec::new();
        for name in path.as_ref().split(|&b| b == b'/') {
            match name {
                b"" | b"." => {}
                b".." => clean.truncate(parent(&clean).len()),
                name => push(&mut clean, name)?,
            }
        }
        Ok(Self::of(clean))
    }

    /// The path of `name` in this directory. `name` is one component: `.`, `..`, a slash and NUL are refused.
    pub fn join(&self, name: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let name = name.as_ref();
        if name == b".." || name == b"." || name.is_empty() || name.contains(&b'/') {
            return Err(PathError::Upwards { path: lossy(name) });
        }
        let base = self.as_bytes();
        check(base, name)?;
        if base.is_empty() {
            return Ok(Self::of(name));
        }
        // Of known length, so that it is written once, to where it stays.
        let bytes = base.iter().copied().chain(once(b'/')).chain(name.iter().copied());
        Ok(Self(Some(bytes.collect())))
    }

    /// This path followed by all components of `tail`.
    pub fn append(&self, tail: &Self) -> Result<Self, PathError> {
        let mut joined = self.as_bytes().to_vec();
        for name in tail.components() {
            push(&mut joined, name)?;
        }
        Ok(Self::of(joined))
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_none()
    }

    /// The bytes, without a leading slash; empty for the root.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    /// The names on the way, outermost first. The root has none.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.as_bytes().split(|&b| b == b'/').filter(|name| !name.is_empty())
    }

    /// The directory that holds this path, or nothing for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(Self::of(parent(self.as_bytes())))
    }

    /// The last name, or nothing for the root.
    pub fn file_name(&self) -> Option<&[u8]> {
        self.components().next_back()
    }

    /// All directories above this path, the root first, this path itself not included.
    pub fn ancestors(&self) -> Vec<Self> {
        let mut found = Vec::new();
        let mut next = self.parent();
        while let Some(path) = next {
            next = path.parent();
            found.push(path);
        }
        found.reverse();
        found
    }

    /// Whether `self` is `other` or lies below it.
    pub fn starts_with(&self, other: &Self) -> bool {
        let (path, base) = (self.as_bytes(), other.as_bytes());
        base.is_empty()
            || (path.starts_with(base) && (path.len() == base.len() || path[base.len()] == b'/'))
    }

    /// What is left of this path below `base`, or nothing if it does not lie there.
    pub fn strip_prefix(&self, base: &Self) -> Option<Self> {
        if !self.starts_with(base) {
            return None;
        }
        let rest = &self.as_bytes()[base.as_bytes().len()..];
        Some(Self::of(rest.strip_prefix(b"/").unwrap_or(rest)))
    }
}

/// Puts one name behind a path.
fn push(path: &mut Vec<u8>, name: &[u8]) -> Result<(), PathError> {
    check(path, name)?;
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    Ok(())
}

/// Refuses a name that no file system takes in this directory.
fn check(directory: &[u8], name: &[u8]) -> Result<(), PathError> {
    if name.contains(&0) {
        return Err(PathError::Nul { path: lossy(name) });
    }
    if name.len() > MAX_NAME || directory.len() + 1 + name.len() > MAX_PATH {
        let shown = &name[..name.len().min(64)];
        return Err(PathError::TooLong { path: lossy(shown) });
    }
    Ok(())
}

/// What comes before the last name and its slash.
fn parent(path: &[u8]) -> &[u8] {
    &path[..path.iter().rposition(|&b| b == b'/').unwrap_or(0)]
}

impl Ord for TreePath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // What two paths share is skipped in blocks: comparing sorted, deep trees is mostly that.
        const BLOCK: usize = 32;
        let (one, two) = (self.as_bytes(), other.as_bytes());
        let blocks = one.chunks_exact(BLOCK).zip(two.chunks_exact(BLOCK));
        let shared = blocks.take_while(|(one, two)| one == two).count() * BLOCK;
        // `/` sorts before every other byte, so that `a/b` comes before `a.c`.
        let key = |&b: &u8| if b == b'/' { 0 } else { u16::from(b) + 1 };
        one[shared..].iter().map(key).cmp(two[shared..].iter().map(key))
    }
}

impl PartialOrd for TreePath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for TreePath {
    /// Shows the path with a leading slash, as a person would write it; bytes that are not UTF-8 are replaced.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&format_args!("{self}"), f)
    }
}

impl TryFrom<Vec<u8>> for TreePath {
    type Error = PathError;

    fn try_from(path: Vec<u8>) -> Result<Self, PathError> {
        Self::parse(path)
    }
}

impl From<TreePath> for Vec<u8> {
    fn from(path: TreePath) -> Self {
        path.as_bytes().to_vec()
    }
}

impl Serialize for TreePath {
    /// As a sequence of bytes.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text).expect("a path")
    }

    #[test]
    fn parse_normalises_and_refuses() {
        for (text, expected) in [
            ("", Some("/")),
            ("/", Some("/")),
            ("./a//b/", Some("/a/b")),
            ("/a/./b", Some("/a/b")),
            ("a/../b", None),
            ("..", None),
            ("a\0b", None),
            ("...", Some("/...")),
        ] {
            let shown = TreePath::parse(text).ok().map(|path| path.to_string());
            assert_eq!(shown.as_deref(), expected, "{text:?}");
        }
        assert!(TreePath::parse("n".repeat(256)).is_err());
        assert!(TreePath::parse(vec![b"abc".as_slice(); 2000].join(&b'/')).is_err());
    }

    #[test]
    fn clean_stops_at_the_root() {
        for (text, expected) in [("a/../b", "/b"), ("../../x", "/x"), ("a/b/..", "/a"), ("/", "/")]
        {
            assert_eq!(TreePath::clean(text).expect("clean").to_string(), expected);
        }
    }

    #[test]
    fn order_is_that_of_a_walk() {
        let mut paths = [path("a.c"), path("a/b"), path("b"), path("a"), path("")];
        paths.sort();
        let shown: Vec<_> = paths.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["/", "/a", "/a/b", "/a.c", "/b"]);
        // The same behind a long shared part.
        let deep = path(&"d/".repeat(100));
        let mut paths = paths.map(|path| deep.append(&path).expect("short"));
        let sorted = paths.clone();
        paths.reverse();
        paths.sort();
        assert_eq!(paths, sorted);
    }

    #[test]
    fn relations_compare_whole_names() {
        assert!(path("a/b").starts_with(&path("a")));
        assert!(!path("ab").starts_with(&path("a")));
        assert_eq!(path("a/b/c").strip_prefix(&path("a")), Some(path("b/c")));
        assert_eq!(path("a").strip_prefix(&path("a")), Some(path("")));
        assert_eq!(path("ab").strip_prefix(&path("a")), None);
        assert_eq!(path("a/b/c").ancestors(), [path(""), path("a"), path("a/b")]);
        assert_eq!(path("a").append(&path("b/c")).expect("short"), path("a/b/c"));
    }
}
