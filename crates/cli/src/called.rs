//! By which name the program is called, and with which words.
//!
//! ```text
//! strata build …                       itself
//! executor --context …                 kaniko's executor: `strata executor …`
//! executor build …                     what kaniko has no such command for: `strata build …`
//! executor sh -c …                     a program of the image, when this is its entry point
//! warmer --image …                     kaniko's warmer: `strata executor warmer …`
//! ```

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::CommandFactory;

use crate::args::Cli;

/// What the words of the command line mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Called {
    /// Our own command line, with `strata` first.
    Strata(Vec<OsString>),
    /// Another program takes this one's place.
    Program { path: PathBuf, words: Vec<OsString> },
}

/// The commands of kaniko's executor, which mean something else there than here.
const OF_EXECUTOR: [&str; 4] = ["login", "push", "version", "warmer"];

/// The shells of those who start an image to look around in it.
const SHELLS: [&str; 4] = ["sh", "bash", "ash", "dash"];

impl Called {
    /// Says what this process was called for.
    pub(crate) fn of_process() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::of(std::env::args_os().collect(), |name| program(&path, name))
    }

    /// Says what words mean; the first is the program's name. `find` knows where programs are.
    fn of(words: Vec<OsString>, find: impl Fn(&OsStr) -> Option<PathBuf>) -> Self {
        let mut words = words.into_iter();
        let called = words.next().unwrap_or_default();
        let words: Vec<OsString> = words.collect();
        let name = Path::new(&called).file_name().and_then(OsStr::to_str).unwrap_or_default();
        match name {
            "executor" => Self::as_executor(words, find),
            "warmer" => Self::Strata(before(&["strata", "executor", "warmer"], words)),
            _ => Self::Strata(before(&["strata"], words)),
        }
    }

    /// The executor is the entry point of images: what is no option and no command is a program.
    fn as_executor(words: Vec<OsString>, find: impl Fn(&OsStr) -> Option<PathBuf>) -> Self {
        let executor = |words| Self::Strata(before(&["strata", "executor"], words));
        let Some(first) = words.first().cloned() else { return executor(words) };
        let text = first.to_string_lossy();
        if text.starts_with('-') || OF_EXECUTOR.contains(&text.as_ref()) {
            return executor(words);
        }
        if Cli::command().find_subcommand(first.as_os_str()).is_some() {
            return Self::Strata(before(&["strata"], words));
        }
        match find(&first) {
            Some(path) => Self::Program { path, words },
            None => executor(words),
        }
    }
}

/// Whether a word that is no command is the wish for a shell.
pub(crate) fn is_shell(word: &str) -> bool {
    Path::new(word).file_name().and_then(OsStr::to_str).is_some_and(|name| SHELLS.contains(&name))
}

fn before(names: &[&str], words: Vec<OsString>) -> Vec<OsString> {
    names.iter().map(OsString::from).chain(words).collect()
}

/// Finds a program as a shell does.
fn program(path: &OsStr, name: &OsStr) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;

    let is_program = |path: &Path| {
        let metadata = std::fs::metadata(path);
        metadata.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if Path::new(name).components().count() > 1 || Path::new(name).is_absolute() {
        return Some(PathBuf::from(name)).filter(|path| is_program(path));
    }
    std::env::split_paths(path).map(|directory| directory.join(name)).find(|path| is_program(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_decides_what_words_mean() {
        let strata = |words: &[&str]| Called::Strata(before(words, Vec::new()));
        for (words, expected) in [
            (&["strata", "build", "."][..], strata(&["strata", "build", "."])),
            (
                &["strata-inside-single", "executor", "-c", "."],
                strata(&["strata", "executor", "-c", "."]),
            ),
            (&["/kaniko/executor", "--context=."], strata(&["strata", "executor", "--context=."])),
            (&["executor"], strata(&["strata", "executor"])),
            (&["executor", "push", "a"], strata(&["strata", "executor", "push", "a"])),
            (&["executor", "build", "."], strata(&["strata", "build", "."])),
            (&["executor", "nothing"], strata(&["strata", "executor", "nothing"])),
            (
                &["executor", "sh", "-c", "x"],
                Called::Program {
                    path: "/bin/sh".into(),
                    words: before(&["sh", "-c", "x"], Vec::new()),
                },
            ),
            (&["warmer", "-i", "a"], strata(&["strata", "executor", "warmer", "-i", "a"])),
            (&[], strata(&["strata"])),
        ] {
            let find = |name: &OsStr| (name == "sh").then(|| PathBuf::from("/bin/sh"));
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert_eq!(Called::of(words.clone(), find), expected, "{words:?}");
        }
    }

    #[test]
    fn program_is_found_as_by_a_shell() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        std::fs::write(directory.path().join("data"), "").expect("can be written");
        std::os::unix::fs::symlink("/proc/self/exe", directory.path().join("tool"))
            .expect("is new");
        let path =
            std::env::join_paths(["/nowhere".as_ref(), directory.path()]).expect("no colons");
        let tool = directory.path().join("tool");
        for (name, expected) in [
            (OsStr::new("tool"), Some(tool.clone())),
            (tool.as_os_str(), Some(tool.clone())),
            (OsStr::new("data"), None),
            (OsStr::new("./tool"), None),
        ] {
            assert_eq!(program(&path, name), expected, "{name:?}");
        }
        assert!(is_shell("/bin/bash") && !is_shell("shell"));
    }
}
