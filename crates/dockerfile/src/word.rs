//! Text that expands and text that does not, as two types.

use crate::source::Span;

/// Text as written that may hold variables, quotes and escapes: see [`Expander`](crate::Expander).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Word {
    /// The text, continuations joined, not expanded.
    pub text: String,
    /// Where it is written.
    pub span: Span,
}

impl Word {
    /// Whether expansion could change the text: a `$`, a quote or an escape character is in it.
    pub fn needs_expansion(&self) -> bool {
        self.text.contains(['$', '\'', '"', '\\', '`'])
    }
}

/// Text that stands for itself and is never expanded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Literal {
    /// The text.
    pub text: String,
    /// Where it is written.
    pub span: Span,
}
