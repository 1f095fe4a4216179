//! Caches of layers, as jobs that begin with nothing use them.

mod budgets;
mod commands;
mod options;
mod tokens;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use strata_testkit::TestEnvironment;
use tempfile::TempDir;

/// What a build told.
#[derive(Debug, Default)]
struct Told {
    /// The steps that ran, by their text.
    ran: Vec<String>,
    /// The steps whose result was found.
    cached: Vec<String>,
    /// Why others were not.
    reasons: Vec<String>,
    warnings: Vec<String>,
    /// The digests of the bases.
    bases: Vec<String>,
}

/// Builds the context in the state directory that is given; that must succeed.
fn build(environment: &TestEnvironment, state: &TempDir, more: &[&str]) -> Result<Told> {
    let state = format!("--state-dir={}", state.path().display());
    let words = [&["build", "--progress=json", &state], more, &["."]].concat();
    let ran = environment.run(&words)?;
    ensure!(ran.code == Some(0), "{words:?}: {}{}", ran.stdout, ran.stderr);
    let mut told = Told::default();
    let mut texts = BTreeMap::new();
    for event in ran.events()? {
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let step = || texts.get(&event["step"].as_u64()).cloned().context("a planned step");
        match event["event"].as_str() {
            Some("planned") => {
                for step in event["steps"].as_array().into_iter().flatten() {
                    let text = step["text"].as_str().unwrap_or_default().to_owned();
                    texts.insert(step["number"].as_u64(), text);
                }
            }
            Some("resolved") => told.bases.push(text("digest")),
            Some("step_finished") => told.ran.push(step()?),
            Some("step_cached") => told.cached.push(step()?),
            Some("step_missed") if event["reason"].is_string() => told.reasons.push(text("reason")),
            Some("warning") => told.warnings.push(text("message")),
            _ => {}
        }
    }
    told.ran.sort();
    Ok(told)
}

/// Builds as a later job does: with no local state.
fn in_a_new_job(environment: &TestEnvironment, more: &[&str]) -> Result<Told> {
    build(environment, &tempfile::tempdir_in(environment.temporary())?, more)
}
