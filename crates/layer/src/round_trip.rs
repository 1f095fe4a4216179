//! Encoding, then decoding, for change sets of every kind.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use strata_oci::Compression;
use strata_tree::{Change, ChangeSet, Entry, Leaf, LeafKind, Metadata, Timestamp, TreePath};

use crate::{
    Content, EncodeOptions, Extent, Index, IndexBuilder, Limits, OpenContent, Sink, decode,
    decompress, encode, open_extent,
};

struct Nothing;

impl OpenContent for Nothing {
    fn open(&self, _: &Content, _: u64) -> io::Result<Box<dyn Read + Send>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let any = vec(any::<u8>().prop_filter("no name", |byte| *byte != 0 && *byte != b'/'), 1..6);
    prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "c", ".wharf", "\u{e4}", "..."]).prop_map(|name| name.as_bytes().to_vec()),
        1 => any.prop_filter("reserved", |name| name != b"." && name != b".." && !name.starts_with(b".wh.")),
        1 => (90_usize..=255).prop_map(|length| vec![b'n'; length]),
    ]
}

fn path() -> impl Strategy<Value = TreePath> {
    vec(name(), 1..4).prop_map(|names| TreePath::parse(names.join(&b'/')).expect("a path"))
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let seconds = prop_oneof![Just(0), 0..4_000_000_000_i64, any::<i64>()];
    let nanoseconds = prop_oneof![Just(0), 0..1_000_000_000_u32];
    let id = prop_oneof![Just(0), 0..70_000_u32, any::<u32>()];
    let name =
        vec(any::<u8>().prop_filter("no attribute", |byte| *byte != 0 && *byte != b'='), 1..9);
    let xattrs = prop_oneof![3 => Just(BTreeMap::new()), 1 => btree_map(name, vec(any::<u8>(), 0..20), 1..3)];
    (0..=0o7777_u32, id.clone(), id, seconds, nanoseconds, xattrs).prop_map(
        |(mode, uid, gid, seconds, nanoseconds, xattrs)| Metadata {
            mode,
            uid,
            gid,
            mtime: Timestamp { seconds, nanoseconds },
            xattrs,
        },
    )
}

fn leaf() -> impl Strategy<Value = Leaf<Content>> {
    let file = vec(any::<u8>(), 0..2000).prop_map(|bytes| LeafKind::File {
        size: bytes.len() as u64,
        content: Content::Inline(bytes.into()),
    });
    let target = vec(any::<u8>().prop_filter("no target", |byte| *byte != 0), 1..200);
    let number = 0..=0o777_7777_u32;
    let kind = prop_oneof![
        4 => file,
        1 => target.prop_map(|target| LeafKind::Symlink { target }),
        1 => (number.clone(), number.clone()).prop_map(|(major, minor)| LeafKind::CharDevice { major, minor }),
        1 => (number.clone(), number).prop_map(|(major, minor)| LeafKind::BlockDevice { major, minor }),
        1 => Just(LeafKind::Fifo),
    ];
    (metadata(), kind).prop_map(|(metadata, kind)| Leaf { metadata, kind })
}

fn change() -> impl Strategy<Value = Change<Content>> {
    prop_oneof![
        4 => (path(), leaf()).prop_map(|(path, leaf)| Change::Put { path, entry: Entry::Leaf(leaf) }),
        2 => (path(), metadata()).prop_map(|(path, metadata)| Change::Put { path, entry: Entry::Directory(metadata) }),
        1 => metadata().prop_map(|metadata| Change::Put { path: TreePath::root(), entry: Entry::Directory(metadata) }),
        1 => path().prop_map(|path| Change::Remove { path }),
        1 => path().prop_map(|path| Change::Opaque { path }),
        3 => (path(), path()).prop_map(|(path, target)| Change::Link { path, target }),
    ]
}

/// Canonical change sets whose links all name a file that stands before them.
fn change_set() -> impl Strategy<Value = ChangeSet<Content>> {
    vec(change(), 0..24).prop_map(|changes| {
        let mut files = BTreeSet::new();
        let mut kept = Vec::new();
        for change in ChangeSet::new(changes) {
            let is_file = match &change {
                Change::Put { entry: Entry::Leaf(_), .. } => true,
                Change::Link { target, .. } if files.contains(target) => true,
                Change::Link { .. } => continue,
                Change::Put { .. } | Change::Remove { .. } | Change::Opaque { .. } => false,
            };
            if is_file {
                files.insert(change.path().clone());
            }
            kept.push(change);
        }
        ChangeSet::new(kept)
    })
}

