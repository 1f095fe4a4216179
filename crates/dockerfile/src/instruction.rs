//! The typed syntax.

mod files;
mod healthcheck;
mod metadata;
mod mount;
mod run;

pub use files::{Add, Copy};
pub use healthcheck::{Healthcheck, HealthcheckOptions};
pub use metadata::{
    Arg, ArgDeclaration, Cmd, Entrypoint, Env, Expose, KeyValue, Label, Maintainer, Onbuild, Shell,
    Stopsignal, User, Volume, Workdir,
};
pub(crate) use mount::type_names as mount_type_names;
pub use mount::{Access, Mount, MountError, MountField, MountKey, MountOwner, MountSpec, Sharing};
pub use run::{CommandLine, Device, Network, Run, Script, Security};

use crate::directive::{Directives, Escape};
use crate::lint::{LintSettings, Warning};
use crate::source::Span;
use crate::word::{Literal, Word};

/// A parsed Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// The directives at its top.
    pub directives: Directives,
    /// The escape character, for lines and for the expansion of words.
    pub escape: Escape,
    /// The ARGs before the first FROM.
    pub global_args: Vec<Statement<Arg>>,
    /// The stages, in order; at least one.
    pub stages: Vec<Stage>,
    /// What the `check` directive asks of the lint.
    pub lint: LintSettings,
    /// What the lint finds in the text alone, in source order, skipped rules left out.
    pub warnings: Vec<Warning>,
}

impl Dockerfile {
    /// Finds the stage a name means: compared in lower case, the last one of that name.
    ///
    /// A stage may only refer to those before it: pass `before` as its own index.
    pub fn stage_by_name(&self, name: &str, before: usize) -> Option<usize> {
        let name = name.to_lowercase();
        self.stages[..before.min(self.stages.len())]
            .iter()
            .rposition(|stage| stage.name() == Some(name.as_str()))
    }
}

/// A FROM and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The FROM.
    pub from: Statement<From>,
    /// The instructions after it.
    pub instructions: Vec<Statement<Instruction>>,
}

impl Stage {
    /// The name, in lower case.
    pub fn name(&self) -> Option<&str> {
        self.from.node.name.as_ref().map(|name| name.lower.as_str())
    }
}

/// An instruction with what is known about it as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement<T> {
    /// The instruction, its heredocs included.
    pub span: Span,
    /// The keyword as written, in its own case.
    pub keyword: Literal,
    /// The instruction as one line: continuations joined, comments left out, trimmed, flags and
    /// arguments as written, heredoc contents not included. What `created_by` of a history shows.
    pub code: String,
    /// The comment lines directly above, without `#`, trimmed; an empty comment begins anew.
    pub comments: Vec<Literal>,
    /// The instruction.
    pub node: T,
}

impl<T> Statement<T> {
    /// The same text around another node.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Statement<U> {
        Statement {
            span: self.span,
            keyword: self.keyword,
            code: self.code,
            comments: self.comments,
            node: change(self.node),
        }
    }
}

/// `FROM [--platform=P] image [AS name]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From {
    /// An image, a stage or `scratch`.
    pub image: Word,
    /// The platform asked for.
    pub platform: Option<Word>,
    /// The stage's name.
    pub name: Option<StageName>,
    /// The comment `# <name> <description>` above it.
    pub description: Option<String>,
}

/// The name of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageName {
    /// In lower case: what names are compared by. Matches `^[a-z][a-z0-9-_.]*$`.
    pub lower: String,
    /// As written.
    pub written: Literal,
    /// The `AS` as written.
    pub keyword: Literal,
}

/// What may follow FROM in a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant's type says it")]
pub enum Instruction {
    Add(Add),
    Arg(Arg),
    Cmd(Cmd),
    Copy(Copy),
    Entrypoint(Entrypoint),
    Env(Env),
    Expose(Expose),
    Healthcheck(Healthcheck),
    Label(Label),
    Maintainer(Maintainer),
    Onbuild(Onbuild),
    Run(Run),
    Shell(Shell),
    Stopsignal(Stopsignal),
    User(User),
    Volume(Volume),
    Workdir(Workdir),
}

impl Instruction {
    /// Which instruction it is.
    pub fn keyword(&self) -> Keyword {
        match self {
            Self::Add(_) => Keyword::Add,
            Self::Arg(_) => Keyword::Arg,
            Self::Cmd(_) => Keyword::Cmd,
            Self::Copy(_) => Keyword::Copy,
            Self::Entrypoint(_) => Keyword::Entrypoint,
            Self::Env(_) => Keyword::Env,
            Self::Expose(_) => Keyword::Expose,
            Self::Healthcheck(_) => Keyword::Healthcheck,
            Self::Label(_) => Keyword::Label,
            Self::Maintainer(_) => Keyword::Maintainer,
            Self::Onbuild(_) => Keyword::Onbuild,
            Self::Run(_) => Keyword::Run,
            Self::Shell(_) => Keyword::Shell,
            Self::Stopsignal(_) => Keyword::Stopsignal,
            Self::User(_) => Keyword::User,
            Self::Volume(_) => Keyword::Volume,
            Self::Workdir(_) => Keyword::Workdir,
        }
    }
}

macro_rules! keywords {
    ($($variant:ident $name:literal,)*) => {
        /// The name of an instruction.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each variant is its own name")]
        pub enum Keyword {
            $($variant,)*
        }

        impl Keyword {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// In capitals.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

keywords! {
    Add "ADD",
    Arg "ARG",
    Cmd "CMD",
    Copy "COPY",
    Entrypoint "ENTRYPOINT",
    Env "ENV",
    Expose "EXPOSE",
    From "FROM",
    Healthcheck "HEALTHCHECK",
    Label "LABEL",
    Maintainer "MAINTAINER",
    Onbuild "ONBUILD",
    Run "RUN",
    Shell "SHELL",
    Stopsignal "STOPSIGNAL",
    User "USER",
    Volume "VOLUME",
    Workdir "WORKDIR",
}

impl Keyword {
    /// Reads a keyword in any case.
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|keyword| keyword.name().eq_ignore_ascii_case(text))
    }
}
