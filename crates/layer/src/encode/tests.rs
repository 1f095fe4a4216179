use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use strata_tree::{Change, Entry, Leaf, LeafKind, Metadata};

use super::*;

fn path(text: &str) -> TreePath {
    TreePath::parse(text).expect("a path")
}

fn put(text: &str, kind: LeafKind<Content>) -> Change<Content> {
    let leaf = Leaf { metadata: Metadata::with_mode(0o644), kind };
    Change::Put { path: path(text), entry: Entry::Leaf(leaf) }
}

fn inline(text: &str, bytes: &[u8]) -> Change<Content> {
    put(text, LeafKind::File { size: bytes.len() as u64, content: Content::Inline(bytes.into()) })
}

fn in_context(text: &str, size: u64) -> Change<Content> {
    let content = Content::Context { context: 0, path: path(text) };
    put(text, LeafKind::File { size, content })
}

/// Opens files by name of what a test says they hold.
#[derive(Default)]
struct Files(BTreeMap<TreePath, Vec<u8>>);

impl OpenContent for Files {
    fn open(&self, content: &Content, _: u64) -> io::Result<Box<dyn Read + Send>> {
        let Content::Context { path, .. } = content else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let bytes = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(io::Cursor::new(bytes.clone())))
    }
}

fn options(compression: Compression, threads: usize) -> EncodeOptions {
    EncodeOptions { compression, threads, ..EncodeOptions::default() }
}

fn blob(
    changes: Vec<Change<Content>>,
    options: &EncodeOptions,
) -> Result<(Vec<u8>, Encoded), EncodeError> {
    let mut out = Vec::new();
    let encoded = encode(&ChangeSet::new(changes), &Files::default(), options, &mut out)?;
    Ok((out, encoded))
}

/// Text that compresses about as well as programs do, the same every time.
fn sample(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.extend_from_slice(
            format!("{:x} lorem ipsum {}\n", state >> 12, state >> 28).as_bytes(),
        );
    }
    bytes.truncate(length);
    bytes
}

fn every_kind() -> Vec<Change<Content>> {
    let long = format!("{}/{}", "d".repeat(200), "n".repeat(200));
    let mut noted = inline("noted", b"x");
    if let Change::Put { entry: Entry::Leaf(leaf), .. } = &mut noted {
        leaf.metadata.mtime = Timestamp { seconds: 1_600_000_000, nanoseconds: 123_456_789 };
        leaf.metadata.uid = 3_000_000;
        leaf.metadata.xattrs.insert(b"user.note".to_vec(), b"a\nb\0c".to_vec());
    }
    vec![
        Change::Put { path: path("dir"), entry: Entry::Directory(Metadata::with_mode(0o1777)) },
        Change::Opaque { path: path("dir") },
        inline("dir/file", b"hello"),
        Change::Link { path: path("dir/link"), target: path("dir/file") },
        put("dir/symlink", LeafKind::Symlink { target: b"/no/such".to_vec() }),
        put("fifo", LeafKind::Fifo),
        put("null", LeafKind::CharDevice { major: 1, minor: 3 }),
        put("loop", LeafKind::BlockDevice { major: 7, minor: 0 }),
        Change::Remove { path: path("gone") },
        inline(&long, b"deep"),
        inline("\u{fc}n\u{ef}", b"u"),
        noted,
    ]
}

#[test]
fn the_same_bytes_for_any_number_of_threads() {
    let bytes = sample(20 << 20);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let length = if compression == Compression::Zstd { bytes.len() } else { 5 << 20 };
        let changes = || vec![inline("f", &bytes[..length])];
        let fast = |threads| EncodeOptions {
            level: (compression != Compression::None).then_some(1),
            ..options(compression, threads)
        };
        let (first, encoded) = blob(changes(), &fast(1)).expect("encodes");
        let mut unpacked = Hasher::new();
        let mut reader = crate::decompress(io::Cursor::new(first.clone()), None).expect("opens");
        io::copy(&mut reader, &mut unpacked).expect("reads");
        assert_eq!(encoded.diff_id.0, unpacked.finish());
        for threads in [0, 2, 3, 8] {
            let (other, _) = blob(changes(), &fast(threads)).expect("encodes");
            assert!(first == other, "{compression} with {threads} threads");
        }
    }
}

