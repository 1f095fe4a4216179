//! The store as its users see it.

use std::fs;
use std::io::{self, Read, Write};
use std::time::{Duration, SystemTime};

use strata_oci::{
    Descriptor, DiffId, Digest, Document, ImageConfig, Index, Manifest, MediaType, Platform,
    Reference,
};
use tempfile::TempDir;

use crate::{Keep, Pruned, Store, StoreError};

fn store() -> (TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path().join("store")).expect("opens");
    (directory, store)
}

fn layer(bytes: &[u8]) -> Descriptor {
    let gzip = strata_oci::Compression::Gzip;
    Descriptor::of(MediaType::OciLayer(gzip), bytes)
}

fn name(text: &str) -> Reference {
    text.parse().expect("a name")
}

fn names(store: &Store, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(store.directory().join(directory)).expect("a directory");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

/// Everything unused now is old.
fn nothing_else() -> Keep {
    Keep { used_within: Duration::ZERO, now: SystemTime::now() + Duration::from_secs(1) }
}

#[test]
fn a_blob_is_there_once_it_is_committed() {
    let (_directory, store) = store();
    let blob = layer(b"hello");
    let mut writer = store.blob_writer().expect("begins");
    writer.write_all(b"hel").expect("writes");
    writer.write_all(b"lo").expect("writes");
    assert_eq!(writer.length(), 5);
    assert!(!store.has_blob(&blob).expect("looks"));
    assert_eq!(writer.commit().expect("commits"), (blob.digest, 5));
    assert!(store.has_blob(&blob).expect("looks"));
    assert_eq!(fs::read(store.blob_path(blob.digest)).expect("reads"), b"hello");
    assert_eq!(names(&store, "tmp"), [""; 0]);
    assert!(store.remove_blob(blob.digest).expect("removes"));
    assert!(!store.remove_blob(blob.digest).expect("removes"));
    assert!(store.blob(blob.digest).expect("looks").is_none());
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let (_directory, store) = store();
    let mut writer = store.blob_writer().expect("begins");
    writer.write_all(b"half").expect("writes");
    assert_eq!(names(&store, "tmp").len(), 1);
    drop(writer);
    assert_eq!((names(&store, "tmp"), names(&store, "blobs/sha256")), (vec![], vec![]));
}

#[test]
fn a_blob_of_another_digest_is_not_taken() {
    let (_directory, store) = store();
    let mut writer = store.blob_writer().expect("begins");
    writer.write_all(b"other").expect("writes");
    let error = writer.commit_as(Digest::of(b"hello")).expect_err("refused");
    assert!(matches!(error, StoreError::Mismatch { length: 5, .. }), "{error}");
    assert_eq!((names(&store, "tmp"), names(&store, "blobs/sha256")), (vec![], vec![]));
}

#[test]
fn a_writer_outlives_its_store() {
    let (_directory, store) = store();
    let path = store.blob_path(Digest::of(b"x"));
    let mut writer = store.blob_writer().expect("begins");
    drop(store);
    writer.write_all(b"x").expect("writes");
    writer.commit_as(Digest::of(b"x")).expect("commits");
    assert_eq!(fs::read(path).expect("reads"), b"x");
}

#[test]
fn a_damaged_blob_is_found_and_removed() {
    for (name, damaged, read) in [
        ("same length", b"hellO".as_slice(), Some(Err(io::ErrorKind::InvalidData))),
        ("shorter", b"hell", None),
        ("empty", b"", None),
        ("longer", b"hello!", None),
        ("intact", b"hello", Some(Ok(5))),
    ] {
        let (_directory, store) = store();
        let blob = layer(b"hello");
        store.put_blob(b"hello").expect("puts");
        fs::write(store.blob_path(blob.digest), damaged).expect("damages");
        let found = store.verified_blob(&blob).expect("opens").map(|mut reader| {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map_err(|error| error.kind())
        });
        assert_eq!(found, read, "{name}");
        let kept = store.blob(blob.digest).expect("looks").is_some();
        assert_eq!(kept, read == Some(Ok(5)), "{name}");
    }
}

#[test]
fn a_wrong_descriptor_does_not_cost_a_blob() {
    let (_directory, store) = store();
    let digest = store.put_blob(b"hello").expect("puts");
    let wrong = Descriptor::new(MediaType::OciConfig, digest, 4);
    assert!(!store.has_blob(&wrong).expect("looks"));
    assert!(store.blob(digest).expect("looks").is_some());
}

#[test]
fn entries_come_back_as_they_were_put() {
    let (_directory, store) = store();
    let diff_id = DiffId(Digest::of(b"layer"));
    assert_eq!(store.index(diff_id).expect("looks"), None);
    for index in [b"".as_slice(), b"one\ntwo", &vec![0; 100_000]] {
        store.put_index(diff_id, index).expect("puts");
        assert_eq!(store.index(diff_id).expect("looks").as_deref(), Some(index));
    }
    assert_eq!(store.links(diff_id).expect("looks"), []);
    for blob in [layer(b"gzip"), layer(b"zstd"), layer(b"gzip")] {
        store.add_link(diff_id, &blob).expect("adds");
    }
    assert_eq!(store.links(diff_id).expect("looks"), [layer(b"gzip"), layer(b"zstd")]);
    assert_eq!(store.step([7; 32]).expect("looks"), None);
    for value in [b"".as_slice(), b"{}", b"\n\0any\nbytes"] {
        store.put_step([7; 32], value, &[diff_id.0]).expect("puts");
        assert_eq!(store.step([7; 32]).expect("looks").as_deref(), Some(value));
    }
    assert!(store.remove_step([7; 32]).expect("removes"));
    assert_eq!(store.step([7; 32]).expect("looks"), None);
}

#[test]
fn images_are_found_by_name_and_listed_in_order() {
    let (_directory, store) = store();
    let (one, two) = (name("registry.example/b:1"), name("registry.example/a:1"));
    assert_eq!(store.image(&one).expect("looks"), None);
    for (name, bytes) in [(&one, b"0"), (&two, b"2"), (&one, b"1")] {
        store.put_image(name, &layer(bytes)).expect("puts");
    }
    assert_eq!(store.image(&one).expect("looks"), Some(layer(b"1")));
    let expected = [(two.clone(), layer(b"2")), (one.clone(), layer(b"1"))];
    assert_eq!(store.images().expect("lists"), expected);
    assert!(store.remove_image(&two).expect("removes"));
    assert!(!store.remove_image(&two).expect("removes"));
    assert_eq!(store.images().expect("lists"), [(one, layer(b"1"))]);
}

#[test]
fn a_damaged_entry_is_a_miss_and_goes_away() {
    let (_directory, store) = store();
    let diff_id = DiffId(Digest::of(b"layer"));
    store.put_index(diff_id, b"some index").expect("puts");
    let path = store.directory().join("indexes").join(diff_id.0.to_hex());
    let whole = fs::read(&path).expect("reads");
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut cases: Vec<Vec<u8>> = (0..whole.len()).map(changed).collect();
    cases.extend((0..whole.len()).map(|length| whole[..length].to_vec()));
    cases.push([&*whole, b"x"].concat());
    cases.push(vec![0; whole.len()]);
    for bytes in cases {
        fs::write(&path, &bytes).expect("damages");
        assert_eq!(store.index(diff_id).expect("looks"), None, "{}", bytes.escape_ascii());
        assert!(!path.exists(), "{}", bytes.escape_ascii());
    }
    // Whole, but not what such an entry holds.
    for (kind, key) in [("steps", [1; 32]), ("links", [2; 32])] {
        store.put_index(DiffId(Digest::from_bytes(key)), b"no JSON").expect("puts");
        let from = store.directory().join("indexes").join(Digest::from_bytes(key).to_hex());
        fs::rename(from, store.directory().join(kind).join(Digest::from_bytes(key).to_hex()))
            .expect("renames");
    }
    assert_eq!(store.step([1; 32]).expect("looks"), None);
    assert_eq!(store.links(DiffId(Digest::from_bytes([2; 32]))).expect("looks"), []);
    assert_eq!((names(&store, "steps"), names(&store, "links")), (vec![], vec![]));
}

#[test]
fn what_dead_builders_left_is_cleared_when_nobody_works() {
    let (directory, store) = store();
    fs::write(store.directory().join("tmp/left"), b"half").expect("writes");
    // Somebody works: it might be theirs.
    let second = Store::open(directory.path().join("store")).expect("opens");
    assert_eq!(names(&second, "tmp"), ["left"]);
    drop((store, second));
    let third = Store::open(directory.path().join("store")).expect("opens");
    assert_eq!(names(&third, "tmp"), [""; 0]);
}

#[test]
fn pruning_waits_for_nobody_and_disturbs_nobody() {
    let (directory, mut store) = store();
    let other = Store::open(directory.path().join("store")).expect("opens");
    other.put_blob(b"theirs").expect("puts");
    let error = store.prune(&nothing_else()).expect_err("in use");
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    // A refused attempt still holds the store against others.
    let mut third = Store::open(directory.path().join("store")).expect("opens");
    drop(other);
    assert!(matches!(third.prune(&nothing_else()), Err(StoreError::InUse { .. })));
    drop(third);
    let pruned = store.prune(&nothing_else()).expect("prunes");
    assert_eq!(pruned, Pruned { blobs: 1, bytes: 6, ..Pruned::default() });
}

/// An image in the store: its manifest, and the blobs it names.
fn image(store: &Store, content: &[u8]) -> (Descriptor, Vec<Digest>) {
    let platform: Platform = "linux/amd64".parse().expect("a platform");
    let config = Document::write(ImageConfig::empty(&platform));
    store.put_blob(config.bytes()).expect("puts");
    store.put_blob(content).expect("puts");
    let config = config.descriptor(MediaType::OciConfig);
    let needed = vec![config.digest, layer(content).digest];
    let manifest = Manifest::new(MediaType::OciManifest, config, vec![layer(content)]);
    let manifest = Document::write(manifest);
    store.put_blob(manifest.bytes()).expect("puts");
    (manifest.descriptor(MediaType::OciManifest), needed)
}

#[test]
fn pruning_keeps_what_images_and_young_steps_need() {
    let (_directory, mut store) = store();
    let (single, single_blobs) = image(&store, b"single");
    let (child, child_blobs) = image(&store, b"child");
    let index = Document::write(Index::new(MediaType::OciIndex, vec![child.clone()]));
    let listed = store.put_blob(index.bytes()).expect("puts");
    let (removed, _) = image(&store, b"removed");
    for (text, descriptor) in [
        ("registry.example/single:1", &single),
        ("registry.example/listed:1", &index.descriptor(MediaType::OciIndex)),
        ("registry.example/removed:1", &removed),
        // Its manifest is not here, and that is no reason to fail.
        ("registry.example/broken:1", &layer(b"not here")),
    ] {
        store.put_image(&name(text), descriptor).expect("puts");
    }
    store.remove_image(&name("registry.example/removed:1")).expect("removes");
    let stepped = store.put_blob(b"layer of a step").expect("puts");
    let forgotten = store.put_blob(b"layer of an old step").expect("puts");
    store.put_step([1; 32], b"young", &[stepped]).expect("puts");
    store.put_step([2; 32], b"old", &[forgotten]).expect("puts");
    store.put_index(DiffId(stepped), b"young").expect("puts");
    store.put_index(DiffId(forgotten), b"old").expect("puts");
    let old = SystemTime::now() - Duration::from_secs(1000);
    for (kind, key) in [("steps", Digest::from_bytes([2; 32])), ("indexes", forgotten)] {
        let file = fs::File::open(store.directory().join(kind).join(key.to_hex())).expect("opens");
        file.set_modified(old).expect("ages");
    }
    fs::write(store.directory().join("blobs/sha256/stray"), b"x").expect("writes");
    fs::write(store.directory().join("tmp/stray"), b"x").expect("writes");

    let keep = Keep { used_within: Duration::from_secs(500), now: SystemTime::now() };
    let pruned = store.prune(&keep).expect("prunes");

    let mut expected: Vec<_> = [single.digest, child.digest, listed, stepped]
        .into_iter()
        .chain(single_blobs)
        .chain(child_blobs)
        .map(|digest| digest.to_hex())
        .collect();
    expected.sort();
    expected.dedup();
    assert_eq!(names(&store, "blobs/sha256"), expected);
    assert_eq!((pruned.blobs, pruned.steps, pruned.indexes), (4, 1, 1));
    assert_eq!(store.step([1; 32]).expect("looks").as_deref(), Some(b"young".as_slice()));
    assert_eq!(store.step([2; 32]).expect("looks"), None);
    assert_eq!(names(&store, "tmp"), [""; 0]);
    assert_eq!(store.prune(&keep).expect("prunes"), Pruned::default());
}

#[test]
fn reading_a_step_makes_it_young() {
    let (_directory, mut store) = store();
    store.put_step([1; 32], b"", &[]).expect("puts");
    let path = store.directory().join("steps").join(Digest::from_bytes([1; 32]).to_hex());
    let file = fs::File::open(path).expect("opens");
    file.set_modified(SystemTime::now() - Duration::from_secs(1000)).expect("ages");
    assert!(store.step([1; 32]).expect("looks").is_some());
    let keep = Keep { used_within: Duration::from_secs(500), now: SystemTime::now() };
    assert_eq!(store.prune(&keep).expect("prunes"), Pruned::default());
}

/// `/dev/full` answers every write as a full disk does.
#[test]
fn a_full_disk_comes_through_as_such() {
    let full = std::path::Path::new("/dev/full");
    let source = fs::File::options()
        .write(true)
        .open(full)
        .and_then(|mut file| file.write_all(b"x"))
        .expect_err("full");
    let error = StoreError::write(full, 1)(source);
    assert!(matches!(error, StoreError::Full { needed: 1, .. }), "{error:?}");
}
