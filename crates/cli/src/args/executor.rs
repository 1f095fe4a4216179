//! `strata executor`: kaniko's command line. Its options are the rows of
//! [`crate::settings::executor::table`].

use std::path::PathBuf;

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command as ClapCommand, Error as ClapError, FromArgMatches,
    Subcommand, ValueHint,
};
use strata_oci::Reference;
use strata_remote::Location;

use super::registry::{LoginArgs, RegistryArgs};
use super::{ProgressArgs, StateArgs, VersionArgs};
use crate::settings::executor::Given;
use crate::settings::executor::option::{KanikoOption, Takes};
use crate::settings::executor::table::OPTIONS;
use crate::value::image;

/// Takes the command line of kaniko's executor, and builds as `strata build` does
///
/// An option that has nothing to do here is taken with a note that says why. Also the meaning of the program's
/// name `executor`, and of `warmer`.
///
/// Exits with the code of the command of a RUN that failed, and with 1 for every other failure.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  /kaniko/executor --context \"$CI_PROJECT_DIR\" --destination \"$CI_REGISTRY_IMAGE:$CI_COMMIT_TAG\"
  /kaniko/executor -c git://example.com/team/app.git#refs/heads/main -d example.com/app --cache
  /kaniko/executor --no-push --tar-path app.tar -d app")]
pub(crate) struct ExecutorArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ExecutorCommand>,
    #[command(flatten)]
    pub(crate) options: KanikoArgs,
}

/// The other commands of kaniko's executor.
#[derive(Debug, Subcommand)]
pub(crate) enum ExecutorCommand {
    Login(KanikoLoginArgs),
    Push(KanikoPushArgs),
    Version(VersionArgs),
    Warmer(WarmerArgs),
}

/// Writes credentials for a registry, after trying them
#[derive(Debug, Args)]
pub(crate) struct KanikoLoginArgs {
    #[command(flatten)]
    pub(crate) login: LoginArgs,
    /// The password; `--password-stdin` keeps it out of the list of processes
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    pub(crate) password: Option<String>,
}

/// Pushes an archive or an OCI layout
#[derive(Debug, Args)]
pub(crate) struct KanikoPushArgs {
    /// What `docker save` or `--tar-path` wrote, or the directory of an OCI layout
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) path: PathBuf,
    /// Push there; may be given several times
    #[arg(short, long, value_name = "REF", value_parser = Reference::parse, required = true)]
    pub(crate) destination: Vec<Reference>,
    /// Write the digest of the manifest to a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) digest_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

/// Puts base images where `--cache-dir` finds them
///
/// The directory is an OCI layout. What is in it is not downloaded again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmer --cache-dir /cache --image alpine:3.20 --image debian:12
  warmer --cache-dir /cache --dockerfile Dockerfile --build-arg VERSION=1.2")]
pub(crate) struct WarmerArgs {
    /// An image to put there; may be given several times
    #[arg(short, long, value_name = "REF", value_parser = image::parse)]
    pub(crate) image: Vec<Location>,
    /// Put the base images of this Dockerfile there
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) dockerfile: Option<PathBuf>,
    /// Set a variable that ARG declares; without a value, to that of the environment
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = crate::value::key_value::optional)]
    pub(crate) build_arg: Vec<crate::value::key_value::KeyValue>,
    /// The directory
    #[arg(short, long, value_name = "DIR", default_value = "/cache", value_hint = ValueHint::DirPath)]
    pub(crate) cache_dir: PathBuf,
    /// Put images of this platform there; default is the host's
    #[arg(long, alias = "customPlatform", value_name = "PLATFORM")]
    pub(crate) custom_platform: Option<String>,
    /// Not needed: what is there already is found by its digest
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Not needed: an image that moved on is put there beside the old one
    #[arg(long, value_name = "DURATION")]
    pub(crate) cache_ttl: Option<String>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

/// The options of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct KanikoArgs(pub(crate) Given);

impl Args for KanikoArgs {
    fn augment_args(command: ClapCommand) -> ClapCommand {
        OPTIONS.iter().fold(command, |command, row| command.arg(argument(row)))
    }

    fn augment_args_for_update(command: ClapCommand) -> ClapCommand {
        Self::augment_args(command)
    }
}

impl FromArgMatches for KanikoArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, ClapError> {
        Ok(Self(Given::of_matches(matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), ClapError> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn argument(row: &KanikoOption) -> Arg {
    let help = match row.variable {
        Some(variable) => format!("{}; also {variable}", row.help),
        None => row.help.to_owned(),
    };
    let argument = Arg::new(row.long)
        .long(row.long)
        .short(row.short)
        .aliases(row.deprecated)
        .help(help)
        .help_heading(row.heading)
        .allow_hyphen_values(true)
        .action(ArgAction::Append);
    match row.takes {
        Takes::Text(name) => argument.value_name(name),
        // As Go reads them: `--cache` and `--cache=true`, and no value after a blank.
        Takes::Switch => argument
            .value_name("true|false")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
    }
}
