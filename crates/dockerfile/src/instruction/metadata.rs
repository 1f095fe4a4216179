//! Instructions that change only the image's configuration, or only the build.

use super::{CommandLine, Instruction, Statement};
use crate::word::{Literal, Word};

/// `ARG name[=value]...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg {
    /// The variables, at least one.
    pub args: Vec<ArgDeclaration>,
}

/// One variable of an ARG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgDeclaration {
    /// The name; not blank, never expanded.
    pub name: Literal,
    /// The default.
    pub value: Option<Word>,
    /// The comment `# <name> <description>` above it.
    pub description: Option<String>,
}

/// `CMD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cmd {
    /// The command.
    pub command: CommandLine,
}

/// `ENTRYPOINT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrypoint {
    /// The command.
    pub command: CommandLine,
}

/// `ENV`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Env {
    /// The variables in order, at least one.
    pub pairs: Vec<KeyValue>,
}

/// `LABEL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The labels in order, at least one.
    pub pairs: Vec<KeyValue>,
}

/// A pair of ENV or LABEL; both sides expand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The name; not blank.
    pub key: Word,
    /// The value.
    pub value: Word,
    /// Whether it was written with a space instead of `=` (`ENV name the rest of the line`).
    pub legacy: bool,
}

/// `EXPOSE port...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expose {
    /// The ports, at least one, sorted by their text. Each may expand to several words.
    pub ports: Vec<Word>,
}

/// `MAINTAINER name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintainer {
    /// The author; never expanded.
    pub name: Literal,
}

/// `ONBUILD instruction`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Onbuild {
    /// The trigger as text, heredocs included: what the image's configuration keeps.
    pub text: String,
    /// The trigger parsed. Its spans are those of this Dockerfile.
    pub trigger: Box<Statement<Instruction>>,
}

/// `SHELL ["program", "argument"...]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shell {
    /// The shell and its arguments, at least one. Never expanded.
    pub argv: Vec<String>,
}

/// `STOPSIGNAL signal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopsignal {
    /// A name or a number.
    pub signal: Word,
}

/// `USER user[:group]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Names or numbers.
    pub user: Word,
}

/// `VOLUME path...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The paths, at least one, none blank before expansion.
    pub paths: Vec<Word>,
}

/// `WORKDIR path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workdir {
    /// The directory; relative to the one before.
    pub path: Word,
}
