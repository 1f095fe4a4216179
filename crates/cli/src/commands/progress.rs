//! Work that is shown while it runs, and that a signal ends.

use std::future::Future;
use std::sync::Arc;

use strata_build::event::Events;

use crate::diagnostic::{Diagnostic, Failure};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::interrupt::{Ended, Interrupts};
use crate::render::json::Json;
use crate::render::plain::Plain;
use crate::render::quiet::Quiet;
use crate::render::sections::Sections;
use crate::render::stamped::{self, Stamped};
use crate::render::tty::Tty;
use crate::render::view::Size;
use crate::render::{Renderer, Showing};
use crate::settings::progress::{Lines, Progress, colour};
use crate::streams;

/// Runs work and shows its events. `stop` is called when a signal asks the work to end.
pub(super) async fn shown<T, W: Future<Output = Result<T, Failure>>>(
    progress: Progress,
    environment: &Environment,
    work: impl FnOnce(Arc<dyn Events>) -> W,
    stop: impl FnOnce(),
) -> Result<T, Failure> {
    let unavailable = |message: &str, error: &dyn std::error::Error| {
        Failure::new(Exit::Host, Diagnostic::error(message).caused_by(Some(error)))
    };
    let mut interrupts =
        Interrupts::listen().map_err(|error| unavailable("cannot listen to signals", &error))?;
    let (channel, showing) = Showing::start(renderer(progress, environment))
        .map_err(|error| unavailable("cannot start threads", &error))?;
    let ended = interrupts.guard(work(Arc::new(channel)), stop).await;
    showing.finish();
    let result = match ended {
        Ended::Done(result) => result,
        Ended::Stopped(exit) => Err(Failure::new(exit, Diagnostic::error("interrupted"))),
    };
    if let (Progress::Json, Err(failure)) = (progress, &result) {
        streams::data(&failure.to_json_line())?;
    }
    result
}

fn renderer(progress: Progress, environment: &Environment) -> Box<dyn Renderer> {
    let colour = colour(environment, streams::talk_is_terminal());
    match progress {
        Progress::Tty => Box::new(Tty::new(std::io::stderr(), colour, Box::new(size))),
        Progress::Plain(Lines::Bare) => Box::new(Plain::new(std::io::stderr(), colour)),
        Progress::Plain(Lines::Stamped) => {
            Box::new(Plain::new(Stamped::new(std::io::stderr(), stamped::utc), colour))
        }
        Progress::Plain(Lines::InSections) => {
            let now = || jiff::Timestamp::now().as_second();
            Box::new(Sections::new(std::io::stderr(), colour, now))
        }
        Progress::Json => Box::new(Json::new(std::io::stdout())),
        Progress::Quiet => Box::new(Quiet::new(std::io::stdout())),
    }
}

/// The size of the terminal behind standard error.
fn size() -> Size {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            Size { width: size.ws_col.into(), height: size.ws_row.into() }
        }
        _ => Size { width: 80, height: 24 },
    }
}
