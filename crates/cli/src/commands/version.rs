//! `strata version`.

use crate::args::VersionArgs;
use crate::diagnostic::Failure;
use crate::streams;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Prints the version.
pub(crate) fn run(arguments: &VersionArgs) -> Result<(), Failure> {
    let text = if arguments.json {
        let json = serde_json::json!({
            "version": VERSION,
            "platform": crate::settings::build::host_platform().to_string(),
            "event_schema": strata_build::event::SCHEMA,
        });
        format!("{json}\n")
    } else {
        format!("strata {VERSION}\n")
    };
    streams::data(&text)
}
