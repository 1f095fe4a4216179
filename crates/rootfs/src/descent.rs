//! Directories by path, one name at a time.

use strata_sys::{Dir, Errno, Kind, PathError};
use strata_tree::TreePath;

/// How many descriptors of the way down stay open. Trees as deep as paths allow would exhaust them.
const KEPT: usize = 32;

/// Opens directories below a root without ever following a link, whatever the length of their path, and
/// remembers the last way down, because the next path mostly shares it.
#[derive(Debug)]
pub(crate) struct Descent {
    root: Dir,
    way: Vec<Step>,
    /// Where the way ends, if its last step is open.
    end: Option<TreePath>,
}

#[derive(Debug)]
struct Step {
    name: Vec<u8>,
    /// Closed again where the way is long.
    dir: Option<Dir>,
}

/// What to do about a name on the way that is no directory.
pub(crate) enum Obstacle<'a> {
    /// `ENOENT` or `ENOTDIR`.
    Fail,
    /// Make a directory of it, after removing what stands there, and tell.
    Clear(&'a mut dyn FnMut(TreePath, Option<Kind>)),
}

impl Descent {
    pub(crate) fn new(root: Dir) -> Self {
        Self { root, way: Vec::new(), end: None }
    }

    /// Opens the directory at `path`.
    pub(crate) fn directory(
        &mut self,
        path: &TreePath,
        mut obstacle: Obstacle<'_>,
    ) -> Result<&Dir, PathError> {
        if self.end.as_ref() == Some(path) {
            return Ok(self.last());
        }
        self.end = None;
        let names: Vec<&[u8]> = path.components().collect();
        let shared =
            self.way.iter().zip(&names).take_while(|(step, name)| step.name == **name).count();
        self.way.truncate(shared);
        let open = self.way.iter().rposition(|step| step.dir.is_some()).map_or(0, |at| at + 1);
        // Steps whose descriptor was closed are opened again on the way.
        self.way.truncate(open);
        for (depth, name) in names.iter().enumerate().skip(open) {
            let parent = match self.way.last() {
                Some(Step { dir: Some(dir), .. }) => dir,
                _ if depth == 0 => &self.root,
                _ => unreachable!("the last step of the way is always open"),
            };
            let dir = match parent.dir(name) {
                Ok(dir) => dir,
                Err(error) => match &mut obstacle {
                    Obstacle::Clear(told)
                        if matches!(error.source, Errno::NOENT | Errno::NOTDIR | Errno::LOOP) =>
                    {
                        let stood = clear_for_directory(parent, name)?;
                        told(prefix(&names[..=depth]), stood);
                        parent.dir(name)?
                    }
                    _ => return Err(error),
                },
            };
            self.way.push(Step { name: name.to_vec(), dir: Some(dir) });
            if let Some(far) = self.way.len().checked_sub(KEPT + 1) {
                self.way[far].dir = None;
            }
        }
        self.end = Some(path.clone());
        Ok(self.last())
    }

    fn last(&self) -> &Dir {
        self.way.last().and_then(|step| step.dir.as_ref()).unwrap_or(&self.root)
    }

    /// Must be told when the entry at `path` is removed or replaced.
    pub(crate) fn forget(&mut self, path: &TreePath) {
        let names = path.components().count();
        let on_the_way = self.way.iter().zip(path.components()).take_while(|(s, n)| s.name == *n);
        if on_the_way.count() == names {
            self.end = None;
            self.way.truncate(names.saturating_sub(1));
        }
    }
}

fn prefix(names: &[&[u8]]) -> TreePath {
    TreePath::parse(names.join(&b'/')).expect("the start of a path is a path")
}

fn clear_for_directory(parent: &Dir, name: &[u8]) -> Result<Option<Kind>, PathError> {
    let stood = match parent.metadata(name) {
        Ok(metadata) => {
            parent.unlink(name)?;
            Some(metadata.kind)
        }
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error),
    };
    // The final mode comes with the rest of the metadata, when nothing more is put into the directory.
    parent.mkdir(name, 0o700)?;
    Ok(stood)
}
