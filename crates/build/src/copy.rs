//! COPY and ADD of files as a function from trees to changes. No disk is involved.
//!
//! The rules are those of BuildKit's file operations: sources are followed when they are links, a directory
//! gives its contents, what lies inside a directory is copied as it is; the destination is resolved through
//! links with the image as the root of the world, missing directories are made on the way.

mod source;
mod target;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use strata_tree::lookup::Last;
use strata_tree::{
    ChangeSet, Directory, Leaf, LeafKind, LookupError, Metadata, Node, PathError, Resolved,
    Timestamp, Tree, TreePath,
};

pub use self::source::{contains_wildcards, find_sources, require_below, require_included};
use self::target::Target;
use crate::filter::{Filter, FilterState};
use strata_plan::Chmod;

/// Numeric owner and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// What is to happen to everything that is copied.
#[derive(Debug, Default)]
pub struct CopyOptions<'a> {
    /// The owner of what is copied; without one, each file keeps the owner it has.
    pub owner: Option<Owner>,
    /// The owner of directories that are made on the way; root without one.
    pub made_owner: Option<Owner>,
    /// The mode of what is copied; without one, each file keeps its own.
    pub mode: Option<&'a Chmod>,
    /// Only what this accepts is copied, with the directories above it (`--parents`).
    pub include: Option<&'a Filter>,
    /// What this accepts is left out (`--exclude`).
    pub exclude: Option<&'a Filter>,
}

/// Why files cannot be copied. Paths are shown as the image or the source has them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// Nothing stands at a source path.
    #[error("`{path}` is not there")]
    SourceMissing {
        /// The path, with no symlink followed.
        path: TreePath,
    },
    /// What `--parents` would have to follow a link for.
    #[error("`{path}` lies behind the symbolic link `{link}`, which `--parents` does not follow")]
    BehindLink {
        /// The path as it was asked for.
        path: TreePath,
        /// The link on the way.
        link: TreePath,
    },
    /// A path that was asked for by name, and left out with all that is in it (`--parents` with `--exclude`).
    #[error("`{path}` is left out by `--exclude`, with nothing else to copy")]
    LeftOut {
        /// The path as it was asked for.
        path: TreePath,
    },
    /// A directory was to be written where something else stands.
    #[error("cannot copy a directory onto `{path}`, which is not a directory")]
    NotADirectory {
        /// The place in the image.
        path: TreePath,
    },
    /// A file was to be written where a directory stands.
    #[error("cannot replace the directory `{path}` with a file")]
    IsADirectory {
        /// The place in the image.
        path: TreePath,
    },
    /// A path cannot be followed to its end.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// A path is too long.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// The destination as written: absolute, but with its trailing slash or `/.`, which say "directory".
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a>(pub &'a [u8]);

impl Destination<'_> {
    fn is_directory(&self) -> bool {
        self.0.is_empty() || self.0.ends_with(b"/") || self.0.ends_with(b"/.") || self.0 == b"."
    }
}

/// Copies things onto one tree, remembering what changed.
#[derive(Debug)]
pub struct Copier<C> {
    target: Target<C>,
}

impl<C: Clone> Copier<C> {
    /// Begins to copy onto `onto`, which itself stays as it is.
    pub fn new(onto: &Tree<C>) -> Self {
        Self { target: Target::new(onto) }
    }

    /// What was changed, in canonical order, with the directories above every change.
    pub fn finish(self) -> ChangeSet<C> {
        self.target.finish()
    }

    /// Copies what stands at `source` in `from`.
    ///
    /// A directory gives its contents, and what are hard links in it stay that. A link is followed. `source` is a path
    /// that exists, or the result of [`find_sources`].
    pub fn copy(
        &mut self,
        from: &Tree<C>,
        source: &TreePath,
        destination: Destination<'_>,
        options: &CopyOptions<'_>,
    ) -> Result<(), CopyError> {
        let missing = || CopyError::SourceMissing { path: source.clone() };
        let node = match from.resolve(source.as_bytes(), Last::Follow) {
            Ok(Resolved::Found { node, .. }) => node,
            Ok(Resolved::Missing { .. }) | Err(LookupError::NotADirectory { .. }) => {
                return Err(missing());
            }
            Err(error) => return Err(error.into()),
        };
        let time = node.metadata().mtime;
        let name = source.file_name().unwrap_or_default();
        match &node {
            Node::Directory(directory) => {
                let place = self.directory_place(destination, time, options)?;
                let metadata = Metadata { mtime: time, ..self.target.metadata_of(&place) };
                if self.target.was_made(&place) {
                    self.target.put_directory(&place, metadata)?;
                }
                let (above, links) = (Vec::new(), HashMap::new());
                let mut walk = Walk { copier: self, options, above, links };
                walk.contents(
                    directory,
                    &TreePath::root(),
                    &place,
                    &FilterState::default(),
                    &FilterState::default(),
                )
            }
            Node::Leaf(leaf) => {
                if options.exclude.is_some_and(|filter| filter.matches(name)) {
                    return Ok(());
                }
                let place = self.leaf_place(destination, name, time, options)?;
                self.put_leaf(leaf, &place, options)
            }
        }
    }

