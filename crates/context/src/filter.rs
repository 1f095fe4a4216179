//! What belongs to the context and what is ignored.

use strata_tree::TreePath;

/// What a [`Filter`] says of one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The entry belongs to the context, whatever is below it.
    Keep,
    /// The entry itself does not. A directory is still searched, and appears after all if anything below it is
    /// kept (`dist/` ignored, `!dist/app` re-included).
    Skip,
    /// Neither the entry nor anything below it does; the directory is not even listed.
    SkipSubtree,
}

/// Decides about each path of a context, parents before children. The root is not asked about.
pub trait Filter {
    /// The verdict on `path`, which is a directory or anything else.
    fn decide(&mut self, path: &TreePath, is_directory: bool) -> Verdict;
}

impl<F: FnMut(&TreePath, bool) -> Verdict> Filter for F {
    fn decide(&mut self, path: &TreePath, is_directory: bool) -> Verdict {
        self(path, is_directory)
    }
}

/// The filter of a context without an ignore file.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeepAll;

impl Filter for KeepAll {
    fn decide(&mut self, _path: &TreePath, _is_directory: bool) -> Verdict {
        Verdict::Keep
    }
}
