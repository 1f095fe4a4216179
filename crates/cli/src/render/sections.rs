//! Lines in sections that GitLab's job log can fold, one for each stage.
//!
//! ```text
//! ESC[0Ksection_start:1700000000:strata_1700000000_1 CR ESC[0K stage builder
//! #3 [builder 2/5] RUN make
//! ESC[0Ksection_end:1700000060:strata_1700000000_1 CR ESC[0K
//! ```
//!
//! Sections cannot overlap, and stages run side by side: while one is open, the lines of others wait.

use std::collections::VecDeque;
use std::io::{self, Write};

use strata_build::event::{Event, StepNumber};

use super::Renderer;
use super::line::Colour;
use super::plain;
use super::state::{Phase, State};

/// Says what time it is, in seconds since 1970.
pub(crate) type Clock = fn() -> i64;

/// Appends lines, and folds those of a stage together.
#[derive(Debug)]
pub(crate) struct Sections<W> {
    out: W,
    colour: Colour,
    clock: Clock,
    /// The open section: its stage and its name.
    open: Option<(String, String)>,
    /// Stages whose lines wait, in the order in which they began.
    waiting: VecDeque<(String, String)>,
    count: u32,
}

impl<W: Write + Send> Sections<W> {
    pub(crate) fn new(out: W, colour: Colour, clock: Clock) -> Self {
        Self { out, colour, clock, open: None, waiting: VecDeque::new(), count: 0 }
    }

    fn start(&mut self, stage: &str) -> io::Result<()> {
        self.count += 1;
        let time = (self.clock)();
        let name = format!("strata_{time}_{}", self.count);
        writeln!(self.out, "\x1b[0Ksection_start:{time}:{name}\r\x1b[0Kstage {stage}")?;
        self.open = Some((stage.to_owned(), name));
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some((_, name)) = self.open.take() {
            writeln!(self.out, "\x1b[0Ksection_end:{}:{name}\r\x1b[0K", (self.clock)())?;
        }
        Ok(())
    }

    fn of_stage(&mut self, stage: &str, text: &str) -> io::Result<()> {
        match &self.open {
            Some((open, _)) if open == stage => {}
            None => self.start(stage)?,
            Some(_) => {
                match self.waiting.iter_mut().find(|(waits, _)| waits == stage) {
                    Some((_, lines)) => lines.push_str(text),
                    None => self.waiting.push_back((stage.to_owned(), text.to_owned())),
                }
                return Ok(());
            }
        }
        self.out.write_all(text.as_bytes())
    }

    /// Closes what has ended, and goes on with what waited.
    fn turn(&mut self, state: &State) -> io::Result<()> {
        while self.open.as_ref().is_some_and(|(stage, _)| has_ended(state, stage)) {
            self.finish()?;
            if let Some((stage, lines)) = self.waiting.pop_front() {
                self.start(&stage)?;
                self.out.write_all(lines.as_bytes())?;
            }
        }
        Ok(())
    }
}

impl<W: Write + Send> Renderer for Sections<W> {
    fn event(&mut self, state: &State, event: &Event) -> io::Result<()> {
        let mut text = String::new();
        for line in plain::lines(state, event, self.colour) {
            text.push_str(&line.render(self.colour));
            text.push('\n');
        }
        match stage_of(event).and_then(|number| state.steps.get(&number)) {
            Some(step) => {
                let stage = step.planned.stage.clone();
                if !text.is_empty() {
                    self.of_stage(&stage, &text)?;
                }
                self.turn(state)?;
            }
            None => self.out.write_all(text.as_bytes())?,
        }
        self.out.flush()
    }

    fn end(&mut self, _state: &State) -> io::Result<()> {
        self.finish()?;
        while let Some((stage, lines)) = self.waiting.pop_front() {
            self.start(&stage)?;
            self.out.write_all(lines.as_bytes())?;
            self.finish()?;
        }
        self.out.flush()
    }
}

