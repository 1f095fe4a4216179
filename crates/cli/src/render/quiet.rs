//! Nothing but the digest of the result, on standard output.

use std::io::{self, Write};

use strata_build::event::Event;

use super::Renderer;
use super::state::State;

/// Writes the digest.
#[derive(Debug)]
pub(crate) struct Quiet<W> {
    out: W,
}

impl<W: Write + Send> Quiet<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Renderer for Quiet<W> {
    fn event(&mut self, _state: &State, event: &Event) -> io::Result<()> {
        match event {
            Event::Finished { digest, .. } => {
                writeln!(self.out, "{digest}")?;
                self.out.flush()
            }
            Event::Planned { .. }
            | Event::Resolved { .. }
            | Event::StepStarted { .. }
            | Event::StepCached { .. }
            | Event::StepMissed { .. }
            | Event::StepFinished { .. }
            | Event::StepFailed { .. }
            | Event::Output { .. }
            | Event::Blob { .. }
            | Event::LayerUploading { .. }
            | Event::LayerSealed { .. }
            | Event::Warning { .. }
            | Event::Exported { .. }
            | Event::Pushed { .. } => Ok(()),
        }
    }
}
