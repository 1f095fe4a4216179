//! Pieces of a command's output, put together to lines.

/// A longer line is broken, so that a command that writes no line end takes no memory.
const LONGEST: usize = 16 << 10;

/// What was written since the last line end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Partial(String);

impl Partial {
    /// Takes a piece and gives the lines that it completes.
    ///
    /// A carriage return takes the cursor back: of a line that was written over, the last state
    /// counts.
    pub(crate) fn push(&mut self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in text.split_inclusive('\n') {
            self.0.push_str(piece);
            if piece.ends_with('\n') || self.0.len() >= LONGEST {
                lines.extend(self.flush());
            }
        }
        lines
    }

    /// Gives the line that has no end yet.
    pub(crate) fn flush(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.0);
        if line.is_empty() {
            return None;
        }
        let line = line.trim_end_matches(['\n', '\r']);
        Some(line.rsplit('\r').next().unwrap_or(line).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines() {
        let mut partial = Partial::default();
        for (piece, expected) in [
            ("a", vec![]),
            ("b\nc", vec!["ab"]),
            ("\n\n", vec!["c", ""]),
            ("10%\r20%\r", vec![]),
            ("30%\r\n", vec!["30%"]),
            ("end", vec![]),
        ] {
            assert_eq!(partial.push(piece), expected, "{piece:?}");
        }
        assert_eq!(partial.flush(), Some("end".to_owned()));
        assert_eq!(partial.flush(), None);
    }

    #[test]
    fn endless_line_is_broken() {
        let mut partial = Partial::default();
        assert_eq!(partial.push(&"x".repeat(LONGEST)).len(), 1);
        assert_eq!(partial.flush(), None);
    }
}
