//! Names of signals, for STOPSIGNAL.

const NAMES: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

/// Whether a text is a signal: a number other than 0, or a name in any case, with or without `SIG`.
pub(crate) fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<i64>() {
        return number != 0;
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |prefix: &str, last: u32| {
        let number = name.strip_prefix(prefix)?;
        let plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
        plain.then(|| number.parse().ok()).flatten().filter(|number| (1..=last).contains(number))
    };
    NAMES.contains(&name) || real_time("RTMIN+", 15).or(real_time("RTMAX-", 14)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, expected) in [
            ("SIGKILL", true),
            ("kill", true),
            ("9", true),
            ("0", false),
            ("-1", true),
            ("RTMIN+15", true),
            ("RTMIN+16", false),
            ("RTMAX-14", true),
            ("SIGRTMAX-15", false),
            ("RTMIN+01", false),
            ("SIGNOPE", false),
            ("", false),
        ] {
            assert_eq!(is_signal(text), expected, "{text}");
        }
    }
}
