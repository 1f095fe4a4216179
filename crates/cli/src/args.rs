//! The command line: what may be written, and the text that teaches it.
//!
//! Values are typed by the parsers of [`crate::value`]; what the environment adds is decided in
//! [`crate::settings`].

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub(crate) mod build;
pub(crate) mod executor;
pub(crate) mod images;
pub(crate) mod registry;

use build::{BuildArgs, CheckArgs};
use executor::ExecutorArgs;
use images::{CacheCommand, CopyArgs, ImagesArgs, InspectArgs, PruneArgs, PushArgs, RmArgs};
use registry::{LoginArgs, LogoutArgs, RegistryArgs};

/// Builds OCI images from Dockerfiles: no daemon, no root, no privileges.
#[derive(Debug, Parser)]
#[command(name = "strata", bin_name = "strata", version, max_term_width = 100)]
#[command(after_help = "\
Exit codes: 0 done, 1 the build failed, 2 usage, 3 registry or network, 4 the host cannot do this, \
70 a bug of strata, 130 and 143 interrupted.
What this host allows: `strata doctor`.")]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Every subcommand.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Build(Box<BuildArgs>),
    Check(CheckArgs),
    Login(LoginArgs),
    Logout(LogoutArgs),
    Push(PushArgs),
    Copy(CopyArgs),
    Inspect(InspectArgs),
    Images(ImagesArgs),
    Rm(RmArgs),
    Prune(PruneArgs),
    Cache(CacheArgs),
    Doctor(DoctorArgs),
    Executor(Box<ExecutorArgs>),
    Version(VersionArgs),
}

/// Looks into a cache and cleans it up
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

/// Says what this host allows: each way of isolating commands, and why or why not
///
/// Tries every way of running commands that strata knows, best first, and says for each whether it
/// works here, what the kernel answered and what would change that. Exits with 4 if none works.
///
/// With `--registry` it looks at a registry in place of this host: where it is reached, what it
/// wants, every identity that is configured with its source, and what each may do. No secret is
/// shown. Exits with 3 if nobody may pull.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  strata doctor
  strata doctor --registry registry.example.com/team/app:1
  strata doctor --json | jq '.candidates[] | select(.verdict == \"works\").name'")]
pub(crate) struct DoctorArgs {
    /// Print JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Look at the registry of this reference
    #[arg(long, value_name = "REF", value_parser = strata_oci::Reference::parse)]
    pub(crate) registry: Option<strata_oci::Reference>,
    #[command(flatten)]
    pub(crate) access: RegistryArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Prints the version
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// Print JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where working data and the local store are.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "This machine")]
pub(crate) struct StateArgs {
    /// Where working data and the local store go
    ///
    /// Without it the first of these in which a file can be made: `$XDG_DATA_HOME/strata`,
    /// `$HOME/.local/share/strata`, for root `/var/lib/strata`, `$TMPDIR/strata-UID`, and
    /// `.strata-UID` on a volume that is neither the context nor the current directory.
    /// What lies on an overlay, as a container's own root does, comes after all others: fast
    /// is only a disk on which an overlay can lie. `strata doctor` says which it is.
    #[arg(long, value_name = "DIR", verbatim_doc_comment)]
    pub(crate) state_dir: Option<std::path::PathBuf>,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ProgressMode {
    /// `tty` on a terminal, else `plain`
    #[default]
    Auto,
    /// A live view
    Tty,
    /// Lines that are only ever appended
    Plain,
    /// One JSON object a line, on standard output
    Json,
    /// Nothing but the digest of the result, on standard output
    Quiet,
}

/// How progress is shown, for every command that moves data.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Progress")]
pub(crate) struct ProgressArgs {
    /// How progress is shown; default `auto`, or what `BUILDKIT_PROGRESS` says
    #[arg(long, value_name = "MODE", value_enum, conflicts_with = "quiet")]
    pub(crate) progress: Option<ProgressMode>,
    /// Print nothing but the digest of the result: `--progress quiet`
    #[arg(short, long, action = ArgAction::SetTrue)]
    pub(crate) quiet: bool,
    /// Put the time before each line of `plain` progress
    #[arg(long)]
    pub(crate) timestamps: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definition_has_no_contradictions() {
        Cli::command().debug_assert();
    }

    #[test]
    fn everything_has_a_help_text() {
        fn missing(command: &clap::Command, path: &str, found: &mut Vec<String>) {
            for argument in command.get_arguments() {
                if argument.get_help().is_none() {
                    found.push(format!("{path} {}", argument.get_id()));
                }
            }
            for inner in command.get_subcommands() {
                let path = format!("{path} {}", inner.get_name());
                if inner.get_about().is_none() {
                    found.push(path.clone());
                }
                missing(inner, &path, found);
            }
        }
        let mut found = Vec::new();
        missing(&Cli::command(), "strata", &mut found);
        assert_eq!(found, Vec::<String>::new());
    }
}
