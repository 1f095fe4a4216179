//! Showing a build while it runs: a pure fold over events, pure views of it, and thin writers.
//!
//! ```text
//! threads of the engine ─Event─► Channel ─► one thread: State::apply ─► a Renderer ─► stderr, stdout
//! ```
//!
//! The one thread also ticks, at most ten times a second, so that times go on while nothing happens.

use std::fmt;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use strata_build::event::{Event, Events};

pub(crate) mod json;
pub(crate) mod line;
pub(crate) mod output;
pub(crate) mod plain;
pub(crate) mod quiet;
pub(crate) mod sections;
pub(crate) mod stamped;
pub(crate) mod state;
pub(crate) mod tty;
pub(crate) mod unit;
pub(crate) mod view;

use state::State;

/// One way of showing a build.
///
/// A failure to write is not one of the build: the caller stops showing and the build goes on.
pub(crate) trait Renderer: Send {
    /// Shows one event; `state` has it already.
    fn event(&mut self, state: &State, event: &Event) -> io::Result<()>;

    /// Shows that time goes on.
    fn tick(&mut self, state: &State, now: Duration) -> io::Result<()> {
        let _ = (state, now);
        Ok(())
    }

    /// Clears away what was only for the time of the build.
    fn end(&mut self, state: &State) -> io::Result<()> {
        let _ = state;
        Ok(())
    }
}

/// How often a live view is drawn at most.
const TICK: Duration = Duration::from_millis(100);

/// What goes to the thread that shows.
enum Message {
    Event(Duration, Event),
    End,
}

/// What the threads of the engine hold: it puts the time to events and hands them over.
pub(crate) struct Channel {
    sender: mpsc::Sender<Message>,
    start: Instant,
}

impl fmt::Debug for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Channel").finish_non_exhaustive()
    }
}

impl Events for Channel {
    fn emit(&self, event: Event) {
        // The other end is gone only when showing has ended, and then nobody wants the event.
        let _ = self.sender.send(Message::Event(self.start.elapsed(), event));
    }
}

/// The thread that shows.
#[derive(Debug)]
pub(crate) struct Showing {
    thread: JoinHandle<()>,
    end: mpsc::Sender<Message>,
}

impl Showing {
    /// Begins to show.
    pub(crate) fn start(mut renderer: Box<dyn Renderer>) -> io::Result<(Channel, Self)> {
        let (sender, receiver) = mpsc::channel();
        let start = Instant::now();
        let thread = std::thread::Builder::new()
            .name("progress".into())
            .spawn(move || show(renderer.as_mut(), &receiver, start))?;
        let end = sender.clone();
        Ok((Channel { sender, start }, Self { thread, end }))
    }

    /// Waits until everything that was emitted so far is shown. What a thread that was left behind
    /// emits later is not.
    pub(crate) fn finish(self) {
        // The thread is gone only after a panic, which is about to be seen.
        let _ = self.end.send(Message::End);
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

fn show(renderer: &mut dyn Renderer, receiver: &mpsc::Receiver<Message>, start: Instant) {
    let mut state = State::default();
    // A reader that went away (`| head`) ends the showing, not the build.
    let mut shown = Ok(());
    let mut drawn = Duration::ZERO;
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(Message::Event(at, event)) => {
                state.apply(at, &event);
                shown = shown.and_then(|()| renderer.event(&state, &event));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => break,
        }
        let now = start.elapsed();
        if now.saturating_sub(drawn) >= TICK {
            drawn = now;
            shown = shown.and_then(|()| renderer.tick(&state, now));
        }
    }
    if let Err(error) = shown.and_then(|()| renderer.end(&state)) {
        tracing::debug!(%error, "progress could not be written");
    }
}

#[cfg(test)]
mod tests;
