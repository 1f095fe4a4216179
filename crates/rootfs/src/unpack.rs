//! From a layer's bytes to the disk.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use strata_layer::{Content, Extent, Limits, OpenContent, Sink, decode};
use strata_sys::Errno;
use strata_tree::{Change, ChangeSet, Entry, Leaf, LeafKind};

use crate::body::Body;
use crate::contents::{self, DiskContents, open_file};
use crate::error::SnapshotError;
use crate::snapshotter::BaseLayer;
use crate::writer::{WriteError, Writer};

struct Unpacking<'a, 'b> {
    writer: &'a mut Writer<'b>,
    changes: Vec<Change<Extent>>,
}

impl Sink for Unpacking<'_, '_> {
    fn change(&mut self, change: Change<Extent>, body: &mut dyn Read) -> io::Result<()> {
        self.writer.write(&change, Body::Stream(body)).map_err(io::Error::other)?;
        self.changes.push(change);
        Ok(())
    }
}

/// Unpacks one layer and verifies it. The writer is still to be finished.
pub(crate) fn unpack(
    layer: BaseLayer,
    writer: &mut Writer<'_>,
) -> Result<ChangeSet<Extent>, SnapshotError> {
    let BaseLayer { diff_id, open, .. } = layer;
    let reader = open().map_err(|source| SnapshotError::OpenLayer { diff_id, source })?;
    let mut unpacking = Unpacking { writer, changes: Vec::new() };
    let decoded = decode(reader, &mut unpacking, &Limits::default())
        .map_err(|source| SnapshotError::Unpack { diff_id, source })?;
    if decoded.diff_id != diff_id {
        let actual = decoded.diff_id;
        return Err(SnapshotError::DiffIdMismatch { expected: diff_id, actual });
    }
    Ok(ChangeSet::new(unpacking.changes))
}

/// Writes a change set whose files come from elsewhere.
pub(crate) fn put(
    changes: &ChangeSet<Content>,
    contents: &dyn OpenContent,
    writer: &mut Writer<'_>,
    directory: &Path,
) -> Result<(), SnapshotError> {
    changes.iter().try_for_each(|change| put_one(change, contents, writer, directory))
}

/// Writes a change set whose files all stand somewhere. Those in the directories `own` become other names of what
/// stands there, where that is allowed; the others are copied.
pub(crate) fn link(
    changes: &ChangeSet<Content>,
    own: &HashSet<Arc<Path>>,
    writer: &mut Writer<'_>,
    directory: &Path,
) -> Result<(), SnapshotError> {
    for change in changes {
        if let Change::Put { path, entry: Entry::Leaf(leaf) } = change
            && let LeafKind::File { content: Content::Disk { directory: from, path: at }, .. } =
                &leaf.kind
            && own.contains(from)
        {
            let fail = |source| SnapshotError::Content { path: at.clone(), source };
            let adopted = contents::at(from, at, |dir, name| writer.adopt(path, dir, name));
            match adopted.map_err(fail)? {
                Ok(()) => continue,
                // Not everywhere may a file of another owner be linked.
                Err(WriteError::Disk { source, .. }) if source.source == Errno::PERM => {}
                Err(error) => return Err(error.into_snapshot_error(directory)),
            }
        }
        put_one(change, &DiskContents, writer, directory)?;
    }
    Ok(())
}

fn put_one(
    change: &Change<Content>,
    elsewhere: &dyn OpenContent,
    writer: &mut Writer<'_>,
    directory: &Path,
) -> Result<(), SnapshotError> {
    let write = |writer: &mut Writer<'_>, body: Body<'_>| {
        writer.write(change, body).map_err(|error: WriteError| error.into_snapshot_error(directory))
    };
    let Change::Put {
        path,
        entry: Entry::Leaf(Leaf { kind: LeafKind::File { size, content }, .. }),
    } = change
    else {
        return write(writer, Body::Stream(&mut io::empty()));
    };
    let fail = |source| SnapshotError::Content { path: path.clone(), source };
    if let Content::Disk { directory, path } = content {
        write(writer, Body::File(open_file(directory, path).map_err(fail)?))
    } else {
        let mut stream = elsewhere.open(content, *size).map_err(fail)?;
        write(writer, Body::Stream(&mut *stream))
    }
}
