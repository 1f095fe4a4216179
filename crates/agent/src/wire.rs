//! The strings and numbers of the SSH protocols (RFC 4251 section 5).
//!
//! ```text
//! uint32  4 bytes, most significant first
//! string  uint32 length, bytes
//! mpint   a string that holds a two's complement number, most significant byte first, no more bytes than needed
//! ```

/// What is left of a message.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn number(&mut self) -> Option<u32> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*taken))
    }

    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    /// A number that is not negative, without leading zeros.
    pub(crate) fn magnitude(&mut self) -> Option<&'a [u8]> {
        let bytes = self.string()?;
        if bytes.first().is_some_and(|first| first & 0x80 != 0) {
            return None;
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Some(&bytes[zeros..])
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Adds a `uint32`.
pub(crate) fn put_number(into: &mut Vec<u8>, number: u32) {
    into.extend(number.to_be_bytes());
}

/// Adds a `string`.
pub(crate) fn put_string(into: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("keys and signatures are far below 4 GiB");
    put_number(into, length);
    into.extend(bytes);
}

/// Adds an `mpint` that is not negative.
pub(crate) fn put_magnitude(into: &mut Vec<u8>, bytes: &[u8]) {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut shortest = bytes[zeros..].to_vec();
    if shortest.first().is_some_and(|first| first & 0x80 != 0) {
        shortest.insert(0, 0);
    }
    put_string(into, &shortest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_are_as_short_as_can_be() {
        // The examples of RFC 4251, and one with zeros in front.
        for (bytes, expected) in [
            (&[][..], &[0, 0, 0, 0][..]),
            (
                &[0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7],
                &[0, 0, 0, 8, 0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7],
            ),
            (&[0x80], &[0, 0, 0, 2, 0, 0x80]),
            (&[0, 0, 1], &[0, 0, 0, 1, 1]),
        ] {
            let mut written = Vec::new();
            put_magnitude(&mut written, bytes);
            assert_eq!(written, expected);
        }
    }

    #[test]
    fn what_is_too_short_or_negative_is_nothing() {
        assert_eq!(Reader::new(&[0, 0, 0, 2, 1]).string(), None);
        assert_eq!(Reader::new(&[0, 0, 0]).number(), None);
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 1]).string(), None);
        assert_eq!(Reader::new(&[0, 0, 0, 1, 0x80]).magnitude(), None);
        assert_eq!(Reader::new(&[0, 0, 0, 2, 0, 0x80]).magnitude(), Some(&[0x80][..]));
    }
}
