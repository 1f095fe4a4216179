//! What a source path of COPY names.

use strata_dockerfile::Pattern;
use strata_tree::lookup::Last;
use strata_tree::{Directory, LeafKind, LookupError, Node, Resolved, Tree, TreePath};

use super::{Copier, CopyError, CopyOptions, Destination};

/// Whether a source has `*`, `?` or `[` that is not escaped.
pub fn contains_wildcards(source: &[u8]) -> bool {
    let mut bytes = source.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' | b'?' | b'[' => return true,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
    false
}

/// The paths that a source names: itself, or whatever its wildcards match, in the order of a walk.
///
/// The components before the first wildcard are resolved through links; from there on names are matched as
/// they are, component by component (`filepath.Match` of Go). A directory that matches is not looked into.
pub fn find_sources<C: Clone>(from: &Tree<C>, source: &[u8]) -> Result<Vec<TreePath>, CopyError> {
    if !contains_wildcards(source) {
        return Ok(vec![TreePath::clean(source)?]);
    }
    let clean = TreePath::clean(source)?;
    let mut fixed = TreePath::root();
    let mut patterns: Vec<Pattern> = Vec::new();
    for name in clean.components() {
        if patterns.is_empty() && !contains_wildcards(name) {
            fixed = fixed.join(name)?;
        } else {
            // A pattern that cannot be read matches nothing, as in BuildKit; the parser has already warned.
            let Ok(glob) = Pattern::new(name) else { return Ok(Vec::new()) };
            patterns.push(glob);
        }
    }
    let (base, node) = match from.resolve(fixed.as_bytes(), Last::Follow) {
        Ok(Resolved::Found { path, node }) => (path, node),
        Ok(Resolved::Missing { .. }) | Err(LookupError::NotADirectory { .. }) => {
            return Err(CopyError::SourceMissing { path: fixed });
        }
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    if let Node::Directory(directory) = &node {
        matching(directory, &base, &patterns, &mut found)?;
    }
    Ok(found)
}

fn matching<C>(
    directory: &Directory<C>,
    base: &TreePath,
    patterns: &[Pattern],
    found: &mut Vec<TreePath>,
) -> Result<(), CopyError> {
    let Some((first, rest)) = patterns.split_first() else { return Ok(()) };
    for (name, node) in directory.children() {
        if !first.matches(name) {
            continue;
        }
        let path = base.join(name)?;
        if rest.is_empty() {
            found.push(path);
        } else if let Node::Directory(child) = node {
            matching(child, &path, rest, found)?;
        }
    }
    Ok(())
}

/// Requires `relative` to be there below `pivot`, as `--parents` finds it: links are followed to the pivot and
/// nowhere below it, because the directories that are kept would not be those that were asked for.
pub fn require_below<C: Clone>(
    from: &Tree<C>,
    pivot: &TreePath,
    relative: &TreePath,
) -> Result<(), CopyError> {
    let path = pivot.append(relative)?;
    let missing = || CopyError::SourceMissing { path: path.clone() };
    let mut place = match from.resolve(pivot.as_bytes(), Last::Follow) {
        Ok(Resolved::Found { path, .. }) => path,
        Ok(Resolved::Missing { .. }) | Err(LookupError::NotADirectory { .. }) => {
            return Err(missing());
        }
        Err(error) => return Err(error.into()),
    };
    let mut names = relative.components().peekable();
    while let Some(name) = names.next() {
        place = place.join(name)?;
        match from.get(&place) {
            None => return Err(missing()),
            Some(Node::Leaf(leaf)) if names.peek().is_some() => {
                return Err(match leaf.kind {
                    LeafKind::Symlink { .. } => CopyError::BehindLink { path, link: place },
                    _ => missing(),
                });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Requires that of `relative` below `pivot` something is left to copy after `--exclude`. Otherwise the
/// directories above it would be made for nothing.
pub fn require_included<C: Clone>(
    from: &Tree<C>,
    pivot: &TreePath,
    relative: &TreePath,
    options: &CopyOptions<'_>,
) -> Result<(), CopyError> {
    let mut copier = Copier::new(&Tree::default());
    copier.copy(from, pivot, Destination(b"/"), options)?;
    if copier.finish().iter().any(|change| change.path().starts_with(relative)) {
        return Ok(());
    }
    Err(CopyError::LeftOut { path: pivot.append(relative)? })
}
