//! Finding things by path as the kernel would, with the tree as the root of the world.

use crate::node::{LeafKind, Node};
use crate::path::{PathError, TreePath};
use crate::tree::Tree;

/// How many symlinks one lookup follows before it gives up, as Linux does (`MAXSYMLINKS`).
pub const MAX_SYMLINKS: usize = 40;

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved<C> {
    /// Something stands there.
    Found {
        /// The place, with no symlink left on the way.
        path: TreePath,
        /// What stands there.
        node: Node<C>,
    },
    /// Nothing stands there; everything above `path` that exists is a directory.
    Missing {
        /// The place where it would be, with no symlink left among what exists.
        path: TreePath,
    },
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// More than [`MAX_SYMLINKS`] links on the way, which means a loop.
    #[error("too many symbolic links on the way to `{path}`")]
    TooManyLinks {
        /// The path that was asked for.
        path: String,
    },
    /// Something on the way is neither a directory nor a link to one.
    #[error("`{path}` is not a directory")]
    NotADirectory {
        /// What stands in the way.
        path: TreePath,
    },
    /// The path, or a link on the way, is not a path of a tree.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// Whether a symlink at the very end is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// Follow it, as `stat` does.
    Follow,
    /// Take the link itself, as `lstat` does.
    Keep,
}

impl<C: Clone> Tree<C> {
    /// Resolves `path` from the root. `..` and absolute links stop at the root of the tree, as
    /// `openat2` with `RESOLVE_IN_ROOT` has it.
    pub fn resolve(&self, path: impl AsRef<[u8]>, last: Last) -> Result<Resolved<C>, LookupError> {
        let asked = path.as_ref();
        let mut pending: Vec<Vec<u8>> = Vec::new();
        push_names(&mut pending, asked);
        let mut place = TreePath::root();
        let mut links = 0;
        // Once something is missing, the rest is only text.
        let mut missing = false;
        while let Some(name) = pending.pop() {
            if name == b".." {
                place = place.parent().unwrap_or_default();
                missing = missing && self.get(&place).is_none();
                continue;
            }
            let next = place.join(&name)?;
            let Some(node) = (if missing { None } else { self.get(&next) }) else {
                missing = true;
                place = next;
                continue;
            };
            if let Node::Leaf(leaf) = node {
                let end = pending.is_empty();
                match &leaf.kind {
                    LeafKind::Symlink { target } if !end || last == Last::Follow => {
                        links += 1;
                        if links > MAX_SYMLINKS {
                            let path = String::from_utf8_lossy(asked).into_owned();
                            return Err(LookupError::TooManyLinks { path });
                        }
                        if target.starts_with(b"/") {
                            place = TreePath::root();
                        }
                        push_names(&mut pending, target);
                        continue;
                    }
                    _ if !end => return Err(LookupError::NotADirectory { path: next }),
                    _ => {}
                }
            }
            place = next;
        }
        match self.get(&place) {
            Some(node) if !missing => Ok(Resolved::Found { node: node.clone(), path: place }),
            _ => Ok(Resolved::Missing { path: place }),
        }
    }
}

fn push_names(pending: &mut Vec<Vec<u8>>, path: &[u8]) {
    let names = path.split(|&b| b == b'/').filter(|name| !name.is_empty() && *name != b".");
    pending.extend(names.rev().map(<[u8]>::to_vec));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, ChangeSet, Entry, Leaf, Metadata};

    fn tree() -> Tree<u8> {
        let put =
            |text: &str, entry| Change::Put { path: TreePath::parse(text).expect("a path"), entry };
        let metadata = || Metadata::with_mode(0o755);
        let leaf = |kind| Entry::Leaf(Leaf { metadata: metadata(), kind });
        let file = || leaf(LeafKind::File { size: 0, content: 0 });
        let link = |target: &str| leaf(LeafKind::Symlink { target: target.into() });
        let mut tree = Tree::default();
        let changes = vec![
            put("dir/sub/file", file()),
            put("dir/up", link("../top")),
            put("top", file()),
            put("abs", link("/dir/sub")),
            put("out", link("../../../dir")),
            put("chain", link("abs")),
            put("dangling", link("no/where")),
            put("loop", link("pool")),
            put("pool", link("loop")),
            put("self", link("self/x")),
            put("slash", link("/")),
            put("dotted", link("./dir/./sub/../sub")),
        ];
        tree.apply(&ChangeSet::new(changes)).expect("fits");
        tree
    }

    #[test]
    fn paths_resolve_as_the_kernel_resolves_them_in_a_root() {
        let tree = tree();
        for (asked, last, expected) in [
            ("", Last::Follow, "found /"),
            ("/", Last::Follow, "found /"),
            ("/dir//sub/./file", Last::Follow, "found /dir/sub/file"),
            ("dir/sub/..", Last::Follow, "found /dir"),
            ("../../top", Last::Follow, "found /top"),
            ("abs", Last::Follow, "found /dir/sub"),
            ("abs", Last::Keep, "found /abs"),
            ("abs/file", Last::Keep, "found /dir/sub/file"),
            ("abs/..", Last::Keep, "found /dir"),
            ("chain/file", Last::Follow, "found /dir/sub/file"),
            ("chain", Last::Keep, "found /chain"),
            ("out/sub", Last::Follow, "found /dir/sub"),
            ("dir/up", Last::Follow, "found /top"),
            ("slash/top", Last::Follow, "found /top"),
            ("dotted/file", Last::Follow, "found /dir/sub/file"),
            ("missing", Last::Follow, "missing /missing"),
            ("dir/missing/more", Last::Follow, "missing /dir/missing/more"),
            ("missing/../dir", Last::Follow, "found /dir"),
            ("missing/../new", Last::Follow, "missing /new"),
            ("dangling", Last::Follow, "missing /no/where"),
            ("dangling", Last::Keep, "found /dangling"),
            ("dangling/file", Last::Follow, "missing /no/where/file"),
            ("abs/new", Last::Follow, "missing /dir/sub/new"),
            ("loop", Last::Keep, "found /loop"),
            ("loop", Last::Follow, "too many symbolic links on the way to `loop`"),
            ("self", Last::Follow, "too many symbolic links on the way to `self`"),
            ("top/file", Last::Follow, "`/top` is not a directory"),
            ("top/..", Last::Follow, "`/top` is not a directory"),
            ("dir/up/x", Last::Follow, "`/top` is not a directory"),
            ("a\0b", Last::Follow, "path `a\0b` holds a NUL byte"),
        ] {
            let shown = match tree.resolve(asked, last) {
                Ok(Resolved::Found { path, node }) => {
                    assert_eq!(tree.get(&path), Some(&node), "{asked}");
                    format!("found {path}")
                }
                Ok(Resolved::Missing { path }) => format!("missing {path}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(shown, expected, "{asked} {last:?}");
        }
    }

    #[test]
    fn as_many_links_are_followed_as_linux_follows() {
        let mut changes = Vec::new();
        for at in 0..=MAX_SYMLINKS {
            let kind = LeafKind::Symlink { target: format!("l{}", at + 1).into_bytes() };
            let leaf = Leaf { metadata: Metadata::with_mode(0o777), kind };
            let path = TreePath::parse(format!("l{at}")).expect("a path");
            changes.push(Change::Put { path, entry: Entry::<u8>::Leaf(leaf) });
        }
        let mut tree = Tree::default();
        tree.apply(&ChangeSet::new(changes)).expect("fits");
        assert!(tree.resolve("l1", Last::Follow).is_ok(), "forty");
        assert!(tree.resolve("l0", Last::Follow).is_err(), "forty-one");
    }
}
