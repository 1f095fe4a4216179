//! How progress and messages look.

use crate::args::{ProgressArgs, ProgressMode};
use crate::diagnostic::Failure;
use crate::environment::{Environment, variable};
use crate::render::line::Colour;

/// One way to show a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Tty,
    Plain,
    Json,
    Quiet,
}

/// Decides how progress is shown. `terminal` is whether standard error is one.
pub(crate) fn progress(
    arguments: ProgressArgs,
    environment: &Environment,
    terminal: bool,
) -> Result<Progress, Failure> {
    let mode = match (arguments.quiet, arguments.progress) {
        (true, _) => ProgressMode::Quiet,
        (false, Some(mode)) => mode,
        (false, None) => of_environment(environment)?,
    };
    let live = terminal && environment.text(variable::TERM) != Some("dumb");
    Ok(match mode {
        ProgressMode::Auto | ProgressMode::Tty if live => Progress::Tty,
        ProgressMode::Auto | ProgressMode::Plain => Progress::Plain,
        ProgressMode::Tty => {
            return Err(Failure::usage("`--progress tty` needs standard error to be a terminal")
                .help("`--progress auto` takes what fits"));
        }
        ProgressMode::Json => Progress::Json,
        ProgressMode::Quiet => Progress::Quiet,
    })
}

fn of_environment(environment: &Environment) -> Result<ProgressMode, Failure> {
    match environment.text(variable::BUILDKIT_PROGRESS) {
        // `tty` is a wish of the environment, not of this command: without a terminal it is `plain`.
        None | Some("auto" | "tty") => Ok(ProgressMode::Auto),
        Some("plain") => Ok(ProgressMode::Plain),
        Some("json" | "rawjson") => Ok(ProgressMode::Json),
        Some("quiet") => Ok(ProgressMode::Quiet),
        Some(other) => Err(Failure::usage(format!(
            "`BUILDKIT_PROGRESS={other}` is not a way to show progress"
        ))
        .help("known are `auto`, `tty`, `plain`, `rawjson` and `quiet`")),
    }
}

/// Decides on colours for a stream that is a terminal or not.
pub(crate) fn colour(environment: &Environment, terminal: bool) -> Colour {
    let refused = environment.get(variable::NO_COLOR).is_some()
        || environment.text(variable::TERM) == Some("dumb");
    if terminal && !refused { Colour::Always } else { Colour::Never }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_fits_the_terminal() {
        let none = Environment::default();
        let dumb = Environment::from_pairs(&[("TERM", "dumb")]);
        let plain = Environment::from_pairs(&[("BUILDKIT_PROGRESS", "plain")]);
        let raw = Environment::from_pairs(&[("BUILDKIT_PROGRESS", "rawjson")]);
        let odd = Environment::from_pairs(&[("BUILDKIT_PROGRESS", "odd")]);
        let mode = |mode| ProgressArgs { progress: Some(mode), quiet: false };
        let quiet = ProgressArgs { progress: None, quiet: true };
        let unsaid = ProgressArgs::default();
        for (arguments, environment, terminal, expected) in [
            (unsaid, &none, true, Some(Progress::Tty)),
            (unsaid, &none, false, Some(Progress::Plain)),
            (unsaid, &dumb, true, Some(Progress::Plain)),
            (unsaid, &plain, true, Some(Progress::Plain)),
            (unsaid, &raw, true, Some(Progress::Json)),
            (unsaid, &odd, true, None),
            (mode(ProgressMode::Tty), &plain, true, Some(Progress::Tty)),
            (mode(ProgressMode::Tty), &none, false, None),
            (mode(ProgressMode::Json), &none, true, Some(Progress::Json)),
            (quiet, &plain, true, Some(Progress::Quiet)),
        ] {
            assert_eq!(progress(arguments, environment, terminal).ok(), expected);
        }
    }

    #[test]
    fn colour_is_for_terminals() {
        for (pairs, terminal, expected) in [
            (&[][..], true, Colour::Always),
            (&[][..], false, Colour::Never),
            (&[("NO_COLOR", "1")][..], true, Colour::Never),
            (&[("NO_COLOR", "")][..], true, Colour::Always),
            (&[("TERM", "dumb")][..], true, Colour::Never),
        ] {
            assert_eq!(colour(&Environment::from_pairs(pairs), terminal), expected, "{pairs:?}");
        }
    }
}
