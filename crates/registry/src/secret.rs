//! Text that must not be shown.

use std::fmt;

/// Holds a password or token. It has no `Display`, its `Debug` shows nothing, and it is neither serialised nor
/// compared by accident: [`Secret::expose`] is the one way to the text, and easy to search for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Borrows the text, to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Is true for an empty text, which configuration files use for "none".
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
