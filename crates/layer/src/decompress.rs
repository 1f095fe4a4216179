//! From a compressed stream to the bytes in it.

use std::io::{self, BufRead, BufReader, Read};

use strata_oci::Compression;

/// How a stream is compressed. Layers use only some of these ([`Compression`]); archives that `ADD` unpacks use all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArchiveCompression {
    /// Not at all.
    None,
    /// RFC 1952, one member or more.
    Gzip,
    /// RFC 8878, one frame or more.
    Zstd,
    /// bzip2, one stream or more.
    Bzip2,
    /// The xz container, one stream or more.
    Xz,
}

/// How many bytes [`ArchiveCompression::detect`] wants to see.
pub const MAGIC_LENGTH: usize = 6;

// A frame that asks for more than this much history is refused. It is what the `zstd` program takes without
// `--long`, and eight times the most that registries' layers ask for.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

// The xz format lets a file ask for 4 GiB of dictionary; `xz -9` needs 65 MiB to unpack.
const XZ_MEMORY_LIMIT: u64 = 512 << 20;

const BUFFER: usize = 128 << 10;

impl ArchiveCompression {
    /// Recognises a compression by the first bytes of a stream; what is none of them is [`Self::None`].
    pub fn detect(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            // A frame, or one to be skipped, which may come first.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0x00, ..] => Self::Xz,
            _ => Self::None,
        }
    }
}

impl From<Compression> for ArchiveCompression {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::None,
            Compression::Gzip => Self::Gzip,
            Compression::Zstd => Self::Zstd,
        }
    }
}

/// The bytes inside a layer's blob. Without a `compression` the first bytes tell.
pub fn decompress(
    reader: impl Read + Send + 'static,
    compression: Option<Compression>,
) -> io::Result<Box<dyn Read + Send>> {
    let reader = BufReader::with_capacity(BUFFER, reader);
    match compression {
        Some(compression) => open(reader, compression.into()),
        None => decompress_archive(reader),
    }
}

/// The bytes inside a stream that may be compressed in any way of [`ArchiveCompression`], told by its first bytes.
pub fn decompress_archive(reader: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut reader = reader;
    // A pipe may give its first bytes one by one.
    let mut start = Vec::with_capacity(MAGIC_LENGTH);
    reader.by_ref().take(MAGIC_LENGTH as u64).read_to_end(&mut start)?;
    let compression = ArchiveCompression::detect(&start);
    open(BufReader::with_capacity(BUFFER, io::Cursor::new(start).chain(reader)), compression)
}

fn open(
    reader: impl BufRead + Send + 'static,
    compression: ArchiveCompression,
) -> io::Result<Box<dyn Read + Send>> {
    Ok(match compression {
        ArchiveCompression::None => Box::new(reader),
        ArchiveCompression::Gzip => Box::new(Gunzip::new(reader)),
        ArchiveCompression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
        ArchiveCompression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(reader)),
        ArchiveCompression::Xz => {
            let flags = liblzma::stream::CONCATENATED;
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_LIMIT, flags)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
        }
    })
}

/// Several gzip members in a row, then perhaps zeros: tape padding, which `gzip` ignores and so do we.
/// Anything else after a member is an error.
struct Gunzip<R> {
    state: State<R>,
}

enum State<R> {
    Member(Box<flate2::bufread::GzDecoder<R>>),
    Between(R),
    End,
}

impl<R: BufRead> State<R> {
    fn member(reader: R) -> Self {
        Self::Member(Box::new(flate2::bufread::GzDecoder::new(reader)))
    }
}

impl<R: BufRead> Gunzip<R> {
    fn new(reader: R) -> Self {
        Self { state: State::member(reader) }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            self.state = match std::mem::replace(&mut self.state, State::End) {
                State::Member(mut member) => {
                    let read = member.read(buffer);
                    match read {
                        Ok(0) => State::Between(member.into_inner()),
                        done => {
                            self.state = State::Member(member);
                            return done;
                        }
                    }
                }
                State::Between(mut reader) => match reader.fill_buf()?.first() {
                    None => return Ok(0),
                    Some(0) => {
                        skip_zeros(&mut reader)?;
                        return Ok(0);
                    }
                    Some(_) => State::member(reader),
                },
                State::End => return Ok(0),
            };
        }
    }
}

fn skip_zeros(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        if buffer.iter().any(|&byte| byte != 0) {
            let message = "gzip stream is followed by something else";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let length = buffer.len();
        reader.consume(length);
    }
}

#[cfg(test)]
mod tests;
