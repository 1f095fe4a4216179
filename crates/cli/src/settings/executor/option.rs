//! One option of kaniko's executor: how it is written, and what it comes to.

use super::draft::Draft;

/// How an option is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// `--option`, `--option=true` or `--option=false`.
    Switch,
    /// A value, which the help calls this.
    Text(&'static str),
}

/// What an option comes to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Effect {
    /// It sets something of the build; a complaint says what is wrong with the value.
    Sets(fn(&mut Draft, &str) -> Result<(), String>),
    /// It has nothing to set here, for this reason.
    NotNeeded(&'static str),
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KanikoOption {
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    /// Spellings of older versions.
    pub(crate) deprecated: &'static [&'static str],
    /// The variable that stands in for it.
    pub(crate) variable: Option<&'static str>,
    pub(crate) takes: Takes,
    pub(crate) heading: &'static str,
    /// For `--help`.
    pub(crate) help: &'static str,
    pub(crate) effect: Effect,
}

/// Reads a truth value as Go does, and so kaniko.
pub(crate) fn truth(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("it is neither `true` nor `false`".to_owned()),
    }
}

/// Reads a duration as Go writes it, `1h30m`, into seconds.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || "it is not a duration such as `336h` or `1h30m`".to_owned();
    let mut rest = text;
    let mut total = 0_u64;
    if rest == "0" {
        return Ok(0);
    }
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let unit = rest.find(|character: char| character.is_ascii_digit()).unwrap_or(rest.len());
        let factor = match &rest[..unit] {
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            _ => return Err(wrong()),
        };
        total = number
            .checked_mul(factor)
            .and_then(|more| total.checked_add(more))
            .ok_or_else(wrong)?;
        rest = &rest[unit..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_read_as_go_writes_it() {
        for (text, expected) in [
            ("336h", Some(1_209_600)),
            ("1h30m", Some(5400)),
            ("90s", Some(90)),
            ("0", Some(0)),
            ("", None),
            ("5", None),
            ("h", None),
            ("1d", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(seconds(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn truth_is_read_as_by_go() {
        for (text, expected) in
            [("true", Some(true)), ("0", Some(false)), ("yes", None), ("", None)]
        {
            assert_eq!(truth(text).ok(), expected, "{text}");
        }
    }
}
