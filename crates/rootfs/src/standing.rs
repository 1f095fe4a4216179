//! A directory as it stands, with nothing known before.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use strata_layer::Content;
use strata_sys::{Dir, Kind, PathError};
use strata_tree::{Change, ChangeSet, Entry, Leaf, TreePath};

use crate::changes::located;
use crate::entry::{self, Identity};
use crate::error::SnapshotError;
use crate::medium::{Shape, Standing};

/// Reads everything below a directory: names, metadata, links; of files only where they are. The directory itself
/// is the first entry. Sockets are left out, as in layers.
///
/// Nothing keeps others from changing files meanwhile: whoever reads them sees whether their lengths still fit.
pub fn read_directory(directory: &Path) -> Result<ChangeSet<Content>, SnapshotError> {
    let disk = |path: &TreePath| {
        let (directory, path) = (directory.to_owned(), path.clone());
        move |source: PathError| SnapshotError::Disk { directory, path, source }
    };
    let root = TreePath::root();
    let dir = Dir::open(directory).map_err(disk(&root))?;
    let mut reading = Reading {
        location: directory.into(),
        changes: Vec::new(),
        files: HashMap::new(),
        pending: Vec::new(),
    };
    reading.entry(&dir, b".", root.clone()).map_err(disk(&root))?;
    // The directory is open already; whatever it contains is reached from there, never by a link.
    reading.pending = vec![(dir, root)];
    while let Some((dir, path)) = reading.pending.pop() {
        for found in dir.entries().map_err(disk(&path))? {
            let child = path
                .join(&found.name)
                .map_err(|source| SnapshotError::Name { directory: path.clone(), source })?;
            reading.entry(&dir, &found.name, child.clone()).map_err(disk(&child))?;
        }
    }
    Ok(ChangeSet::new(reading.changes))
}

struct Reading {
    location: Arc<Path>,
    changes: Vec<Change<Content>>,
    /// The first name of each file that has several.
    files: HashMap<Identity, TreePath>,
    pending: Vec<(Dir, TreePath)>,
}

impl Reading {
    fn entry(&mut self, dir: &Dir, name: &[u8], path: TreePath) -> Result<(), PathError> {
        let inode = dir.metadata(name)?;
        if inode.kind != Kind::Dir && inode.links > 1 {
            let identity = entry::identity(&inode);
            if let Some(target) = self.files.get(&identity) {
                self.changes.push(Change::Link { path, target: target.clone() });
                return Ok(());
            }
            self.files.insert(identity, path.clone());
        }
        let Some(Standing { shape, metadata }) = entry::read(dir, name, &inode)? else {
            return Ok(());
        };
        let entry = match shape {
            Shape::Directory => {
                if !path.is_root() {
                    self.pending.push((dir.dir(name)?, path.clone()));
                }
                Entry::Directory(metadata)
            }
            Shape::Leaf(kind) => {
                let kind = kind.map(|()| located(&self.location, &path));
                Entry::Leaf(Leaf { metadata, kind })
            }
        };
        self.changes.push(Change::Put { path, entry });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_directory_is_read_with_links_and_modes() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir(at("d")).expect("is new");
        std::fs::write(at("d/file"), "x").expect("is new");
        std::fs::set_permissions(at("d/file"), std::fs::Permissions::from_mode(0o640))
            .expect("is ours");
        std::fs::hard_link(at("d/file"), at("d/other")).expect("is new");
        symlink("d/file", at("link")).expect("is new");
        let changes = read_directory(directory.path()).expect("can be read");
        let shown: Vec<String> = changes
            .iter()
            .map(|change| match change {
                Change::Put { path, entry } => {
                    let kind = match entry {
                        Entry::Directory(_) => "directory",
                        Entry::Leaf(leaf) => match leaf.kind {
                            strata_tree::LeafKind::File { size: 1, .. } => "file",
                            strata_tree::LeafKind::Symlink { .. } => "link",
                            _ => "else",
                        },
                    };
                    format!("{path} {kind} {:o}", entry.metadata().mode)
                }
                Change::Link { path, target } => format!("{path} = {target}"),
                Change::Remove { .. } | Change::Opaque { .. } => "gone".to_owned(),
            })
            .collect();
        assert_eq!(
            shown[1..],
            ["/d directory 755", "/d/file file 640", "/d/other = /d/file", "/link link 777"]
        );
    }
}
