use std::io::Read;

use proptest::prelude::*;
use strata_tree::{Metadata, Timestamp, Xattrs};

use super::*;
use crate::header::{BLOCK, Fields};

/// A header, its body and the padding.
fn member(kind: u8, name: &str, link: &str, body: &[u8]) -> Vec<u8> {
    raw(kind, name.as_bytes(), link.as_bytes(), body.len() as u64, body)
}

fn raw(kind: u8, name: &[u8], link: &[u8], size: u64, body: &[u8]) -> Vec<u8> {
    let fields = Fields { name, link, kind, mode: 0o644, size, ..Fields::default() };
    let mut bytes = fields.to_block().to_vec();
    bytes.extend_from_slice(body);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// A PAX header, the length of each record counted here.
fn pax(kind: u8, records: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in records {
        let mut one = crate::pax::Records::default();
        one.set(*key, *value);
        bytes.extend(one.to_bytes());
    }
    member(kind, "pax", "", &bytes)
}

/// Changes the bytes of a header and makes its checksum right again.
fn patched(mut bytes: Vec<u8>, patches: &[(usize, &[u8])]) -> Vec<u8> {
    for (at, patch) in patches {
        bytes[*at..at + patch.len()].copy_from_slice(patch);
    }
    bytes[148..156].fill(b' ');
    let sum: u32 = bytes[..BLOCK].iter().map(|&byte| u32::from(byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes
}

fn end() -> Vec<u8> {
    vec![0; 2 * BLOCK]
}

/// Shows each change on a line, with the bytes of files.
#[derive(Default)]
struct Shown(Vec<String>);

impl Sink for Shown {
    fn change(&mut self, change: Change<Extent>, body: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes)?;
        let path = change.path();
        self.0.push(match &change {
            Change::Put { entry: tree::Entry::Directory(_), .. } => format!("dir {path}"),
            Change::Put { entry: tree::Entry::Leaf(leaf), .. } => match &leaf.kind {
                LeafKind::File { size, .. } => {
                    assert_eq!(*size, bytes.len() as u64, "{path}");
                    format!("file {path} {}", bytes.escape_ascii())
                }
                LeafKind::Symlink { target } => format!("symlink {path} {}", target.escape_ascii()),
                LeafKind::CharDevice { major, minor } => format!("char {path} {major}:{minor}"),
                LeafKind::BlockDevice { major, minor } => format!("block {path} {major}:{minor}"),
                LeafKind::Fifo => format!("fifo {path}"),
            },
            Change::Link { target, .. } => format!("link {path} {target}"),
            Change::Remove { .. } => format!("remove {path}"),
            Change::Opaque { .. } => format!("opaque {path}"),
        });
        Ok(())
    }
}

/// What the archive holds, or why it is refused, with the causes.
fn read(archive: &[u8], limits: &Limits) -> Result<Vec<String>, String> {
    let mut shown = Shown::default();
    match decode(archive, &mut shown, limits) {
        Ok(decoded) => {
            assert_eq!(decoded.uncompressed_size, archive.len() as u64);
            assert_eq!(decoded.diff_id.0, strata_oci::Digest::of(archive));
            Ok(shown.0)
        }
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            Err(text)
        }
    }
}

/// A name, the members of an archive, what is in it.
type Case<'a> = (&'a str, Vec<Vec<u8>>, &'a [&'a str]);

