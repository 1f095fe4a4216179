//! The bytes of a file, on their way to the disk.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use rustix::fs::{SeekFrom, copy_file_range, ioctl_ficlone, seek};
use rustix::io::Errno;

/// A run of zeros of this length becomes a hole: one block of most file systems.
const BLOCK: usize = 4096;

const BUFFER: usize = 32 * BLOCK;

/// Tells two contents apart without keeping either: `SipHash` with keys that are drawn once per process and
/// never shown, so that nobody can make two contents that collide; by chance it is one in 2^64.
///
/// It is never stored. A cryptographic digest would cost several times as much and gain nothing here.
pub(crate) type Fingerprint = u64;

/// Where the bytes come from.
pub(crate) enum Body<'a> {
    Stream(&'a mut dyn Read),
    /// A file of our own, which the kernel can copy by itself.
    File(File),
}

/// Writes `size` bytes to an empty file, with holes where there are only zeros.
pub(crate) fn write(
    body: Body<'_>,
    size: u64,
    out: &File,
    keys: Option<&RandomState>,
) -> io::Result<Option<Fingerprint>> {
    match body {
        Body::Stream(stream) => write_stream(stream, size, out, keys),
        Body::File(mut file) => match clone(&file, size, out) {
            Ok(()) => {
                seek(&file, SeekFrom::Start(0))?;
                keys.map(|keys| fingerprint(&mut file, keys)).transpose()
            }
            Err(_) => {
                // Other file systems, or an older kernel: what was copied is written again.
                out.set_len(0)?;
                seek(&file, SeekFrom::Start(0))?;
                write_stream(&mut file, size, out, keys)
            }
        },
    }
}

fn write_stream(
    stream: &mut dyn Read,
    size: u64,
    out: &File,
    keys: Option<&RandomState>,
) -> io::Result<Option<Fingerprint>> {
    let mut hasher = keys.map(BuildHasher::build_hasher);
    let length = BUFFER.min(usize::try_from(size).unwrap_or(BUFFER)).max(1);
    let mut buffer = vec![0; length];
    let mut offset = 0;
    let mut holes = false;
    while offset < size {
        let wanted = length.min(usize::try_from(size - offset).unwrap_or(length));
        let filled = fill(stream, &mut buffer[..wanted])?;
        if filled < wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let piece = &buffer[..filled];
        if let Some(hasher) = &mut hasher {
            hasher.write(piece);
        }
        holes |= write_piece(out, piece, offset)?;
        offset += filled as u64;
    }
    if holes {
        out.set_len(size)?;
    }
    Ok(hasher.map(|hasher| hasher.finish()))
}

/// Writes what is not zero, in runs; tells whether something was left out.
fn write_piece(out: &File, piece: &[u8], offset: u64) -> io::Result<bool> {
    let mut run: Option<usize> = None;
    let mut holes = false;
    for (index, block) in piece.chunks(BLOCK).enumerate() {
        let start = index * BLOCK;
        if block.len() == BLOCK && block.iter().all(|&byte| byte == 0) {
            holes = true;
            if let Some(from) = run.take() {
                out.write_all_at(&piece[from..start], offset + from as u64)?;
            }
        } else if run.is_none() {
            run = Some(start);
        }
    }
    if let Some(from) = run {
        out.write_all_at(&piece[from..], offset + from as u64)?;
    }
    Ok(holes)
}

/// Reads until the buffer is full, so that pieces have the same borders however the bytes arrive.
fn fill(stream: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Shares the blocks where the file system can, and copies them inside the kernel where not.
fn clone(file: &File, size: u64, out: &File) -> io::Result<()> {
    if file.metadata()?.len() != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if size > 0 && ioctl_ficlone(out, file).is_ok() {
        return Ok(());
    }
    let mut offset = 0;
    while offset < size {
        let start = match seek(file, SeekFrom::Data(offset)) {
            Ok(start) => start,
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let end = seek(file, SeekFrom::Hole(start))?.min(size);
        let (mut from, mut to) = (start, start);
        while from < end {
            let length = usize::try_from(end - from).unwrap_or(usize::MAX);
            if copy_file_range(file, Some(&mut from), out, Some(&mut to), length)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        offset = end;
    }
    out.set_len(size)
}

/// The fingerprint of what is left to read of a file.
pub(crate) fn fingerprint(file: &mut File, keys: &RandomState) -> io::Result<Fingerprint> {
    let mut hasher = keys.build_hasher();
    let mut buffer = vec![0; BUFFER];
    loop {
        match fill(file, &mut buffer)? {
            0 => return Ok(hasher.finish()),
            filled => hasher.write(&buffer[..filled]),
        }
    }
}

/// Whether two files hold the same bytes.
pub(crate) fn same_bytes(one: &mut File, other: &mut File) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; BUFFER], vec![0; BUFFER]);
    loop {
        let filled = fill(one, &mut left)?;
        if fill(other, &mut right)? != filled || left[..filled] != right[..filled] {
            return Ok(false);
        }
        if filled == 0 {
            return Ok(true);
        }
    }
}
