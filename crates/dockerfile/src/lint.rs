//! Warnings: what builds but probably is not meant.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::source::Span;

macro_rules! rules {
    ($($variant:ident,)*) => {
        /// A rule of the lint, named as `BuildKit` names it.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[expect(missing_docs, reason = "each variant is the name its documentation goes by")]
        pub enum Rule {
            $($variant,)*
        }

        impl Rule {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                }
            }
        }
    };
}

rules! {
    ConsistentInstructionCasing,
    CopyIgnoredFile,
    DuplicateStageName,
    ExposeInvalidFormat,
    ExposeProtoCasing,
    FromAsCasing,
    FromPlatformFlagConstDisallowed,
    InvalidBaseImagePlatform,
    InvalidDefaultArgInFrom,
    InvalidDefinitionDescription,
    JSONArgsRecommended,
    LegacyKeyValueFormat,
    MaintainerDeprecated,
    MultipleInstructionsDisallowed,
    NoEmptyContinuation,
    RedundantTargetPlatform,
    ReservedStageName,
    SecretsUsedInArgOrEnv,
    StageNameCasing,
    UndefinedArgInFrom,
    UndefinedVar,
    WorkdirRelativePath,
}

impl Rule {
    /// Whether it is off unless asked for.
    pub fn is_experimental(self) -> bool {
        self == Self::InvalidDefinitionDescription
    }

    /// Whether it is about what instructions do, so that a stage that is not built cannot break it.
    pub fn needs_built_stage(self) -> bool {
        match self {
            Self::CopyIgnoredFile
            | Self::ExposeInvalidFormat
            | Self::ExposeProtoCasing
            | Self::InvalidBaseImagePlatform
            | Self::JSONArgsRecommended
            | Self::LegacyKeyValueFormat
            | Self::MultipleInstructionsDisallowed
            | Self::SecretsUsedInArgOrEnv
            | Self::UndefinedVar
            | Self::WorkdirRelativePath => true,
            Self::ConsistentInstructionCasing
            | Self::DuplicateStageName
            | Self::FromAsCasing
            | Self::FromPlatformFlagConstDisallowed
            | Self::InvalidDefaultArgInFrom
            | Self::InvalidDefinitionDescription
            | Self::MaintainerDeprecated
            | Self::NoEmptyContinuation
            | Self::RedundantTargetPlatform
            | Self::ReservedStageName
            | Self::StageNameCasing
            | Self::UndefinedArgInFrom => false,
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The rule.
    pub rule: Rule,
    /// Where.
    pub span: Span,
    /// What: one line.
    pub message: String,
    /// Advice, when there is some.
    pub help: Option<String>,
}

/// What a `# check=…` directive asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LintSettings {
    /// Whether warnings make the build fail.
    pub error: bool,
    skip_all: bool,
    skip: BTreeSet<String>,
    experimental_all: bool,
    experimental: BTreeSet<String>,
}

impl LintSettings {
    /// Reads `skip=A,B;error=true;experimental=C`; gives back the option that is not known.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut settings = Self::default();
        let text = text.trim();
        if text.is_empty() {
            return Ok(settings);
        }
        for option in text.splitn(3, ';') {
            let Some((name, value)) = option.split_once('=') else {
                return Err(option.trim().into());
            };
            let value = value.trim();
            let names = || value.split(',').map(|name| name.trim().to_owned()).collect();
            match name.trim() {
                "skip" if value == "all" => settings.skip_all = true,
                "skip" => settings.skip = names(),
                "experimental" if value == "all" => settings.experimental_all = true,
                "experimental" => settings.experimental = names(),
                "error" => {
                    settings.error =
                        crate::number::boolean(value).ok_or_else(|| option.trim().to_owned())?;
                }
                _ => return Err(option.trim().into()),
            }
        }
        Ok(settings)
    }

    /// Whether findings of a rule are wanted.
    pub fn allows(&self, rule: Rule) -> bool {
        if rule.is_experimental() {
            return self.experimental_all || self.experimental.contains(rule.name());
        }
        !self.skip_all && !self.skip.contains(rule.name())
    }

    /// These settings and, for one instruction, those of a `check=…` in the comments above it.
    #[must_use]
    pub fn with_comments<'a>(&self, comments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut merged = self.clone();
        for comment in comments {
            let Some((crate::directive::Key::Check, range)) = crate::directive::read(comment)
            else {
                continue;
            };
            let options = comment[range].split(' ').next().unwrap_or("");
            if let Ok(own) = Self::parse(options) {
                merged.skip_all |= own.skip_all;
                merged.skip.extend(own.skip);
                merged.experimental_all |= own.experimental_all;
                merged.experimental.extend(own.experimental);
            }
            break;
        }
        merged
    }
}

mod advice;
mod rules;

pub(crate) use rules::check;
