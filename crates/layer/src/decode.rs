//! From a tar stream to changes.

mod archive;
mod hashing;
mod input;
mod sparse;

use std::io::{self, Read};

use strata_oci::DiffId;
use strata_tree::{self as tree, Change, ChangeSet, Leaf, LeafKind, PathError, TreePath};

use self::archive::{Archive, Entry};
use self::hashing::Hashing;
use crate::content::Extent;
use crate::header::kind;
use crate::index::Index;
use crate::whiteout;

/// Takes what [`decode`] finds.
pub trait Sink {
    /// Takes one change, in the order of the stream. `body` gives the bytes of a regular file, and none for
    /// anything else; what is left unread is skipped.
    fn change(&mut self, change: Change<Extent>, body: &mut dyn Read) -> io::Result<()>;
}

/// How much of a hostile archive is looked at before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many entries there may be.
    pub entries: u64,
    /// How long the extended headers of one entry may be together, in bytes.
    pub extended_header: u64,
    /// How many pieces a sparse file may have.
    pub sparse_pieces: usize,
    /// How long the whole stream may be, in bytes.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 4 << 20, extended_header: 1 << 20, sparse_pieces: 1 << 16, bytes: u64::MAX }
    }
}

/// What is known of a layer once all of it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The digest of all bytes, those after the end of the archive included.
    pub diff_id: DiffId,
    /// How many bytes there were.
    pub uncompressed_size: u64,
}

