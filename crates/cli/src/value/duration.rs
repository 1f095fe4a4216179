//! Times with units: `14d`, `336h`, `1h30m`.

use std::time::Duration;

/// What is wrong with a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a time: whole numbers with `w`, `d`, `h`, `m` or `s`, as in `14d` or `1h30m`"
)]
pub(crate) struct DurationError {
    text: String,
}

/// Reads a time: numbers, each with its unit.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError { text: text.to_owned() };
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(error());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| error())?;
        let unit: u64 = match rest[digits..].chars().next() {
            Some('w') => 7 * 24 * 60 * 60,
            Some('d') => 24 * 60 * 60,
            Some('h') => 60 * 60,
            Some('m') => 60,
            Some('s') => 1,
            Some(_) | None => return Err(error()),
        };
        let seconds = number.checked_mul(unit).ok_or_else(error)?;
        total = total.checked_add(Duration::from_secs(seconds)).ok_or_else(error)?;
        rest = &rest[digits + 1..];
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_has_units() {
        for (text, expected) in [
            ("0s", Some(0)),
            ("90s", Some(90)),
            ("1h30m", Some(5400)),
            ("336h", Some(14 * 86_400)),
            ("14d", Some(14 * 86_400)),
            ("2w", Some(14 * 86_400)),
            ("", None),
            ("7", None),
            ("h", None),
            ("1.5h", None),
            ("1y", None),
            ("-1h", None),
            ("99999999999999999w", None),
        ] {
            assert_eq!(parse(text).ok(), expected.map(Duration::from_secs), "{text}");
        }
    }
}
