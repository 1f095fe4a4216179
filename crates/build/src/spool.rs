//! Gathers bytes that lie inside compressed streams into one file, so that they can be read in any order.
//!
//! One pass over each layer or archive, whatever is wanted of it; memory stays that of one buffer.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use strata_layer::{Content, Extent, Limits, Sink, decode};
use strata_oci::DiffId;
use strata_tree::{Change, ChangeSet, Entry, Leaf, LeafKind};

use crate::blocking::blocking;
use crate::engine::Session;
use crate::error::ErrorKind;

/// Replaces contents that are inside layers by what is gathered from them.
pub(crate) async fn gather(
    session: &Arc<Session>,
    changes: ChangeSet<Content>,
) -> Result<ChangeSet<Content>, ErrorKind> {
    let mut wanted: HashMap<DiffId, HashSet<u64>> = HashMap::new();
    for change in &changes {
        if let Change::Put {
            entry: Entry::Leaf(Leaf { kind: LeafKind::File { content, size }, .. }),
            ..
        } = change
            && let Content::Layer { diff_id, offset } = content
            && *size > 0
        {
            wanted.entry(*diff_id).or_default().insert(*offset);
        }
    }
    if wanted.is_empty() {
        return Ok(changes.map(without_empty));
    }
    let mut places: HashMap<(DiffId, u64), Content> = HashMap::new();
    for (diff_id, offsets) in wanted {
        let found = from_layer(session, diff_id, offsets).await?;
        places.extend(found.into_iter().map(|(offset, content)| ((diff_id, offset), content)));
    }
    Ok(changes.map(|content| match &content {
        Content::Layer { diff_id, offset } => {
            places.get(&(*diff_id, *offset)).cloned().unwrap_or_else(empty)
        }
        _ => content,
    }))
}

fn empty() -> Content {
    Content::Inline(Arc::from([]))
}

// An empty file of a layer needs no layer.
fn without_empty(content: Content) -> Content {
    match content {
        Content::Layer { .. } => empty(),
        other => other,
    }
}

async fn from_layer(
    session: &Arc<Session>,
    diff_id: DiffId,
    offsets: HashSet<u64>,
) -> Result<HashMap<u64, Content>, ErrorKind> {
    let what = format!("layer `{}`", diff_id.0);
    let Some(layer) = session.layer(&diff_id) else {
        let source = io::Error::from(io::ErrorKind::NotFound);
        return Err(ErrorKind::Io { action: "find", what, source });
    };
    session.fetch(&layer).await?;
    let session = Arc::clone(session);
    blocking(move || {
        let failed = |source| ErrorKind::Io { action: "read", what: what.clone(), source };
        let reader = session.ports.images.open(&layer).map_err(failed)?;
        let mut spool = Spool::new(session.scratch.path(), Some(offsets)).map_err(failed)?;
        let decoded = decode(reader, &mut spool, &Limits::default());
        decoded.map_err(|source| ErrorKind::Decode { what: what.clone(), source })?;
        let gathered = spool.finish().map_err(failed)?;
        Ok(gathered.places)
    })
    .await
}

/// The entries of an archive, their bytes gathered.
pub(crate) fn unpack_archive(
    scratch: &Path,
    what: &str,
    archive: impl Read,
) -> Result<ChangeSet<Content>, ErrorKind> {
    let failed = |source| ErrorKind::Io { action: "unpack", what: what.to_owned(), source };
    let mut spool = Spool::new(scratch, None).map_err(failed)?;
    decode(archive, &mut spool, &Limits::default())
        .map_err(|source| ErrorKind::Decode { what: what.to_owned(), source })?;
    let gathered = spool.finish().map_err(failed)?;
    let places = gathered.places;
    Ok(ChangeSet::new(gathered.changes)
        .map(|extent| places.get(&extent.offset).cloned().unwrap_or_else(empty)))
}

struct Spool {
    path: Arc<Path>,
    file: BufWriter<File>,
    written: u64,
    wanted: Option<HashSet<u64>>,
    places: HashMap<u64, Content>,
    changes: Vec<Change<Extent>>,
}

struct Gathered {
    places: HashMap<u64, Content>,
    changes: Vec<Change<Extent>>,
}

impl Spool {
    fn new(scratch: &Path, wanted: Option<HashSet<u64>>) -> io::Result<Self> {
        let file = tempfile::Builder::new().prefix("spool-").tempfile_in(scratch)?;
        // Kept: the scratch directory as a whole goes away with the build.
        let (file, path) = file.keep().map_err(|error| error.error)?;
        Ok(Self {
            path: path.into(),
            file: BufWriter::with_capacity(256 << 10, file),
            written: 0,
            wanted,
            places: HashMap::new(),
            changes: Vec::new(),
        })
    }

    fn finish(mut self) -> io::Result<Gathered> {
        self.file.flush()?;
        Ok(Gathered { places: self.places, changes: self.changes })
    }
}

impl Sink for Spool {
    fn change(&mut self, change: Change<Extent>, body: &mut dyn Read) -> io::Result<()> {
        if let Change::Put {
            entry: Entry::Leaf(Leaf { kind: LeafKind::File { content, .. }, .. }),
            ..
        } = &change
        {
            let wanted = self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&content.offset));
            if wanted {
                let place = Content::Slice { file: Arc::clone(&self.path), offset: self.written };
                self.places.insert(content.offset, place);
                self.written += io::copy(body, &mut self.file)?;
            }
        }
        if self.wanted.is_none() {
            self.changes.push(change);
        }
        Ok(())
    }
}
