use std::io::Write;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory")
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Gives its bytes one by one, as a slow pipe does.
struct Slow(io::Cursor<Vec<u8>>);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

fn read(stream: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    decompress_archive(Slow(io::Cursor::new(stream)))?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn every_compression_is_recognised_with_all_its_members() {
    for (name, compress) in
        [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("zstd", zstd), ("bzip2", bzip2), ("xz", xz)]
    {
        let one = compress(b"hello");
        assert_eq!(read(one.clone()).expect(name), b"hello", "{name}");
        let two = [one, compress(b""), compress(b" world")].concat();
        assert_eq!(read(two).expect(name), b"hello world", "{name}");
    }
    for plain in ["", "x", "hello", "hello world"] {
        assert_eq!(read(plain.into()).expect("plain"), plain.as_bytes());
    }
}

#[test]
fn what_follows_gzip_may_only_be_zeros() {
    assert_eq!(read([gzip(b"x"), vec![0; 300_000]].concat()).expect("zeros"), b"x");
    for more in [b"junk".as_slice(), b"\0\0\0junk"] {
        assert!(read([&*gzip(b"x"), more].concat()).is_err());
    }
}

#[test]
fn damage_is_an_error() {
    for compress in [gzip as fn(&[u8]) -> Vec<u8>, zstd, bzip2, xz] {
        let whole = compress(&[b"some text".as_slice(); 100].concat());
        for length in 8..whole.len() {
            assert!(read(whole[..length].to_vec()).is_err(), "{length} of {}", whole.len());
        }
    }
    let mut wrong = gzip(b"text");
    let at = wrong.len() - 8;
    wrong[at] ^= 1;
    assert!(read(wrong).is_err(), "wrong checksum");
}
