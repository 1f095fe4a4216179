//! kaniko's command line on the real binary: what each option does, seen from outside.

mod building;
mod caching;
mod names;
mod registries;
mod results;
mod scene;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::person::succeed;
use scene::Scene;

/// An option's long names, and a test of what it does.
type Row = (&'static [&'static str], fn(&Scene) -> Result<()>);

const TABLE: [&[Row]; 4] = [building::ROWS, results::ROWS, caching::ROWS, registries::ROWS];

/// Options without an effect, by their notes.
const NOT_NEEDED: [&str; 13] = [
    "cache-copy-layers",
    "cleanup",
    "compressed-caching",
    "force",
    "force-build-metadata",
    "ignore-var-run",
    "image-fs-extract-retry",
    "materialize",
    "pre-cleanup",
    "preserve-context",
    "skip-unused-stages",
    "snapshot-mode",
    "use-new-run",
];

#[test]
fn each_option_does_something() -> Result<()> {
    let mut failures = Vec::new();
    for (names, shows) in TABLE.into_iter().flatten() {
        if let Err(error) = shows(&Scene::new()?) {
            failures.push(format!("{}: {error:#}", names.join(", ")));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// The help lists what is accepted: each of it is in the table, and nothing else.
#[test]
fn each_option_has_a_row() -> Result<()> {
    let help = succeed(&Scene::new()?.environment, ["executor", "--help"])?.stdout;
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let listed: BTreeSet<&str> = lines
        .filter_map(|line| line.split_once("--")?.1.split([' ', '=', '[', ',']).next())
        .filter(|name| *name != "help")
        .collect();
    let rows = TABLE.into_iter().flatten().flat_map(|(names, _)| names.iter().copied());
    let tested: BTreeSet<&str> = rows.chain(NOT_NEEDED).collect();
    assert_eq!(tested, listed);
    Ok(())
}

/// Also as older versions spelled them, and as variables.
#[test]
fn option_that_is_not_needed_says_why() -> Result<()> {
    let scene = Scene::new()?;
    let mut arguments = Vec::new();
    for name in NOT_NEEDED {
        arguments.push(match name {
            "snapshot-mode" => "--snapshotMode=redo".to_owned(),
            "ignore-var-run" => "--whitelist-var-run=false".to_owned(),
            "image-fs-extract-retry" => format!("--{name}=3"),
            "cleanup" | "preserve-context" => continue,
            _ => format!("--{name}"),
        });
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let variables = [("KANIKO_CLEANUP", "true"), ("KANIKO_PRESERVE_CONTEXT", "1")];
    let said = scene.build_with(&variables, &arguments)?.stderr;
    for name in NOT_NEEDED {
        let notes = said.matches(&format!("note: `--{name}` is not needed: ")).count();
        ensure!(notes == 1, "{name}: {said}");
    }
    let quiet = scene.build(&["--cleanup", "--verbosity=error"])?.stderr;
    ensure!(quiet.is_empty(), "{quiet}");
    Ok(())
}
