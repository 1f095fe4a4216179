//! `--chmod`: octal digits, or clauses as chmod(1) has them.
//!
//! ```text
//! u=rwX,go-w
//! ^^^^^ ^^^^
//! clause: who (u g o a)*, then actions: (+ - =)(r w x X s t)* or (+ - =)(u g o)
//! ```

use std::fmt;

use serde::{Serialize, Serializer};

/// `--chmod`, checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Chmod {
    /// All bits: 0 to 0o7777.
    Octal(u32),
    /// Changes to each file's own mode.
    Symbolic(SymbolicMode),
}

/// Clauses of chmod(1). Without a who they mean everyone, whatever the umask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SymbolicMode {
    text: String,
    actions: Vec<Action>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Action {
    /// The bits that may change: of user, group, others, and their special bits.
    who: u32,
    operator: Operator,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operator {
    Add,
    Remove,
    Set,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    /// Fixed bits, and whether execution is asked for where it makes sense (`X`).
    Bits { bits: u32, conditional_execute: bool },
    /// The bits that a class has: how far to shift right to get them.
    Copy { shift: u32 },
}

const USER: u32 = 0o4700;
const GROUP: u32 = 0o2070;
const OTHER: u32 = 0o0007;
const STICKY: u32 = 0o1000;

impl Chmod {
    /// Reads the value of the flag.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok()?;
            return (mode <= 0o7777).then_some(Self::Octal(mode));
        }
        Some(Self::Symbolic(SymbolicMode::parse(text)?))
    }

    /// The mode that a file of mode `mode` gets.
    pub fn apply(&self, mode: u32, directory: bool) -> u32 {
        match self {
            Self::Octal(mode) => *mode,
            Self::Symbolic(symbolic) => symbolic
                .actions
                .iter()
                .fold(mode & 0o7777, |mode, action| action.apply(mode, directory)),
        }
    }
}

impl SymbolicMode {
    fn parse(text: &str) -> Option<Self> {
        let mut actions = Vec::new();
        for clause in text.split(',') {
            let operator_at = clause.find(['+', '-', '='])?;
            let (classes, mut rest) = clause.split_at(operator_at);
            let mut who = 0;
            for class in classes.chars() {
                who |= match class {
                    'u' => USER,
                    'g' => GROUP,
                    'o' => OTHER,
                    'a' => USER | GROUP | OTHER,
                    _ => return None,
                };
            }
            let everyone = who == 0;
            let who = if everyone { USER | GROUP | OTHER } else { who };
            while let Some(operator) = rest.chars().next() {
                let after = &rest[1..];
                let end = after.find(['+', '-', '=']).unwrap_or(after.len());
                actions.push(Action::parse(who, operator, &after[..end])?);
                rest = &after[end..];
            }
        }
        Some(Self { text: text.to_owned(), actions })
    }
}

impl Action {
    fn parse(who: u32, operator: char, permissions: &str) -> Option<Self> {
        let operator = match operator {
            '+' => Operator::Add,
            '-' => Operator::Remove,
            '=' => Operator::Set,
            _ => return None,
        };
        let shift = match permissions {
            "u" => Some(6),
            "g" => Some(3),
            "o" => Some(0),
            _ => None,
        };
        if let Some(shift) = shift {
            return Some(Self { who, operator, what: What::Copy { shift } });
        }
        let (mut bits, mut conditional_execute, mut sticky) = (0, false, false);
        for permission in permissions.chars() {
            bits |= match permission {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                's' => 0o6000,
                't' => {
                    sticky = true;
                    STICKY
                }
                'X' => {
                    conditional_execute = true;
                    0
                }
                _ => return None,
            };
        }
        // Like set-id bits, the sticky bit is not one of the others'.
        let who = if sticky && who & !OTHER != 0 { who | STICKY } else { who };
        Some(Self { who, operator, what: What::Bits { bits, conditional_execute } })
    }

    fn apply(self, mode: u32, directory: bool) -> u32 {
        let bits = match self.what {
            What::Bits { bits, conditional_execute } => {
                let execute = conditional_execute && (directory || mode & 0o111 != 0);
                bits | if execute { 0o111 } else { 0 }
            }
            What::Copy { shift } => {
                let class = mode >> shift & 0o7;
                class << 6 | class << 3 | class
            }
        } & self.who;
        match self.operator {
            Operator::Add => mode | bits,
            Operator::Remove => mode & !bits,
            Operator::Set => mode & !self.who | bits,
        }
    }
}

impl fmt::Display for Chmod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Octal(mode) => write!(f, "{mode:o}"),
            Self::Symbolic(symbolic) => f.write_str(&symbolic.text),
        }
    }
}

impl Serialize for Chmod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_apply_as_chmod_does() {
        for (text, file, directory) in [
            ("755", 0o755, 0o755),
            ("07777", 0o7777, 0o7777),
            ("0", 0, 0),
            ("u=rwX,go=rX", 0o644, 0o755),
            ("+x", 0o755, 0o755),
            ("a+rwX", 0o666, 0o777),
            ("go-r", 0o600, 0o711),
            ("g=u", 0o664, 0o775),
            ("o=", 0o640, 0o750),
            ("u+s,g+s", 0o6644, 0o6755),
            ("+t", 0o1644, 0o1755),
            ("o+t", 0o644, 0o755),
            ("u+x-w", 0o544, 0o555),
        ] {
            let chmod = Chmod::parse(text).expect(text);
            assert_eq!(
                (chmod.apply(0o644, false), chmod.apply(0o755, true)),
                (file, directory),
                "{text}"
            );
            if matches!(chmod, Chmod::Symbolic(_)) {
                assert_eq!(chmod.to_string(), text);
            }
        }
    }

    #[test]
    fn refuses_what_is_no_mode() {
        for text in ["", "888", "10000", "u", "u~x", "u+q", "rwx", "u+x,", "7x"] {
            assert_eq!(Chmod::parse(text), None, "{text}");
        }
    }
}
