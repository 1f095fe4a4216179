//! The two streams of a program: data on standard output, talk on standard error.

use std::io::{self, IsTerminal, Write};

use crate::diagnostic::{Diagnostic, Failure};
use crate::exit::Exit;

/// Writes data. A reader that went away (`| head`) has what it wanted: that is no failure.
pub(crate) fn data(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let message = "cannot write to standard output";
            Err(Failure::new(Exit::Failed, Diagnostic::error(message).caused_by(Some(&error))))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes for people. Where that fails, nobody is left who could be told.
pub(crate) fn talk(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Whether standard error is a terminal.
pub(crate) fn talk_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether standard output is a terminal.
pub(crate) fn data_is_terminal() -> bool {
    io::stdout().is_terminal()
}