/// Words of a small vocabulary: whatever follows the end of a block, something like it was there before.
fn words(length: usize) -> Vec<u8> {
    let vocabulary = noise(4096);
    let mut state = 1_u32;
    let mut bytes = Vec::with_capacity(length + 64);
    while bytes.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let at = 16 * usize::from(state.to_be_bytes()[0]);
        let end = at + 4 + usize::from(state.to_be_bytes()[1] % 12);
        bytes.extend_from_slice(&vocabulary[at..end]);
    }
    bytes.truncate(length);
    bytes
}

/// zlib-rs looks past the end of what it was given, and finds there what the compressor had before.
#[test]
fn a_block_does_not_depend_on_what_its_compressor_had_before() {
    let bytes = words(12 << 20);
    for level in [1, 3, 6] {
        let packed = |bytes: &[u8], threads| {
            let options =
                EncodeOptions { level: Some(level), ..options(Compression::Gzip, threads) };
            blob(vec![inline("f", bytes)], &options).expect("encodes").0
        };
        let first = packed(&bytes, 1);
        for threads in [2, 3, 8] {
            assert!(first == packed(&bytes, threads), "level {level}, {threads} threads");
        }
    }
}

/// Noise: the same on every machine.
fn noise(length: usize) -> Vec<u8> {
    let digests = (0_u64..).map(|number| strata_oci::Digest::of(&number.to_le_bytes()));
    let mut bytes: Vec<u8> =
        digests.take(length.div_ceil(32)).flat_map(|digest| *digest.as_bytes()).collect();
    bytes.truncate(length);
    bytes
}

#[test]
fn noise_is_stored_and_comes_back() {
    let (noise, text) = (noise(3 << 20), sample(1 << 20));
    let mut mixed = Vec::new();
    for (number, piece) in noise.chunks(5000).enumerate() {
        mixed.extend_from_slice(piece);
        mixed.extend_from_slice(&text[number * 700..][..number % 9 * 300]);
    }
    // As files are that have their bytes in pages.
    let mut padded = Vec::new();
    for (number, piece) in noise.chunks(4096).enumerate() {
        padded.extend_from_slice(piece);
        padded.resize(padded.len() + number % 10 * 512, 0);
    }
    for bytes in [&noise, &mixed, &padded] {
        let changes = || vec![inline("f", bytes)];
        let (packed, encoded) = blob(changes(), &options(Compression::Gzip, 1)).expect("encodes");
        assert!(packed.len() < bytes.len() + bytes.len() / 500 + 2048, "{}", packed.len());
        let (other, _) = blob(changes(), &options(Compression::Gzip, 3)).expect("encodes");
        assert!(packed == other, "with other threads");
        let mut unpacked = Hasher::new();
        let mut reader = crate::decompress(io::Cursor::new(packed.clone()), None).expect("opens");
        io::copy(&mut reader, &mut unpacked).expect("reads");
        assert_eq!(encoded.diff_id.0, unpacked.finish());
        let program = Command::new("gzip").arg("-t").stdin(Stdio::piped()).spawn();
        let mut program = program.expect("gzip runs");
        program.stdin.take().expect("a pipe").write_all(&packed).expect("takes it");
        assert!(program.wait().expect("ends").success());
    }
}

