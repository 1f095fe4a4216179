//! What a program's file says about how it is loaded. Every number in it is the image's, and believed only
//! within bounds.
//!
//! ```text
//! 0   7f 45 4c 46 | class | data | … | kind (16) | machine (18)
//! 24  entry | 32  where the table of segments is | 54  size of a row | 56  rows
//! row: kind | flags | offset | address | … | size in the file | size in memory | alignment
//! ```

use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::io::Errno;

pub(super) const PAGE: u64 = 4096;

/// Above are the kernel's own addresses.
const HIGHEST: u64 = 0x7fff_ffff_f000;

const HEADER: usize = 64;
const ROW: usize = 56;

/// As many rows as the kernel takes: what fits into 64 KiB.
const MOST_ROWS: usize = 65536 / ROW;

/// Segments are mapped one by one.
const MOST_LOADS: usize = 64;

const LONGEST_PATH: u64 = 4096;

const X86_64: u16 = 62;
const FIXED: u16 = 2;
const SHARED: u16 = 3;

const LOAD: u32 = 1;
const INTERPRETER: u32 = 3;

/// A program or an interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Elf {
    /// Where it begins, relative to where it is put.
    pub(super) entry: u64,
    pub(super) position: Position,
    /// What is mapped, in order, without overlaps of files' pages that the kernel would refuse.
    pub(super) loads: Vec<Load>,
    /// Where its table of segments is in memory, relative to where it is put, and how many rows it has.
    pub(super) table: (u64, u64),
    /// Which program loads it.
    pub(super) interpreter: Option<Vec<u8>>,
}

/// Where a program can be put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// Only at the addresses it names.
    Fixed,
    /// Anywhere, in steps of this.
    Anywhere { alignment: u64 },
}

/// A part of the file that is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) in_file: u64,
    pub(super) in_memory: u64,
    /// `PROT_READ` and so on.
    pub(super) protection: u64,
}

impl Load {
    pub(super) fn end(&self) -> u64 {
        self.address + self.in_memory
    }
}

impl Elf {
    /// Reads it; `ENOEXEC` if it is none that this machine executes.
    pub(super) fn read(file: &File) -> Result<Self, Errno> {
        let mut header = [0; HEADER];
        read_at(file, &mut header, 0)?;
        let (entry, kind, offset, rows) = parse_header(&header)?;
        let mut table = vec![0; rows * ROW];
        read_at(file, &mut table, offset)?;
        let interpreter = match interpreter(&table)? {
            Some((offset, size)) => {
                let mut path = vec![0; usize::try_from(size).map_err(|_| Errno::NOEXEC)?];
                read_at(file, &mut path, offset)?;
                let end = path.iter().position(|&byte| byte == 0).ok_or(Errno::NOEXEC)?;
                path.truncate(end);
                Some(path)
            }
            None => None,
        };
        Self::parse(entry, kind, offset, &table, interpreter)
    }

    fn parse(
        entry: u64,
        kind: u16,
        table_offset: u64,
        table: &[u8],
        interpreter: Option<Vec<u8>>,
    ) -> Result<Self, Errno> {
        let (loads, alignment) = loads(table)?;
        let position =
            if kind == FIXED { Position::Fixed } else { Position::Anywhere { alignment } };
        let in_memory = loads.iter().find_map(|load| {
            let within = table_offset.checked_sub(load.offset)?;
            (within < load.in_file).then_some(load.address + within)
        });
        if entry > HIGHEST {
            return Err(Errno::NOEXEC);
        }
        let rows = (table.len() / ROW) as u64;
        Ok(Self { entry, position, loads, table: (in_memory.unwrap_or(0), rows), interpreter })
    }

    /// From the first page to behind the last.
    pub(super) fn span(&self) -> (u64, u64) {
        let first = self.loads.iter().map(|load| down(load.address)).min().unwrap_or(0);
        let last = self.loads.iter().map(|load| up(load.end())).max().unwrap_or(0);
        (first, last)
    }
}

