//! The 512 bytes of a tar header: where each field is, and how numbers and names stand in it.
//!
//! ```text
//!   0 name        100 mode   108 uid    116 gid    124 size   136 mtime  148 checksum  156 type
//! 157 link name   257 magic  263 version           265 uname  297 gname
//! 329 major       337 minor  345 prefix (ustar) | 386 sparse map, 482 more, 483 real size (GNU)
//! ```

use std::ops::Range;

/// Everything in a tar is a multiple of this long.
pub(crate) const BLOCK: usize = 512;

/// Type bytes of headers.
pub(crate) mod kind {
    pub(crate) const FILE: u8 = b'0';
    pub(crate) const OLD_FILE: u8 = 0;
    pub(crate) const LINK: u8 = b'1';
    pub(crate) const SYMLINK: u8 = b'2';
    pub(crate) const CHAR_DEVICE: u8 = b'3';
    pub(crate) const BLOCK_DEVICE: u8 = b'4';
    pub(crate) const DIRECTORY: u8 = b'5';
    pub(crate) const FIFO: u8 = b'6';
    pub(crate) const CONTIGUOUS_FILE: u8 = b'7';
    pub(crate) const PAX: u8 = b'x';
    pub(crate) const PAX_GLOBAL: u8 = b'g';
    pub(crate) const GNU_LONG_NAME: u8 = b'L';
    pub(crate) const GNU_LONG_LINK: u8 = b'K';
    pub(crate) const GNU_SPARSE: u8 = b'S';
    pub(crate) const GNU_DIRECTORY_LIST: u8 = b'D';
    pub(crate) const GNU_VOLUME: u8 = b'V';
}

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const KIND: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..265;
const MAJOR: Range<usize> = 329..337;
const MINOR: Range<usize> = 337..345;
const PREFIX: Range<usize> = 345..500;
const STAR_PREFIX: Range<usize> = 345..476;
const STAR_TRAILER: Range<usize> = 508..512;

/// The largest number of a seven-digit octal field: ids, devices.
pub(crate) const MAX_ID: u64 = 0o777_7777;
/// The largest number of an eleven-digit octal field: sizes, times.
pub(crate) const MAX_SIZE: u64 = 0o777_7777_7777;

/// A header to be written. Values that a field cannot hold must stand in PAX records; the field then gets
/// what fits.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) prefix: &'a [u8],
    pub(crate) name: &'a [u8],
    pub(crate) link: &'a [u8],
    pub(crate) kind: u8,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    pub(crate) mtime: i64,
    pub(crate) device: Option<(u32, u32)>,
}

impl Fields<'_> {
    pub(crate) fn to_block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mtime = u64::try_from(self.mtime).unwrap_or(0);
        text(&mut block[NAME], self.name);
        octal(&mut block[MODE], u64::from(self.mode & 0o7777));
        octal(&mut block[UID], u64::from(self.uid).min(MAX_ID));
        octal(&mut block[GID], u64::from(self.gid).min(MAX_ID));
        octal(&mut block[SIZE], self.size.min(MAX_SIZE));
        octal(&mut block[MTIME], mtime.min(MAX_SIZE));
        block[KIND] = self.kind;
        text(&mut block[LINK], self.link);
        text(&mut block[MAGIC], b"ustar\x0000");
        let (major, minor) = self.device.unwrap_or_default();
        octal(&mut block[MAJOR], u64::from(major).min(MAX_ID));
        octal(&mut block[MINOR], u64::from(minor).min(MAX_ID));
        text(&mut block[PREFIX], self.prefix);
        let sum = checksum(&block);
        // Six digits, NUL, space: the form that POSIX names and every writer uses.
        octal(&mut block[CHECKSUM.start..CHECKSUM.end - 1], sum);
        block[CHECKSUM.end - 1] = b' ';
        block
    }
}

fn text(field: &mut [u8], value: &[u8]) {
    let length = value.len().min(field.len());
    field[..length].copy_from_slice(&value[..length]);
}

/// Digits with leading zeros and a NUL at the end.
fn octal(field: &mut [u8], mut value: u64) {
    let digits = field.len() - 1;
    for byte in field[..digits].iter_mut().rev() {
        *byte = b'0' + (value & 7) as u8;
        value >>= 3;
    }
    field[digits] = 0;
}

/// The sum of all bytes, the checksum itself taken as spaces.
fn checksum(block: &[u8; BLOCK]) -> u64 {
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    let own: u64 = block[CHECKSUM].iter().map(|&byte| u64::from(byte)).sum();
    sum - own + 8 * u64::from(b' ')
}

