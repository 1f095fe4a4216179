//! What a live view shows: lines that stay, and lines that are drawn anew.

use std::time::Duration;

use strata_build::event::{Event, StepNumber, Transfer};

use super::line::{Colour, Line, Style, clean};
use super::state::{Blob, Phase, State, Step};
use super::unit;

/// The column at which the text after the verb begins.
const VERB: usize = 12;
/// Output lines below a running step.
const OUTPUT: usize = 4;
/// Cells of a bar.
const BAR: usize = 24;

/// The room that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// The lines that an event adds for good; `state` has the event already.
pub(crate) fn settled(state: &State, event: &Event) -> Vec<Line> {
    match event {
        Event::Resolved { reference, digest } => {
            let text = format!("{reference} is {}", unit::short(digest));
            vec![verb(Style::Faint, "resolved").with(Style::Faint, text)]
        }
        Event::StepCached { step } => of_step(state, *step, Style::Good, "cached", ""),
        Event::StepFinished { step, milliseconds } => {
            let took = unit::duration(Duration::from_millis(*milliseconds));
            of_step(state, *step, Style::Good, "done", &took)
        }
        Event::StepFailed { step } => of_step(state, *step, Style::Bad, "failed", ""),
        Event::StepMissed { step: _, reason: Some(reason) } => {
            vec![verb(Style::Faint, "changed").with(Style::Faint, reason)]
        }
        Event::Warning { message, line } => {
            let place = line.map(|line| format!(" (line {line})")).unwrap_or_default();
            vec![verb(Style::Warn, "warning").text(format!("{message}{place}"))]
        }
        Event::Exported { kind, destination } => {
            vec![verb(Style::Good, "exported").text(exported(kind, destination))]
        }
        Event::Pushed { reference, digest } => {
            vec![verb(Style::Good, "pushed").text(format!("{reference}@{digest}"))]
        }
        Event::Finished { digest, milliseconds } => {
            let took = unit::duration(Duration::from_millis(*milliseconds));
            vec![verb(Style::Good, "finished").text(format!("{digest} in {took}"))]
        }
        Event::Planned { .. }
        | Event::StepStarted { .. }
        | Event::StepMissed { reason: None, .. }
        | Event::Output { .. }
        | Event::Blob { .. }
        | Event::LayerUploading { .. }
        | Event::LayerSealed { .. } => Vec::new(),
    }
}

/// The lines that show what goes on now; never more than the room allows.
pub(crate) fn live(state: &State, size: Size, now: Duration) -> Vec<Line> {
    let running: Vec<(&Step, Duration)> = state
        .steps
        .values()
        .filter_map(|step| match step.phase {
            Phase::Running { since, .. } => Some((step, since)),
            Phase::Waiting | Phase::Cached | Phase::Done { .. } | Phase::Failed { .. } => None,
        })
        .collect();
    let moving: Vec<&Blob> = state.blobs.iter().filter(|blob| !blob.ended).collect();
    // One line is the summary, one stays free so that the terminal does not scroll.
    let room = size.height.saturating_sub(2);
    let heads = running.len() + moving.len();
    let output = room.saturating_sub(heads).checked_div(running.len()).unwrap_or(0).min(OUTPUT);

    let mut lines = Vec::new();
    for (step, since) in running {
        lines.push(
            verb(Style::Strong, "running")
                .text(format!("{} {}", state.label(&step.planned), one_line(&step.planned.text)))
                .with(Style::Faint, format!(" {}", unit::duration(now.saturating_sub(since)))),
        );
        let skipped = step.tail.len().saturating_sub(output);
        for text in step.tail.iter().skip(skipped) {
            let indent = " ".repeat(VERB + 1);
            lines.push(
                Line::new().with(Style::Faint, format!("{indent}| {}", clean(text, Colour::Never))),
            );
        }
    }
    lines.extend(moving.iter().map(|blob| bar(blob)));
    lines.truncate(room);
    if let Some(summary) = summary(state, now) {
        lines.push(summary);
    }
    lines.into_iter().map(|line| line.cut(size.width)).collect()
}

/// What is done with a blob, as a verb in the present and in the past.
pub(crate) fn transfer(transfer: Transfer) -> (&'static str, &'static str) {
    match transfer {
        Transfer::Download => ("downloading", "downloaded"),
        Transfer::Unpack => ("unpacking", "unpacked"),
        Transfer::Index => ("indexing", "indexed"),
        Transfer::Upload => ("uploading", "uploaded"),
        Transfer::Mount => ("mounting", "mounted"),
        Transfer::AlreadyThere => ("checking", "already there"),
    }
}

/// An output in words; an image without a name is in the store by its digest alone.
pub(crate) fn exported(kind: &str, destination: &str) -> String {
    if destination.is_empty() { kind.to_owned() } else { format!("{kind} to {destination}") }
}

/// An instruction on one line: a heredoc's or a continued one's further lines are left out.
pub(crate) fn one_line(text: &str) -> String {
    let mut lines = text.lines();
    let first = clean(lines.next().unwrap_or_default(), Colour::Never);
    if lines.next().is_some() { format!("{} …", first.trim_end()) } else { first }
}

fn verb(style: Style, word: &str) -> Line {
    Line::new().with(style, format!("{word:>VERB$} "))
}

fn of_step(state: &State, step: StepNumber, style: Style, word: &str, took: &str) -> Vec<Line> {
    let Some(step) = state.steps.get(&step) else { return Vec::new() };
    let text = format!("{} {} ", state.label(&step.planned), one_line(&step.planned.text));
    vec![verb(style, word).text(text).with(Style::Faint, took)]
}

fn bar(blob: &Blob) -> Line {
    let (word, _) = transfer(blob.transfer);
    let line = verb(Style::Strong, word).text(unit::short(&blob.digest));
    match blob.total {
        None => line.with(Style::Faint, format!(" {}", unit::bytes(blob.current))),
        Some(total) => {
            let share =
                u128::from(blob.current.min(total)) * BAR as u128 / u128::from(total.max(1));
            let filled = usize::try_from(share).unwrap_or(BAR);
            let (current, total) = (unit::bytes(blob.current), unit::bytes(total));
            line.text(format!(" [{}{}]", "=".repeat(filled), " ".repeat(BAR - filled)))
                .with(Style::Faint, format!(" {current} of {total}"))
        }
    }
}

fn summary(state: &State, now: Duration) -> Option<Line> {
    if state.steps.is_empty() && state.blobs.is_empty() {
        return None;
    }
    let done = state.steps.values().filter(|step| match step.phase {
        Phase::Cached | Phase::Done { .. } => true,
        Phase::Waiting | Phase::Running { .. } | Phase::Failed { .. } => false,
    });
    let steps = match state.steps.len() {
        0 => String::new(),
        all => format!(", {} of {all} steps", done.count()),
    };
    let text = format!("{}{steps}", unit::duration(now));
    Some(verb(Style::Strong, "building").with(Style::Faint, text))
}
