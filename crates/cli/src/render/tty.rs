//! The live view: what is settled scrolls away upwards, what goes on is drawn anew below it.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use strata_build::event::Event;

use super::Renderer;
use super::line::{Colour, Line};
use super::state::State;
use super::view::{self, Size};

/// Draws on a terminal. The cursor is never hidden, so that nothing is to be put right when the
/// program is killed.
pub(crate) struct Tty<W> {
    out: W,
    colour: Colour,
    size: Box<dyn Fn() -> Size + Send>,
    /// How many lines of the live view stand on the screen.
    drawn: usize,
}

impl<W: Write + Send> Tty<W> {
    /// Draws to `out`; `size` is asked before each drawing.
    pub(crate) fn new(out: W, colour: Colour, size: Box<dyn Fn() -> Size + Send>) -> Self {
        Self { out, colour, size, drawn: 0 }
    }

    /// Replaces the live view by lines that stay and a new live view, in one write.
    fn draw(&mut self, settled: &[Line], live: &[Line]) -> io::Result<()> {
        let mut frame = String::new();
        if self.drawn > 0 {
            // To the first line of the view, and clear from there.
            write!(frame, "\x1b[{}A\r", self.drawn).expect("a string takes everything");
        }
        frame.push_str("\x1b[J");
        for line in settled {
            frame.push_str(&line.render(self.colour));
            frame.push('\n');
        }
        // A live line must be one line on the screen, however wide the terminal thinks its
        // characters are: no wrapping.
        frame.push_str("\x1b[?7l");
        for line in live {
            frame.push_str(&line.render(self.colour));
            frame.push('\n');
        }
        frame.push_str("\x1b[?7h");
        self.drawn = live.len();
        self.out.write_all(frame.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write + Send> Renderer for Tty<W> {
    fn event(&mut self, state: &State, event: &Event) -> io::Result<()> {
        let settled = view::settled(state, event);
        // The live view comes with the next tick; between the two there is none.
        if settled.is_empty() { Ok(()) } else { self.draw(&settled, &[]) }
    }

    fn tick(&mut self, state: &State, now: Duration) -> io::Result<()> {
        let live = view::live(state, (self.size)(), now);
        self.draw(&[], &live)
    }

    fn end(&mut self, _state: &State) -> io::Result<()> {
        self.draw(&[], &[])
    }
}
