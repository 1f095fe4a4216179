//! Layers in short, change sets as text, and what a directory shows.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use strata_layer::{Content, EncodeOptions, OpenContent, encode};
use strata_oci::{Compression, DiffId, Digest};
use strata_rootfs::{
    BaseLayer, DiskContents, OverlaySnapshotter, SnapshotError, Snapshotter, WalkSnapshotter,
    Workspace,
};
use strata_tree::{
    Change, ChangeSet, Entry, Leaf, LeafKind, Metadata, Node, Timestamp, Tree, TreePath,
};
use tempfile::TempDir;

pub(crate) type Changes = Vec<Change<Content>>;

/// The time of everything that a test did not touch.
pub(crate) const OLD: Timestamp = Timestamp { seconds: 1_000_000, nanoseconds: 123_456_789 };

pub(crate) fn path(text: impl AsRef<[u8]>) -> TreePath {
    TreePath::parse(text).expect("a path")
}

fn metadata(mode: u32) -> Metadata {
    Metadata { mtime: OLD, ..Metadata::with_mode(mode) }
}

fn put(name: &str, entry: Entry<Content>) -> Change<Content> {
    Change::Put { path: path(name), entry }
}

fn leaf(name: &str, mode: u32, kind: LeafKind<Content>) -> Change<Content> {
    put(name, Entry::Leaf(Leaf { metadata: metadata(mode), kind }))
}

pub(crate) fn dir(name: &str, mode: u32) -> Change<Content> {
    put(name, Entry::Directory(metadata(mode)))
}

pub(crate) fn file(name: &str, bytes: &str) -> Change<Content> {
    let content = Content::Inline(bytes.as_bytes().into());
    leaf(name, 0o644, LeafKind::File { size: bytes.len() as u64, content })
}

pub(crate) fn symlink(name: &str, target: &str) -> Change<Content> {
    leaf(name, 0o777, LeafKind::Symlink { target: target.into() })
}

pub(crate) fn fifo(name: &str) -> Change<Content> {
    leaf(name, 0o600, LeafKind::Fifo)
}

pub(crate) fn device(name: &str, major: u32, minor: u32) -> Change<Content> {
    leaf(name, 0o666, LeafKind::CharDevice { major, minor })
}

pub(crate) fn link(name: &str, target: &str) -> Change<Content> {
    Change::Link { path: path(name), target: path(target) }
}

pub(crate) fn remove(name: &str) -> Change<Content> {
    Change::Remove { path: path(name) }
}

pub(crate) fn opaque(name: &str) -> Change<Content> {
    Change::Opaque { path: path(name) }
}

/// The same change with its metadata edited.
pub(crate) fn with(
    mut change: Change<Content>,
    edit: impl FnOnce(&mut Metadata),
) -> Change<Content> {
    match &mut change {
        Change::Put { entry: Entry::Directory(metadata), .. } => edit(metadata),
        Change::Put { entry: Entry::Leaf(leaf), .. } => edit(&mut leaf.metadata),
        _ => panic!("the change has no metadata"),
    }
    change
}

/// Encodes changes as the layer they would come in.
pub(crate) fn layer(changes: Changes) -> BaseLayer {
    let options = EncodeOptions { compression: Compression::None, ..EncodeOptions::default() };
    let mut bytes = Vec::new();
    let encoded = encode(&ChangeSet::new(changes), &DiskContents, &options, &mut bytes)
        .expect("the changes can be encoded");
    assert_eq!(encoded.diff_id, DiffId(Digest::of(&bytes)));
    archive(bytes)
}

/// A layer of any bytes.
pub(crate) fn archive(bytes: Vec<u8>) -> BaseLayer {
    BaseLayer {
        diff_id: DiffId(Digest::of(&bytes)),
        size: bytes.len() as u64,
        open: Box::new(move || Ok(Box::new(std::io::Cursor::new(bytes)))),
    }
}

/// A snapshotter with a state directory of its own.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) snapshotter: Box<dyn Snapshotter>,
    pub(crate) state: TempDir,
}

impl Place {
    pub(crate) fn create(&self, base: Vec<Changes>) -> Box<dyn Workspace> {
        let layers = base.into_iter().map(layer).collect();
        self.snapshotter.create(layers).expect("the base can be unpacked")
    }
}

