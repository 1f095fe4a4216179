//! Points in time as image configs write them: RFC 3339.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Is a point in time, with the text it was read from.
///
/// Ordering and [`Timestamp::unix_seconds`] follow the instant; the text (its offset, its trailing zeros) is kept
/// for writing, so that a base image's history comes out as it went in.
#[derive(Debug, Clone)]
pub struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
    text: String,
}

/// Says that a text is not an RFC 3339 time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time of the form `2006-01-02T15:04:05Z`")]
pub struct TimestampError {
    /// The text, cut to a length that fits a message.
    pub text: String,
}

impl Timestamp {
    /// Makes a time from seconds and nanoseconds since 1970, written in UTC as Go writes it.
    ///
    /// Returns `None` outside the years 0 to 9999, which RFC 3339 cannot write, and for a nanosecond of 10⁹ up.
    pub fn from_unix(seconds: i64, nanoseconds: u32) -> Option<Self> {
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        if !(0..=9999).contains(&year) || nanoseconds >= 1_000_000_000 {
            return None;
        }
        let of_day = seconds.rem_euclid(86_400);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if nanoseconds > 0 {
            let digits = format!(".{nanoseconds:09}");
            text.push_str(digits.trim_end_matches('0'));
        }
        text.push('Z');
        Some(Self { seconds, nanoseconds, text })
    }

    /// Counts whole seconds since 1970.
    pub fn unix_seconds(&self) -> i64 {
        self.seconds
    }

    /// Counts nanoseconds of the current second.
    pub fn nanoseconds(&self) -> u32 {
        self.nanoseconds
    }

    /// Borrows the text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn instant(&self) -> (i64, u32) {
        (self.seconds, self.nanoseconds)
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.instant() == other.instant()
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.instant().cmp(&other.instant())
    }
}

impl std::hash::Hash for Timestamp {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.instant().hash(state);
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = parse(text);
        let (seconds, nanoseconds) =
            parsed.ok_or_else(|| TimestampError { text: text.chars().take(60).collect() })?;
        Ok(Self { seconds, nanoseconds, text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<(i64, u32)> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    };
    let is = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|b| wanted.contains(b));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let in_range = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return None;
    }
    let mut at = 19;
    let mut nanoseconds = 0;
    if is(at, b".") {
        let digits = text[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        // Digits past the ninth are smaller than anything here can hold, as in Go.
        let kept = &text[at + 1..at + 1 + digits.min(9)];
        nanoseconds = format!("{kept:0<9}").parse().ok()?;
        at += 1 + digits;
    }
    let offset = match text.get(at..)? {
        "Z" | "z" => 0,
        _ if is(at, b"+-") && is(at + 3, b":") && bytes.len() == at + 6 => {
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3600 + minutes * 60;
            if is(at, b"-") { -seconds } else { seconds }
        }
        _ => return None,
    };
    let days = days_from_civil(year, month, day);
    Some((days * 86_400 + hour * 3600 + minute * 60 + second - offset, nanoseconds))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar, counted in years that begin in March so
/// that the leap day is a year's last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_as_go_does() {
        let table = [
            ("1970-01-01T00:00:00Z", 0, 0, "1970-01-01T00:00:00Z"),
            ("0001-01-01T00:00:00Z", -62_135_596_800, 0, "0001-01-01T00:00:00Z"),
            ("2024-02-29T23:59:59.5Z", 1_709_251_199, 500_000_000, "2024-02-29T23:59:59.5Z"),
            (
                "2023-01-02T03:04:05.000000678Z",
                1_672_628_645,
                678,
                "2023-01-02T03:04:05.000000678Z",
            ),
            ("2023-01-02T03:04:05+02:00", 1_672_621_445, 0, "2023-01-02T01:04:05Z"),
            (
                "2023-01-02T03:04:05.120-05:30",
                1_672_648_445,
                120_000_000,
                "2023-01-02T08:34:05.12Z",
            ),
            ("9999-12-31T23:59:59Z", 253_402_300_799, 0, "9999-12-31T23:59:59Z"),
        ];
        for (text, seconds, nanoseconds, utc) in table {
            let time: Timestamp = text.parse().expect(text);
            assert_eq!((time.unix_seconds(), time.nanoseconds()), (seconds, nanoseconds), "{text}");
            assert_eq!(time.as_str(), text);
            let rewritten = Timestamp::from_unix(seconds, nanoseconds).expect(text);
            assert_eq!(rewritten.as_str(), utc);
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "2023-01-02",
            "2023-13-02T03:04:05Z",
            "2023-02-29T03:04:05Z",
            "2023-01-02T24:00:00Z",
            "2023-01-02T03:04:05",
            "2023-01-02T03:04:05.Z",
            "2023-01-02T03:04:05+2:00",
            "2023-01-02T03:04:05Zx",
            "2023-01-0éT03:04:05Z",
            "+023-01-02T03:04:05Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        assert_eq!(Timestamp::from_unix(253_402_300_800, 0), None);
        assert_eq!(Timestamp::from_unix(0, 1_000_000_000), None);
    }

    proptest::proptest! {
        #[test]
        fn days_and_dates_are_inverse(days in -719_468_i64..2_932_896) {
            let (year, month, day) = civil_from_days(days);
            proptest::prop_assert_eq!(days_from_civil(year, month, day), days);
            proptest::prop_assert!((1..=days_in(year, month)).contains(&day));
        }
    }
}
