//! The `strata` program; everything it does is in `strata_cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    strata_cli::run()
}
