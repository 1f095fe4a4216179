//! Entries of a tar stream, with everything that belongs to one entry put together: its header, the extended
//! headers before it, the map of a sparse file.

use std::io::{self, Read};

use strata_tree::{Metadata, Timestamp};

use super::hashing::Hashing;
use super::input::Input;
use super::sparse::{self, Map};
use super::{DecodeError, Limited, Limits, Problem};
use crate::header::{BLOCK, Header, kind};
use crate::pax::{Records, parse_time};

/// One entry.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) kind: u8,
    pub(crate) metadata: Metadata,
    /// The length of the file, holes included.
    pub(crate) size: u64,
    pub(crate) device: (u32, u32),
    /// Where the first header of this entry begins.
    pub(crate) header: u64,
    /// Where its body begins.
    pub(crate) body: u64,
    pub(crate) sparse: bool,
}

pub(crate) struct Archive<R> {
    input: Input<R>,
    limits: Limits,
    globals: Records,
    entries: u64,
    body: Body,
    // What went wrong while a body was read: readers of bodies get an `io::Error` that cannot tell.
    failure: Option<DecodeError>,
}

/// What is left of the current entry's body.
#[derive(Default)]
struct Body {
    // Bytes in the stream, and zeros after them up to a whole block.
    stored: u64,
    padding: u64,
    // Where in the file the next byte belongs, and how long the file is.
    at: u64,
    size: u64,
    // The pieces of a sparse file, and the first one that is not yet read through.
    pieces: Option<(Vec<sparse::Piece>, usize)>,
}

/// Extended headers on their way to the entry they belong to.
#[derive(Default)]
struct Extended {
    start: Option<u64>,
    weight: u64,
    records: Records,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(reader: R, hashing: Option<Hashing>, limits: Limits) -> Self {
        Self {
            input: Input::new(reader, hashing, limits.bytes),
            limits,
            globals: Records::default(),
            entries: 0,
            body: Body::default(),
            failure: None,
        }
    }

