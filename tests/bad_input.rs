//! Bad input: one clear error, its exit code, and nothing left behind. One file of `testdata/bad-input` a case:
//!
//! ```text
//! what the case is about
//! -- arguments --              optional; the words before the context
//! -- file Dockerfile --        one section for each file of the context
//! FROM scratch
//! -- exit --
//! 1
//! -- stderr --
//! error: …
//! ```
//!
//! `STRATA_TEST_BLESS=1` writes down what the program says now; `git diff` then shows what changed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use strata_testkit::TestEnvironment;

use crate::person::STRATA;

#[derive(Debug, Default)]
struct Case {
    arguments: Vec<String>,
    files: Vec<(String, String)>,
    exit: String,
    stderr: String,
}

fn parse(text: &str) -> Result<Case> {
    let mut sections: Vec<(&str, String)> = Vec::new();
    for line in text.lines().skip(1) {
        let name = line.strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --"));
        match (name, sections.last_mut()) {
            (Some(name), _) => sections.push((name, String::new())),
            (None, Some((_, body))) => {
                body.push_str(line);
                body.push('\n');
            }
            (None, None) => bail!("`{line}` is in no section"),
        }
    }
    let mut case = Case::default();
    for (name, body) in sections {
        match name.split_once(' ') {
            Some(("file", path)) => case.files.push((path.to_owned(), body)),
            None if name == "arguments" => {
                case.arguments = body.split_whitespace().map(str::to_owned).collect();
            }
            None if name == "exit" => case.exit = body,
            None if name == "stderr" => case.stderr = body,
            _ => bail!("section `{name}` is unknown"),
        }
    }
    Ok(case)
}

/// Lists what a build has left that no finished build leaves: files half written, directories for work, mounts.
pub(crate) fn left_behind(environment: &TestEnvironment) -> Result<Vec<String>> {
    let state = environment.state().join("strata");
    let home = environment.home();
    let root = home.parent().context("the home has a parent")?;
    let mut left = Vec::new();
    let work = ["scratch", "store/tmp", "store/unpacked/work"].map(|name| state.join(name));
    for directory in work.into_iter().chain([environment.temporary()]) {
        left.extend(names(&directory)?);
    }
    let is_partial = |path: &PathBuf| path.to_string_lossy().contains("/.partial-");
    left.extend(names(&state.join("store/unpacked/unpacked"))?.into_iter().filter(is_partial));
    let mut left: Vec<String> = left.iter().map(|path| path.display().to_string()).collect();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let root = root.display().to_string();
    left.extend(mounts.lines().filter(|line| line.contains(&root)).map(str::to_owned));
    Ok(left)
}

/// What a directory holds; nothing if it is not there.
fn names(directory: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(Vec::new()) };
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn paths() -> Result<Vec<PathBuf>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/bad-input");
    let mut paths = names(&directory)?;
    ensure!(!paths.is_empty(), "`{}` has no cases", directory.display());
    paths.sort();
    Ok(paths)
}

#[test]
fn mistakes_are_told_apart_and_in_place() -> Result<()> {
    let paths = paths()?;
    // Each waits for the program most of the time.
    let wrong = std::thread::scope(|scope| {
        let parts: Vec<_> = paths
            .chunks(paths.len().div_ceil(4))
            .map(|paths| scope.spawn(|| paths.iter().map(|path| check(path)).collect::<Vec<_>>()))
            .collect();
        let results =
            parts.into_iter().flat_map(|part| part.join().expect("a case does not panic"));
        results
            .filter_map(|result| result.err().map(|wrong| format!("{wrong:?}")))
            .collect::<Vec<_>>()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn check(path: &Path) -> Result<()> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path)?;
    let case = parse(&text).with_context(|| name.clone())?;
    let environment = TestEnvironment::new(STRATA)?;
    for (file, content) in &case.files {
        environment.write(file, content)?;
    }
    let arguments = ["build", "--progress=quiet", "--output=type=oci,dest=../tmp/result"];
    let arguments = arguments.into_iter().chain(case.arguments.iter().map(String::as_str));
    let ran = environment.run(arguments.chain(["."]))?;
    let exit = ran.code.map_or_else(|| "signal".to_owned(), |code| code.to_string()) + "\n";
    if std::env::var_os("STRATA_TEST_BLESS").is_some() {
        let (head, _) = text.split_once("-- exit --").unwrap_or((&text, ""));
        let blessed = format!("{head}-- exit --\n{exit}-- stderr --\n{}", ran.stderr);
        std::fs::write(path, blessed)?;
    } else {
        let same = (&exit, &ran.stderr) == (&case.exit, &case.stderr);
        ensure!(same, "== {name}: exit {exit}{}", ran.stderr);
    }
    ensure!(ran.stdout.is_empty(), "== {name}: an error is no data: {}", ran.stdout);
    ensure!(ran.code != Some(0), "== {name}: it builds");
    let left = left_behind(&environment)?;
    ensure!(left.is_empty(), "== {name}: left: {left:?}");
    Ok(())
}