#[test]
fn media_types_tell_the_blob() {
    for (compression, docker, media_type) in [
        (Compression::None, false, "application/vnd.oci.image.layer.v1.tar"),
        (Compression::Gzip, false, "application/vnd.oci.image.layer.v1.tar+gzip"),
        (Compression::Zstd, false, "application/vnd.oci.image.layer.v1.tar+zstd"),
        (Compression::Gzip, true, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    ] {
        let options = EncodeOptions { docker_media_types: docker, ..options(compression, 1) };
        let (_, encoded) = blob(every_kind(), &options).expect("encodes");
        assert_eq!(encoded.media_type, strata_oci::MediaType::parse(media_type));
    }
}

/// Pinned: a changed digest rebuilds nothing, but it ends the sharing of layers between versions of strata.
#[test]
fn the_tar_of_every_kind_stays_as_it_is() {
    let (bytes, encoded) = blob(every_kind(), &options(Compression::None, 1)).expect("encodes");
    assert_eq!(encoded.uncompressed_size, bytes.len() as u64);
    assert_eq!(
        encoded.diff_id.to_string(),
        "sha256:4d9552e857bd9367440111a02ba3fbfb892942adfc151a24db8c26e0b49d5177"
    );
}

#[test]
fn later_times_are_clamped_in_the_layer_and_in_its_index() {
    let clamp = Timestamp::from_seconds(100);
    let dated = |name: &str, seconds, nanoseconds| {
        let mut change = inline(name, b"");
        if let Change::Put { entry: Entry::Leaf(leaf), .. } = &mut change {
            leaf.metadata.mtime = Timestamp { seconds, nanoseconds };
        }
        change
    };
    let changes =
        vec![dated("a", 99, 5), dated("b", 100, 0), dated("c", 100, 1), dated("d", 200, 0)];
    let options = EncodeOptions { clamp: Some(clamp), ..options(Compression::None, 1) };
    let (bytes, encoded) = blob(changes, &options).expect("encodes");
    let mut builder = crate::IndexBuilder::default();
    crate::decode(bytes.as_slice(), &mut builder, &crate::Limits::default()).expect("decodes");
    assert_eq!(builder.finish(), encoded.index);
    let times: Vec<_> = encoded
        .index
        .changes()
        .iter()
        .map(|change| match change {
            Change::Put { entry, .. } => entry.metadata().mtime,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(times, [Timestamp { seconds: 99, nanoseconds: 5 }, clamp, clamp, clamp]);
}

#[test]
fn what_a_layer_cannot_hold_is_named() {
    let link = |name: &str, target: &str| Change::Link { path: path(name), target: path(target) };
    let mut attribute = inline("f", b"");
    if let Change::Put { entry: Entry::Leaf(leaf), .. } = &mut attribute {
        leaf.metadata.xattrs.insert(b"user.a=b".to_vec(), Vec::new());
    }
    let gzip = || options(Compression::Gzip, 2);
    let level =
        |compression, level| EncodeOptions { level: Some(level), ..options(compression, 1) };
    for (changes, options, expected) in [
        (
            vec![inline("d/.wh.x", b"")],
            gzip(),
            "`/d/.wh.x` cannot be in a layer: names beginning with `.wh.` stand for removed files",
        ),
        (
            vec![inline(".wh.d/x", b"")],
            gzip(),
            "`/.wh.d/x` cannot be in a layer: names beginning with `.wh.` stand for removed files",
        ),
        (vec![Change::Remove { path: path("") }], gzip(), "a layer cannot remove the root"),
        (
            vec![link("b", "a")],
            gzip(),
            "hard link `/b` names `/a`, which is no file of the same layer",
        ),
        (
            vec![attribute],
            gzip(),
            "`/f` has an extended attribute `user.a=b`, which a tar archive cannot hold",
        ),
        (vec![in_context("missing", 1)], gzip(), "cannot read `/missing`"),
        (vec![], level(Compression::Gzip, 10), "gzip has no level 10"),
        (vec![], level(Compression::Gzip, -1), "gzip has no level -1"),
        (vec![], level(Compression::Zstd, 23), "zstd has no level 23"),
        (vec![], level(Compression::None, 1), "none has no level 1"),
    ] {
        assert_eq!(blob(changes, &options).expect_err(expected).to_string(), expected);
    }
}

#[test]
fn a_file_that_changes_size_is_named() {
    let files = Files([(path("f"), vec![0; 3000])].into());
    for (size, expected) in [
        (3000, None),
        (2999, Some("`/f` changed while it was read: it had 2999 bytes and gave 3000")),
        (1, Some("`/f` changed while it was read: it had 1 bytes and gave 2")),
        (3001, Some("`/f` changed while it was read: it had 3001 bytes and gave 3000")),
    ] {
        let changes = ChangeSet::new(vec![in_context("f", size)]);
        let result = encode(&changes, &files, &options(Compression::Gzip, 1), io::sink());
        assert_eq!(result.err().map(|error| error.to_string()).as_deref(), expected);
    }
}

#[test]
fn a_full_disk_stops_every_thread() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let length = bytes.len().min(self.0);
            self.0 -= length;
            Ok(length)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let bytes = sample(8 << 20);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        for room in [0, 5, 100_000] {
            let options = options(compression, 2);
            let changes = ChangeSet::new(vec![inline("f", &bytes)]);
            let error =
                encode(&changes, &Files::default(), &options, Full(room)).expect_err("full");
            assert!(
                matches!(error, EncodeError::Write(source) if source.kind() == io::ErrorKind::StorageFull)
            );
        }
    }
}

/// What was read but not yet written is bounded by the number of threads, whatever the file's length.
#[test]
fn memory_does_not_grow_with_the_file() {
    const LENGTH: u64 = 256 << 20;
    struct Source(Arc<AtomicU64>);
    impl Read for Source {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            // Long reads, so that the test is quick.
            self.0.fetch_add(buffer.len() as u64, Ordering::SeqCst);
            Ok(buffer.len())
        }
    }
    struct Sources(Arc<AtomicU64>);
    impl OpenContent for Sources {
        fn open(&self, _: &Content, size: u64) -> io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(Source(Arc::clone(&self.0)).take(size)))
        }
    }
    struct Target {
        read: Arc<AtomicU64>,
        written: u64,
        most: u64,
    }
    impl Write for Target {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let waiting = self.read.load(Ordering::SeqCst).saturating_sub(self.written);
            self.most = self.most.max(waiting);
            self.written += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for (compression, level) in [(Compression::None, None), (Compression::Gzip, Some(0))] {
        let threads = 2;
        let read = Arc::new(AtomicU64::new(0));
        let mut target = Target { read: Arc::clone(&read), written: 0, most: 0 };
        let options = EncodeOptions { level, ..options(compression, threads) };
        let changes = ChangeSet::new(vec![in_context("f", LENGTH)]);
        encode(&changes, &Sources(read), &options, &mut target).expect("encodes");
        // Waiting for a thread, in its queue, being filled, being written.
        let blocks = 2 * threads + 1 + QUEUE + 3;
        let bound = (blocks * blocks::LENGTH) as u64;
        assert!(
            target.written >= LENGTH,
            "{compression}: level 0 and no compression keep all bytes"
        );
        assert!(target.most <= bound, "{compression}: {} bytes waited, {bound} may", target.most);
    }
}