fn stage_of(event: &Event) -> Option<StepNumber> {
    match event {
        Event::StepStarted { step }
        | Event::StepCached { step }
        | Event::StepMissed { step, .. }
        | Event::StepFinished { step, .. }
        | Event::StepFailed { step }
        | Event::Output { step, .. }
        | Event::LayerUploading { step, .. }
        | Event::LayerSealed { step, .. } => Some(*step),
        Event::Planned { .. }
        | Event::Resolved { .. }
        | Event::Blob { .. }
        | Event::Warning { .. }
        | Event::Exported { .. }
        | Event::Pushed { .. }
        | Event::Finished { .. } => None,
    }
}

fn has_ended(state: &State, stage: &str) -> bool {
    let mut steps = state.steps.values().filter(|step| step.planned.stage == stage);
    steps.all(|step| match step.phase {
        Phase::Cached | Phase::Done { .. } | Phase::Failed { .. } => true,
        Phase::Waiting | Phase::Running { .. } => false,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use strata_build::event::PlannedStep;

    use super::*;

    fn planned(number: u32, stage: &str, position: u32) -> PlannedStep {
        PlannedStep {
            number: StepNumber(number),
            stage: stage.into(),
            position,
            of: 2,
            text: "RUN x".into(),
            line: number,
        }
    }

    #[test]
    fn stages_side_by_side_become_sections_one_after_the_other() {
        let mut state = State::default();
        let mut sections = Sections::new(Vec::new(), Colour::Never, || 7);
        let (first, second, third) = (StepNumber(1), StepNumber(2), StepNumber(3));
        let steps = vec![planned(1, "a", 1), planned(2, "a", 2), planned(3, "b", 1)];
        let warning = |text: &str| Event::Warning { message: text.into(), line: None };
        for event in [
            Event::Planned { schema: strata_build::event::SCHEMA, steps },
            warning("before"),
            Event::StepStarted { step: first },
            Event::StepStarted { step: third },
            Event::StepFinished { step: third, milliseconds: 0 },
            Event::StepFinished { step: first, milliseconds: 0 },
            Event::StepCached { step: second },
            warning("after"),
        ] {
            state.apply(Duration::ZERO, &event);
            sections.event(&state, &event).expect("memory takes it");
        }
        sections.end(&state).expect("memory takes it");
        let text = String::from_utf8(sections.out).expect("is text");
        assert_eq!(
            text.replace('\x1b', "^").replace('\r', "~"),
            "warning: before\n\
             ^[0Ksection_start:7:strata_7_1~^[0Kstage a\n\
             #1 [a 1/2] RUN x\n#1 DONE 0.0s\n#2 [a 2/2] RUN x\n#2 CACHED\n\
             ^[0Ksection_end:7:strata_7_1~^[0K\n\
             ^[0Ksection_start:7:strata_7_2~^[0Kstage b\n\
             #3 [b 1/2] RUN x\n#3 DONE 0.0s\n\
             ^[0Ksection_end:7:strata_7_2~^[0K\n\
             warning: after\n"
        );
    }

    #[test]
    fn section_of_a_stage_that_never_ends_is_closed() {
        let mut state = State::default();
        let mut sections = Sections::new(Vec::new(), Colour::Never, || 7);
        let steps = vec![planned(1, "a", 1), planned(2, "b", 1)];
        for event in [
            Event::Planned { schema: strata_build::event::SCHEMA, steps },
            Event::StepStarted { step: StepNumber(1) },
            Event::StepStarted { step: StepNumber(2) },
        ] {
            state.apply(Duration::ZERO, &event);
            sections.event(&state, &event).expect("memory takes it");
        }
        sections.end(&state).expect("memory takes it");
        let text = String::from_utf8(sections.out).expect("is text");
        assert_eq!(text.matches("section_start").count(), 2);
        assert_eq!(text.matches("section_end").count(), 2);
        assert!(text.contains("#2 [b 1/2] RUN x"), "{text}");
    }
}
