//! Running the program away from the user's files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

/// Holds directories of its own for everything the program reads and writes, and the program's path.
///
/// The program sees no variable of the test's own environment but `PATH`, so that neither proxies nor credentials
/// of the machine change a test.
#[derive(Debug)]
pub struct TestEnvironment {
    root: TempDir,
    program: PathBuf,
    variables: Vec<(String, String)>,
}

/// Is how the program ended and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its data.
    pub stdout: String,
    /// Its talk.
    pub stderr: String,
}

impl Ran {
    /// What it told with `--progress json`, an object a line.
    pub fn events(&self) -> Result<Vec<Value>> {
        let event = |line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}"));
        self.stdout.lines().map(event).collect()
    }
}

impl TestEnvironment {
    /// Makes the directories. `program` is the path of the binary under test.
    pub fn new(program: impl Into<PathBuf>) -> Result<Self> {
        let root = tempfile::tempdir().context("cannot make a temporary directory")?;
        let environment = Self { root, program: program.into(), variables: Vec::new() };
        for directory in [
            environment.home(),
            environment.state(),
            environment.temporary(),
            environment.context(),
        ] {
            std::fs::create_dir_all(&directory)
                .with_context(|| format!("cannot make `{}`", directory.display()))?;
        }
        Ok(environment)
    }

    /// Is `HOME`.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// Is where the program keeps its store.
    pub fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// Is `TMPDIR`.
    pub fn temporary(&self) -> PathBuf {
        self.root.path().join("tmp")
    }

    /// Is a directory for a build context, and the program's current directory.
    pub fn context(&self) -> PathBuf {
        self.root.path().join("context")
    }

    /// Sets a variable for each run.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file into the build context, with its directories, and gives its path.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.context().join(path);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("cannot make `{}`", directory.display()))?;
        }
        std::fs::write(&path, content)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(path)
    }

    /// Makes a command of the program, in the context's directory, with no more than these variables.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("XDG_DATA_HOME", self.state())
            .env("XDG_RUNTIME_DIR", self.temporary())
            .env("TMPDIR", self.temporary())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.context())
            .stdin(Stdio::null());
        command
    }

    /// Runs the program with arguments to its end.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<Ran> {
        let output = self
            .command()
            .args(arguments)
            .output()
            .with_context(|| format!("cannot run `{}`", self.program.display()))?;
        Ok(Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}
