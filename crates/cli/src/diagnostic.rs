//! What went wrong or is doubtful, for people: one shape for every error of every crate below.
//!
//! ```text
//! error: `bin/tool` is not in the build context
//!  --> Dockerfile:7:6
//!   |
//! 7 | COPY bin/tool /app
//!   |      ^^^^^^^^ excluded by `.dockerignore` line 3 (`bin/`)
//!   |
//!   = help: add `!bin/tool` to `.dockerignore`
//! ```

use std::error::Error;

use serde::Serialize;
use strata_dockerfile::{Source, Span};

use crate::exit::Exit;

pub(crate) mod fold;
pub(crate) mod text;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    pub(crate) severity: Severity,
    /// One line: what, and which.
    pub(crate) message: String,
    /// Where in a text.
    pub(crate) excerpt: Option<Excerpt>,
    /// What led to it, nearest first.
    pub(crate) causes: Vec<String>,
    pub(crate) notes: Vec<String>,
    /// The last lines of a command's output.
    pub(crate) output: Vec<String>,
    pub(crate) help: Option<String>,
}

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    pub(crate) source: Source,
    pub(crate) span: Span,
    /// Stands behind the carets.
    pub(crate) label: Option<String>,
}

impl Diagnostic {
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            excerpt: None,
            causes: Vec::new(),
            notes: Vec::new(),
            output: Vec::new(),
            help: None,
        }
    }

    pub(crate) fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// An error with the chain of its causes.
    pub(crate) fn of(error: &dyn Error) -> Self {
        Self::error(error.to_string()).caused_by(error.source())
    }

    /// Adds a cause and its own causes. One that only repeats the message is left out: a transparent
    /// error has the text of its source.
    #[must_use]
    pub(crate) fn caused_by(mut self, cause: Option<&dyn Error>) -> Self {
        let mut next = cause;
        while let Some(error) = next {
            let text = error.to_string();
            let last = self.causes.last().unwrap_or(&self.message);
            if !last.ends_with(&text) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    #[must_use]
    pub(crate) fn at(mut self, source: &Source, span: Span) -> Self {
        self.excerpt = Some(Excerpt { source: source.clone(), span, label: None });
        self
    }

    #[must_use]
    pub(crate) fn labelled(mut self, label: impl Into<String>) -> Self {
        if let Some(excerpt) = &mut self.excerpt {
            excerpt.label = Some(label.into());
        } else {
            self.notes.push(label.into());
        }
        self
    }

    #[must_use]
    pub(crate) fn noting(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    #[must_use]
    pub(crate) fn helped(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    #[must_use]
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        self.helped(Some(help.into()))
    }

    /// As it stands in JSON.
    pub(crate) fn to_json(&self) -> Finding<'_> {
        let place = self.excerpt.as_ref().map(|excerpt| {
            let (start, end) = excerpt.source.positions(excerpt.span);
            Place {
                file: excerpt.source.name(),
                line: start.line,
                column: start.column,
                end_line: end.line,
                end_column: end.column,
            }
        });
        Finding {
            severity: self.severity,
            message: &self.message,
            place,
            causes: &self.causes,
            notes: &self.notes,
            output: &self.output,
            help: self.help.as_deref(),
        }
    }
}

/// A finding as it stands in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Finding<'a> {
    severity: Severity,
    message: &'a str,
    #[serde(flatten)]
    place: Option<Place<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    causes: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    output: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Place<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
}

/// Why a command ends without having done what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) exit: Exit,
    /// The code of the command that failed, where one did.
    pub(crate) command: Option<u8>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, diagnostic: Diagnostic) -> Self {
        Self::of(exit, vec![diagnostic])
    }

    /// One with any number of findings, also none where they are told already.
    pub(crate) fn of(exit: Exit, diagnostics: Vec<Diagnostic>) -> Self {
        Self { diagnostics, exit, command: None }
    }

    /// A mistake on the command line or in the environment.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, Diagnostic::error(message))
    }

    /// Something that the contract has and this program does not.
    pub(crate) fn not_built(what: &str) -> Self {
        Self::usage(format!("{what} is not built yet"))
    }

    /// A file of the user that cannot be read or written.
    pub(crate) fn file(action: &str, path: &std::path::Path, error: &dyn Error) -> Self {
        let message = format!("cannot {action} `{}`", path.display());
        Self::new(Exit::Failed, Diagnostic::error(message).caused_by(Some(error)))
    }

    /// The last line of a stream of events.
    pub(crate) fn to_json_line(&self) -> String {
        #[derive(Serialize)]
        struct Failed<'a> {
            event: &'static str,
            exit: u8,
            diagnostics: Vec<Finding<'a>>,
        }
        let diagnostics = self.diagnostics.iter().map(Diagnostic::to_json).collect();
        let failed = Failed { event: "failed", exit: self.exit.code(), diagnostics };
        let mut line = serde_json::to_string(&failed).expect("text and numbers are JSON");
        line.push('\n');
        line
    }

    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        if let Some(diagnostic) = self.diagnostics.last_mut() {
            diagnostic.help = Some(help.into());
        }
        self
    }
}
