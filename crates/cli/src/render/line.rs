//! Lines of styled text, the values that views give.

use std::fmt::Write as _;

/// What a piece of text is; how it looks is decided when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Text,
    Faint,
    Strong,
    Good,
    Warn,
    Bad,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::Faint => "\x1b[2m",
            Self::Strong => "\x1b[1m",
            Self::Good => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[31m",
        }
    }
}

/// Whether colours are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Never,
    Always,
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line(Vec<(Style, String)>);

impl Line {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a piece.
    #[must_use]
    pub(crate) fn with(mut self, style: Style, text: impl Into<String>) -> Self {
        self.0.push((style, text.into()));
        self
    }

    /// Adds a piece without a style.
    #[must_use]
    pub(crate) fn text(self, text: impl Into<String>) -> Self {
        self.with(Style::Text, text)
    }

    /// Cuts the line off after `width` characters.
    #[must_use]
    pub(crate) fn cut(mut self, width: usize) -> Self {
        let length: usize = self.0.iter().map(|(_, text)| text.chars().count()).sum();
        if length <= width {
            return self;
        }
        let mut left = width.saturating_sub(1);
        for (_, text) in &mut self.0 {
            let kept: String = text.chars().take(left).collect();
            left -= kept.chars().count();
            *text = kept;
        }
        self.0.push((Style::Faint, "…".into()));
        self
    }

    /// The line as it is written, without a line end.
    pub(crate) fn render(&self, colour: Colour) -> String {
        let mut out = String::new();
        for (style, text) in &self.0 {
            match (colour, style.code()) {
                (Colour::Never, _) | (_, "") => out.push_str(text),
                (Colour::Always, code) => {
                    write!(out, "{code}{text}\x1b[0m").expect("a string takes everything");
                }
            }
        }
        out.trim_end().to_owned()
    }
}

/// Takes out what could move the cursor or hide text: control characters and escape sequences.
/// Colours stay where `colour` allows them.
pub(crate) fn clean(text: &str, colour: Colour) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    let mut coloured = false;
    while let Some(character) = rest.next() {
        match character {
            '\x1b' => match rest.next() {
                Some('[') => {
                    let mut parameters = String::new();
                    let last = rest.by_ref().find(|&character| {
                        parameters.push(character);
                        ('\x40'..='\x7e').contains(&character)
                    });
                    if last == Some('m') && colour == Colour::Always {
                        coloured = true;
                        out.push_str("\x1b[");
                        out.push_str(&parameters);
                    }
                }
                // Titles and links: up to BEL or to ST.
                Some(']') => {
                    let mut escape = false;
                    rest.by_ref().find(|&character| {
                        let ends = character == '\x07' || (escape && character == '\\');
                        escape = character == '\x1b';
                        ends
                    });
                }
                Some(_) | None => {}
            },
            '\t' => out.push_str("    "),
            character if character.is_control() => {}
            character => out.push(character),
        }
    }
    if coloured {
        out.push_str("\x1b[0m");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_cut_to_the_width() {
        let line = Line::new().text("abc").with(Style::Bad, "def");
        for (width, expected) in [(6, "abcdef"), (5, "abcd…"), (3, "ab…"), (1, "…")] {
            assert_eq!(line.clone().cut(width).render(Colour::Never), expected);
        }
    }

    #[test]
    fn colour_is_written_only_when_wanted() {
        let line = Line::new().text("a ").with(Style::Bad, "b");
        assert_eq!(line.render(Colour::Never), "a b");
        assert_eq!(line.render(Colour::Always), "a \x1b[31mb\x1b[0m");
    }

    #[test]
    fn output_cannot_steer_the_terminal() {
        for (text, plain, coloured) in [
            ("plain", "plain", "plain"),
            ("a\tb", "a    b", "a    b"),
            ("\x1b[31mred", "red", "\x1b[31mred\x1b[0m"),
            ("\x1b[2J\x1b[Hx", "x", "x"),
            ("\x1b]0;title\x07x", "x", "x"),
            ("\x1b]8;;http://a\x1b\\x", "x", "x"),
            ("\x1b(Bx\x08\x07", "Bx", "Bx"),
            ("\x1b[31", "", ""),
        ] {
            assert_eq!(clean(text, Colour::Never), plain, "{text:?}");
            assert_eq!(clean(text, Colour::Always), coloured, "{text:?}");
        }
    }
}
