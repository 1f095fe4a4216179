//! How progress and messages look.

use crate::args::{ProgressArgs, ProgressMode};
use crate::diagnostic::Failure;
use crate::environment::{Environment, variable};
use crate::render::line::Colour;
use crate::settings::gitlab::{GitLab, Part};

/// One way to show a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Tty,
    Plain(Lines),
    Json,
    Quiet,
}

/// What plain lines have besides their text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lines {
    #[default]
    Bare,
    /// The time before each.
    Stamped,
    /// Marks by which GitLab folds those of a stage.
    InSections,
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
    let sections = GitLab::of(environment)?.does(Part::Sections) && mode == ProgressMode::Auto;
    let lines = match (arguments.timestamps, sections) {
        (true, _) => Lines::Stamped,
        (false, true) => Lines::InSections,
        (false, false) => Lines::Bare,
    };
    let live = terminal && environment.text(variable::TERM) != Some("dumb");
    Ok(match mode {
        ProgressMode::Auto | ProgressMode::Tty if live => Progress::Tty,
        ProgressMode::Auto | ProgressMode::Plain => Progress::Plain(lines),
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
    let forced = environment.text(variable::CLICOLOR_FORCE).is_some_and(|value| value != "0");
    if (terminal || forced) && !refused { Colour::Always } else { Colour::Never }
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
        let mode = |mode| ProgressArgs { progress: Some(mode), ..ProgressArgs::default() };
        let gitlab = Environment::from_pairs(&[("GITLAB_CI", "true")]);
        let stamped = ProgressArgs { timestamps: true, ..ProgressArgs::default() };
        let quiet = ProgressArgs { quiet: true, ..ProgressArgs::default() };
        let unsaid = ProgressArgs::default();
        for (arguments, environment, terminal, expected) in [
            (unsaid, &none, true, Some(Progress::Tty)),
            (unsaid, &none, false, Some(Progress::Plain(Lines::Bare))),
            (unsaid, &dumb, true, Some(Progress::Plain(Lines::Bare))),
            (unsaid, &plain, true, Some(Progress::Plain(Lines::Bare))),
            (unsaid, &gitlab, false, Some(Progress::Plain(Lines::InSections))),
            (mode(ProgressMode::Plain), &gitlab, false, Some(Progress::Plain(Lines::Bare))),
            (stamped, &gitlab, false, Some(Progress::Plain(Lines::Stamped))),
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
            (&[("CLICOLOR_FORCE", "1")][..], false, Colour::Always),
            (&[("CLICOLOR_FORCE", "0")][..], false, Colour::Never),
            (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")][..], true, Colour::Never),
        ] {
            assert_eq!(colour(&Environment::from_pairs(pairs), terminal), expected, "{pairs:?}");
        }
    }
}