/// The start of the page of an address.
pub(super) fn down(address: u64) -> u64 {
    address & !(PAGE - 1)
}

/// The start of the page behind an address, unless it is one.
pub(super) fn up(address: u64) -> u64 {
    down(address + PAGE - 1)
}

fn parse_header(header: &[u8; HEADER]) -> Result<(u64, u16, u64, usize), Errno> {
    // Of 64 bits, little endian.
    let magic = header.starts_with(b"\x7fELF\x02\x01");
    let (kind, machine) = (half(header, 16), half(header, 18));
    let (row, rows) = (usize::from(half(header, 54)), usize::from(half(header, 56)));
    let understood = magic && machine == X86_64 && (kind == FIXED || kind == SHARED);
    if !understood || row != ROW || rows == 0 || rows > MOST_ROWS {
        return Err(Errno::NOEXEC);
    }
    Ok((long(header, 24), kind, long(header, 32), rows))
}

fn interpreter(table: &[u8]) -> Result<Option<(u64, u64)>, Errno> {
    let Some(row) = table.chunks_exact(ROW).find(|row| word(row, 0) == INTERPRETER) else {
        return Ok(None);
    };
    let (offset, size) = (long(row, 8), long(row, 32));
    if (2..=LONGEST_PATH).contains(&size) { Ok(Some((offset, size))) } else { Err(Errno::NOEXEC) }
}

