//! How the program ends, as a number.

use std::process::ExitCode;

/// What the program's end means to whoever called it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Exit {
    Done,
    Failed,
    Usage,
    Registry,
    Host,
    Bug,
    Interrupted,
    Terminated,
    /// The code of the command that failed.
    Command(u8),
}

impl Exit {
    /// Every way to end that has a code of its own, in the order of the documentation.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 8] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Registry,
        Self::Host,
        Self::Bug,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Registry => 3,
            Self::Host => 4,
            // EX_SOFTWARE of sysexits.h.
            Self::Bug => 70,
            // 128 and the number of the signal, as shells say it.
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::Command(code) => code,
        }
    }

    /// One line for the documentation.
    #[cfg(test)]
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Done => "Done.",
            Self::Failed => {
                "The build failed: an error in the Dockerfile, a missing file, a command that returned another code than 0, a local disk that is full."
            }
            Self::Usage => {
                "The command line or the environment is wrong, or asks for something that is not built yet."
            }
            Self::Registry => {
                "A registry refused or could not be reached, or an image does not exist there."
            }
            Self::Host => {
                "This host does not allow what is needed to run commands; `strata doctor` says what."
            }
            Self::Bug => "A bug of strata.",
            Self::Interrupted => "Interrupted by Ctrl-C (SIGINT).",
            Self::Terminated => "Ended by SIGTERM.",
            Self::Command(_) => "`strata executor`: the code of the command that failed.",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_part_of_the_contract() {
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4, 70, 130, 143]);
    }
}