/// Why a stream is not a layer.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The stream could not be read.
    #[error("cannot read the layer")]
    Read(#[source] io::Error),
    /// The stream ends in the middle of something.
    #[error("the archive ends early, {offset} bytes in")]
    Truncated {
        /// Where it ends.
        offset: u64,
    },
    /// A header is not what a header looks like.
    #[error("the archive has a malformed header at byte {offset}: {problem}")]
    Malformed {
        /// Where the header begins.
        offset: u64,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The name of an entry is no path inside a tree.
    #[error("the archive has an entry `{entry}` with an unusable name")]
    Name {
        /// The name, with what is not UTF-8 replaced.
        entry: String,
        /// Why it is unusable.
        #[source]
        source: PathError,
    },
    /// The target of a hard link is no path inside a tree.
    #[error("hard link `{entry}` names an unusable path")]
    LinkTarget {
        /// The link.
        entry: TreePath,
        /// Why its target is unusable.
        #[source]
        source: PathError,
    },
    /// A whiteout that names nothing.
    #[error("the archive has an unusable whiteout `{entry}`")]
    Whiteout {
        /// The name of the entry, with what is not UTF-8 replaced.
        entry: String,
        /// Why what it removes is no name.
        #[source]
        source: PathError,
    },
    /// The entry for the root is not a directory.
    #[error("the archive has a root that is not a directory")]
    RootReplaced,
    /// An entry of a type that no file system has, or that nothing here can unpack.
    #[error("`{entry}` has the unsupported tar entry type `{}`", kind.escape_ascii())]
    UnsupportedType {
        /// The entry.
        entry: TreePath,
        /// The type byte.
        kind: u8,
    },
    /// One of the [`Limits`] was passed.
    #[error("the archive has more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: Limited,
        /// How much is allowed.
        limit: u64,
    },
    /// The [`Sink`] did not take a change.
    #[error("cannot take `{entry}` out of the archive")]
    Sink {
        /// The entry.
        entry: TreePath,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Its checksum is that of other bytes.
    #[error("the checksum is wrong")]
    Checksum,
    /// A field is no number, or one out of range.
    #[error("`{0}` is no number in range")]
    Number(&'static str),
    /// A PAX record does not have the form `<length> <key>=<value>\n`.
    #[error("a PAX record is malformed")]
    Record,
    /// The map of a sparse file is not in order, or does not fit the file.
    #[error("the map of a sparse file is malformed")]
    Sparse,
    /// A sparse format of a later version than 1.0.
    #[error("the sparse format is not supported")]
    SparseVersion,
    /// A symbolic link points nowhere.
    #[error("a symbolic link has no target")]
    EmptyTarget,
    /// Extended headers that no entry follows.
    #[error("extended headers belong to no entry")]
    Dangling,
}

/// What [`Limits`] bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limited {
    /// [`Limits::entries`].
    #[error("entries")]
    Entries,
    /// [`Limits::extended_header`].
    #[error("bytes in one extended header")]
    ExtendedHeader,
    /// [`Limits::sparse_pieces`].
    #[error("pieces of a sparse file")]
    SparsePieces,
    /// [`Limits::bytes`].
    #[error("bytes")]
    Bytes,
}

/// Reads an uncompressed layer to its very end and hands every change to `sink`.
///
/// Names are taken as the archive spells them and brought into normal form; nothing is resolved, so that a
/// sink which writes to disk must itself not follow symlinks out of its root. An entry may come twice: the
/// later one counts ([`ChangeSet::new`](strata_tree::ChangeSet::new) sees to it in memory).
pub fn decode(
    reader: impl Read,
    sink: &mut dyn Sink,
    limits: &Limits,
) -> Result<Decoded, DecodeError> {
    let mut archive = Archive::new(reader, Some(Hashing::new()), *limits);
    while let Some(entry) = archive.next()? {
        let Some(change) = change(entry)? else { continue };
        let path = change.path().clone();
        let taken = sink.change(change, &mut archive);
        // A sink that met a damaged stream reports it as its own error, or not at all.
        if let Some(failure) = archive.take_failure() {
            return Err(failure);
        }
        taken.map_err(|source| DecodeError::Sink { entry: path, source })?;
    }
    let (hashing, uncompressed_size) = archive.finish()?;
    let hasher = hashing.expect("the archive was given one").finish();
    Ok(Decoded { diff_id: DiffId(hasher.finish()), uncompressed_size })
}

/// What an entry means, or nothing for bookkeeping that is not meant for us.
fn change(entry: Entry) -> Result<Option<Change<Extent>>, DecodeError> {
    let name = |source| DecodeError::Name {
        entry: String::from_utf8_lossy(&entry.name).into_owned(),
        source,
    };
    // A whiteout is taken apart before it is a path: its prefix may make it longer than a name can be.
    let end = entry.name.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    let start = entry.name[..end].iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
    let last = &entry.name[start..end];
    let is_bookkeeping =
        |name: &[u8]| name.starts_with(whiteout::BOOKKEEPING) && name != whiteout::OPAQUE;
    if entry.name.split(|&byte| byte == b'/').any(is_bookkeeping) {
        return Ok(None);
    }
    if let Some(removed) = last.strip_prefix(whiteout::PREFIX) {
        let directory = TreePath::parse(&entry.name[..start]).map_err(name)?;
        if last == whiteout::OPAQUE {
            return Ok(Some(Change::Opaque { path: directory }));
        }
        let whiteout = |source| DecodeError::Whiteout {
            entry: String::from_utf8_lossy(&entry.name).into_owned(),
            source,
        };
        let path = directory.join(removed).map_err(whiteout)?;
        return Ok(Some(Change::Remove { path }));
    }
    let path = TreePath::parse(&entry.name).map_err(name)?;
    let extent = Extent::of(&entry);
    let Entry { kind, metadata, device: (major, minor), size, .. } = entry;
    let leaf = match kind {
        kind::DIRECTORY | kind::GNU_DIRECTORY_LIST => {
            return Ok(Some(Change::Put { path, entry: tree::Entry::Directory(metadata) }));
        }
        kind::LINK => {
            let target = TreePath::parse(&entry.link);
            let target =
                target.map_err(|source| DecodeError::LinkTarget { entry: path.clone(), source })?;
            return Ok(Some(Change::Link { path, target }));
        }
        kind::SYMLINK if entry.link.is_empty() => {
            let problem = Problem::EmptyTarget;
            return Err(DecodeError::Malformed { offset: entry.header, problem });
        }
        kind::SYMLINK => LeafKind::Symlink { target: entry.link },
        kind::FILE | kind::OLD_FILE | kind::CONTIGUOUS_FILE => {
            LeafKind::File { size, content: extent }
        }
        kind::CHAR_DEVICE => LeafKind::CharDevice { major, minor },
        kind::BLOCK_DEVICE => LeafKind::BlockDevice { major, minor },
        kind::FIFO => LeafKind::Fifo,
        kind => return Err(DecodeError::UnsupportedType { entry: path, kind }),
    };
    if path.is_root() {
        return Err(DecodeError::RootReplaced);
    }
    let leaf = Leaf { metadata, kind: leaf };
    Ok(Some(Change::Put { path, entry: tree::Entry::Leaf(leaf) }))
}

// The highest bit of an extent's number: no stream is long enough to need it.
const SPARSE: u64 = 1 << 63;

impl Extent {
    fn of(entry: &Entry) -> Self {
        Self { offset: if entry.sparse { SPARSE | entry.header } else { entry.body } }
    }
}

/// Opens the file of `size` bytes at `extent` of an uncompressed layer that `reader` gives from its start.
///
/// Reads past everything before it, which for a compressed layer is the only way. A stream that ends early
/// gives fewer bytes than `size`.
pub fn open_extent(
    mut reader: impl Read + Send + 'static,
    extent: Extent,
    size: u64,
) -> io::Result<Box<dyn Read + Send>> {
    let offset = extent.offset & !SPARSE;
    io::copy(&mut reader.by_ref().take(offset), &mut io::sink())?;
    if extent.offset == offset {
        return Ok(Box::new(reader.take(size)));
    }
    let mut archive = Archive::new(reader, None, Limits::default());
    match archive.next() {
        Ok(Some(entry)) if entry.sparse && entry.size == size => Ok(Box::new(archive)),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "no such sparse file")),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

/// The sink that keeps what it is told: the [`Index`] of a layer comes out of it.
#[derive(Debug, Default)]
pub struct IndexBuilder {
    changes: Vec<Change<Extent>>,
}

impl IndexBuilder {
    /// The index of everything that came.
    pub fn finish(self) -> Index {
        Index::new(ChangeSet::new(self.changes))
    }
}

impl Sink for IndexBuilder {
    fn change(&mut self, change: Change<Extent>, _body: &mut dyn Read) -> io::Result<()> {
        self.changes.push(change);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
