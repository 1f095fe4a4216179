//! From blocks to compressed bytes, the same bytes whatever the number of threads.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use flate2::{Compress, Crc, FlushCompress};
use strata_oci::Compression;

use super::EncodeError;
use super::blocks::{Block, LENGTH};
use super::noise::{self, Run};
use super::uniform;

// How much of the block before a deflate block may refer to: the whole window of the format.
const DICTIONARY: usize = 32 << 10;

// A zstd job. It is fixed because the default grows with the level and the window.
const ZSTD_JOB: u32 = 8 << 20;

/// A compression with its level checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Gzip { level: u32 },
    Zstd { level: i32 },
}

impl Codec {
    pub(crate) fn new(compression: Compression, level: Option<i32>) -> Result<Self, EncodeError> {
        let unknown = |level| EncodeError::Level { compression, level };
        match (compression, level) {
            (Compression::None, None) => Ok(Self::None),
            (Compression::None, Some(level)) => Err(unknown(level)),
            (Compression::Gzip, level) => {
                let level = level.unwrap_or(6);
                match u32::try_from(level) {
                    Ok(level @ 0..=9) => Ok(Self::Gzip { level }),
                    _ => Err(unknown(level)),
                }
            }
            (Compression::Zstd, level) => match level.unwrap_or(3) {
                level @ 1..=22 => Ok(Self::Zstd { level }),
                level => Err(unknown(level)),
            },
        }
    }
}

/// Takes blocks until there are no more and writes them to `out`, compressed.
///
/// Blocks in flight are bounded by the number of threads. When `out` fails the function returns, which drops
/// `blocks` and so stops whoever sends them.
pub(crate) fn compress(
    codec: Codec,
    threads: usize,
    blocks: &Receiver<Block>,
    out: &mut dyn Write,
) -> Result<(), EncodeError> {
    let threads = threads.max(1);
    match codec {
        Codec::None => {
            blocks.iter().try_for_each(|block| out.write_all(&block)).map_err(EncodeError::Write)
        }
        Codec::Gzip { level } => gzip(level, threads, blocks, out),
        Codec::Zstd { level } => zstd(level, threads, blocks, out),
    }
}

fn zstd(
    level: i32,
    threads: usize,
    blocks: &Receiver<Block>,
    out: &mut dyn Write,
) -> Result<(), EncodeError> {
    let workers = u32::try_from(threads).unwrap_or(u32::MAX).min(64);
    let mut encoder = zstd::stream::raw::Encoder::new(level).map_err(EncodeError::Compress)?;
    // One worker is not the same as none: only jobs of a fixed length give the same bytes on every machine.
    for parameter in [
        zstd::zstd_safe::CParameter::NbWorkers(workers),
        zstd::zstd_safe::CParameter::JobSize(ZSTD_JOB),
        zstd::zstd_safe::CParameter::ChecksumFlag(true),
    ] {
        encoder.set_parameter(parameter).map_err(EncodeError::Compress)?;
    }
    let mut encoder = zstd::stream::write::Encoder::with_encoder(out, encoder);
    // The encoder gives its own errors and those of `out` through one type; a full disk is the likely one.
    blocks.iter().try_for_each(|block| encoder.write_all(&block)).map_err(EncodeError::Write)?;
    encoder.finish().map(drop).map_err(EncodeError::Write)
}

/// A block for a worker, and where its result goes.
struct Job {
    block: Block,
    before: Option<Block>,
    done: SyncSender<io::Result<Deflated>>,
}

struct Deflated {
    bytes: Vec<u8>,
    checksum: Crc,
}

/// One gzip member. Each block is deflated on its own, with the end of the block before it as dictionary, and
/// ends with a sync flush, which brings the bit stream to a byte boundary, so that blocks can be joined; two
/// bytes at the end are an empty last deflate block. Noise within a block is stored.
fn gzip(
    level: u32,
    threads: usize,
    blocks: &Receiver<Block>,
    out: &mut dyn Write,
) -> Result<(), EncodeError> {
    // No name, no time, unknown operating system.
    out.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]).map_err(EncodeError::Write)?;
    let checksum = thread::scope(|scope| {
        // Workers share one queue; its end stops them.
        let (jobs, queue) = sync_channel::<Job>(threads);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..threads {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name(format!("strata-deflate-{number}"))
                .spawn_scoped(scope, move || work(level, &queue))
                .map_err(EncodeError::Thread)?;
        }
        drop(queue);
        let mut checksum = Crc::new();
        let mut pending = VecDeque::new();
        let mut before = None;
        for block in blocks {
            let (done, result) = sync_channel(1);
            let job = Job { block: Arc::clone(&block), before: before.replace(block), done };
            // The queue outlives this loop, because workers end only with it.
            jobs.send(job).expect("workers wait for jobs");
            pending.push_back(result);
            if pending.len() > 2 * threads {
                write_first(&mut pending, &mut checksum, out)?;
            }
        }
        while !pending.is_empty() {
            write_first(&mut pending, &mut checksum, out)?;
        }
        Ok(checksum)
    })?;
    let mut end = vec![3, 0];
    end.extend_from_slice(&checksum.sum().to_le_bytes());
    end.extend_from_slice(&checksum.amount().to_le_bytes());
    out.write_all(&end).map_err(EncodeError::Write)
}

