//! A build to try an option on: a registry, and a context without RUN.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use strata_testkit::{Ran, TestEnvironment, TestRegistry};

use crate::person::STRATA;

const DOCKERFILE: &str = "\
FROM scratch AS other
COPY data /other
FROM scratch
ARG VERSION=none
LABEL version=$VERSION
COPY data /data
";

pub(super) struct Scene {
    pub(super) environment: TestEnvironment,
    pub(super) registry: TestRegistry,
}

impl Scene {
    pub(super) fn new() -> Result<Self> {
        let scene =
            Self { environment: TestEnvironment::new(STRATA)?, registry: TestRegistry::start() };
        scene.environment.write("Dockerfile", DOCKERFILE)?;
        scene.environment.write("data", "data\n".repeat(10_000))?;
        Ok(scene)
    }

    pub(super) fn context(&self) -> String {
        self.environment.context().display().to_string()
    }

    /// A path for a result.
    pub(super) fn path(&self, name: &str) -> String {
        self.environment.temporary().join(name).display().to_string()
    }

    pub(super) fn destination(&self) -> String {
        self.registry.reference("team/app:1")
    }

    /// The words that every build needs.
    pub(super) fn usual(&self) -> Vec<String> {
        vec![
            format!("--context={}", self.context()),
            "--destination".to_owned(),
            self.destination(),
        ]
    }

    pub(super) fn command(&self) -> Command {
        let mut command = self.environment.command();
        command.arg("executor");
        command
    }

    pub(super) fn executor(&self, arguments: &[impl AsRef<std::ffi::OsStr>]) -> Result<Ran> {
        ran(self.command().args(arguments))
    }

    /// Builds and pushes, with more options; that must succeed.
    pub(super) fn build(&self, more: &[&str]) -> Result<Ran> {
        self.build_with(&[], more)
    }

    pub(super) fn build_with(&self, variables: &[(&str, &str)], more: &[&str]) -> Result<Ran> {
        let mut command = self.command();
        command.args(self.usual()).args(more).envs(variables.iter().copied());
        let ran = ran(&mut command)?;
        ensure!(ran.code == Some(0), "{more:?}: {ran:#?}");
        Ok(ran)
    }

    /// Builds with more options; that must fail with code 1.
    pub(super) fn fail(&self, more: &[&str]) -> Result<String> {
        let ran = ran(self.command().args(self.usual()).args(more))?;
        ensure!(ran.code == Some(1), "{more:?}: {ran:#?}");
        Ok(ran.stderr)
    }

    /// The manifest that was pushed, with its media type.
    pub(super) fn manifest(&self, tag: &str) -> Result<(String, Value)> {
        let (media_type, bytes) =
            self.registry.manifest("team/app", tag).with_context(|| format!("no tag `{tag}`"))?;
        Ok((media_type, serde_json::from_slice(&bytes)?))
    }

    /// The config that was pushed.
    pub(super) fn config(&self) -> Result<Value> {
        let (_, manifest) = self.manifest("1")?;
        let digest = manifest["config"]["digest"].as_str().context("a manifest has a config")?;
        let bytes = self.registry.blob("team/app", digest).context("the config was pushed")?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    pub(super) fn label(&self, name: &str) -> Result<String> {
        Ok(self.config()?["config"]["Labels"][name].as_str().unwrap_or_default().to_owned())
    }

    /// The digest of what was pushed.
    pub(super) fn digest(&self) -> Result<String> {
        let (_, bytes) = self.registry.manifest("team/app", "1").context("nothing was pushed")?;
        Ok(strata_testkit::sha256(&bytes))
    }
}

/// Runs a command to its end.
pub(super) fn ran(command: &mut Command) -> Result<Ran> {
    let output = command.output()?;
    Ok(Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
