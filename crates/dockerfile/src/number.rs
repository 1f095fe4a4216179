//! Numbers as Go writes them: booleans, integers, sizes and durations.

use std::time::Duration;

/// A boolean as Go's `strconv.ParseBool`.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// An unsigned number without a sign, as Go's `strconv.ParseUint`.
pub(crate) fn unsigned(text: &str, radix: u32) -> Option<u32> {
    if text.starts_with('+') {
        return None;
    }
    u32::from_str_radix(text, radix).ok()
}

/// A size in bytes: a decimal number and a unit of powers of 1024, as Docker reads `10m`, `1.5 GiB`.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let digits = text.rfind(|last: char| last.is_ascii_digit() || last == '.')?;
    let (amount, unit) = text.split_at(digits + 1);
    if !amount.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let power = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit) {
        "" if unit != "ib" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let unit = 1_u64 << (10 * power);
    if let Ok(whole) = amount.parse::<u64>() {
        return whole.checked_mul(unit);
    }
    let amount: f64 = amount.parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "a power of two is exact")]
    let size = amount * unit as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and below 2^63"
    )]
    (size < 9.2e18).then_some(size as u64)
}

/// Whether a duration is below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Positive,
    Negative,
}

/// A duration as Go's `time.ParseDuration`: `1h2m3.5s`, units ns, us, ms, s, m, h; a lone `0`.
///
/// `None` when it is not one.
pub(crate) fn duration(text: &str) -> Option<(Sign, Duration)> {
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (Sign::Negative, &text[1..]),
        b'+' => (Sign::Positive, &text[1..]),
        _ => (Sign::Positive, text),
    };
    if rest == "0" {
        return Some((Sign::Positive, Duration::ZERO));
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|next: char| !next.is_ascii_digit() && next != '.')?;
        let (number, after) = rest.split_at(number_end);
        let unit_end =
            after.find(|next: char| next.is_ascii_digit() || next == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let nanoseconds: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 20 {
            return None;
        }
        total += whole.parse().unwrap_or(0_u128) * nanoseconds;
        // Beyond 18 digits a fraction of an hour is less than a nanosecond.
        let fraction = &fraction[..fraction.len().min(18)];
        if !fraction.is_empty() {
            let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
            total += fraction.parse::<u128>().ok()? * nanoseconds / scale;
        }
        if total > i64::MAX as u128 {
            return None;
        }
        rest = after;
    }
    Some((sign, Duration::from_nanos(u64::try_from(total).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("10", Some(10)),
            ("10b", Some(10)),
            ("1k", Some(1024)),
            ("1KB", Some(1024)),
            ("2MiB", Some(2 << 20)),
            ("1.5g", Some(3 << 29)),
            ("1 g", Some(1 << 30)),
            ("-1", None),
            ("1.2.3", None),
            ("1x", None),
            ("1ib", None),
            ("m", None),
            ("", None),
            ("99999999999999999999p", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn durations() {
        let positive = |value| Some((Sign::Positive, value));
        let ms = |value| positive(Duration::from_millis(value));
        for (text, expected) in [
            ("0", ms(0)),
            ("1s", ms(1000)),
            ("1m30s", ms(90_000)),
            ("1.5h", ms(5_400_000)),
            (".5s", ms(500)),
            ("1.s", ms(1000)),
            ("0.5ms", positive(Duration::from_micros(500))),
            ("1µs", positive(Duration::from_micros(1))),
            ("+2s", ms(2000)),
            ("-2s", Some((Sign::Negative, Duration::from_secs(2)))),
            ("2", None),
            ("s", None),
            (".s", None),
            ("1x", None),
            ("1..5s", None),
            ("", None),
            ("9999999h", None),
        ] {
            assert_eq!(duration(text), expected, "{text}");
        }
    }

    #[test]
    fn booleans_and_integers() {
        assert_eq!(boolean("True"), Some(true));
        assert_eq!(boolean("tRUE"), None);
        assert_eq!(unsigned("0755", 8), Some(0o755));
        assert_eq!(unsigned("+1", 10), None);
        assert_eq!(unsigned("4294967296", 10), None);
    }
}