    /// Puts one new file where COPY would put a source called `name`.
    pub fn put_file(
        &mut self,
        name: &[u8],
        leaf: &Leaf<C>,
        destination: Destination<'_>,
        options: &CopyOptions<'_>,
    ) -> Result<(), CopyError> {
        let place = self.leaf_place(destination, name, leaf.metadata.mtime, options)?;
        self.put_leaf(leaf, &place, options)
    }

    /// Makes a directory and those above it, as WORKDIR does. What exists stays as it is.
    pub fn make_directory(
        &mut self,
        path: &[u8],
        owner: Option<Owner>,
        time: Timestamp,
    ) -> Result<TreePath, CopyError> {
        let place = self.target.resolve(path)?;
        self.target.make_all(&place, &made(0o755, owner, time))?;
        Ok(place)
    }

    /// Unpacks the entries of an archive below `destination`. Entries stay inside it: links on the way are
    /// followed with `destination` as the root. Directories that exist take the metadata of the archive.
    pub fn unpack(
        &mut self,
        entries: &ChangeSet<C>,
        destination: Destination<'_>,
        time: Timestamp,
        options: &CopyOptions<'_>,
    ) -> Result<(), CopyError> {
        let base = self.target.resolve(destination.0)?;
        self.target.make_all(&base, &made(0o755, options.made_owner, time))?;
        for change in entries {
            self.unpack_one(change, &base, time, options)?;
        }
        Ok(())
    }

    fn unpack_one(
        &mut self,
        change: &strata_tree::Change<C>,
        base: &TreePath,
        time: Timestamp,
        options: &CopyOptions<'_>,
    ) -> Result<(), CopyError> {
        use strata_tree::{Change, Entry};
        let path = change.path();
        let place = self.target.place_below(base, path)?;
        if let Some(parent) = place.parent() {
            self.target.make_all_replacing(&parent, &made(0o755, options.made_owner, time));
        }
        match change {
            Change::Put { entry: Entry::Directory(metadata), .. } => {
                // The archive's own root entry says nothing about the directory it is unpacked into.
                if path.is_root() {
                    return Ok(());
                }
                let metadata = apply(metadata.clone(), Kind::Directory, options);
                self.target.replace_directory(&place, metadata);
                Ok(())
            }
            Change::Put { entry: Entry::Leaf(leaf), .. } => {
                let kind = Kind::of(&leaf.kind);
                let metadata = apply(leaf.metadata.clone(), kind, options);
                let leaf = Leaf { metadata, kind: leaf.kind.clone() };
                self.target.replace_leaf(&place, leaf)
            }
            Change::Link { target, .. } => {
                let target = self.target.place_below(base, target)?;
                self.target.link(&place, &target)
            }
            // An archive is not a layer: BuildKit writes `.wh.` entries as the files they are named after,
            // which no layer can hold. They are left out.
            Change::Remove { .. } | Change::Opaque { .. } => Ok(()),
        }
    }

    fn directory_place(
        &mut self,
        destination: Destination<'_>,
        time: Timestamp,
        options: &CopyOptions<'_>,
    ) -> Result<TreePath, CopyError> {
        let place = self.target.resolve(destination.0)?;
        self.target.make_all(&place, &made(made_mode(options), options.made_owner, time))?;
        Ok(place)
    }

    fn leaf_place(
        &mut self,
        destination: Destination<'_>,
        name: &[u8],
        time: Timestamp,
        options: &CopyOptions<'_>,
    ) -> Result<TreePath, CopyError> {
        let directory = made(made_mode(options), options.made_owner, time);
        let mut place = self.target.resolve(destination.0)?;
        if destination.is_directory() {
            self.target.make_all(&place, &directory)?;
        }
        if self.target.is_directory(&place) {
            place = place.join(name)?;
        }
        if let Some(parent) = place.parent() {
            self.target.make_all(&parent, &directory)?;
        }
        Ok(place)
    }

    fn put_link(&mut self, place: &TreePath, first: &TreePath) -> Result<(), CopyError> {
        if self.target.is_directory(place) {
            return Err(CopyError::IsADirectory { path: place.clone() });
        }
        self.target.link(place, first)
    }

