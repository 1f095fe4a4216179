//! Finding the Dockerfile and its ignore file.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use strata_dockerfile::Source;

use crate::diagnostic::{Diagnostic, Failure};
use crate::exit::Exit;

/// A longer Dockerfile is a mistake, or an attack.
const LONGEST: u64 = 16 << 20;

/// What a Dockerfile is called where nobody says a name, the first first.
const DEFAULTS: [&str; 3] = ["Dockerfile", "dockerfile", "Containerfile"];

/// A Dockerfile, and what it is called.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) source: Source,
    /// Where it is, if it is a file.
    pub(crate) path: Option<PathBuf>,
}

impl Found {
    /// How it is called in a project that it may be in.
    pub(crate) fn name_in(&self, project: Option<PathBuf>) -> String {
        let inside = |path: &PathBuf| {
            let path = path.canonicalize().ok()?;
            let project = project?.canonicalize().ok()?;
            Some(path.strip_prefix(project).ok()?.display().to_string())
        };
        self.path.as_ref().and_then(inside).unwrap_or_else(|| self.source.name().to_owned())
    }
}

/// What leaves files out of the context: the name of the file, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IgnoreText {
    pub(crate) name: String,
    pub(crate) text: Vec<u8>,
}

/// The paths in question, best first.
fn candidates(file: Option<&OsStr>, context: &Path) -> Vec<PathBuf> {
    match file {
        Some(file) => {
            let mut paths = vec![PathBuf::from(file)];
            let inside = context.join(file);
            if !paths.contains(&inside) {
                paths.push(inside);
            }
            // The reference takes the default name in lower case too, in whatever directory.
            if Path::new(file).file_name() == Some(OsStr::new(DEFAULTS[0])) {
                let lower = paths.iter().map(|path| path.with_file_name(DEFAULTS[1]));
                paths.extend(lower.collect::<Vec<_>>());
            }
            paths
        }
        None => DEFAULTS.map(|name| context.join(name)).to_vec(),
    }
}

/// Reads the Dockerfile: `-f`, or the default in the context.
pub(crate) fn read(file: Option<&OsStr>, context: &Path) -> Result<Found, Failure> {
    if file == Some(OsStr::new("-")) {
        let bytes = bounded(io::stdin().lock(), Path::new("-"))?;
        return Ok(Found { source: source("-", bytes)?, path: None });
    }
    let candidates = candidates(file, context);
    for path in &candidates {
        match std::fs::File::open(path) {
            Ok(opened) if opened.metadata().is_ok_and(|metadata| metadata.is_dir()) => {}
            Ok(opened) => {
                let bytes = bounded(opened, path)?;
                let source = source(&shown(path, context), bytes)?;
                return Ok(Found { source, path: Some(path.clone()) });
            }
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(Failure::file("read", path, &error)),
        }
    }
    let tried: Vec<String> =
        candidates.iter().map(|path| format!("`{}`", path.display())).collect();
    let message = match file {
        Some(file) => format!("there is no Dockerfile `{}`", Path::new(file).display()),
        None => format!("there is no Dockerfile in `{}`", context.display()),
    };
    let diagnostic = Diagnostic::error(message)
        .noting(format!("looked for {}", tried.join(", ")))
        .help("name it with `--file`");
    Err(Failure::new(Exit::Failed, diagnostic))
}

/// The address of a Dockerfile that is elsewhere.
pub(crate) fn address(file: Option<&OsStr>) -> Option<&str> {
    let text = file?.to_str()?;
    ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme)).then_some(text)
}

/// Reads a Dockerfile that was downloaded to `path`.
pub(crate) fn downloaded(url: &str, path: &Path) -> Result<Found, Failure> {
    let file = std::fs::File::open(path).map_err(|error| Failure::file("read", path, &error))?;
    let name = url.split(['?', '#']).next().unwrap_or(url);
    Ok(Found { source: source(name, bounded(file, Path::new(name))?)?, path: None })
}

/// Makes a text that came without a file the Dockerfile.
pub(crate) fn of_bytes(bytes: Vec<u8>) -> Result<Found, Failure> {
    Ok(Found { source: source("-", bytes)?, path: None })
}

/// Reads what is to be left out of the context: beside the Dockerfile, or in the context.
pub(crate) fn ignore(found: &Found, context: &Path) -> Result<Option<IgnoreText>, Failure> {
    let beside = found.path.as_ref().map(|path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".dockerignore");
        PathBuf::from(name)
    });
    first_ignore(beside, context)
}

/// Reads what a context without a Dockerfile leaves out.
pub(crate) fn ignore_of_context(context: &Path) -> Result<Option<IgnoreText>, Failure> {
    first_ignore(None, context)
}