/// All snapshotters that work here.
pub(crate) fn places(test: &str) -> Vec<Place> {
    let state = tempfile::tempdir().expect("a temporary directory");
    let walk = WalkSnapshotter::open(state.path()).expect("a walk needs nothing special");
    let mut places = vec![Place { snapshotter: Box::new(walk), state }];
    places.extend(overlay(test));
    places
}

pub(crate) fn overlay(test: &str) -> Option<Place> {
    let state = tempfile::tempdir().expect("a temporary directory");
    match OverlaySnapshotter::open(state.path()) {
        Ok(overlay) => Some(Place { snapshotter: Box::new(overlay), state }),
        Err(error @ (SnapshotError::NoOverlay { .. } | SnapshotError::Mount(_))) => {
            println!("skipped: {test} with overlay: needs overlay mounts ({error})");
            None
        }
        Err(error) => panic!("{error}: {error:?}"),
    }
}

/// Runs a command on the root and takes what it changed; checks that disk and tree agree afterwards.
pub(crate) fn run(
    workspace: &mut dyn Workspace,
    ignore: &[&str],
    command: impl FnOnce(&Path),
) -> ChangeSet<Content> {
    let changes = run_unchecked(workspace, ignore, command);
    check(workspace);
    changes
}

/// Runs a command, and leaves the files that it changed as they are.
pub(crate) fn run_unchecked(
    workspace: &mut dyn Workspace,
    ignore: &[&str],
    command: impl FnOnce(&Path),
) -> ChangeSet<Content> {
    let before = workspace.tree().clone();
    let root = workspace.root().expect("a root");
    command(&root);
    let ignore: Vec<_> = ignore.iter().map(path).collect();
    let changes = workspace.take_changes(&ignore, None).expect("changes");
    let mut after = before;
    after.apply(&changes).expect("the changes fit");
    // Not the places of contents: a file may be known by another of its names now.
    assert_eq!(
        tree_lines(&after, false),
        tree_lines(workspace.tree(), false),
        "the changes lead to the tree"
    );
    changes
}

/// The root shows what the tree says.
pub(crate) fn check(workspace: &mut dyn Workspace) {
    let expected = tree_lines(workspace.tree(), true);
    let root = workspace.root().expect("a root");
    assert_eq!(disk_lines(&root), expected, "the disk shows the tree");
    let nothing = workspace.take_changes(&[], None).expect("changes");
    assert_eq!(lines(&nothing), Vec::<String>::new(), "looking changes nothing");
}

/// One line for each change; times only where they are [`OLD`].
pub(crate) fn lines(changes: &ChangeSet<Content>) -> Vec<String> {
    let line = |change: &Change<Content>| match change {
        Change::Put { path, entry: Entry::Directory(metadata) } => {
            format!("put {}/ {}", shown(path), show(metadata, true))
        }
        Change::Put { path, entry: Entry::Leaf(leaf) } => {
            format!("put {} {}", shown(path), show_leaf(leaf))
        }
        Change::Link { path, target } => format!("link {} {}", shown(path), shown(target)),
        Change::Remove { path } => format!("remove {}", shown(path)),
        Change::Opaque { path } => format!("opaque {}", shown(path)),
    };
    changes.iter().map(line).collect()
}

fn shown(path: &TreePath) -> String {
    match path.as_bytes() {
        long if long.len() > 100 => format!("{}…{}", long[..8].escape_ascii(), long.len()),
        bytes => bytes.escape_ascii().to_string(),
    }
}

fn show(metadata: &Metadata, times: bool) -> String {
    let Metadata { mode, uid, gid, mtime, xattrs } = metadata;
    let mut text = format!("{mode:o}");
    if (*uid, *gid) != (0, 0) {
        write!(text, " {uid}:{gid}").expect("a string takes everything");
    }
    if times {
        text += if *mtime == OLD { " old" } else { "" };
    } else {
        write!(text, " {}.{}", mtime.seconds, mtime.nanoseconds)
            .expect("a string takes everything");
    }
    for (name, value) in xattrs {
        write!(text, " {}={}", name.escape_ascii(), value.escape_ascii())
            .expect("a string takes everything");
    }
    text
}

fn show_leaf(leaf: &Leaf<Content>) -> String {
    let kind = match &leaf.kind {
        LeafKind::File { size, content } => format!("`{}`", bytes(content, *size)),
        LeafKind::Symlink { target } => format!("-> {}", target.escape_ascii()),
        LeafKind::CharDevice { major, minor } => format!("c {major} {minor}"),
        LeafKind::BlockDevice { major, minor } => format!("b {major} {minor}"),
        LeafKind::Fifo => "fifo".to_owned(),
    };
    format!("{} {kind}", show(&leaf.metadata, true))
}

