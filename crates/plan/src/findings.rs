//! Collects what is wrong, so that all of it can be told.

use strata_dockerfile::lint::LintSettings;
use strata_dockerfile::{Rule, Span, Warning};

use crate::error::{PlanError, PlanErrorKind};

/// Errors and warnings found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<PlanError>,
    pub(crate) warnings: Vec<Warning>,
    /// The FROM whose trigger is looked at, for the errors to come.
    pub(crate) trigger_of: Option<Span>,
}

impl Findings {
    pub(crate) fn error(&mut self, span: Span, kind: impl Into<PlanErrorKind>) {
        self.error_with_help(span, kind, None);
    }

    pub(crate) fn error_with_help(
        &mut self,
        span: Span,
        kind: impl Into<PlanErrorKind>,
        help: Option<String>,
    ) {
        let (kind, trigger_of) = (kind.into(), self.trigger_of);
        self.errors.push(PlanError { span: Some(span), trigger_of, kind, help });
    }

    /// An error that no text says.
    pub(crate) fn error_of_request(&mut self, kind: PlanErrorKind, help: Option<String>) {
        self.errors.push(PlanError { span: None, trigger_of: None, kind, help });
    }

    pub(crate) fn warn(
        &mut self,
        settings: &LintSettings,
        rule: Rule,
        span: Span,
        message: String,
        help: Option<String>,
    ) {
        if settings.allows(rule) {
            self.warnings.push(Warning { rule, span, message, help });
        }
    }

    /// Gives the errors in source order, each once.
    pub(crate) fn take_errors(&mut self) -> Vec<PlanError> {
        let mut errors = std::mem::take(&mut self.errors);
        errors.sort_by_key(|error| error.span);
        errors.dedup();
        errors
    }
}

/// The advice that a name looks like another one.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    options: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    strata_dockerfile::suggest(name, options).map(|option| format!("did you mean `{option}`?"))
}