#[test]
fn every_spelling_of_an_entry_is_read() {
    let long = format!("{}/{}", "d".repeat(200), "n".repeat(200));
    let long_file = format!("file /{long} x");
    let gnu_long = [
        member(b'L', "././@LongLink", "", format!("{long}\0").as_bytes()),
        member(b'0', "short", "", b"x"),
    ];
    let gnu_long_link = [
        member(b'K', "././@LongLink", "", format!("{long}\0").as_bytes()),
        member(b'2', "l", "short", b""),
    ];
    let prefixed = patched(member(b'0', "name", "", b"x"), &[(345, b"pre/fix")]);
    let star =
        patched(member(b'0', "name", "", b""), &[(345, b"pre"), (476, b"1234"), (508, b"tar\0")]);
    let gnu = patched(member(b'0', "name", "", b""), &[(257, b"ustar  \0"), (345, b"00000000000")]);
    let v7 = patched(member(0, "dir/", "", b""), &[(257, &[0; 8])]);
    let blank_device = patched(member(b'0', "f", "", b""), &[(329, &[0; 16])]);
    let device = patched(member(b'3', "c", "", b""), &[(329, b"0000001\0"), (337, b"0000003\0")]);
    let gnu_device = patched(
        member(b'4', "b", "", b""),
        &[(257, b"ustar  \0"), (329, b"0000010\0"), (337, b"\x80\0\0\0\0\x01\0\0")],
    );
    let link_with_size = raw(b'1', b"l", b"/f", 12345, b"");
    let cases: &[Case<'_>] = &[
        ("plain", vec![member(b'0', "f", "", b"abc")], &["file /f abc"]),
        (
            "dot slash",
            vec![member(b'5', "./", "", b""), member(b'0', "./f", "", b"")],
            &["dir /", "file /f "],
        ),
        ("absolute", vec![member(b'0', "/a//b/", "", b"")], &["dir /a/b"]),
        ("old file type", vec![member(0, "f", "", b"x")], &["file /f x"]),
        ("contiguous", vec![member(b'7', "f", "", b"x")], &["file /f x"]),
        ("v7 directory", vec![v7], &["dir /dir"]),
        ("prefix", vec![prefixed], &["file /pre/fix/name x"]),
        ("star prefix", vec![star], &["file /pre/name "]),
        ("gnu has no prefix", vec![gnu], &["file /name "]),
        ("gnu long name", gnu_long.to_vec(), &[&long_file]),
        ("gnu long link", gnu_long_link.to_vec(), &[&format!("symlink /l {long}")]),
        ("gnu directory list", vec![member(b'D', "d/", "", b"Yf\0\0")], &["dir /d"]),
        (
            "gnu volume",
            vec![member(b'V', "label", "", b""), member(b'6', "p", "", b"")],
            &["fifo /p"],
        ),
        ("devices", vec![device, gnu_device], &["char /c 1:3", "block /b 8:65536"]),
        ("blank device of a file", vec![blank_device], &["file /f "]),
        (
            "hard link has no body",
            vec![member(b'0', "f", "", b"x"), link_with_size],
            &["file /f x", "link /l /f"],
        ),
        (
            "pax path",
            vec![
                pax(b'x', &[("path", "real/name")]),
                member(b'0', "f", "", b"x"),
                member(b'0', "g", "", b""),
            ],
            &["file /real/name x", "file /g "],
        ),
        (
            "pax beats gnu",
            vec![
                member(b'L', "", "", b"gnu\0"),
                pax(b'x', &[("path", "pax")]),
                member(b'0', "f", "", b""),
            ],
            &["file /pax "],
        ),
        (
            "pax linkpath",
            vec![pax(b'x', &[("linkpath", "t\u{e9}")]), member(b'2', "l", "x", b"")],
            &["symlink /l t\\xc3\\xa9"],
        ),
        (
            "pax size",
            vec![pax(b'x', &[("size", "3")]), raw(b'0', b"f", b"", 0, b"abc")],
            &["file /f abc"],
        ),
        (
            "last record counts",
            vec![pax(b'x', &[("path", "a"), ("path", "b")]), member(b'0', "f", "", b"")],
            &["file /b "],
        ),
        (
            "global path is ignored",
            vec![pax(b'g', &[("path", "a"), ("comment", "c")]), member(b'0', "f", "", b"")],
            &["file /f "],
        ),
        ("global at the end", vec![pax(b'g', &[("comment", "c")])], &[]),
        (
            "whiteouts",
            vec![
                member(b'0', "d/.wh.f", "", b""),
                member(b'0', ".wh.g", "", b""),
                member(b'0', "d/.wh..wh..opq", "", b""),
            ],
            &["remove /d/f", "remove /g", "opaque /d"],
        ),
        ("opaque root", vec![member(b'0', ".wh..wh..opq", "", b"")], &["opaque /"]),
        (
            "aufs bookkeeping",
            vec![
                member(b'5', ".wh..wh.plnk/", "", b""),
                member(b'0', ".wh..wh.plnk/1.2", "", b"x"),
                member(b'0', ".wh..wh.aufs", "", b""),
            ],
            &[],
        ),
        (
            "names like whiteouts",
            vec![member(b'0', ".whx", "", b""), member(b'0', ".wharf", "", b"")],
            &["file /.whx ", "file /.wharf "],
        ),
        (
            "twice",
            vec![member(b'0', "f", "", b"1"), member(b'0', "f", "", b"2")],
            &["file /f 1", "file /f 2"],
        ),
    ];
    for (name, members, expected) in cases {
        let mut archive = members.concat();
        let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(read(&archive, &Limits::default()), Ok(expected.clone()), "{name}, no end");
        archive.extend(end());
        assert_eq!(read(&archive, &Limits::default()), Ok(expected.clone()), "{name}");
        archive.extend_from_slice(b"whatever follows the end, only hashed");
        assert_eq!(read(&archive, &Limits::default()), Ok(expected), "{name}, with more");
    }
}

