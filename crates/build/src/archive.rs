//! Bytes that a step reads itself: archives that ADD unpacks, and the small files of `/etc`.

use std::io::{self, Read};
use std::sync::Arc;

use strata_layer::{ArchiveCompression, Content, MAGIC_LENGTH, OpenContent, decompress_archive};
use strata_plan::CopySource;
use strata_tree::lookup::Last;
use strata_tree::{Change, ChangeSet, Entry, Leaf, LeafKind, Node, Resolved, Tree, TreePath};

use crate::blocking::blocking;
use crate::copy::find_sources;
use crate::engine::Session;
use crate::error::ErrorKind;
use crate::spool;

/// The longest `/etc/passwd` or `/etc/group` that is read. Real ones have a few kilobytes.
const SMALL: u64 = 16 << 20;

/// The length of a tar header.
const HEADER: usize = 512;

/// Reads a small file of a tree, following links; nothing if it is not there or no regular file.
pub(crate) async fn read_small(
    session: &Arc<Session>,
    tree: &Tree<Content>,
    path: &str,
) -> Result<Vec<u8>, ErrorKind> {
    let Some(leaf) = regular_file(tree, path.as_bytes()) else { return Ok(Vec::new()) };
    let inside = match &leaf.kind {
        LeafKind::File { content: Content::Layer { diff_id, offset }, .. } => {
            Some((*diff_id, *offset))
        }
        _ => None,
    };
    let images = Arc::clone(&session.ports.images);
    if let Some(known) = inside.and_then(|(diff_id, offset)| images.small_file(diff_id, offset)) {
        return Ok(known);
    }
    let place = TreePath::clean(path).map_err(crate::copy::CopyError::Path)?;
    let put = Change::Put { path: place, entry: Entry::Leaf((*leaf).clone()) };
    let gathered = spool::gather(session, ChangeSet::new(vec![put])).await?;
    let Some((content, size)) = gathered.iter().find_map(file_of) else { return Ok(Vec::new()) };
    let (content, session) = (content.clone(), Arc::clone(session));
    let what = format!("`/{path}` of the image");
    blocking(move || {
        let failed = |source| ErrorKind::Io { action: "read", what: what.clone(), source };
        let mut bytes = Vec::new();
        let reader = session.contents.open(&content, size).map_err(failed)?;
        reader.take(SMALL).read_to_end(&mut bytes).map_err(failed)?;
        if let Some((diff_id, offset)) = inside {
            images.remember_small_file(diff_id, offset, &bytes);
        }
        Ok(bytes)
    })
    .await
}

fn file_of(change: &Change<Content>) -> Option<(&Content, u64)> {
    match change {
        Change::Put {
            entry: Entry::Leaf(Leaf { kind: LeafKind::File { content, size }, .. }),
            ..
        } => Some((content, *size)),
        _ => None,
    }
}

fn regular_file(tree: &Tree<Content>, path: &[u8]) -> Option<Arc<Leaf<Content>>> {
    match tree.resolve(path, Last::Follow) {
        Ok(Resolved::Found { node: Node::Leaf(leaf), .. })
            if matches!(leaf.kind, LeafKind::File { .. }) =>
        {
            Some(leaf)
        }
        _ => None,
    }
}

/// Makes the files that a source names readable where they lie inside layers.
pub(crate) async fn gather_source(
    session: &Arc<Session>,
    mut from: Tree<Content>,
    source: &CopySource,
) -> Result<Tree<Content>, ErrorKind> {
    let CopySource::Path { pattern, .. } = source else { return Ok(from) };
    let mut changes = Vec::new();
    for path in find_sources(&from, pattern.as_bytes())? {
        if let Ok(Resolved::Found { path, node: Node::Leaf(leaf) }) =
            from.resolve(path.as_bytes(), Last::Follow)
        {
            changes.push(Change::Put { path, entry: Entry::Leaf((*leaf).clone()) });
        }
    }
    for change in spool::gather(session, ChangeSet::new(changes)).await? {
        if let Change::Put { path, entry: Entry::Leaf(leaf) } = change {
            from.put_leaf(&path, leaf);
        }
    }
    Ok(from)
}

/// A path that a source of ADD names, with the archive's entries if it is one.
pub(crate) type Archive = (TreePath, Option<ChangeSet<Content>>);

/// The files that a source of ADD names, archives unpacked; nothing if none of them is an archive.
///
/// An archive is told by its content, never by its name: whatever can be decompressed and begins with a tar
/// header.
pub(crate) fn archives(
    session: &Session,
    from: &Tree<Content>,
    source: &CopySource,
) -> Result<Option<Vec<Archive>>, ErrorKind> {
    let CopySource::Path { pattern, pivot: None, .. } = source else { return Ok(None) };
    let mut found = Vec::new();
    for path in find_sources(from, pattern.as_bytes())? {
        let entries = match regular_file(from, path.as_bytes()) {
            Some(leaf) => unpacked(session, &path.to_string(), &leaf)?,
            None => None,
        };
        found.push((path, entries));
    }
    let any = found.iter().any(|(_, entries)| entries.is_some());
    Ok(any.then_some(found))
}

/// The entries of a file if it is an archive. `name` is for messages.
pub(crate) fn unpacked(
    session: &Session,
    name: &str,
    leaf: &Leaf<Content>,
) -> Result<Option<ChangeSet<Content>>, ErrorKind> {
    let LeafKind::File { content, size } = &leaf.kind else { return Ok(None) };
    let what = format!("`{name}`");
    let failed = |source| ErrorKind::Io { action: "read", what: what.clone(), source };
    let reader = session.contents.open(content, *size).map_err(failed)?;
    if !begins_like_an_archive(reader) {
        return Ok(None);
    }
    let reader = session.contents.open(content, *size).map_err(failed)?;
    let archive = decompress_archive(reader).map_err(failed)?;
    spool::unpack_archive(session.scratch.path(), &what, archive).map(Some)
}

fn begins_like_an_archive(mut reader: impl Read + Send + 'static) -> bool {
    let mut start = Vec::new();
    if reader.by_ref().take(MAGIC_LENGTH as u64).read_to_end(&mut start).is_err()
        || start.is_empty()
    {
        return false;
    }
    let plain = ArchiveCompression::detect(&start) == ArchiveCompression::None;
    let whole = io::Cursor::new(start).chain(reader);
    let mut header = Vec::with_capacity(HEADER);
    let read = if plain {
        whole.take(HEADER as u64).read_to_end(&mut header)
    } else {
        match decompress_archive(whole) {
            Ok(reader) => reader.take(HEADER as u64).read_to_end(&mut header),
            Err(error) => Err(error),
        }
    };
    read.is_ok() && is_tar_header(&header)
}

// The checksum is the sum of all bytes with the checksum's own field taken as blanks (POSIX.1 ustar). Old
// programs summed signed bytes. An archive of nothing but zeros is empty, and not taken for one.
fn is_tar_header(header: &[u8]) -> bool {
    if header.len() < HEADER {
        return false;
    }
    let field = &header[148..156];
    let digits: String = field
        .iter()
        .skip_while(|byte| **byte == b' ')
        .take_while(|byte| byte.is_ascii_digit())
        .map(|byte| char::from(*byte))
        .collect();
    let Ok(expected) = i64::from_str_radix(&digits, 8) else { return false };
    let bytes = header.iter().enumerate();
    let (mut unsigned, mut signed) = (0_i64, 0_i64);
    for (at, &byte) in bytes {
        let byte = if (148..156).contains(&at) { b' ' } else { byte };
        unsigned += i64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    expected == unsigned || expected == signed
}
