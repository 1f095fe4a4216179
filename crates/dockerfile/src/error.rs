//! What is wrong with a text, and where.

use std::fmt;

use crate::source::Span;

/// A finding in words, ready to be shown below its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where.
    pub span: Span,
    /// What: one line, lower case, no final period.
    pub message: String,
    /// Advice, when there is some.
    pub help: Option<String>,
}

/// One error of a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct ParseError {
    /// Where.
    pub span: Span,
    /// What.
    pub kind: ParseErrorKind,
    /// Advice, for example the name that was probably meant.
    pub help: Option<String>,
}

impl ParseError {
    pub(crate) fn new(span: Span, kind: ParseErrorKind) -> Self {
        Self { span, kind, help: None }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn with_suggestion(self, suggestion: Option<&str>) -> Self {
        match suggestion {
            Some(name) => self.with_help(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// The error in words.
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic { span: self.span, message: self.kind.to_string(), help: self.help.clone() }
    }
}

/// All errors of a text, in source order; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseErrors(Vec<ParseError>);

impl ParseErrors {
    pub(crate) fn new(mut errors: Vec<ParseError>) -> Option<Self> {
        errors.sort_by_key(|error| error.span.start);
        (!errors.is_empty()).then_some(Self(errors))
    }

    /// The errors, in source order.
    pub fn iter(&self) -> std::slice::Iter<'_, ParseError> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a ParseErrors {
    type Item = &'a ParseError;
    type IntoIter = std::slice::Iter<'a, ParseError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for ParseErrors {
    type Item = ParseError;
    type IntoIter = std::vec::IntoIter<ParseError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for ParseErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("; ")?;
            }
            error.fmt(formatter)?;
        }
        Ok(())
    }
}

impl std::error::Error for ParseErrors {}

/// Every way in which a text is not a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseErrorKind {
    /// Offsets would not fit.
    #[error("the text is longer than 4 GiB")]
    TooLong,
    /// Nothing but blanks and comments.
    #[error("the file has no instructions")]
    NoInstructions,
    /// Only ARGs.
    #[error("the file has no build stage: no `FROM` instruction")]
    NoStages,
    /// Something other than ARG precedes the first FROM.
    #[error("`{keyword}` before the first `FROM`: only `ARG` may come before a build stage")]
    BeforeFrom {
        /// The instruction.
        keyword: String,
    },
    /// A directive occurs twice.
    #[error("the parser directive `{name}` may be used only once")]
    DuplicateDirective {
        /// Its name.
        name: &'static str,
    },
    /// `escape` with another character.
    #[error("`{value}` cannot be the escape character: it must be a backslash or a backtick")]
    InvalidEscape {
        /// The value given.
        value: String,
    },
    /// An option of `check` that is not known.
    #[error("invalid check option `{option}`")]
    InvalidCheck {
        /// The option.
        option: String,
    },
    /// No such instruction.
    #[error("unknown instruction `{keyword}`")]
    UnknownInstruction {
        /// As written.
        keyword: String,
    },
    /// No such flag.
    #[error("unknown flag `--{flag}` of `{keyword}`")]
    UnknownFlag {
        /// The instruction.
        keyword: &'static str,
        /// The flag, without dashes.
        flag: String,
    },
    /// A flag twice.
    #[error("the flag `--{flag}` may be given only once")]
    DuplicateFlag {
        /// The flag, without dashes.
        flag: String,
    },
    /// A flag without its value.
    #[error("the flag `--{flag}` needs a value")]
    MissingFlagValue {
        /// The flag, without dashes.
        flag: String,
    },
    /// A flag with a value it cannot take.
    #[error("`{value}` is not a value for `--{flag}`: expected {expected}")]
    InvalidFlagValue {
        /// The flag, without dashes.
        flag: &'static str,
        /// The value.
        value: String,
        /// What it could have been.
        expected: &'static str,
    },
    /// A value that is not one line of CSV.
    #[error("`--{flag}` is not valid CSV: {problem}")]
    InvalidCsv {
        /// The flag, without dashes.
        flag: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// A `--mount` that cannot be.
    #[error(transparent)]
    Mount(#[from] crate::instruction::MountError),
    /// A `--device` that cannot be.
    #[error("invalid device: {problem} in `{field}`")]
    InvalidDevice {
        /// The part of the value.
        field: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// Variables where none are expanded.
    #[error("`{place}` does not support variable expansion: `{value}`")]
    VariableNotAllowed {
        /// The flag or key.
        place: &'static str,
        /// The value.
        value: String,
    },
    /// Too few arguments.
    #[error("`{keyword}` requires {required}")]
    MissingArguments {
        /// The instruction.
        keyword: &'static str,
        /// How many, of what.
        required: &'static str,
    },
    /// A name of a variable or label is empty.
    #[error("`{keyword}` names cannot be blank")]
    BlankName {
        /// The instruction.
        keyword: &'static str,
    },
    /// `KEY` without `=value` where others have one.
    #[error("`{word}` of `{keyword}` has no `=`: must be of the form `name=value`")]
    MissingEquals {
        /// The instruction.
        keyword: &'static str,
        /// The word.
        word: String,
    },
    /// A JSON array that holds something else than strings.
    #[error("a JSON array of arguments must hold only strings")]
    NotStrings,
    /// SHELL in another form than JSON.
    #[error("`SHELL` requires its arguments as a JSON array")]
    ShellNotJson,
    /// FROM with a strange number of words.
    #[error("`FROM` requires either one argument or three: `<image> [AS <name>]`")]
    FromArguments,
    /// A stage name that does not match `^[a-z][a-z0-9-_.]*$`.
    #[error("invalid name for a build stage: `{name}`")]
    InvalidStageName {
        /// As written.
        name: String,
    },
    /// The file ends inside a heredoc.
    #[error("unterminated heredoc: no line `{name}`")]
    UnterminatedHeredoc {
        /// The terminator.
        name: String,
    },
    /// A heredoc name with unbalanced quotes.
    #[error("invalid heredoc name `{name}`")]
    InvalidHeredoc {
        /// As written.
        name: String,
    },
    /// A heredoc where a destination must be.
    #[error("`{keyword}` cannot take a heredoc as its destination")]
    HeredocDestination {
        /// The instruction.
        keyword: &'static str,
    },
    /// A heredoc whose text no source of the instruction takes, or the other way round.
    #[error("the heredoc `{name}` of `{keyword}` is not one of its sources")]
    HeredocNotSource {
        /// The instruction.
        keyword: &'static str,
        /// The terminator.
        name: String,
    },
    /// HEALTHCHECK of an unknown type.
    #[error("unknown type `{word}` of `HEALTHCHECK`: must be `CMD` or `NONE`")]
    HealthcheckType {
        /// As written.
        word: String,
    },
    /// `HEALTHCHECK NONE x`.
    #[error("`HEALTHCHECK NONE` takes no arguments")]
    HealthcheckNone,
    /// An empty volume.
    #[error("a volume cannot be an empty string")]
    EmptyVolume,
    /// A trigger that is not allowed.
    #[error("`{keyword}` is not allowed as a trigger of `ONBUILD`")]
    ForbiddenTrigger {
        /// The instruction.
        keyword: &'static str,
    },
    /// A trigger of a base image that holds several instructions.
    #[error("a trigger must be one instruction")]
    SeveralTriggers,
}
