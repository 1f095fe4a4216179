//! What keeps a Dockerfile from being planned.

use std::fmt;

use strata_dockerfile::{Diagnostic, ExpandError, ParseError, Span};
use strata_oci::PlatformError;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct PlanError {
    /// Where; the source is one of [`PlanErrors::sources`]. Absent for what no text says, as `--target`.
    pub span: Option<Span>,
    /// For a finding in a trigger of a base image: the FROM that brought it.
    pub trigger_of: Option<Span>,
    /// What.
    pub kind: PlanErrorKind,
    /// Advice, when there is some.
    pub help: Option<String>,
}

impl PlanError {
    /// The finding in words, ready to be shown below its line.
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic {
            span: self.span.unwrap_or_default(),
            message: self.kind.to_string(),
            help: self.help.clone(),
        }
    }
}

/// All findings, in source order; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanErrors {
    /// The findings.
    pub errors: Vec<PlanError>,
    /// The texts that spans point into; see [`Plan::sources`](crate::Plan::sources).
    pub sources: Vec<strata_dockerfile::Source>,
}

impl fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for PlanErrors {}

/// Every way in which a Dockerfile cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanErrorKind {
    /// `--target` names no stage.
    #[error("no stage is called `{target}`")]
    UnknownTarget {
        /// As given.
        target: String,
    },
    /// A word does not expand.
    #[error(transparent)]
    Expand(#[from] ExpandError),
    /// A mount that cannot be.
    #[error(transparent)]
    Mount(#[from] strata_dockerfile::instruction::MountError),
    /// FROM of nothing.
    #[error("the base `{written}` is empty once expanded")]
    EmptyBase {
        /// As written.
        written: String,
    },
    /// A name that can be neither stage nor image.
    #[error("`{name}` is neither a stage nor an image: {problem}")]
    InvalidImage {
        /// The name.
        name: String,
        /// Why it is no image.
        problem: String,
    },
    /// `--platform` of nothing.
    #[error("the platform `{written}` is empty once expanded")]
    EmptyPlatform {
        /// As written.
        written: String,
    },
    /// `--platform` of something strange.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// `--from` with a number of no stage.
    #[error("there is no stage number {index}")]
    InvalidStageIndex {
        /// As given.
        index: String,
    },
    /// A stage uses itself.
    #[error("stage `{stage}` depends on itself")]
    SelfReference {
        /// Its label.
        stage: String,
    },
    /// A stage uses a later one.
    #[error("stage `{stage}` is defined after this one: only earlier stages can be used")]
    LaterStage {
        /// Its label.
        stage: String,
    },
    /// A base image that was asked for and could not be had.
    #[error("base image `{image}` is not available: {problem}")]
    MissingBase {
        /// As written.
        image: String,
        /// Why, in the words of whoever looked.
        problem: String,
    },
    /// A trigger of a base image is not an instruction.
    #[error("a trigger of base image `{image}` is invalid: {problem}")]
    InvalidTrigger {
        /// The base as written.
        image: String,
        /// What is wrong.
        problem: ParseError,
    },
    /// More triggers than spans can tell apart.
    #[error("base image `{image}` has too many triggers")]
    TooManyTriggers {
        /// The base as written.
        image: String,
    },
    /// `--chmod` that means nothing.
    #[error(
        "`{value}` is not a mode: expected octal digits up to 7777, or clauses as `u=rwX,go-w`"
    )]
    InvalidChmod {
        /// Once expanded.
        value: String,
    },
    /// `--checksum` of something that has none.
    #[error("`--checksum` needs exactly one source, and that an URL or a git repository")]
    ChecksumSource,
    /// `--checksum` that is no digest.
    #[error("`{value}` is not a checksum: {problem}")]
    InvalidChecksum {
        /// Once expanded.
        value: String,
        /// Why.
        problem: String,
    },
    /// A git address with a strange query.
    #[error("git address `{address}` is invalid: {problem}")]
    InvalidGit {
        /// The address.
        address: String,
        /// Why.
        problem: String,
    },
    /// Two places say different things of one git source.
    #[error("`--{flag}` and the git address `{address}` contradict each other")]
    GitContradiction {
        /// The flag.
        flag: &'static str,
        /// The address.
        address: String,
    },
    /// COPY of something from elsewhere.
    #[error("`COPY` cannot download `{source_text}`")]
    RemoteCopy {
        /// The source.
        source_text: String,
    },
    /// A heredoc that is to be a file and has no name for one.
    #[error("the heredoc `{name}` cannot be the name of a file")]
    InvalidFileName {
        /// Its terminator.
        name: String,
    },
    /// A mount that would hide everything.
    #[error("a mount cannot have the target `{target}`")]
    InvalidMountTarget {
        /// As given.
        target: String,
    },
    /// EXPOSE of something else than ports.
    #[error("`{port}` is not a port: {problem}")]
    InvalidPort {
        /// As given.
        port: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// STOPSIGNAL of something else than a signal.
    #[error("`{signal}` is not a signal")]
    InvalidSignal {
        /// As given.
        signal: String,
    },
    /// VOLUME of nothing.
    #[error("a volume cannot be an empty string")]
    EmptyVolume,
    /// A name of ENV or LABEL that expands to nothing.
    #[error("a name of `{keyword}` is empty once expanded")]
    EmptyName {
        /// The instruction.
        keyword: &'static str,
    },
    /// `SOURCE_DATE_EPOCH` that is no number of seconds.
    #[error(
        "`SOURCE_DATE_EPOCH={value}` is not a number of seconds since 1970 that a date can show"
    )]
    InvalidEpoch {
        /// As given.
        value: String,
    },
    /// Named contexts with names that can be nothing.
    #[error("`{name}` cannot be the name of a build context")]
    InvalidContextName {
        /// As given.
        name: String,
    },
    /// What this program does not do.
    #[error("{what} is not supported: {reason}")]
    Unsupported {
        /// The flag or form, in backticks.
        what: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// RUN of nothing.
    #[error("there is nothing to run")]
    EmptyRun,
    /// A warning that the `check` directive makes an error.
    #[error("{message} ({rule})")]
    Lint {
        /// The rule's name.
        rule: &'static str,
        /// What it found.
        message: String,
    },
}