#[test]
fn whiteouts_of_the_longest_names_are_read() {
    let name = "n".repeat(255);
    let whole = format!("d/.wh.{name}");
    let archive = [pax(b'x', &[("path", &whole)]), member(b'0', "f", "", b"")].concat();
    assert_eq!(read(&archive, &Limits::default()), Ok(vec![format!("remove /d/{name}")]));
}

#[test]
fn an_empty_stream_is_an_empty_archive() {
    assert_eq!(read(b"", &Limits::default()), Ok(vec![]));
    assert_eq!(read(&[0; BLOCK], &Limits::default()), Ok(vec![]));
}

#[test]
fn the_padding_of_the_last_body_may_be_missing() {
    let mut archive = member(b'0', "f", "", b"abc");
    archive.truncate(BLOCK + 3);
    assert_eq!(read(&archive, &Limits::default()), Ok(vec!["file /f abc".to_owned()]));
}

#[test]
fn hostile_archives_are_refused_by_name() {
    let limits = Limits { entries: 8, extended_header: 4096, sparse_pieces: 4, bytes: 1 << 20 };
    let file = || member(b'0', "f", "", b"x");
    let long = "x".repeat(5000);
    let sparse =
        |records: &[(&str, &str)]| [pax(b'x', records), member(b'0', "f", "", b"ab")].concat();
    let malformed =
        |problem: &str| format!("the archive has a malformed header at byte 0: {problem}");
    let bad_number = |name: &str| malformed(&format!("`{name}` is no number in range"));
    let map = malformed("the map of a sparse file is malformed");
    let cases: Vec<(&str, Vec<u8>, String)> = vec![
        ("upwards", member(b'0', "../../etc/passwd", "", b""), "the archive has an entry `../../etc/passwd` with an unusable name: path `../../etc/passwd` goes upwards".into()),
        ("upwards inside", member(b'0', "a/../b", "", b""), "the archive has an entry `a/../b` with an unusable name: path `a/../b` goes upwards".into()),
        ("nul in pax name", [pax(b'x', &[("path", "a\0b")]), file()].concat(), "the archive has an entry `a\0b` with an unusable name: path `a\0b` holds a NUL byte".into()),
        ("link upwards", member(b'1', "l", "../f", b""), "hard link `/l` names an unusable path: path `../f` goes upwards".into()),
        ("symlink to nothing", member(b'2', "l", "", b""), malformed("a symbolic link has no target")),
        ("root as a file", member(b'0', "./.", "", b"x"), "the archive has a root that is not a directory".into()),
        ("whiteout of nothing", member(b'0', "d/.wh.", "", b""), "the archive has an unusable whiteout `d/.wh.`: path `` goes upwards".into()),
        ("whiteout of itself", member(b'0', "d/.wh..", "", b""), "the archive has an unusable whiteout `d/.wh..`: path `.` goes upwards".into()),
        ("whiteout of the parent", member(b'0', "d/.wh...", "", b""), "the archive has an unusable whiteout `d/.wh...`: path `..` goes upwards".into()),
        ("unknown type", member(b'M', "f", "", b""), "`/f` has the unsupported tar entry type `M`".into()),
        ("checksum", { let mut bytes = file(); bytes[0] = b'g'; bytes }, malformed("the checksum is wrong")),
        ("not a tar", vec![b'z'; 1024], malformed("the checksum is wrong")),
        ("not even a block", b"short".to_vec(), "the archive ends early, 5 bytes in".into()),
        ("body cut off", raw(b'0', b"f", b"", 600, b"x"), "the archive ends early, 1024 bytes in".into()),
        ("entry after lone zeros", [vec![0; BLOCK], file()].concat(), malformed("the checksum is wrong")),
        ("negative size", patched(file(), &[(124, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")]), bad_number("size")),
        ("huge size", patched(file(), &[(124, b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff")]), "the archive has more than 1048576 bytes".into()),
        ("negative id", patched(file(), &[(108, b"\xff\xff\xff\xff\xff\xff\xff\xff")]), bad_number("uid")),
        ("pax id too large", [pax(b'x', &[("gid", "4294967296")]), file()].concat(), bad_number("gid").replace("byte 0", "byte 1024")),
        ("pax time", [pax(b'x', &[("mtime", "now")]), file()].concat(), bad_number("mtime").replace("byte 0", "byte 1024")),
        ("pax size", [pax(b'x', &[("size", "-1")]), file()].concat(), bad_number("size").replace("byte 0", "byte 1024")),
        ("device", patched(member(b'3', "c", "", b""), &[(329, b"notanum\0")]), bad_number("device")),
        ("record", [member(b'x', "", "", b"3 a=b\n"), file()].concat(), malformed("a PAX record is malformed")),
        ("headers of nothing", pax(b'x', &[("path", "a")]), malformed("extended headers belong to no entry")),
        ("long record", [pax(b'x', &[("comment", &long)]), file()].concat(), "the archive has more than 4096 bytes in one extended header".into()),
        ("many long records", [pax(b'x', &[("a", &long[..2500])]), pax(b'x', &[("b", &long[..2500])]), file()].concat(), "the archive has more than 4096 bytes in one extended header".into()),
        ("growing globals", [pax(b'g', &[("a", &long[..2500])]), file(), pax(b'g', &[("b", &long[..2500])])].concat(), "the archive has more than 4096 bytes in one extended header".into()),
        ("claimed long name", raw(b'L', b"", b"", 1 << 40, b""), "the archive has more than 4096 bytes in one extended header".into()),
        ("too many entries", file().repeat(9), "the archive has more than 8 entries".into()),
        ("long names only", member(b'L', "", "", b"x").repeat(9), "the archive has more than 8 entries".into()),
        ("sparse out of order", sparse(&[("GNU.sparse.map", "5,1,0,1"), ("GNU.sparse.size", "9")]), map.clone()),
        ("sparse past the end", sparse(&[("GNU.sparse.map", "0,1,9,1"), ("GNU.sparse.size", "9")]), map.clone()),
        ("sparse overflow", sparse(&[("GNU.sparse.map", "18446744073709551615,2"), ("GNU.sparse.size", "9")]), map.clone()),
        ("sparse odd", sparse(&[("GNU.sparse.map", "0,1,2"), ("GNU.sparse.size", "9")]), map.clone()),
        ("sparse with a longer body", sparse(&[("GNU.sparse.map", "0,1"), ("GNU.sparse.size", "9")]), map.clone()),
        ("sparse without a size", sparse(&[("GNU.sparse.map", "0,2")]), map.clone()),
        ("sparse pieces", sparse(&[("GNU.sparse.map", "0,0,1,0,2,0,3,0,4,0"), ("GNU.sparse.size", "9")]), "the archive has more than 4 pieces of a sparse file".into()),
        ("sparse bomb", sparse(&[("GNU.sparse.map", "0,2"), ("GNU.sparse.size", "9000000000000")]), "the archive has more than 1048576 bytes".into()),
        ("sparse version", sparse(&[("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0")]), malformed("the sparse format is not supported")),
        ("sparse map is not there", sparse(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9")]), map),
    ];
    for (name, archive, expected) in cases {
        assert_eq!(read(&archive, &limits), Err(expected), "{name}");
    }
}

#[test]
fn metadata_comes_from_records_and_fields() {
    let bytes = [
        pax(b'g', &[("mtime", "7"), ("uid", "1"), ("SCHILY.xattr.user.all", "g")]),
        pax(b'x', &[("mtime", "-1.5"), ("SCHILY.xattr.user.note", "a\nb=c"), ("gid", "3000000")]),
        patched(member(b'0', "f", "", b""), &[(100, b"0104755\0")]),
    ];
    let mut builder = IndexBuilder::default();
    decode(bytes.concat().as_slice(), &mut builder, &Limits::default()).expect("an archive");
    let index = builder.finish();
    let entries: Vec<_> = index.changes().iter().collect();
    let [Change::Put { entry, .. }] = entries[..] else { panic!("one file: {entries:?}") };
    let expected = Metadata {
        mode: 0o4755,
        uid: 1,
        gid: 3_000_000,
        mtime: Timestamp { seconds: -2, nanoseconds: 500_000_000 },
        xattrs: Xattrs::from([
            (b"user.all".to_vec(), b"g".to_vec()),
            (b"user.note".to_vec(), b"a\nb=c".to_vec()),
        ]),
    };
    assert_eq!(entry.metadata(), &expected);
}

/// The four ways to write `..ab...c..` with its holes (here `.` for NUL), and the whole file in each.
#[test]
fn sparse_files_of_every_format_read_whole() {
    let mut old = raw(b'S', b"f", b"", 3, b"abc");
    let slot = |offset: u64, length: u64| format!("{offset:011o}\0{length:011o}\0");
    let map = slot(2, 2) + &slot(7, 1);
    old = patched(old, &[(257, b"ustar  \0"), (386, map.as_bytes()), (483, b"00000000012\0")]);
    // The same, with the second piece in a block of its own.
    let mut chained = old.clone();
    let mut slots = [slot(0, 0), slot(0, 0), slot(0, 0), slot(2, 2)].concat().into_bytes();
    slots.push(1);
    chained = patched(chained, &[(386, &slots)]);
    let mut more = slot(7, 1).into_bytes();
    more.resize(BLOCK, 0);
    chained.splice(BLOCK..BLOCK, more);
    let file = |body: &[u8]| member(b'0', "GNUSparseFile.0/f", "", body);
    let zero_zero = pax(
        b'x',
        &[
            ("GNU.sparse.size", "10"),
            ("GNU.sparse.numblocks", "2"),
            ("GNU.sparse.offset", "2"),
            ("GNU.sparse.numbytes", "2"),
            ("GNU.sparse.offset", "7"),
            ("GNU.sparse.numbytes", "1"),
        ],
    );
    let name = ("GNU.sparse.name", "f");
    let zero_one = pax(b'x', &[("GNU.sparse.size", "10"), ("GNU.sparse.map", "2,2,7,1"), name]);
    let one = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")];
    let one = pax(b'x', &[one[0], one[1], name, ("GNU.sparse.realsize", "10")]);
    let mut mapped = b"3\n2\n2\n7\n1\n10\n0\n".to_vec();
    mapped.resize(BLOCK, 0);
    mapped.extend_from_slice(b"abc");
    for (format, archive) in [
        ("old", old),
        ("old, chained", chained),
        ("0.0", [zero_zero, member(b'0', "f", "", b"abc")].concat()),
        ("0.1", [zero_one, file(b"abc")].concat()),
        ("1.0", [one, file(&mapped)].concat()),
    ] {
        let archive =
            [member(b'0', "before", "", b"x"), archive, member(b'0', "z", "", b"z")].concat();
        let expected = ["file /before x", r"file /f \x00\x00ab\x00\x00\x00c\x00\x00", "file /z z"];
        assert_eq!(
            read(&archive, &Limits::default()),
            Ok(expected.map(str::to_owned).to_vec()),
            "{format}"
        );
        let mut builder = IndexBuilder::default();
        decode(archive.as_slice(), &mut builder, &Limits::default()).expect("an archive");
        let mut contents = Vec::new();
        for change in builder.finish().changes() {
            let Change::Put { entry: tree::Entry::Leaf(leaf), .. } = change else { continue };
            let LeafKind::File { size, content } = leaf.kind else { continue };
            let reader = io::Cursor::new(archive.clone());
            let mut bytes = Vec::new();
            open_extent(reader, content, size)
                .expect("opens")
                .read_to_end(&mut bytes)
                .expect("reads");
            contents.push(bytes);
        }
        let whole = b"\0\0ab\0\0\0c\0\0".to_vec();
        assert_eq!(contents, [b"x".to_vec(), whole, b"z".to_vec()], "{format}");
    }
}

#[test]
fn a_sink_may_leave_bodies_unread_and_may_refuse() {
    struct Lazy(u32);
    impl Sink for Lazy {
        fn change(&mut self, _: Change<Extent>, body: &mut dyn Read) -> io::Result<()> {
            self.0 -= 1;
            body.read_exact(&mut [0; 1])?;
            if self.0 == 0 { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
        }
    }
    let archive = [member(b'0', "f", "", &[1; 700]), member(b'0', "g", "", b"g")].concat();
    assert!(decode(archive.as_slice(), &mut Lazy(9), &Limits::default()).is_ok());
    let refused = decode(archive.as_slice(), &mut Lazy(2), &Limits::default());
    assert_eq!(refused.expect_err("refused").to_string(), "cannot take `/g` out of the archive");
}

#[test]
fn a_stream_that_fails_in_a_body_is_not_the_sinks_fault() {
    // One sink passes the reader's error on, the other swallows it.
    struct Swallow;
    impl Sink for Swallow {
        fn change(&mut self, _: Change<Extent>, body: &mut dyn Read) -> io::Result<()> {
            drop(io::copy(body, &mut io::sink()));
            Ok(())
        }
    }
    let archive = raw(b'0', b"f", b"", 600, b"x");
    for sink in [&mut Shown::default() as &mut dyn Sink, &mut Swallow] {
        let error = decode(archive.as_slice(), sink, &Limits::default()).expect_err("cut off");
        assert_eq!(error.to_string(), "the archive ends early, 1024 bytes in");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(mut bytes: Vec<u8>, kind in prop::sample::select(b"0125xgLKS37D".to_vec()), patches: Vec<(usize, u8)>) {
        let limits = Limits { bytes: 1 << 16, ..Limits::default() };
        drop(read(&bytes, &limits));
        // And with a header that is right at first sight.
        let mut header = member(kind, "f", "t", &[]);
        for (at, byte) in patches {
            header[at % BLOCK] = byte;
        }
        let mut header = patched(header, &[]);
        header.append(&mut bytes);
        drop(read(&header, &limits));
    }
}
