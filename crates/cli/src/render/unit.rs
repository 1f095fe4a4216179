//! Numbers for people: times, bytes, short digests.

use std::time::Duration;

use strata_oci::Digest;

/// `0.3s`, `12.0s`, `2m 05s`, `1h 02m`.
pub(crate) fn duration(time: Duration) -> String {
    let tenths = time.as_millis() / 100;
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{}.{}s", tenths / 10, tenths % 10),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// `812 B`, `3.4 kB`, `12.0 MB`: powers of 1000, as registries count.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if number < 1000 {
        return format!("{number} B");
    }
    // Tenths of the unit, cut off: no float, and never `1000.0 kB`.
    let (mut tenths, mut unit) = (number / 100, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `sha256:0123456789ab`.
pub(crate) fn short(digest: &Digest) -> String {
    digest.to_string().chars().take("sha256:".len() + 12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_short() {
        for (milliseconds, text) in [
            (0, "0.0s"),
            (349, "0.3s"),
            (59_999, "59.9s"),
            (60_000, "1m 00s"),
            (125_000, "2m 05s"),
            (3_720_000, "1h 02m"),
        ] {
            assert_eq!(duration(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn bytes_have_a_unit() {
        for (number, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_999, "999.9 kB"),
            (12_345_678, "12.3 MB"),
            (u64::MAX, "18446.7 PB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }
}
