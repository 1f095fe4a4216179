//! A writer that puts the time before each line.

use std::io::{self, Write};

/// Says what time it is, as it is to stand there.
pub(crate) type Clock = fn() -> String;

/// Puts the time of its beginning before each line.
#[derive(Debug)]
pub(crate) struct Stamped<W> {
    out: W,
    clock: Clock,
    line_begins: bool,
}

impl<W: Write> Stamped<W> {
    pub(crate) fn new(out: W, clock: Clock) -> Self {
        Self { out, clock, line_begins: true }
    }
}

impl<W: Write> Write for Stamped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line_begins {
                write!(self.out, "{} ", (self.clock)())?;
            }
            self.out.write_all(line)?;
            self.line_begins = line.ends_with(b"\n");
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The time in UTC, to the second.
pub(crate) fn utc() -> String {
    let now = jiff::Timestamp::now();
    jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%SZ", now).unwrap_or_else(|_| now.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stands_before_each_line_once() {
        let mut stamped = Stamped::new(Vec::new(), || "T".to_owned());
        for text in ["a", "b\nc\n", "\n", ""] {
            stamped.write_all(text.as_bytes()).expect("memory takes it");
        }
        assert_eq!(stamped.out, b"T ab\nT c\nT \n");
        assert_eq!(utc().len(), "2026-01-01T00:00:00Z".len());
    }
}
