//! RUN, and the two forms of a command.

use std::borrow::Cow;

use super::MountSpec;
use crate::heredoc::Heredoc;
use crate::source::Span;

/// A command in one of its two forms. Neither expands while building.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandLine {
    /// A line for the shell, possibly empty.
    Shell(String),
    /// A program and its arguments, from a JSON array, possibly empty.
    Exec(Vec<String>),
}

/// `RUN [flags] command`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The command; with heredocs always a line for the shell.
    pub command: CommandLine,
    /// The heredocs of the line.
    pub heredocs: Vec<Heredoc>,
    /// `--mount`s as written.
    pub mounts: Vec<MountSpec>,
    /// `--network`.
    pub network: Network,
    /// `--security`.
    pub security: Security,
    /// `--device`s.
    pub devices: Vec<Device>,
}

/// The network of a RUN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// The builder's default.
    #[default]
    Default,
    /// None but loopback.
    None,
    /// The host's.
    Host,
}

/// The confinement of a RUN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Security {
    /// Confined.
    #[default]
    Sandbox,
    /// With elevated privileges.
    Insecure,
}

/// A device asked for with `--device`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The fully qualified name; never expanded.
    pub name: String,
    /// Whether the build fails without it.
    pub required: bool,
    /// The flag.
    pub span: Span,
}

/// What a RUN executes, once heredocs are considered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script<'a> {
    /// Arguments as they are.
    Exec(&'a [String]),
    /// One line or many for the shell.
    Shell(Cow<'a, str>),
    /// A file to be executed itself: its content begins with `#!`.
    File {
        /// The file's name: the terminator of the heredoc.
        name: &'a str,
        /// Its content.
        content: Cow<'a, str>,
    },
}

impl Run {
    /// What to execute.
    ///
    /// When the whole line is one heredoc its content is the script, so that shells without
    /// heredocs can run it too; otherwise the heredocs are put back below the line for the shell
    /// to handle.
    pub fn script(&self) -> Script<'_> {
        let line = match &self.command {
            CommandLine::Exec(argv) => return Script::Exec(argv),
            CommandLine::Shell(line) => line,
        };
        let Some(first) = self.heredocs.first() else {
            return Script::Shell(Cow::Borrowed(line));
        };
        if crate::heredoc::is_marker(line) {
            let content = first.content();
            return if content.starts_with("#!") {
                Script::File { name: &first.name, content }
            } else {
                Script::Shell(content)
            };
        }
        let mut text = line.clone();
        for heredoc in &self.heredocs {
            text.push('\n');
            text.push_str(&heredoc.raw);
            text.push_str(&heredoc.name);
        }
        Script::Shell(Cow::Owned(text))
    }
}
