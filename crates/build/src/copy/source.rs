//! What a source path of COPY names.

use strata_dockerfile::Pattern;
use strata_tree::lookup::Last;
use strata_tree::{Directory, LookupError, Node, Resolved, Tree, TreePath};

use super::CopyError;

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