fn write_first(
    pending: &mut VecDeque<Receiver<io::Result<Deflated>>>,
    checksum: &mut Crc,
    out: &mut dyn Write,
) -> Result<(), EncodeError> {
    let Some(result) = pending.pop_front() else { return Ok(()) };
    let deflated = result.recv().expect("a worker answers every job");
    let deflated = deflated.map_err(EncodeError::Compress)?;
    checksum.combine(&deflated.checksum);
    out.write_all(&deflated.bytes).map_err(EncodeError::Write)
}

fn work(level: u32, queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { block, before, done }) = job else { return };
        let dictionary = before
            .as_deref()
            .map_or(&[][..], |before| &before[before.len().saturating_sub(DICTIONARY)..]);
        let deflated = deflate(level, dictionary, &block);
        // Nobody waits any more when writing has failed.
        drop(done.send(deflated));
    }
}

/// What comes out depends on nothing but these. A compressor that is reset still holds what it had before, and zlib-rs
/// looks past the end of its input for matches: each block gets one of its own, which costs little if any is needed.
fn deflate(level: u32, dictionary: &[u8], block: &[u8]) -> io::Result<Deflated> {
    let mut compressor = None;
    let mut deflate_run = |dictionary: &[u8], run: &[u8], bytes: &mut Vec<u8>| {
        let new = || Compress::new(flate2::Compression::new(level), false);
        deflate_run(compressor.get_or_insert_with(new), dictionary, run, bytes)
    };
    let mut bytes = Vec::with_capacity(LENGTH / 2);
    for run in noise::runs(block) {
        match run {
            Run::Noise(range) => store(&block[range], &mut bytes),
            Run::Plain(range) if uniform::is_uniform(&block[range.clone()]) => {
                uniform::deflate(block[range.start], range.len(), &mut bytes);
            }
            // All of what may be referred to, for a block in one piece.
            Run::Plain(range) if range.start == 0 => {
                deflate_run(dictionary, &block[range], &mut bytes)?;
            }
            Run::Plain(range) => {
                // Taking up a dictionary costs as much as deflating it: a short run must not pay for a long one.
                let reach = range.start.min(DICTIONARY).min(2 * range.len());
                let dictionary = &block[range.start - reach..range.start];
                deflate_run(dictionary, &block[range], &mut bytes)?;
            }
        }
    }
    let mut checksum = Crc::new();
    checksum.update(block);
    Ok(Deflated { bytes, checksum })
}

/// Deflate blocks that hold bytes as they are. They begin and end at a border between bytes.
fn store(run: &[u8], bytes: &mut Vec<u8>) {
    for piece in run.chunks(usize::from(u16::MAX)) {
        let length = u16::try_from(piece.len()).expect("no more than that");
        bytes.push(0);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&(!length).to_le_bytes());
        bytes.extend_from_slice(piece);
    }
}

/// Deflate blocks that begin and end at a border between bytes.
fn deflate_run(
    compressor: &mut Compress,
    dictionary: &[u8],
    run: &[u8],
    bytes: &mut Vec<u8>,
) -> io::Result<()> {
    compressor.reset();
    if !dictionary.is_empty() {
        compressor.set_dictionary(dictionary)?;
    }
    let begun = compressor.total_in();
    loop {
        let taken = usize::try_from(compressor.total_in() - begun).expect("no more than a block");
        bytes.reserve(1024);
        compressor.compress_vec(&run[taken..], bytes, FlushCompress::Sync)?;
        // Room left after a flush means that all of it is out.
        let all = compressor.total_in() - begun == run.len() as u64;
        if all && bytes.len() < bytes.capacity() {
            return Ok(());
        }
        bytes.reserve(LENGTH / 4);
    }
}
