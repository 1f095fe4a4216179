//! Sizes with a unit: `64m`, `1gb`, `512`.

/// What is wrong with a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a size: a whole number with `b`, `k`, `m`, `g` or `t`, as in `64m`")]
pub(crate) struct SizeError {
    text: String,
}

/// Reads a number of bytes; units are powers of 1024, as for `docker build --shm-size`.
pub(crate) fn parse(text: &str) -> Result<u64, SizeError> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|character: char| !character.is_ascii_digit());
    let shift = match &lower[digits.len()..] {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(SizeError { text: text.to_owned() }),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| SizeError { text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_has_a_unit() {
        for (text, expected) in [
            ("512", Some(512)),
            ("1b", Some(1)),
            ("64m", Some(64 << 20)),
            ("64MB", Some(64 << 20)),
            ("1GiB", Some(1 << 30)),
            ("", None),
            ("m", None),
            ("-1", None),
            ("1.5g", None),
            ("1x", None),
            ("99999999999t", None),
        ] {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }
}