/// A file's content, shortened where it is long.
pub(crate) fn bytes(content: &Content, size: u64) -> String {
    let mut found = Vec::new();
    DiskContents
        .open(content, size)
        .and_then(|mut stream| stream.read_to_end(&mut found))
        .expect("the content can be read");
    assert_eq!(found.len() as u64, size, "the size is right");
    text_of(&found)
}

fn text_of(bytes: &[u8]) -> String {
    if bytes.len() > 60 { Digest::of(bytes).to_string() } else { bytes.escape_ascii().to_string() }
}

/// Everything that a tree says, as [`disk_lines`] would find it on a disk that can hold everything.
pub(crate) fn tree_lines(tree: &Tree<Content>, contents: bool) -> BTreeMap<Vec<u8>, String> {
    let line = |(path, node): (TreePath, Node<Content>)| {
        let line = match node {
            Node::Directory(directory) => format!("directory {}", show(&directory.metadata, false)),
            Node::Leaf(leaf) => {
                let kind = match &leaf.kind {
                    LeafKind::File { size, .. } if !contents => format!("{size} bytes"),
                    LeafKind::File { size, content } => format!("`{}`", bytes(content, *size)),
                    LeafKind::Symlink { target } => format!("-> {}", target.escape_ascii()),
                    // A test that runs in a namespace finds an empty file instead.
                    LeafKind::CharDevice { .. } | LeafKind::BlockDevice { .. } => {
                        "device".to_owned()
                    }
                    LeafKind::Fifo => "fifo".to_owned(),
                };
                format!("{kind} {}", show(&leaf.metadata, false))
            }
        };
        (path.as_bytes().to_vec(), line)
    };
    tree.walk().into_iter().map(line).collect()
}

/// Everything below a directory, as the kernel shows it.
pub(crate) fn disk_lines(root: &Path) -> BTreeMap<Vec<u8>, String> {
    let mut found = BTreeMap::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(base) = pending.pop() {
        for entry in fs::read_dir(root.join(&base)).expect("a directory") {
            let name = base.join(entry.expect("an entry").file_name());
            let at = root.join(&name);
            let inode = at.symlink_metadata().expect("an inode");
            let kind = inode.file_type();
            let shown = if kind.is_dir() {
                pending.push(name.clone());
                "directory".to_owned()
            } else if kind.is_symlink() {
                let target = fs::read_link(&at).expect("a link").into_os_string().into_vec();
                format!("-> {}", target.escape_ascii())
            } else if kind.is_fifo() {
                "fifo".to_owned()
            } else if kind.is_file() {
                format!("`{}`", text_of(&fs::read(&at).expect("a file")))
            } else if kind.is_socket() {
                continue;
            } else {
                "device".to_owned()
            };
            let mtime = Timestamp {
                seconds: inode.mtime(),
                nanoseconds: inode.mtime_nsec().try_into().expect("nanoseconds"),
            };
            let (uid, gid, mode) = (inode.uid(), inode.gid(), inode.mode() & 0o7777);
            let metadata = Metadata { mode, uid, gid, mtime, xattrs: xattrs(&at) };
            let line = format!("{shown} {}", show(&metadata, false));
            found.insert(name.into_os_string().into_vec(), line);
        }
    }
    found
}

fn xattrs(at: &Path) -> strata_tree::Xattrs {
    let mut buffer = vec![0; 65536];
    let length = rustix::fs::llistxattr(at, buffer.as_mut_slice()).expect("attributes");
    let names: Vec<Vec<u8>> = buffer[..length]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    let value = |name: Vec<u8>| {
        let mut value = vec![0; 65536];
        let length = rustix::fs::lgetxattr(at, name.as_slice(), value.as_mut_slice());
        (name, value[..length.expect("a value")].to_vec())
    };
    names.into_iter().map(value).collect()
}

pub(crate) fn set_xattr(at: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(at, name, value, rustix::fs::XattrFlags::empty()).expect("an attribute");
}

/// Sets the time of an entry to [`OLD`].
pub(crate) fn make_old(at: &Path) {
    let time = rustix::fs::Timespec { tv_sec: OLD.seconds, tv_nsec: OLD.nanoseconds.into() };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::utimensat(rustix::fs::CWD, at, &times, flags).expect("the time can be set");
}

pub(crate) fn bytes_name(name: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(name))
}
