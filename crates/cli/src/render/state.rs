//! What is known of a build so far: a fold over its events.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use strata_build::event::{Event, OutputStream, PlannedStep, StepNumber, Transfer};
use strata_oci::Digest;

use super::output::Partial;

/// How many of the last lines of a command are kept for the live view.
const TAIL: usize = 8;

/// A build so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) steps: BTreeMap<StepNumber, Step>,
    /// Blobs, in the order in which they were first heard of.
    pub(crate) blobs: Vec<Blob>,
    /// Whether there is anything but one stage without a name.
    pub(crate) names_stages: bool,
}

/// A step so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) planned: PlannedStep,
    pub(crate) phase: Phase,
    /// Lines that the last event completed, oldest first.
    pub(crate) fresh: Vec<String>,
    /// The last lines.
    pub(crate) tail: VecDeque<String>,
    partial: [Partial; 2],
}

/// Where a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Waiting,
    Running { since: Duration, now: Duration },
    Cached,
    Done { took: Duration },
    Failed { after: Duration },
}

/// A blob that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    pub(crate) transfer: Transfer,
    pub(crate) current: u64,
    pub(crate) total: Option<u64>,
    /// The last event was the one that completed it.
    pub(crate) just_ended: bool,
    pub(crate) ended: bool,
}

impl State {
    /// Takes one event, which happened at this time after the start.
    pub(crate) fn apply(&mut self, at: Duration, event: &Event) {
        for step in self.steps.values_mut() {
            step.fresh.clear();
        }
        for blob in &mut self.blobs {
            blob.just_ended = false;
        }
        match event {
            Event::Planned { schema: _, steps } => self.plan(steps),
            Event::StepStarted { step } => {
                self.enter(*step, |_| Phase::Running { since: at, now: at });
            }
            Event::StepCached { step } => self.enter(*step, |_| Phase::Cached),
            Event::StepFinished { step, milliseconds } => {
                let took = Duration::from_millis(*milliseconds);
                self.enter(*step, |_| Phase::Done { took });
            }
            Event::StepFailed { step } => self.enter(*step, |phase| match phase {
                Phase::Running { since, .. } => Phase::Failed { after: at.saturating_sub(since) },
                _ => Phase::Failed { after: Duration::ZERO },
            }),
            Event::Output { step, stream, text } => {
                if let Some(step) = self.steps.get_mut(step) {
                    step.write(*stream, text, at);
                }
            }
            Event::Blob { digest, transfer, current, total } => {
                self.moved(*digest, *transfer, *current, *total);
            }
            Event::Resolved { .. }
            | Event::StepMissed { .. }
            | Event::LayerUploading { .. }
            | Event::LayerSealed { .. }
            | Event::Warning { .. }
            | Event::Exported { .. }
            | Event::Pushed { .. }
            | Event::Finished { .. } => {}
        }
    }

    /// `[builder 2/5]`, or `[2/5]` where there is one stage without a name.
    pub(crate) fn label(&self, step: &PlannedStep) -> String {
        let PlannedStep { stage, position, of, .. } = step;
        if self.names_stages {
            format!("[{stage} {position}/{of}]")
        } else {
            format!("[{position}/{of}]")
        }
    }

    fn plan(&mut self, steps: &[PlannedStep]) {
        let first = steps.first().map(|step| step.stage.as_str());
        let has_name = |step: &PlannedStep| {
            let number = step.stage.strip_prefix("stage-").unwrap_or(&step.stage);
            !number.bytes().all(|byte| byte.is_ascii_digit())
        };
        self.names_stages =
            steps.iter().any(|step| Some(step.stage.as_str()) != first || has_name(step));
        self.steps = steps
            .iter()
            .map(|planned| {
                let step = Step {
                    planned: planned.clone(),
                    phase: Phase::Waiting,
                    fresh: Vec::new(),
                    tail: VecDeque::new(),
                    partial: Default::default(),
                };
                (planned.number, step)
            })
            .collect();
    }

    fn enter(&mut self, number: StepNumber, next: impl FnOnce(Phase) -> Phase) {
        if let Some(step) = self.steps.get_mut(&number) {
            step.flush();
            step.phase = next(step.phase);
        }
    }

    fn moved(&mut self, digest: Digest, transfer: Transfer, current: u64, total: Option<u64>) {
        let position = self
            .blobs
            .iter()
            .position(|blob| blob.digest == digest && blob.transfer == transfer)
            .unwrap_or_else(|| {
                self.blobs.push(Blob {
                    digest,
                    transfer,
                    current: 0,
                    total: None,
                    just_ended: false,
                    ended: false,
                });
                self.blobs.len() - 1
            });
        let blob = &mut self.blobs[position];
        let at_once = matches!(transfer, Transfer::Mount | Transfer::AlreadyThere);
        let complete = at_once || total.is_some_and(|total| current >= total);
        *blob = Blob {
            current,
            total,
            just_ended: complete && !blob.ended,
            ended: complete,
            ..blob.clone()
        };
    }
}

impl Step {
    fn write(&mut self, stream: OutputStream, text: &str, at: Duration) {
        if let Phase::Running { since, .. } = self.phase {
            self.phase = Phase::Running { since, now: at };
        }
        let index = match stream {
            OutputStream::Stdout => 0,
            OutputStream::Stderr => 1,
        };
        let lines = self.partial[index].push(text);
        self.keep(lines);
    }

    fn flush(&mut self) {
        let lines: Vec<String> = self.partial.iter_mut().filter_map(Partial::flush).collect();
        self.keep(lines);
    }

    fn keep(&mut self, lines: Vec<String>) {
        self.tail.extend(lines.iter().cloned());
        while self.tail.len() > TAIL {
            self.tail.pop_front();
        }
        self.fresh = lines;
    }
}