/// Gives `input` to a program and returns what it prints, or nothing if there is no such program.
fn filter(program: &str, arguments: &[&str], input: &[u8]) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("runs");
    writer.join().expect("no panic").expect("reads all");
    assert!(output.status.success(), "{program} refused it");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn other_programs_read_what_is_written() {
    let changes = || [every_kind(), vec![inline("large", &sample(3 << 20))]].concat();
    let (gzip, encoded) = blob(changes(), &options(Compression::Gzip, 2)).expect("encodes");
    let (zstd, _) = blob(changes(), &options(Compression::Zstd, 2)).expect("encodes");
    for (program, arguments, input) in [("gzip", ["-t", "-"], &gzip), ("zstd", ["-t", "-q"], &zstd)]
    {
        if filter(program, &arguments, input).is_none() {
            eprintln!("skipped: other_programs_read_what_is_written: needs {program}");
        }
    }
    let script = "import sys, gzip, hashlib; d = gzip.decompress(sys.stdin.buffer.read()); print('sha256:' + hashlib.sha256(d).hexdigest())";
    match filter("python3", &["-c", script], &gzip) {
        Some(digest) => assert_eq!(digest.trim_end(), encoded.diff_id.to_string()),
        None => eprintln!("skipped: other_programs_read_what_is_written: needs python3"),
    }
    let arguments = ["--numeric-owner", "--full-time", "-tvzf", "-"];
    let Some(listed) = filter("tar", &arguments, &gzip) else {
        eprintln!("skipped: other_programs_read_what_is_written: needs tar");
        return;
    };
    let shown: Vec<String> = listed
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .map(|line| line.replace(&"d".repeat(200), "D").replace(&"n".repeat(200), "N"))
        .collect();
    assert_eq!(
        shown,
        [
            "-rw-r--r-- 0/0 4 1970-01-01 00:00:00 D/N",
            "drwxrwxrwt 0/0 0 1970-01-01 00:00:00 dir/",
            "-rw------- 0/0 0 1970-01-01 00:00:00 dir/.wh..wh..opq",
            "-rw-r--r-- 0/0 5 1970-01-01 00:00:00 dir/file",
            "hrw-r--r-- 0/0 0 1970-01-01 00:00:00 dir/link link to dir/file",
            "lrw-r--r-- 0/0 0 1970-01-01 00:00:00 dir/symlink -> /no/such",
            "prw-r--r-- 0/0 0 1970-01-01 00:00:00 fifo",
            "-rw------- 0/0 0 1970-01-01 00:00:00 .wh.gone",
            "-rw-r--r-- 0/0 3145728 1970-01-01 00:00:00 large",
            "brw-r--r-- 0/0 7,0 1970-01-01 00:00:00 loop",
            "-rw-r--r-- 3000000/0 1 2020-09-13 12:26:40.123456789 noted",
            "crw-r--r-- 0/0 1,3 1970-01-01 00:00:00 null",
            "-rw-r--r-- 0/0 1 1970-01-01 00:00:00 \u{fc}n\u{ef}",
        ]
    );
}