    fn put_leaf(
        &mut self,
        leaf: &Leaf<C>,
        place: &TreePath,
        options: &CopyOptions<'_>,
    ) -> Result<(), CopyError> {
        if self.target.is_directory(place) {
            return Err(CopyError::IsADirectory { path: place.clone() });
        }
        let metadata = apply(leaf.metadata.clone(), Kind::of(&leaf.kind), options);
        let copied = Leaf { metadata, kind: leaf.kind.clone() };
        self.target.replace_leaf(place, copied)
    }
}

/// One walk through a source directory.
struct Walk<'a, 'o, C> {
    copier: &'a mut Copier<C>,
    options: &'a CopyOptions<'o>,
    // Directories on the way that no pattern has asked for yet, with where they would go.
    above: Vec<(TreePath, Metadata, bool)>,
    // Where files went that may have other names: those become links of it. As in the reference only within one
    // source: what two sources or two matches of a pattern name are two files.
    links: HashMap<*const Leaf<C>, TreePath>,
}

impl<C: Clone> Walk<'_, '_, C> {
    fn contents(
        &mut self,
        directory: &Directory<C>,
        relative: &TreePath,
        place: &TreePath,
        include: &FilterState,
        exclude: &FilterState,
    ) -> Result<(), CopyError> {
        for (name, node) in directory.children() {
            let path = relative.join(name)?;
            let target = place.join(name)?;
            let (mut wanted, include) = match self.options.include {
                Some(filter) => filter.matches_below(path.as_bytes(), include),
                None => (true, FilterState::default()),
            };
            let (excluded, exclude) = match self.options.exclude {
                Some(filter) => filter.matches_below(path.as_bytes(), exclude),
                None => (false, FilterState::default()),
            };
            wanted &= !excluded;
            match node {
                Node::Leaf(_) if !wanted => {}
                Node::Leaf(leaf) => {
                    self.make_above()?;
                    self.leaf(leaf, &target, directory.may_be_linked(name))?;
                }
                Node::Directory(child) => {
                    let exceptions = self.options.exclude.is_some_and(Filter::has_exceptions);
                    if excluded && !exceptions {
                        continue;
                    }
                    let metadata = apply(child.metadata.clone(), Kind::Directory, self.options);
                    if wanted {
                        self.make_above()?;
                        self.copier.target.put_directory(&target, metadata.clone())?;
                    }
                    self.above.push((target.clone(), metadata, wanted));
                    self.contents(child, &path, &target, &include, &exclude)?;
                    self.above.pop();
                }
            }
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        leaf: &Arc<Leaf<C>>,
        place: &TreePath,
        may_be_linked: bool,
    ) -> Result<(), CopyError> {
        if !may_be_linked || !matches!(leaf.kind, LeafKind::File { .. }) {
            return self.copier.put_leaf(leaf, place, self.options);
        }
        match self.links.get(&Arc::as_ptr(leaf)) {
            Some(first) => self.copier.put_link(place, first),
            None => {
                self.copier.put_leaf(leaf, place, self.options)?;
                self.links.insert(Arc::as_ptr(leaf), place.clone());
                Ok(())
            }
        }
    }

    fn make_above(&mut self) -> Result<(), CopyError> {
        for (place, metadata, made) in &mut self.above {
            if !*made {
                if !self.copier.target.is_directory(place) {
                    self.copier.target.put_directory(place, metadata.clone())?;
                }
                *made = true;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    Symlink,
    Other,
}

impl Kind {
    fn of<C>(kind: &LeafKind<C>) -> Self {
        match kind {
            LeafKind::Symlink { .. } => Self::Symlink,
            LeafKind::File { .. }
            | LeafKind::CharDevice { .. }
            | LeafKind::BlockDevice { .. }
            | LeafKind::Fifo => Self::Other,
        }
    }
}

fn apply(mut metadata: Metadata, kind: Kind, options: &CopyOptions<'_>) -> Metadata {
    if let Some(owner) = options.owner {
        metadata.uid = owner.uid;
        metadata.gid = owner.gid;
    }
    if let Some(change) = options.mode
        && kind != Kind::Symlink
    {
        metadata.mode = change.apply(metadata.mode, kind == Kind::Directory);
    }
    metadata
}

fn made(mode: u32, owner: Option<Owner>, mtime: Timestamp) -> Metadata {
    let owner = owner.unwrap_or(Owner { uid: 0, gid: 0 });
    Metadata { mode, uid: owner.uid, gid: owner.gid, mtime, ..Metadata::default() }
}

// `--chmod=0700` also reaches the directories that are made on the way; a symbolic mode has nothing to change there.
fn made_mode(options: &CopyOptions<'_>) -> u32 {
    match options.mode {
        Some(Chmod::Octal(mode)) => mode & 0o777,
        Some(Chmod::Symbolic(_)) | None => 0o755,
    }
}
