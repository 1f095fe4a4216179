//! Running the program.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{Git, GitError, Repository};

/// As much output as is read: of thousands of references, not of a server that never ends.
const LONGEST_OUTPUT: u64 = 16 << 20;

/// As much as is kept of what the program says in words.
const LONGEST_TALK: usize = 16 << 10;

/// Settings that hold for every command. They come by the environment: the list of processes is public.
const SETTINGS: [(&str, &str); 9] = [
    ("advice.detachedHead", "false"),
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("gc.auto", "0"),
    // A server that sends nothing must not keep a build for ever.
    ("http.lowSpeedLimit", "100"),
    ("http.lowSpeedTime", "60"),
    ("init.defaultBranch", "master"),
    ("init.templateDir", ""),
    // In a user namespace owners are not what they are outside.
    ("safe.directory", "*"),
];

/// Host keys are those that the user knows, and new ones are remembered; nothing is asked.
const SSH: &str = "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new";

impl Git {
    /// Runs a subcommand to its end and gives what it wrote to its standard output.
    pub(super) fn run(
        &self,
        repository: &Repository,
        directory: Option<&Path>,
        arguments: &[&str],
    ) -> Result<String, GitError> {
        let action = arguments.first().copied().unwrap_or_default();
        let started = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound if directory.is_none_or(Path::exists) => {
                GitError::NoProgram { remote: repository.shown() }
            }
            _ => GitError::Start { action: action.to_owned(), remote: repository.shown(), source },
        };
        let child = self.command(repository, directory, arguments).spawn().map_err(started)?;
        let ended = finish(child).map_err(started)?;
        if ended.success {
            return Ok(ended.output);
        }
        Err(GitError::Failed {
            action: action.to_owned(),
            remote: repository.shown(),
            reason: reason(&ended.talk, repository),
        })
    }

    fn command(
        &self,
        repository: &Repository,
        directory: Option<&Path>,
        arguments: &[&str],
    ) -> Command {
        let mut command = Command::new("git");
        command.env_clear();
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command
            .env("GIT_ALLOW_PROTOCOL", &self.protocols)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env("GIT_SSH_COMMAND", SSH)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("HOME", "/dev/null")
            .env("LC_ALL", "C");
        let header = self.authorization.as_ref().zip(repository.origin()).map(|(value, origin)| {
            (format!("http.{origin}.extraHeader"), format!("Authorization: {}", value.0))
        });
        let settings = SETTINGS.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut count = 0;
        for (key, value) in settings.into_iter().chain(header) {
            command.env(format!("GIT_CONFIG_KEY_{count}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{count}"), value);
            count += 1;
        }
        command.env("GIT_CONFIG_COUNT", count.to_string());
        if let Some(directory) = directory {
            command.current_dir(directory);
            // Never that of a directory above.
            command.env("GIT_DIR", directory.join(".git"));
            command.env("GIT_WORK_TREE", directory);
        }
        command
            .args(arguments.iter().map(OsStr::new))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

struct Ended {
    success: bool,
    output: String,
    talk: Vec<u8>,
}

fn finish(mut child: Child) -> io::Result<Ended> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let talking = std::thread::spawn(move || stderr.map(last_bytes).unwrap_or_default());
    let mut output = Vec::new();
    let read = match stdout {
        Some(stdout) => stdout.take(LONGEST_OUTPUT).read_to_end(&mut output),
        None => Ok(0),
    };
    if read.is_err() || output.len() as u64 == LONGEST_OUTPUT {
        child.kill()?;
    }
    let status = child.wait()?;
    read?;
    let talk = talking.join().unwrap_or_default();
    let output = String::from_utf8_lossy(&output).into_owned();
    Ok(Ended { success: status.success(), output, talk })
}

/// Reads to the end and keeps the last bytes. What cannot be read is not said.
fn last_bytes(mut reader: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..count]);
        if kept.len() > 2 * LONGEST_TALK {
            kept.drain(..kept.len() - LONGEST_TALK);
        }
    }
    kept
}

/// What went wrong in one line: what the program or the server calls an error.
fn reason(talk: &[u8], repository: &Repository) -> String {
    let text = String::from_utf8_lossy(talk);
    let text = match repository.password() {
        Some(password) => text.replace(&format!("{password}@"), ""),
        None => text.into_owned(),
    };
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let of_interest = |line: &&&str| {
        ["fatal:", "error:", "ERROR:", "remote: error:"].iter().any(|mark| line.starts_with(mark))
    };
    let chosen = lines.iter().find(of_interest).or(lines.last());
    let line = chosen.map_or("it gave no reason", |line| *line);
    let line = line.strip_prefix("fatal: ").or(line.strip_prefix("error: ")).unwrap_or(line);
    line.chars().filter(|c| !c.is_control()).collect()
}
