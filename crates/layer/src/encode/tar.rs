//! From changes to a tar stream: the order is that of the change set, the bytes follow from it alone.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use strata_tree::{Change, ChangeSet, Entry, Leaf, LeafKind, Metadata, Timestamp, TreePath};

use super::EncodeError;
use super::blocks::Blocks;
use crate::content::{Content, Extent, OpenContent};
use crate::header::{BLOCK, Fields, MAX_ID, MAX_SIZE, kind};
use crate::pax::{Records, XATTR, format_time};
use crate::whiteout;

/// Writes all of `changes` with the two blocks of zeros that end an archive, and tells what stands where.
pub(crate) fn write(
    changes: &ChangeSet<Content>,
    contents: &dyn OpenContent,
    clamp: Option<Timestamp>,
    out: Blocks,
) -> Result<(ChangeSet<Extent>, u64), EncodeError> {
    let mut linked = HashMap::new();
    for change in changes {
        if let Change::Link { target, .. } = change {
            linked.insert(target, None);
        }
    }
    let mut writer = Writer { contents, clamp, linked, out };
    let mut written = Vec::with_capacity(changes.len());
    for change in changes {
        written.push(writer.change(change)?);
    }
    writer.bytes(&[0; 2 * BLOCK])?;
    let size = writer.out.position();
    writer.out.finish().map_err(|gone| EncodeError::Write(gone.into()))?;
    Ok((ChangeSet::new(written), size))
}

struct Writer<'a> {
    contents: &'a dyn OpenContent,
    clamp: Option<Timestamp>,
    // What hard links name, with its metadata once it was written.
    linked: HashMap<&'a TreePath, Option<Metadata>>,
    out: Blocks,
}

/// What an entry is apart from its name and metadata.
struct Body<'a> {
    kind: u8,
    link: &'a [u8],
    size: u64,
    device: Option<(u32, u32)>,
}

impl Body<'_> {
    const fn empty(kind: u8) -> Self {
        Self { kind, link: &[], size: 0, device: None }
    }
}

