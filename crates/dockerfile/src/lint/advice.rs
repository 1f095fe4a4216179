//! What to do about a finding.

use super::Rule;

impl Rule {
    /// What to do about a finding of this rule, whatever it found.
    pub fn advice(self) -> &'static str {
        match self {
            Self::ConsistentInstructionCasing => "write all instructions in the same case",
            Self::CopyIgnoredFile => {
                "take the path out of the ignore file, or take the instruction away"
            }
            Self::DuplicateStageName => "give each stage a name of its own: the last one counts",
            Self::ExposeInvalidFormat => {
                "name the port of the container alone: it is published when a container is started"
            }
            Self::ExposeProtoCasing => "write the protocol in lower case",
            Self::FromAsCasing => "write `FROM` and `AS` in the same case",
            Self::FromPlatformFlagConstDisallowed => {
                "leave the flag out, use `$BUILDPLATFORM`, or name the stage after the platform"
            }
            Self::InvalidBaseImagePlatform => {
                "choose a base for the platform, or say with `FROM --platform` what is meant"
            }
            Self::InvalidDefaultArgInFrom => "give the argument a default that names an image",
            Self::InvalidDefinitionDescription => {
                "begin the comment with the name, or put an empty line below it"
            }
            Self::JSONArgsRecommended => {
                "write the command as a JSON array, or choose a shell on purpose with `SHELL`"
            }
            Self::LegacyKeyValueFormat => "put a `=` between name and value",
            Self::MaintainerDeprecated => "use `LABEL org.opencontainers.image.authors=…`",
            Self::MultipleInstructionsDisallowed => "take the earlier instruction away",
            Self::NoEmptyContinuation => "take the empty line away, or put a `#` into it",
            Self::RedundantTargetPlatform => "leave the flag out",
            Self::ReservedStageName => "choose another name: this one means something else",
            Self::SecretsUsedInArgOrEnv => {
                "use `RUN --mount=type=secret`, which leaves nothing in the image"
            }
            Self::StageNameCasing => "write the name in lower case: names are compared so",
            Self::UndefinedArgInFrom => "declare it with `ARG` before the first `FROM`",
            Self::UndefinedVar => "declare it with `ARG` or set it with `ENV` in this stage",
            Self::WorkdirRelativePath => "begin with an absolute path",
        }
    }
}
