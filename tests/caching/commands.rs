//! `strata cache`, on each kind of cache.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::Value;
use strata_testkit::{TestEnvironment, TestRegistry};

use super::in_a_new_job;
use crate::person::{STRATA, succeed};

const DOCKERFILE: &str = "FROM scratch\nCOPY one /one\nCOPY two /two\n";

struct Project {
    registry: TestRegistry,
    environment: TestEnvironment,
}

impl Project {
    fn new() -> Result<Self> {
        let environment = TestEnvironment::new(STRATA)?;
        environment.write("Dockerfile", DOCKERFILE)?;
        environment.write("one", "1")?;
        environment.write("two", "2")?;
        Ok(Self { registry: TestRegistry::start(), environment })
    }

    /// `--cache-to` and `--cache-from` of every kind.
    fn places(&self) -> [(String, String); 3] {
        let directory = self.environment.temporary().join("cache").display().to_string();
        let [manifest, tags] = ["cache:1", "tags"].map(|name| self.registry.reference(name));
        [
            (manifest.clone(), manifest),
            (tags.clone(), tags),
            (format!("type=local,dest={directory}"), format!("type=local,src={directory}")),
        ]
    }

    fn json(&self, words: &[&str]) -> Result<Value> {
        let ran = succeed(&self.environment, [&["cache"], words, &["--json"]].concat())?;
        ensure!(ran.stderr.is_empty(), "{words:?}: {}", ran.stderr);
        Ok(serde_json::from_str(&ran.stdout)?)
    }
}

#[test]
fn cache_is_shown_as_text_and_as_json() -> Result<()> {
    let project = Project::new()?;
    for (to, from) in project.places() {
        in_a_new_job(&project.environment, &["--tag=app:1", "--cache-to", &to])?;
        let shown = project.json(&["inspect", &from])?;
        let steps = shown["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut does: Vec<_> = steps.iter().filter_map(|step| step["does"].as_str()).collect();
        does.sort_unstable();
        assert_eq!(does, ["COPY /one /one", "COPY /two /two"], "{from}: {shown}");
        // A result that is also known by content is one result.
        assert_eq!(steps.len(), 2, "{from}: {shown}");
        let layers: BTreeMap<_, _> =
            steps.iter().map(|step| (step["layer"].as_str(), step["size"].as_u64())).collect();
        assert_eq!(layers.len(), 2, "{from}: {shown}");
        let sizes: u64 = layers.values().flatten().sum();
        ensure!(sizes > 0 && shown["size"].as_u64() > Some(sizes), "indexes too: {shown}");
        assert_eq!(shown["indexes"], 2, "{from}: {shown}");
        assert_eq!(shown["mounts"].as_array().map(Vec::len), Some(0), "{from}");

        let text = succeed(&project.environment, ["cache", "inspect", &from])?.stdout;
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.first().copied(), shown["name"].as_str(), "{from}");
        let holds = format!("holds     {} steps, 2 indexes, 0 mounts", steps.len());
        ensure!(lines.contains(&holds.as_str()), "{from}: {text}");
        for step in steps {
            let key = &step["key"].as_str().unwrap_or_default()[..12];
            let does = step["does"].as_str().unwrap_or("-");
            let line = lines.iter().find(|line| line.trim_start().starts_with(key));
            ensure!(
                line.is_some_and(|line| line.contains(" today ") && line.ends_with(does)),
                "{text}"
            );
        }
    }
    Ok(())
}

#[test]
fn unused_results_are_dropped_and_told() -> Result<()> {
    for place in 0..3 {
        let project = Project::new()?;
        let (to, from) = project.places()[place].clone();
        in_a_new_job(&project.environment, &["--tag=app:1", "--cache-to", &to])?;
        // What was used today is no older than the fourteen days of the default.
        let dropped = project.json(&["prune", &from])?;
        assert_eq!(dropped, serde_json::json!({"steps": 0, "mounts": 0}), "{from}");
        let told = in_a_new_job(&project.environment, &["--tag=app:1", "--cache-from", &from])?;
        assert_eq!((told.ran.len(), told.cached.len()), (0, 2), "{from}");

        let shown = project.json(&["inspect", &from])?;
        let steps = shown["steps"].as_array().map_or(0, Vec::len);
        let said = format!("dropped {steps} steps and 0 cache mounts\n");
        let all = ["cache", "prune", "--unused=0s", &from];
        let ran = succeed(&project.environment, all)?;
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", said.as_str()), "{from}");
        let told = in_a_new_job(&project.environment, &["--tag=app:1", "--cache-from", &from])?;
        assert_eq!((told.ran.len(), told.cached.len()), (2, 0), "{from}");
    }
    Ok(())
}

#[test]
fn cache_that_is_not_there_is_one_error() -> Result<()> {
    let project = Project::new()?;
    for (_, from) in project.places() {
        for command in ["inspect", "prune"] {
            let ran = project.environment.run(["cache", command, &from])?;
            ensure!(ran.code != Some(0) && ran.stdout.is_empty(), "{command} {from}: {ran:#?}");
            assert_eq!(ran.stderr.matches("error: cannot use the cache").count(), 1, "{ran:#?}");
        }
    }
    Ok(())
}