impl<'a> Writer<'a> {
    fn change(&mut self, change: &'a Change<Content>) -> Result<Change<Extent>, EncodeError> {
        let path = change.path();
        if path.components().any(|name| name.starts_with(whiteout::PREFIX)) {
            return Err(EncodeError::ReservedName { path: path.clone() });
        }
        match change {
            Change::Put { path, entry: Entry::Directory(metadata) } => {
                let metadata = self.clamped(metadata);
                self.directory(path, &metadata)?;
                Ok(Change::Put { path: path.clone(), entry: Entry::Directory(metadata) })
            }
            Change::Put { path, entry: Entry::Leaf(leaf) } => {
                let metadata = self.clamped(&leaf.metadata);
                if let Some(slot) = self.linked.get_mut(path) {
                    *slot = Some(metadata.clone());
                }
                let kind = self.leaf(path, &metadata, leaf)?;
                let leaf = Leaf { metadata, kind };
                Ok(Change::Put { path: path.clone(), entry: Entry::Leaf(leaf) })
            }
            Change::Link { path, target } => {
                self.link(path, target)?;
                Ok(Change::Link { path: path.clone(), target: target.clone() })
            }
            Change::Remove { path } => {
                let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                    return Err(EncodeError::RootRemoved);
                };
                self.marker(&parent, &[whiteout::PREFIX, name].concat())?;
                Ok(Change::Remove { path: path.clone() })
            }
            Change::Opaque { path } => {
                self.marker(path, whiteout::OPAQUE)?;
                Ok(Change::Opaque { path: path.clone() })
            }
        }
    }

    fn clamped(&self, metadata: &Metadata) -> Metadata {
        let mtime = self.clamp.map_or(metadata.mtime, |clamp| metadata.mtime.min(clamp));
        Metadata { mode: metadata.mode & 0o7777, mtime, ..metadata.clone() }
    }

    fn directory(&mut self, path: &TreePath, metadata: &Metadata) -> Result<(), EncodeError> {
        let name = if path.is_root() { b"./".to_vec() } else { [path.as_bytes(), b"/"].concat() };
        self.header(path, &name, metadata, &Body::empty(kind::DIRECTORY))
    }

    /// An empty file that stands for something that is gone. It has no time and no owner, so that the same
    /// removal is always the same bytes.
    fn marker(&mut self, directory: &TreePath, name: &[u8]) -> Result<(), EncodeError> {
        let whole = match directory.as_bytes() {
            b"" => name.to_vec(),
            directory => [directory, b"/", name].concat(),
        };
        self.header(directory, &whole, &Metadata::with_mode(0o600), &Body::empty(kind::FILE))
    }

    /// A hard link repeats the metadata of its file: programs that unpack set owner and mode through every
    /// name, and attributes that a change of owner clears must be set again after it.
    fn link(&mut self, path: &'a TreePath, target: &TreePath) -> Result<(), EncodeError> {
        let Some(metadata) = self.linked.get(target).cloned().flatten() else {
            return Err(EncodeError::BrokenLink { path: path.clone(), target: target.clone() });
        };
        if let Some(slot) = self.linked.get_mut(path) {
            *slot = Some(metadata.clone());
        }
        let body = Body { link: target.as_bytes(), ..Body::empty(kind::LINK) };
        self.header(path, path.as_bytes(), &metadata, &body)
    }

    fn leaf(
        &mut self,
        path: &TreePath,
        metadata: &Metadata,
        leaf: &Leaf<Content>,
    ) -> Result<LeafKind<Extent>, EncodeError> {
        let mut put = |body: Body<'_>| self.header(path, path.as_bytes(), metadata, &body);
        match leaf.kind {
            LeafKind::File { size, ref content } => {
                put(Body { size, ..Body::empty(kind::FILE) })?;
                let offset = self.out.position();
                self.body(path, content, size)?;
                return Ok(LeafKind::File { size, content: Extent { offset } });
            }
            LeafKind::Symlink { ref target } => {
                put(Body { link: target, ..Body::empty(kind::SYMLINK) })?;
            }
            LeafKind::CharDevice { major, minor } => {
                put(Body { device: Some((major, minor)), ..Body::empty(kind::CHAR_DEVICE) })?;
            }
            LeafKind::BlockDevice { major, minor } => {
                put(Body { device: Some((major, minor)), ..Body::empty(kind::BLOCK_DEVICE) })?;
            }
            LeafKind::Fifo => put(Body::empty(kind::FIFO))?,
        }
        Ok(leaf.kind.clone().map(|_| unreachable!("files have returned above")))
    }

    fn header(
        &mut self,
        path: &TreePath,
        name: &[u8],
        metadata: &Metadata,
        body: &Body<'_>,
    ) -> Result<(), EncodeError> {
        let mut records = Records::default();
        let (prefix, short) = split_name(name).unwrap_or_else(|| {
            records.set("path", name);
            (&[], &name[..name.len().min(100)])
        });
        if body.link.len() > 100 || !body.link.is_ascii() {
            records.set("linkpath", body.link);
        }
        if body.size > MAX_SIZE {
            records.set("size", body.size.to_string());
        }
        for (key, id) in [("uid", metadata.uid), ("gid", metadata.gid)] {
            if u64::from(id) > MAX_ID {
                records.set(key, id.to_string());
            }
        }
        let seconds = u64::try_from(metadata.mtime.seconds);
        if metadata.mtime.nanoseconds != 0
            || seconds.is_ok_and(|seconds| seconds > MAX_SIZE)
            || seconds.is_err()
        {
            records.set("mtime", format_time(metadata.mtime));
        }
        for (name, value) in &metadata.xattrs {
            if name.is_empty() || name.contains(&b'=') || name.contains(&0) {
                let name = String::from_utf8_lossy(name).into_owned();
                return Err(EncodeError::XattrName { path: path.clone(), name });
            }
            records.set([XATTR, name].concat(), value.as_slice());
        }
        let fields = Fields {
            prefix,
            name: short,
            link: body.link,
            kind: body.kind,
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            size: body.size,
            mtime: metadata.mtime.seconds,
            device: body.device,
        };
        if !records.is_empty() {
            self.records(&records)?;
        }
        self.bytes(&fields.to_block())
    }

    fn records(&mut self, records: &Records) -> Result<(), EncodeError> {
        let bytes = records.to_bytes();
        let fields = Fields {
            name: b"PaxHeaders.0",
            kind: kind::PAX,
            mode: 0o644,
            size: bytes.len() as u64,
            ..Fields::default()
        };
        self.bytes(&fields.to_block())?;
        self.bytes(&bytes)?;
        self.padding()
    }

    fn body(&mut self, path: &TreePath, content: &Content, size: u64) -> Result<(), EncodeError> {
        let failed = |source| EncodeError::Read { path: path.clone(), source };
        let changed =
            |given| EncodeError::SizeChanged { path: path.clone(), expected: size, given };
        let mut reader = match content {
            Content::Inline(bytes) => Box::new(&**bytes) as Box<dyn Read + Send + '_>,
            _ if size == 0 => Box::new(io::empty()),
            Content::Context { .. }
            | Content::Layer { .. }
            | Content::Disk { .. }
            | Content::Slice { .. } => self.contents.open(content, size).map_err(failed)?,
        };
        let mut left = size;
        while left > 0 {
            match self.out.read_from(&mut reader, left) {
                Ok(Ok(0)) => return Err(changed(size - left)),
                Ok(Ok(read)) => left -= read as u64,
                Ok(Err(gone)) => return Err(EncodeError::Write(gone.into())),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let mut excess = Vec::new();
        reader.take(1).read_to_end(&mut excess).map_err(failed)?;
        if !excess.is_empty() {
            return Err(changed(size + 1));
        }
        self.padding()
    }

    fn padding(&mut self) -> Result<(), EncodeError> {
        let position = self.out.position();
        let length = position.next_multiple_of(BLOCK as u64) - position;
        let length = usize::try_from(length).expect("less than a block");
        self.bytes(&[0; BLOCK][..length])
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.out.write_all(bytes).map_err(EncodeError::Write)
    }
}

/// Prefix and name for the header's two fields, or nothing if they cannot hold the name: POSIX promises to
/// carry only ASCII in them.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if !name.is_ascii() {
        return None;
    }
    if name.len() <= 100 {
        return Some((&[], name));
    }
    // The slash between the two is not stored; a directory's last slash belongs to its name.
    let last = name.len() - 1;
    let at = name[..last.min(156)].iter().rposition(|&byte| byte == b'/')?;
    (at > 0 && name.len() - at - 1 <= 100).then(|| (&name[..at], &name[at + 1..]))
}
