//! PAX extended header records: `<length> <key>=<value>\n`, where the value is any bytes.

use std::collections::BTreeMap;

use strata_tree::Timestamp;

/// What extended attributes are filed under. Every reader of layers knows this prefix, which comes from star.
pub(crate) const XATTR: &[u8] = b"SCHILY.xattr.";

/// Records by key; one key has one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Records(BTreeMap<Vec<u8>, Vec<u8>>);

/// Bytes that are no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Records {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key.as_bytes()).map(Vec::as_slice)
    }

    pub(crate) fn set(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.0.insert(key.into(), value.into());
    }

    /// All extended attributes by name.
    pub(crate) fn xattrs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let from = self.0.range(XATTR.to_vec()..);
        let named =
            from.map_while(|(key, value)| Some((key.strip_prefix(XATTR)?, value.as_slice())));
        named.filter(|(name, _)| !name.is_empty())
    }

    /// How many bytes keys and values take.
    pub(crate) fn weight(&self) -> usize {
        self.0.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    /// Takes over the records of `newer`. An empty value takes a record away, except that an extended
    /// attribute may well be empty.
    pub(crate) fn merge(&mut self, newer: Self) {
        for (key, value) in newer.0 {
            if value.is_empty() && !key.starts_with(XATTR) {
                self.0.remove(&key);
            } else {
                self.0.insert(key, value);
            }
        }
    }

    /// Keeps the records whose key passes.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        self.0.retain(|key, _| keep(key));
    }

    /// All records in the order of their keys.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (key, value) in &self.0 {
            // The length counts itself.
            let rest = key.len() + value.len() + 3;
            let mut length = rest + digits(rest);
            length = rest + digits(length);
            bytes.extend_from_slice(length.to_string().as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(key);
            bytes.push(b'=');
            bytes.extend_from_slice(value);
            bytes.push(b'\n');
        }
        bytes
    }

    /// Reads records. Repeated keys are taken in order, so that the last one counts; the pairs of GNU's first
    /// sparse format (0.0), which repeat two keys for every piece, are put together into the list that its
    /// successor (0.1) has.
    pub(crate) fn parse(mut bytes: &[u8]) -> Result<Self, Malformed> {
        let mut records = Self::default();
        let mut sparse: Vec<u8> = Vec::new();
        // Some writers pad the last block's records with NULs and count those.
        while bytes.first().is_some_and(|&byte| byte != 0) {
            let space = bytes.iter().position(|&byte| byte == b' ').ok_or(Malformed)?;
            let length = decimal(&bytes[..space]).ok_or(Malformed)?;
            let length = usize::try_from(length).map_err(|_| Malformed)?;
            let record = bytes.get(space + 1..length).ok_or(Malformed)?;
            let record = record.strip_suffix(b"\n").ok_or(Malformed)?;
            let equals = record.iter().position(|&byte| byte == b'=').ok_or(Malformed)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            if key.is_empty() {
                return Err(Malformed);
            }
            if key == b"GNU.sparse.offset" || key == b"GNU.sparse.numbytes" {
                if !sparse.is_empty() {
                    sparse.push(b',');
                }
                sparse.extend_from_slice(value);
            } else {
                records.set(key, value);
            }
            bytes = &bytes[length..];
        }
        if !sparse.is_empty() {
            records.set("GNU.sparse.map", sparse);
        }
        Ok(records)
    }
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// Plain digits: no sign, no blanks.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |value, &digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

const SECOND: u32 = 1_000_000_000;

/// `-1.5` for half past the second before last: decimal, no more digits than needed.
pub(crate) fn format_time(time: Timestamp) -> String {
    let (mut seconds, mut nanoseconds) = (i128::from(time.seconds), time.nanoseconds);
    let negative = seconds < 0;
    if negative {
        // The fraction counts away from zero in decimal notation, forwards in a timestamp.
        seconds = -seconds;
        if nanoseconds > 0 {
            seconds -= 1;
            nanoseconds = SECOND - nanoseconds;
        }
    }
    let sign = if negative { "-" } else { "" };
    if nanoseconds == 0 {
        return format!("{sign}{seconds}");
    }
    let fraction = format!("{nanoseconds:09}");
    format!("{sign}{seconds}.{}", fraction.trim_end_matches('0'))
}

