//! Another program in this one's place: what an image is started for whose entry point this is.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::diagnostic::{Diagnostic, Failure};
use crate::exit::Exit;

/// Becomes the program; `words` begin with its name. Returns only if that fails.
pub(crate) fn start(path: &Path, words: &[OsString]) -> Failure {
    let mut command = Command::new(path);
    if let Some((name, arguments)) = words.split_first() {
        command.arg0(name).args(arguments);
    }
    let error = command.exec();
    let message = format!("cannot start `{}`", path.display());
    Failure::new(Exit::Failed, Diagnostic::error(message).caused_by(Some(&error)))
}