fn loads(table: &[u8]) -> Result<(Vec<Load>, u64), Errno> {
    let mut loads: Vec<Load> = Vec::new();
    let mut alignment = PAGE;
    for row in table.chunks_exact(ROW).filter(|row| word(row, 0) == LOAD) {
        let flags = word(row, 4);
        let load = Load {
            offset: long(row, 8),
            address: long(row, 16),
            in_file: long(row, 32),
            in_memory: long(row, 40),
            // The bits are the other way round.
            protection: u64::from((flags & 4) >> 2 | flags & 2 | (flags & 1) << 2),
        };
        let end = load.address.checked_add(load.in_memory).filter(|&end| end <= HIGHEST - PAGE);
        let in_file = load.offset.checked_add(load.in_file);
        let sound = load.in_file <= load.in_memory
            && end.is_some()
            && in_file.is_some_and(|end| i64::try_from(end).is_ok())
            && load.address % PAGE == load.offset % PAGE
            && loads.last().is_none_or(|before| before.end() <= load.address);
        if !sound || loads.len() == MOST_LOADS {
            return Err(Errno::NOEXEC);
        }
        let wanted = long(row, 48);
        // More than the largest pages there are is nobody's need.
        if wanted.is_power_of_two() && wanted <= 1 << 30 {
            alignment = alignment.max(wanted);
        }
        loads.push(load);
    }
    if loads.is_empty() { Err(Errno::NOEXEC) } else { Ok((loads, alignment)) }
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> Result<(), Errno> {
    file.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Errno::NOEXEC,
        _ => Errno::from_io_error(&error).unwrap_or(Errno::NOEXEC),
    })
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap_or_default())
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default())
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn row(kind: u32, flags: u32, numbers: [u64; 6]) -> Vec<u8> {
        let [offset, address, in_file, in_memory, alignment, physical] = numbers;
        let mut row = [kind.to_le_bytes(), flags.to_le_bytes()].concat();
        for number in [offset, address, physical, in_file, in_memory, alignment] {
            row.extend(number.to_le_bytes());
        }
        row
    }

    fn program(kind: u16, rows: &[Vec<u8>]) -> Vec<u8> {
        let mut header = b"\x7fELF\x02\x01\x01".to_vec();
        header.resize(16, 0);
        header.extend([kind, X86_64].map(u16::to_le_bytes).concat());
        header.extend(1_u32.to_le_bytes());
        header.extend([0x1010_u64, HEADER as u64, 0].map(u64::to_le_bytes).concat());
        header.extend(0_u32.to_le_bytes());
        let count = u16::try_from(rows.len()).unwrap_or(0);
        header.extend([64, 56, count, 0, 0, 0].map(u16::to_le_bytes).concat());
        header.extend(rows.concat());
        header.resize(8192, 0);
        header
    }

    fn read(bytes: &[u8]) -> Result<Elf, Errno> {
        let mut file = tempfile::tempfile().expect("a temporary file can be made");
        file.write_all(bytes).expect("it can be written");
        Elf::read(&file)
    }

    #[test]
    fn segments_and_interpreter_are_read() {
        let rows = [
            row(INTERPRETER, 4, [0x400, 0x400, 9, 9, 1, 0]),
            row(LOAD, 5, [0, 0, 0x800, 0x800, 0x1000, 0]),
            row(LOAD, 6, [0x1800, 0x3800, 0x100, 0x2000, 0x20_0000, 0]),
        ];
        let mut bytes = program(SHARED, &rows);
        bytes[0x400..0x409].copy_from_slice(b"/lib/ld.\0");
        let load = |offset, address, in_file, in_memory, protection| Load {
            offset,
            address,
            in_file,
            in_memory,
            protection,
        };
        let expected = Elf {
            entry: 0x1010,
            position: Position::Anywhere { alignment: 0x20_0000 },
            loads: vec![load(0, 0, 0x800, 0x800, 5), load(0x1800, 0x3800, 0x100, 0x2000, 3)],
            table: (64, 3),
            interpreter: Some(b"/lib/ld.".to_vec()),
        };
        assert_eq!(expected.span(), (0, 0x6000));
        assert_eq!(read(&bytes), Ok(expected));
    }

    /// Each byte that is looked at, changed: what comes out is an error or within bounds.
    #[test]
    fn changed_bytes_stay_within_bounds() {
        let rows = [
            row(INTERPRETER, 4, [0x400, 0x400, 9, 9, 1, 0]),
            row(LOAD, 5, [0, 0x1000, 0x800, 0x800, 0x1000, 0]),
            row(LOAD, 6, [0x1800, 0x3800, 0x100, 0x2000, 0x20_0000, 0]),
        ];
        let sound = program(SHARED, &rows);
        for index in 0..HEADER + rows.concat().len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = sound.clone();
                bytes[index] = value;
                if let Ok(elf) = read(&bytes) {
                    let (first, last) = elf.span();
                    assert!(first < last && last <= HIGHEST, "{index} {value}: {elf:?}");
                }
            }
        }
    }

    #[test]
    fn hostile_numbers_are_refused() {
        let one = |numbers| vec![row(LOAD, 5, numbers)];
        let sound = [0, 0x40_0000, 0x100, 0x100, 0x1000, 0];
        assert!(read(&program(FIXED, &one(sound))).is_ok());
        let cases: [(&str, Vec<u8>); 11] = [
            ("nothing", Vec::new()),
            ("half a header", program(FIXED, &one(sound))[..40].to_vec()),
            ("32 bits", [b"\x7fELF\x01".as_slice(), &program(FIXED, &one(sound))[5..]].concat()),
            ("an object file", program(1, &one(sound))),
            ("no segments", program(FIXED, &[])),
            ("more in the file", program(FIXED, &one([0, 0, 0x101, 0x100, 0x1000, 0]))),
            ("the kernel's", program(FIXED, &one([0, HIGHEST, 0x100, 0x100, 0x1000, 0]))),
            ("around", program(FIXED, &one([0, 0x1000, 0x100, u64::MAX, 0x1000, 0]))),
            ("around in the file", program(FIXED, &one([!0xfff, 0, 1, 1, 0, 0]))),
            ("crooked", program(FIXED, &one([1, 0x40_0000, 0x100, 0x100, 0x1000, 0]))),
            (
                "a long interpreter",
                program(
                    FIXED,
                    &[row(INTERPRETER, 4, [0, 0, 5000, 5000, 1, 0]), row(LOAD, 5, sound)],
                ),
            ),
        ];
        for (name, bytes) in cases {
            assert_eq!(read(&bytes), Err(Errno::NOEXEC), "{name}");
        }
    }
}