/// Puts the bytes of files back where the decoder only gives their place.
#[derive(Default)]
struct Whole {
    changes: Vec<Change<Content>>,
    index: IndexBuilder,
}

impl Sink for Whole {
    fn change(&mut self, change: Change<Extent>, body: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes)?;
        self.index.change(change.clone(), body)?;
        self.changes.push(change.map(|_| Content::Inline(bytes.into())));
        Ok(())
    }
}

proptest! {
    #[test]
    fn a_layer_reads_back_as_it_was_written(
        changes in change_set(),
        compression in prop::sample::select(vec![Compression::None, Compression::Gzip, Compression::Zstd]),
    ) {
        let options = EncodeOptions { compression, ..EncodeOptions::default() };
        let mut blob = Vec::new();
        let encoded = encode(&changes, &Nothing, &options, &mut blob).expect("encodes");
        for compression in [None, Some(compression)] {
            let tar = decompress(io::Cursor::new(blob.clone()), compression).expect("opens");
            let mut whole = Whole::default();
            let decoded = decode(tar, &mut whole, &Limits::default()).expect("decodes");
            prop_assert_eq!(decoded.diff_id, encoded.diff_id);
            prop_assert_eq!(decoded.uncompressed_size, encoded.uncompressed_size);
            prop_assert_eq!(&whole.index.finish(), &encoded.index);
            prop_assert_eq!(&ChangeSet::new(whole.changes), &changes);
        }
        prop_assert_eq!(&Index::from_bytes(&encoded.index.to_bytes()).expect("reads"), &encoded.index);
    }

    #[test]
    fn extents_lead_to_the_bytes(changes in change_set()) {
        let options = EncodeOptions { compression: Compression::None, ..EncodeOptions::default() };
        let mut tar = Vec::new();
        let encoded = encode(&changes, &Nothing, &options, &mut tar).expect("encodes");
        for (given, found) in changes.iter().zip(encoded.index.changes()) {
            let (Some((size, Content::Inline(bytes))), Some((_, extent))) = (file(given), file(found)) else { continue };
            let mut read = Vec::new();
            open_extent(io::Cursor::new(tar.clone()), *extent, size).expect("opens").read_to_end(&mut read).expect("reads");
            prop_assert_eq!(&**bytes, read);
        }
    }

    #[test]
    fn no_bytes_make_an_index_panic(mut bytes: Vec<u8>, valid in change_set(), at: prop::sample::Index) {
        drop(Index::from_bytes(&bytes));
        let index = Index::new(valid.map(|_| Extent { offset: 7 }));
        let mut damaged = index.to_bytes();
        let at = at.index(damaged.len());
        damaged[at] = damaged[at].wrapping_add(1);
        drop(Index::from_bytes(&damaged));
        damaged.truncate(at);
        damaged.append(&mut bytes);
        drop(Index::from_bytes(&damaged));
    }
}

fn file<C>(change: &Change<C>) -> Option<(u64, &C)> {
    match change {
        Change::Put {
            entry: Entry::Leaf(Leaf { kind: LeafKind::File { size, content }, .. }),
            ..
        } => Some((*size, content)),
        _ => None,
    }
}

#[test]
fn an_index_of_another_kind_is_refused() {
    let bytes = Index::default().to_bytes();
    let message = |bytes: &[u8]| Index::from_bytes(bytes).expect_err("refused").to_string();
    let mut newer = bytes.clone();
    newer[7] += 1;
    assert_eq!(message(&newer), "layer index has version 2, not 1");
    assert_eq!(message(b"{\"not\": 1}"), "not a layer index");
    assert_eq!(message(b"strataI"), "not a layer index");
    assert_eq!(message(&[&*bytes, b"x"].concat()), "layer index is followed by 1 stray bytes");
    assert_eq!(message(&bytes[..8]), "layer index is malformed");
}
