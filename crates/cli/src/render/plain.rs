//! Lines that are only ever appended, in the manner of `docker build --progress plain`.
//!
//! ```text
//! #3 [builder 2/5] RUN make
//! #3 0.123 cc -c main.c
//! #3 DONE 1.2s
//! ```

use std::io::{self, Write};
use std::time::Duration;

use strata_build::event::{Event, StepNumber};

use super::Renderer;
use super::line::{Colour, Line, Style, clean};
use super::state::{Phase, State, Step};
use super::{unit, view};

/// Appends lines.
#[derive(Debug)]
pub(crate) struct Plain<W> {
    out: W,
    colour: Colour,
}

impl<W: Write + Send> Plain<W> {
    pub(crate) fn new(out: W, colour: Colour) -> Self {
        Self { out, colour }
    }
}

impl<W: Write + Send> Renderer for Plain<W> {
    fn event(&mut self, state: &State, event: &Event) -> io::Result<()> {
        let mut text = String::new();
        for line in lines(state, event, self.colour) {
            text.push_str(&line.render(self.colour));
            text.push('\n');
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

/// The lines of one event; `state` has it already.
pub(crate) fn lines(state: &State, event: &Event, colour: Colour) -> Vec<Line> {
    let mut lines = fresh(state, colour);
    lines.extend(match event {
        Event::Resolved { reference, digest } => {
            vec![Line::new().text(format!("resolved {reference} is {digest}"))]
        }
        Event::StepStarted { step } => vec![head(state, *step)],
        Event::StepCached { step } => {
            vec![head(state, *step), end(*step, Style::Good, "CACHED", None)]
        }
        Event::StepMissed { step, reason: Some(reason) } => {
            vec![numbered(*step).with(Style::Faint, format!("not cached: {reason}"))]
        }
        Event::StepFinished { step, milliseconds } => {
            let took = Duration::from_millis(*milliseconds);
            vec![end(*step, Style::Good, "DONE", Some(took))]
        }
        Event::StepFailed { step } => {
            let after = state.steps.get(step).and_then(|step| match step.phase {
                Phase::Failed { after } => Some(after),
                Phase::Waiting | Phase::Running { .. } | Phase::Cached | Phase::Done { .. } => None,
            });
            vec![end(*step, Style::Bad, "ERROR", after)]
        }
        Event::LayerUploading { .. } => Vec::new(),
        Event::LayerSealed { step, digest, diff_id: _, size, uncompressed } => {
            let (size, uncompressed) = (unit::bytes(*size), unit::bytes(*uncompressed));
            let text = format!("layer {digest}, {size} ({uncompressed} uncompressed)");
            vec![numbered(*step).with(Style::Faint, text)]
        }
        Event::Blob { .. } => state
            .blobs
            .iter()
            .filter(|blob| blob.just_ended)
            .map(|blob| {
                let (_, word) = view::transfer(blob.transfer);
                let size = match blob.total.unwrap_or(blob.current) {
                    0 => String::new(),
                    size => format!(", {}", unit::bytes(size)),
                };
                Line::new().with(Style::Faint, format!("blob {} {word}{size}", blob.digest))
            })
            .collect(),
        Event::Warning { message, line } => {
            let place = line.map(|line| format!(" (line {line})")).unwrap_or_default();
            vec![Line::new().with(Style::Warn, "warning").text(format!(": {message}{place}"))]
        }
        Event::Exported { kind, destination } => {
            vec![Line::new().text(format!("exported {}", view::exported(kind, destination)))]
        }
        Event::Pushed { reference, digest } => {
            vec![Line::new().text(format!("pushed {reference}@{digest}"))]
        }
        Event::Finished { digest, milliseconds } => {
            let took = unit::duration(Duration::from_millis(*milliseconds));
            vec![Line::new().text(format!("finished {digest} in {took}"))]
        }
        Event::Planned { .. } | Event::StepMissed { reason: None, .. } | Event::Output { .. } => {
            Vec::new()
        }
    });
    lines
}

/// Lines of output that the event completed.
fn fresh(state: &State, colour: Colour) -> Vec<Line> {
    let mut lines = Vec::new();
    for (number, step) in &state.steps {
        let time = clock(step);
        lines.extend(step.fresh.iter().map(|text| {
            numbered(*number).with(Style::Faint, time.clone()).text(clean(text, colour))
        }));
    }
    lines
}

/// `0.123 `, the time since the step began.
fn clock(step: &Step) -> String {
    let time = match step.phase {
        Phase::Running { since, now } => now.saturating_sub(since),
        Phase::Done { took } => took,
        Phase::Failed { after } => after,
        Phase::Waiting | Phase::Cached => Duration::ZERO,
    };
    format!("{}.{:03} ", time.as_secs(), time.subsec_millis())
}

fn numbered(step: StepNumber) -> Line {
    Line::new().with(Style::Faint, format!("#{} ", step.0))
}

fn head(state: &State, number: StepNumber) -> Line {
    let Some(step) = state.steps.get(&number) else { return numbered(number) };
    let (label, text) = (state.label(&step.planned), view::one_line(&step.planned.text));
    numbered(number).with(Style::Strong, format!("{label} {text}"))
}

fn end(step: StepNumber, style: Style, word: &str, took: Option<Duration>) -> Line {
    let took = took.map(|took| format!(" {}", unit::duration(took))).unwrap_or_default();
    numbered(step).with(style, word).text(took)
}