/// Reads what [`format_time`] writes; digits past the ninth are dropped.
pub(crate) fn parse_time(text: &[u8]) -> Option<Timestamp> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let dot = text.iter().position(|&byte| byte == b'.').unwrap_or(text.len());
    let seconds = i128::from(decimal(&text[..dot])?);
    let fraction = text.get(dot + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut nanoseconds = 0;
    for at in 0..9 {
        nanoseconds =
            nanoseconds * 10 + fraction.get(at).map_or(0, |digit| u32::from(digit - b'0'));
    }
    let (seconds, nanoseconds) = match (negative, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, SECOND - nanoseconds),
    };
    Some(Timestamp { seconds: i64::try_from(seconds).ok()?, nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "0"),
            (1, 500_000_000, "1.5"),
            (1, 1, "1.000000001"),
            (-1, 0, "-1"),
            (-1, 500_000_000, "-0.5"),
            (-2, 500_000_000, "-1.5"),
            (-2, 999_999_999, "-1.000000001"),
            (i64::MAX, 999_999_999, "9223372036854775807.999999999"),
            (i64::MIN, 0, "-9223372036854775808"),
            (i64::MIN, 1, "-9223372036854775807.999999999"),
        ] {
            let time = Timestamp { seconds, nanoseconds };
            assert_eq!(format_time(time), text);
            assert_eq!(parse_time(text.as_bytes()), Some(time), "{text}");
        }
    }

    #[test]
    fn times_of_other_writers() {
        for (text, expected) in [
            ("1.", Some((1, 0))),
            ("1.1234567899", Some((1, 123_456_789))),
            ("-0", Some((0, 0))),
            ("9223372036854775808", None),
            ("1.x", None),
            ("+1", None),
            (".5", None),
            ("", None),
            ("1 ", None),
        ] {
            let expected =
                expected.map(|(seconds, nanoseconds)| Timestamp { seconds, nanoseconds });
            assert_eq!(parse_time(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn lengths_count_themselves() {
        for length in [0, 1, 2, 3, 4, 5, 6, 88, 89, 90, 91, 92, 93, 989, 990, 991, 992, 9985, 9990]
        {
            let mut records = Records::default();
            records.set("a", vec![b'\n'; length]);
            let bytes = records.to_bytes();
            let space = bytes.iter().position(|&byte| byte == b' ').expect("a space");
            assert_eq!(decimal(&bytes[..space]), Some(bytes.len() as u64));
            assert_eq!(Records::parse(&bytes), Ok(records), "{length}");
        }
    }

    #[test]
    fn malformed_records_are_refused() {
        for bytes in [
            b"5 a=1\n".as_slice(),
            b"7 a=1\n",
            b"6 a=1x",
            b"6 a1x\n",
            b" 6 a=1\n",
            b"-6 a=1\n",
            b"99999999999999999999 a=1\n",
            b"3 =\n",
            b"4 =\n\n",
            b"0 a=1\n",
            b"1 a=1\n",
            b"6",
        ] {
            assert_eq!(Records::parse(bytes), Err(Malformed), "{}", bytes.escape_ascii());
        }
        assert_eq!(Records::parse(b"\0\0"), Ok(Records::default()));
    }

    #[test]
    fn an_empty_value_takes_away_except_an_attribute() {
        let mut records = Records::parse(b"8 uid=7\n19 SCHILY.xattr.u=\n").expect("records");
        records.merge(Records::parse(b"7 uid=\n19 SCHILY.xattr.v=\n").expect("records"));
        let names: Vec<_> = records.xattrs().map(|(name, _)| name).collect();
        assert_eq!((records.get("uid"), names), (None, vec![b"u".as_slice(), b"v"]));
    }
}
