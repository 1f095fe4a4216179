//! What a job of GitLab reports: the image as variables for later jobs, and findings as Code Quality.

use std::path::Path;

use strata_build::event::{Event, Events};
use strata_oci::{Digest, Reference};
use strata_plan::Plan;

use crate::commands::check;
use crate::diagnostic::Failure;
use crate::write;

/// The variables, for `artifacts:reports:dotenv`.
const VARIABLES: &str = "image.env";
/// The findings, for `artifacts:reports:codequality`.
const FINDINGS: &str = "code-quality.json";

/// Writes what is wrong or doubtful in the Dockerfile, before anything is built.
pub(super) fn findings(directory: &Path, dockerfile: &str, plan: &Plan, events: &dyn Events) {
    let text = check::code_quality(plan, dockerfile);
    kept(put(directory, FINDINGS, &text), events);
}

/// Writes how the image is called.
pub(super) fn image(directory: &Path, names: &[Reference], digest: Digest, events: &dyn Events) {
    let mut text = String::new();
    if let Some(name) = names.first() {
        text = format!("IMAGE={name}\nIMAGE_REF={}@{digest}\n", name.repository());
    }
    kept(put(directory, VARIABLES, &format!("{text}IMAGE_DIGEST={digest}\n")), events);
}

fn put(directory: &Path, name: &str, text: &str) -> Result<(), Failure> {
    std::fs::create_dir_all(directory)
        .map_err(|error| Failure::file("make the directory", directory, &error))?;
    write::whole(&directory.join(name), text.as_bytes())
}

/// Nobody asked for a report, so none makes a build fail.
fn kept(written: Result<(), Failure>, events: &dyn Events) {
    if let Err(failure) = written {
        for diagnostic in failure.diagnostics {
            let message = format!("a report is missing: {}", diagnostic.message);
            events.emit(Event::Warning { message, line: None });
        }
    }
}
