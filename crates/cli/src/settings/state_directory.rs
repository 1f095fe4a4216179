//! Where working data and the local store go.

pub(crate) mod file_system;
mod volume;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::args::StateArgs;
use crate::diagnostic::{Diagnostic, Failure};
use crate::environment::{Environment, variable};
use crate::exit::Exit;

/// The directory, and why it is this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateDirectory {
    pub(crate) path: PathBuf,
    pub(crate) reason: Reason,
}

/// Why a directory is considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Option,
    DataHome,
    Home,
    System,
    Temporary,
    Volume,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Option => "given with `--state-dir`",
            Self::DataHome => "in `$XDG_DATA_HOME`",
            Self::Home => "in `$HOME`",
            Self::System => "the place for root",
            Self::Temporary => "no better place fits",
            Self::Volume => "on a volume: no better place fits",
        })
    }
}

/// What decides about the places besides the options.
struct Surroundings<'a> {
    environment: &'a Environment,
    user: u32,
    /// Mounted file systems of containers, on which there is room for others' directories too.
    volumes: Vec<PathBuf>,
}

/// The directories in question, best first.
fn candidates(arguments: &StateArgs, surroundings: &Surroundings<'_>) -> Vec<StateDirectory> {
    let Surroundings { environment, user, volumes } = surroundings;
    let candidate = |path: PathBuf, reason| StateDirectory { path, reason };
    if let Some(path) = &arguments.state_dir {
        return vec![candidate(path.clone(), Reason::Option)];
    }
    // The base directory specification wants relative paths to be ignored.
    let absolute = |variable| environment.path(variable).filter(|path| path.is_absolute());
    let mut found = Vec::new();
    if let Some(data) = absolute(variable::XDG_DATA_HOME) {
        found.push(candidate(data.join("strata"), Reason::DataHome));
    }
    // `/` is what a container without a home directory has.
    if let Some(home) = absolute(variable::HOME).filter(|home| home != Path::new("/")) {
        found.push(candidate(home.join(".local/share/strata"), Reason::Home));
    }
    if *user == 0 {
        found.push(candidate("/var/lib/strata".into(), Reason::System));
    }
    let temporary = absolute(variable::TMPDIR).unwrap_or_else(|| "/tmp".into());
    found.push(candidate(temporary.join(format!("strata-{user}")), Reason::Temporary));
    found.extend(
        volumes
            .iter()
            .map(|volume| candidate(volume.join(format!(".strata-{user}")), Reason::Volume)),
    );
    found
}

/// Finds the first directory that can be written, and makes it, open to its owner alone.
pub(crate) fn open(
    arguments: &StateArgs,
    environment: &Environment,
    user: u32,
) -> Result<StateDirectory, Failure> {
    open_beside(arguments, environment, user, None)
}

/// The same for a build, whose context must not get the directory into it.
///
/// Places on an overlay, as a container's own root is, come last: there each layer could not be a
/// directory of its own.
pub(crate) fn open_beside(
    arguments: &StateArgs,
    environment: &Environment,
    user: u32,
    context: Option<&Path>,
) -> Result<StateDirectory, Failure> {
    let volumes = volume::all(context);
    let candidates = candidates(arguments, &Surroundings { environment, user, volumes });
    let (last, first): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|one| file_system::is_overlay(&one.path));
    let mut refusals = Vec::new();
    for candidate in first.into_iter().chain(last) {
        match make(&candidate.path) {
            Ok(()) => {
                // The process may change its directory; what was given need not be absolute.
                let path = std::path::absolute(&candidate.path).unwrap_or(candidate.path);
                return Ok(StateDirectory { path, ..candidate });
            }
            Err(error) => refusals.push(format!("`{}`: {error}", candidate.path.display())),
        }
    }
    let diagnostic = Diagnostic {
        notes: refusals,
        ..Diagnostic::error("no directory for working data can be written")
    };
    Err(Failure::new(Exit::Host, diagnostic.help("name one with `--state-dir`")))
}

/// Makes the directory and tries to write in it. A directory that belongs to somebody else is
/// refused: in `/tmp` everybody can have made it first.
fn make(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if std::fs::symlink_metadata(path)?.is_symlink() && path.starts_with("/tmp") {
        return Err(io::Error::other("it is a symbolic link"));
    }
    // Inside of a namespace, ids are those of the inside.
    let user = rustix::process::geteuid().as_raw();
    let owner = std::fs::metadata(path)?.uid();
    if owner != user && user != 0 {
        return Err(io::Error::other(format!("it belongs to user {owner}")));
    }
    tempfile::tempfile_in(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_directory_comes_first() {
        let none = StateArgs::default();
        let option = StateArgs { state_dir: Some("s".into()) };
        let environment = |pairs: &[(&str, &str)]| Environment::from_pairs(pairs);
        let all = environment(&[("XDG_DATA_HOME", "/d"), ("HOME", "/h"), ("TMPDIR", "/t")]);
        let cases: [(&StateArgs, &Environment, u32, &[&str]); 6] = [
            (&option, &all, 1, &["s"]),
            (
                &none,
                &all,
                1,
                &["/d/strata", "/h/.local/share/strata", "/t/strata-1", "/v/.strata-1"],
            ),
            (
                &none,
                &all,
                0,
                &[
                    "/d/strata",
                    "/h/.local/share/strata",
                    "/var/lib/strata",
                    "/t/strata-0",
                    "/v/.strata-0",
                ],
            ),
            (&none, &environment(&[]), 7, &["/tmp/strata-7", "/v/.strata-7"]),
            (&none, &environment(&[("HOME", "/")]), 7, &["/tmp/strata-7", "/v/.strata-7"]),
            (
                &none,
                &environment(&[("XDG_DATA_HOME", "rel"), ("HOME", "")]),
                7,
                &["/tmp/strata-7", "/v/.strata-7"],
            ),
        ];
        for (arguments, environment, user, expected) in cases {
            let volumes = vec![PathBuf::from("/v")];
            let surroundings = Surroundings { environment, user, volumes };
            let found: Vec<PathBuf> =
                candidates(arguments, &surroundings).into_iter().map(|one| one.path).collect();
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        let arguments = StateArgs { state_dir: Some(file.path().join("below")) };
        let failure = open(&arguments, &Environment::default(), 0).expect_err("is below a file");
        assert_eq!(failure.exit, Exit::Host);
        assert_eq!(failure.diagnostics[0].notes.len(), 1);
    }
}