    /// The next entry, or nothing at the end of the archive: two blocks of zeros, or the end of the stream.
    /// A body that was not read is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, DecodeError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let body = std::mem::take(&mut self.body);
        if self.input.skip(body.stored)? < body.stored {
            return Err(self.input.truncated());
        }
        // Some writers leave out the padding of the last entry.
        self.input.skip(body.padding)?;
        let mut extended = Extended::default();
        loop {
            let position = self.input.position();
            let Some(block) = self.header_block()? else {
                return match extended.start {
                    None => Ok(None),
                    Some(offset) => Err(malformed(offset, Problem::Dangling)),
                };
            };
            self.entries += 1;
            if self.entries > self.limits.entries {
                let limit = self.limits.entries;
                return Err(DecodeError::Limit { what: Limited::Entries, limit });
            }
            let header = Header(&block);
            if !header.is_intact() {
                return Err(malformed(position, Problem::Checksum));
            }
            match header.kind() {
                kind::PAX | kind::PAX_GLOBAL | kind::GNU_LONG_NAME | kind::GNU_LONG_LINK => {
                    self.extended(position, header, &mut extended)?;
                }
                kind::GNU_VOLUME => {
                    let size = size_field(position, header)?;
                    self.input.skip(size.next_multiple_of(BLOCK as u64))?;
                }
                _ => return self.entry(position, header, extended).map(Some),
            }
        }
    }

    /// Reads the current entry's body, holes as zeros.
    fn read_body(&mut self, buffer: &mut [u8]) -> Result<usize, DecodeError> {
        let body = &mut self.body;
        let length = usize::try_from(body.size - body.at)
            .map_or(buffer.len(), |left| left.min(buffer.len()));
        let mut buffer = &mut buffer[..length];
        if let Some((pieces, next)) = &mut body.pieces {
            while pieces.get(*next).is_some_and(|piece| piece.offset + piece.length <= body.at) {
                *next += 1;
            }
            let stretch = match pieces.get(*next) {
                // In a piece: to its end. In a hole: to the next piece, or to the end of the file.
                Some(piece) if piece.offset <= body.at => piece.offset + piece.length - body.at,
                Some(piece) => piece.offset - body.at,
                None => u64::MAX,
            };
            let hole = pieces.get(*next).is_none_or(|piece| piece.offset > body.at);
            let length = usize::try_from(stretch).map_or(buffer.len(), |s| s.min(buffer.len()));
            buffer = &mut buffer[..length];
            if hole {
                buffer.fill(0);
                body.at += length as u64;
                return Ok(length);
            }
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.input.read(buffer)?;
        if read == 0 {
            return Err(self.input.truncated());
        }
        self.body.stored -= read as u64;
        self.body.at += read as u64;
        Ok(read)
    }

    /// Takes back an error that a reader of a body met.
    pub(crate) fn take_failure(&mut self) -> Option<DecodeError> {
        self.failure.take()
    }

    /// Reads on to the very end of the stream, past whatever stands after the archive.
    pub(crate) fn finish(mut self) -> Result<(Option<Hashing>, u64), DecodeError> {
        self.input.skip(u64::MAX)?;
        let position = self.input.position();
        Ok((self.input.into_hashing(), position))
    }

    fn header_block(&mut self) -> Result<Option<[u8; BLOCK]>, DecodeError> {
        let position = self.input.position();
        let is_end = |block: &[u8; BLOCK]| block.iter().all(|&byte| byte == 0);
        match self.input.block()? {
            Some(block) if is_end(&block) => match self.input.block()? {
                // A single block of zeros with more behind it is damage, and a way to hide entries.
                Some(second) if !is_end(&second) => Err(malformed(position, Problem::Checksum)),
                Some(_) | None => Ok(None),
            },
            other => Ok(other),
        }
    }

    fn extended(
        &mut self,
        position: u64,
        header: Header<'_>,
        extended: &mut Extended,
    ) -> Result<(), DecodeError> {
        let size = size_field(position, header)?;
        extended.weight = extended.weight.saturating_add(size);
        let limit = self.limits.extended_header;
        let too_long = DecodeError::Limit { what: Limited::ExtendedHeader, limit };
        if extended.weight > limit {
            return Err(too_long);
        }
        // The limit was checked, so this is no way to ask for memory.
        let length = usize::try_from(size).expect("bounded by a limit that is in memory");
        let mut bytes = vec![0; length];
        self.input.exact(&mut bytes)?;
        self.input.skip(size.next_multiple_of(BLOCK as u64) - size)?;
        let records =
            |bytes: &[u8]| Records::parse(bytes).map_err(|_| malformed(position, Problem::Record));
        match header.kind() {
            kind::PAX_GLOBAL => {
                let mut records = records(&bytes)?;
                // Names and lengths belong to one entry; taken from here they would make every entry the same.
                records.retain(|key| {
                    !matches!(key, b"path" | b"linkpath" | b"size")
                        && !key.starts_with(b"GNU.sparse.")
                });
                self.globals.merge(records);
                if self.globals.weight() as u64 > limit {
                    return Err(too_long);
                }
                return Ok(());
            }
            kind::PAX => extended.records.merge(records(&bytes)?),
            kind::GNU_LONG_NAME => extended.name = Some(without_nul(bytes)),
            _ => extended.link = Some(without_nul(bytes)),
        }
        extended.start.get_or_insert(position);
        Ok(())
    }

    fn entry(
        &mut self,
        position: u64,
        header: Header<'_>,
        extended: Extended,
    ) -> Result<Entry, DecodeError> {
        let Extended { start, records: own, name, link, .. } = extended;
        let start = start.unwrap_or(position);
        let mut records = self.globals.clone();
        records.merge(own);
        let records = Fields { records: &records, position };
        let device = match header.kind() {
            kind::CHAR_DEVICE | kind::BLOCK_DEVICE => records.device(header)?,
            _ => (0, 0),
        };
        let metadata = records.metadata(header)?;
        let mut kind = header.kind();
        let stored = match kind {
            // Links and the like have no body, whatever their size field says: GNU tar once put the length of
            // the file there.
            kind::LINK
            | kind::SYMLINK
            | kind::CHAR_DEVICE
            | kind::BLOCK_DEVICE
            | kind::DIRECTORY
            | kind::FIFO => 0,
            _ => match records.records.get("size") {
                Some(size) => records.decimal("size", size)?,
                None => size_field(position, header)?,
            },
        };
        let name = name.unwrap_or_else(|| header.name());
        let mut name = records.text("path", name);
        let padding = stored.next_multiple_of(BLOCK as u64).saturating_sub(stored);
        let pieces = sparse::Reader::new(start, self.limits.sparse_pieces);
        let (map, used) = if kind == kind::GNU_SPARSE {
            kind = kind::FILE;
            (Some(pieces.old(header, stored, &mut self.input)?), 0)
        } else if let Some((map, used)) = pieces.pax(records.records, stored, &mut self.input)? {
            name = records.text("GNU.sparse.name", name);
            (Some(map), used)
        } else {
            (None, 0)
        };
        if matches!(kind, kind::FILE | kind::OLD_FILE) && name.ends_with(b"/") {
            kind = kind::DIRECTORY;
        }
        let sparse = map.is_some();
        let (size, pieces) = match map {
            Some(Map { pieces, size }) => (size, Some((pieces, 0))),
            None => (stored, None),
        };
        if size > self.limits.bytes {
            return Err(DecodeError::Limit { what: Limited::Bytes, limit: self.limits.bytes });
        }
        self.body = Body { stored: stored - used, padding, at: 0, size, pieces };
        let link = link.unwrap_or_else(|| header.link().to_vec());
        let link = records.text("linkpath", link);
        let body = self.input.position();
        Ok(Entry { name, link, kind, metadata, size, device, header: start, body, sparse })
    }
}

impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_body(buffer).map_err(|error| {
            let kind = match &error {
                DecodeError::Read(source) => source.kind(),
                _ => io::ErrorKind::InvalidData,
            };
            let message = error.to_string();
            self.failure = Some(error);
            io::Error::new(kind, message)
        })
    }
}

/// What records and header say together.
struct Fields<'a> {
    records: &'a Records,
    position: u64,
}

impl Fields<'_> {
    fn number(&self, name: &'static str) -> DecodeError {
        malformed(self.position, Problem::Number(name))
    }

    fn text(&self, key: &str, otherwise: Vec<u8>) -> Vec<u8> {
        self.records.get(key).map_or(otherwise, <[u8]>::to_vec)
    }

    fn decimal(&self, name: &'static str, text: &[u8]) -> Result<u64, DecodeError> {
        crate::pax::decimal(text).ok_or_else(|| self.number(name))
    }

    fn id(&self, name: &'static str, field: Option<i64>) -> Result<u32, DecodeError> {
        let value = match self.records.get(name) {
            Some(text) => self.decimal(name, text)?.try_into().ok(),
            None => field.and_then(|field| u32::try_from(field).ok()),
        };
        value.ok_or_else(|| self.number(name))
    }

    fn device(&self, header: Header<'_>) -> Result<(u32, u32), DecodeError> {
        let (major, minor) = header.device().ok_or_else(|| self.number("device"))?;
        match (u32::try_from(major), u32::try_from(minor)) {
            (Ok(major), Ok(minor)) => Ok((major, minor)),
            _ => Err(self.number("device")),
        }
    }

    fn metadata(&self, header: Header<'_>) -> Result<Metadata, DecodeError> {
        let mode = header.mode().ok_or_else(|| self.number("mode"))?;
        let mtime = match self.records.get("mtime") {
            Some(text) => parse_time(text),
            None => header.mtime().map(Timestamp::from_seconds),
        };
        let xattrs = self.records.xattrs();
        Ok(Metadata {
            // Some writers store the type of the file above the permissions.
            mode: u32::try_from(mode & 0o7777).expect("twelve bits"),
            uid: self.id("uid", header.uid())?,
            gid: self.id("gid", header.gid())?,
            mtime: mtime.ok_or_else(|| self.number("mtime"))?,
            xattrs: xattrs.map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
        })
    }
}

fn size_field(position: u64, header: Header<'_>) -> Result<u64, DecodeError> {
    let size = header.size().and_then(|size| u64::try_from(size).ok());
    size.ok_or_else(|| malformed(position, Problem::Number("size")))
}

fn malformed(offset: u64, problem: Problem) -> DecodeError {
    DecodeError::Malformed { offset, problem }
}

fn without_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}