/// Leaves out one more.
pub(crate) fn ignoring(ignore: Option<IgnoreText>, pattern: &str) -> IgnoreText {
    let name = format!("the directory `{pattern}` of reports");
    let mut ignore = ignore.unwrap_or(IgnoreText { name, text: Vec::new() });
    ignore.text.extend_from_slice(format!("\n{pattern}\n").as_bytes());
    ignore
}

fn first_ignore(beside: Option<PathBuf>, context: &Path) -> Result<Option<IgnoreText>, Failure> {
    for path in beside.into_iter().chain([context.join(".dockerignore")]) {
        match std::fs::File::open(&path) {
            Ok(opened) => {
                let text = bounded(opened, &path)?;
                return Ok(Some(IgnoreText { name: shown(&path, context), text }));
            }
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(Failure::file("read", &path, &error)),
        }
    }
    Ok(None)
}

/// A path as messages show it: within the context, if it is there.
fn shown(path: &Path, context: &Path) -> String {
    let inside = path.strip_prefix(context).ok().filter(|inside| !inside.as_os_str().is_empty());
    inside.unwrap_or(path).display().to_string()
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn bounded(reader: impl Read, path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    reader
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::file("read", path, &error))?;
    if bytes.len() as u64 > LONGEST {
        let message = format!("`{}` is longer than 16 MiB", path.display());
        return Err(Failure::new(Exit::Failed, Diagnostic::error(message)));
    }
    Ok(bytes)
}

fn source(name: &str, bytes: Vec<u8>) -> Result<Source, Failure> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(0, name, text)),
        // Places are counted in characters, and the reference refuses such a file later and worse.
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..valid].split(|byte| *byte == b'\n').count();
            let message = format!("`{name}` is not UTF-8 in line {line}");
            Err(Failure::new(Exit::Failed, Diagnostic::error(message)))
        }
    }
}

/// Whether both the context and the Dockerfile would be read from standard input.
pub(crate) fn both_from_stdin(context: &OsStr, file: Option<&OsString>) -> bool {
    context == "-" && file.is_some_and(|file| file == "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().expect("is in the directory")).expect("is new");
            std::fs::write(path, text).expect("can be written");
        }
        directory
    }

    #[test]
    fn dockerfile_is_found() {
        let both = directory(&[("Dockerfile", "1"), ("Containerfile", "2"), ("sub/D", "3")]);
        let second = directory(&[("Containerfile", "2"), ("Dockerfile/x", "")]);
        let lower = directory(&[("dockerfile", "4"), ("Containerfile", "2")]);
        let below = directory(&[("sub/dockerfile", "5")]);
        let outside = both.path().join("sub/D");
        for (file, context, expected) in [
            (None, &both, ("Dockerfile", "1")),
            (None, &second, ("Containerfile", "2")),
            (None, &lower, ("dockerfile", "4")),
            (Some(OsStr::new("sub/D")), &both, ("sub/D", "3")),
            (Some(OsStr::new("sub/Dockerfile")), &below, ("sub/dockerfile", "5")),
            (Some(outside.as_os_str()), &second, (outside.to_str().expect("is UTF-8"), "3")),
        ] {
            let found = read(file, context.path()).expect("is there");
            assert_eq!((found.source.name(), found.source.text()), expected);
        }
    }

    #[test]
    fn missing_dockerfile_is_named() {
        let empty = directory(&[]);
        let failure = read(Some(OsStr::new("no/D")), empty.path()).expect_err("is not there");
        assert_eq!(failure.diagnostics[0].message, "there is no Dockerfile `no/D`");
        assert_eq!(failure.exit, Exit::Failed);
    }

    #[test]
    fn ignore_file_beside_the_dockerfile_wins() {
        let both = directory(&[
            ("Dockerfile", ""),
            ("a/D", ""),
            ("a/D.dockerignore", "one"),
            (".dockerignore", "two"),
        ]);
        let without = directory(&[("Dockerfile", "")]);
        for (file, context, expected) in [
            (Some("a/D"), &both, Some(("a/D.dockerignore", "one"))),
            (None, &both, Some((".dockerignore", "two"))),
            (None, &without, None),
        ] {
            let found = read(file.map(OsStr::new), context.path()).expect("is there");
            let expected = expected.map(|(name, text)| IgnoreText {
                name: name.to_owned(),
                text: text.as_bytes().to_vec(),
            });
            assert_eq!(ignore(&found, context.path()), Ok(expected));
        }
    }

    #[test]
    fn dockerfile_must_be_text() {
        let failure = of_bytes(b"FROM a\nRUN \xff".to_vec()).expect_err("is not UTF-8");
        assert_eq!(failure.diagnostics[0].message, "`-` is not UTF-8 in line 2");
    }
}
