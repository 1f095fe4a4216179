//! One JSON object a line, on standard output: the events as they are.

use std::io::{self, Write};

use strata_build::event::Event;

use super::Renderer;
use super::state::State;

/// Writes events.
#[derive(Debug)]
pub(crate) struct Json<W> {
    out: W,
}

impl<W: Write + Send> Json<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Renderer for Json<W> {
    fn event(&mut self, _state: &State, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.out.flush()
    }
}