/// The crate most programs in Rust read archives with finds the same.
#[test]
fn the_tar_crate_reads_what_is_written() {
    let (bytes, _) = blob(every_kind(), &options(Compression::None, 1)).expect("encodes");
    let mut archive = ::tar::Archive::new(bytes.as_slice());
    let mut shown = Vec::new();
    for entry in archive.entries().expect("entries") {
        let entry = entry.expect("an entry");
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let link = entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
        let name = name.replace(&"d".repeat(200), "D").replace(&"n".repeat(200), "N");
        shown.push((
            name,
            link.unwrap_or_default(),
            entry.header().entry_type().as_byte(),
            entry.size(),
        ));
    }
    let shown: Vec<_> = shown
        .iter()
        .map(|(name, link, kind, size)| (name.as_str(), link.as_str(), char::from(*kind), *size))
        .collect();
    assert_eq!(
        shown,
        [
            ("D/N", "", '0', 4),
            ("dir/", "", '5', 0),
            ("dir/.wh..wh..opq", "", '0', 0),
            ("dir/file", "", '0', 5),
            ("dir/link", "dir/file", '1', 0),
            ("dir/symlink", "/no/such", '2', 0),
            ("fifo", "", '6', 0),
            (".wh.gone", "", '0', 0),
            ("loop", "", '4', 0),
            ("noted", "", '0', 1),
            ("null", "", '3', 0),
            ("\u{fc}n\u{ef}", "", '0', 1),
        ]
    );
}