/// A header that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header<'a>(pub(crate) &'a [u8; BLOCK]);

impl<'a> Header<'a> {
    /// Whether the checksum is right, summed as unsigned bytes or, as some old programs did, as signed ones.
    pub(crate) fn is_intact(self) -> bool {
        let unsigned = checksum(self.0).cast_signed();
        let high = self.0[..CHECKSUM.start].iter().chain(&self.0[CHECKSUM.end..]);
        let signed = unsigned - high.map(|&byte| i64::from(byte & 0x80) * 2).sum::<i64>();
        number(&self.0[CHECKSUM]).is_some_and(|sum| sum == unsigned || sum == signed)
    }

    pub(crate) fn kind(self) -> u8 {
        self.0[KIND]
    }

    /// The whole name, put together from prefix and name where the format has a prefix.
    pub(crate) fn name(self) -> Vec<u8> {
        let name = until_nul(&self.0[NAME]);
        // GNU archives have `ustar  ` here, and other fields where the prefix would be.
        let prefix = if self.0[MAGIC].starts_with(b"ustar\0") {
            let star = &self.0[STAR_TRAILER] == b"tar\0";
            until_nul(&self.0[if star { STAR_PREFIX } else { PREFIX }])
        } else {
            &[]
        };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub(crate) fn link(self) -> &'a [u8] {
        until_nul(&self.0[LINK])
    }

    pub(crate) fn mode(self) -> Option<i64> {
        number(&self.0[MODE])
    }

    pub(crate) fn uid(self) -> Option<i64> {
        number(&self.0[UID])
    }

    pub(crate) fn gid(self) -> Option<i64> {
        number(&self.0[GID])
    }

    pub(crate) fn size(self) -> Option<i64> {
        number(&self.0[SIZE])
    }

    pub(crate) fn mtime(self) -> Option<i64> {
        number(&self.0[MTIME])
    }

    pub(crate) fn device(self) -> Option<(i64, i64)> {
        Some((number(&self.0[MAJOR])?, number(&self.0[MINOR])?))
    }

    /// The old GNU sparse map in the header: up to four pieces, whether more blocks of them follow, and how
    /// long the file is with its holes.
    pub(crate) fn gnu_sparse(self) -> (&'a [u8], bool, Option<i64>) {
        (&self.0[386..482], self.0[482] != 0, number(&self.0[483..495]))
    }
}

fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    &field[..end]
}

/// A numeric field: octal digits between spaces and NULs, or GNU's base 256 for what is large or negative.
/// An empty field is 0, as it is in old archives.
pub(crate) fn number(field: &[u8]) -> Option<i64> {
    match field {
        [first, rest @ ..] if first & 0x80 != 0 => {
            let negative = first & 0x40 != 0;
            let start = if negative { -1 } else { 0 };
            let first = i128::from(first & 0x3f) - if negative { 0x40 } else { 0 };
            let mut value: i128 = if negative { first } else { start + first };
            for &byte in rest {
                value = (value << 8) | i128::from(byte);
                if i64::try_from(value).is_err() {
                    return None;
                }
            }
            i64::try_from(value).ok()
        }
        _ => {
            let blank = |byte: &u8| *byte == b' ' || *byte == 0;
            let start = field.iter().position(|byte| !blank(byte)).unwrap_or(field.len());
            let field = &field[start..];
            let end = field.iter().position(blank).unwrap_or(field.len());
            field[..end].iter().try_fold(0_i64, |value, &digit| match digit {
                b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
                _ => None,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_spelling() {
        for (field, expected) in [
            (b"0000644\0".as_slice(), Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"00000644", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", Some(0)),
            (b"0000648\0", None),
            (b"-000001\0", None),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\x80\0\0\0\xff\xff\xff\xff", Some(0xffff_ffff)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\xc0\0\0\0\0\0\0\0\0\0\0\0", None),
        ] {
            assert_eq!(number(field), expected, "{}", field.escape_ascii());
        }
    }

    #[test]
    fn checksums_of_both_signs_pass() {
        let fields = Fields { name: b"\xff\xfe", kind: kind::FILE, ..Fields::default() };
        let mut block = fields.to_block();
        assert!(Header(&block).is_intact());
        let signed = checksum(&block) - 2 * 256;
        octal(&mut block[CHECKSUM.start..CHECKSUM.end - 1], signed);
        assert!(Header(&block).is_intact());
        block[0] = b'a';
        assert!(!Header(&block).is_intact());
    }
}
