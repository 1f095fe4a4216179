//! `strata build` and `strata check`.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use strata_oci::Reference;
use strata_remote::{CacheSource, ImmutableTags};
use strata_sandbox::Ulimit;

use super::registry::RegistryArgs;
use super::{ProgressArgs, StateArgs};
use crate::value::cache::{self, CacheTo};
use crate::value::call::{self, Call, Form, Method};
use crate::value::context::{self, NamedContext};
use crate::value::key_value::{self, KeyValue};
use crate::value::output::{self, Output};
use crate::value::secret::{self, Secret};
use crate::value::ssh::{self, Ssh};
use crate::value::{annotation, duration, extra_host, size, ulimit};

/// Builds an image from a Dockerfile
///
/// CONTEXT is what COPY and ADD can see: a directory, an archive (`.tar`, plain or compressed with
/// gzip, zstd, xz or bzip2), or `-` for standard input, which holds an archive or a Dockerfile
/// alone.
///
/// With neither `--output` nor `--push` the image goes into the local store, where a later `FROM`
/// and `strata push` find it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  strata build -t example.com/app:1.2 --push .
  strata build -f deploy/Dockerfile --target test --build-arg VERSION=1.2 .
  strata build -o type=oci,dest=app.tar,compression=zstd .
  strata build -o type=local,dest=rootfs .
  strata build --secret id=token,env=API_TOKEN --ssh default .
  strata build --dry-run .                       # the plan, without doing anything
  digest=$(strata build -q -t example.com/app --push .)")]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) result: ResultArgs,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
    #[command(flatten)]
    pub(crate) call: CallArgs,
    /// Print the plan and stop
    ///
    /// Reads the Dockerfile and the configs of its base images, and prints which steps would be
    /// looked up or run; with `--progress json` as JSON. Nothing is built or written.
    #[arg(long, help_heading = "Progress")]
    pub(crate) dry_run: bool,
    /// What no option of this command says.
    #[arg(skip)]
    pub(crate) extra: Extra,
}

/// When a destination says whether it takes anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PushPermission {
    /// Before anything is built.
    #[default]
    Asked,
    /// When there is something to push.
    Awaited,
}

/// What the command lines of other builders can ask for, and that of `strata build` cannot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    /// The directory of the context that is the context.
    pub(crate) context_directory: Option<PathBuf>,
    /// Whether servers of repositories may show any certificate.
    pub(crate) git_unchecked: bool,
    /// Stages that are built besides the target.
    pub(crate) more_targets: Vec<String>,
    /// OCI layouts whose blobs are taken before those of registries.
    pub(crate) layouts: Vec<PathBuf>,
    /// What RUN writes there stays out of the image.
    pub(crate) ignored_paths: Vec<String>,
    /// Whether the build's own layers become one.
    pub(crate) single_layer: bool,
    /// Whether destinations are asked beforehand if they take anything.
    pub(crate) permission: PushPermission,
    /// What becomes of a tag that cannot be moved.
    pub(crate) immutable_tags: ImmutableTags,
    /// More files for scripts.
    pub(crate) result_files: Vec<ResultFile>,
    pub(crate) exit_codes: ExitCodes,
    /// What is said before the build begins.
    pub(crate) notes: Vec<String>,
}

/// A file that says what was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResultFile {
    pub(crate) kind: ResultFileKind,
    pub(crate) path: PathBuf,
}

/// What stands in such a file, one line for each name of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResultFileKind {
    /// `REPOSITORY@DIGEST`
    NamesWithDigest,
    /// `REPOSITORY:TAG@DIGEST`
    TagsWithDigest,
}

/// What a failed build's exit code is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ExitCodes {
    /// The kind of the failure.
    #[default]
    OfKind,
    /// That of the command that failed, else 1: as kaniko.
    OfCommand,
}

/// What is built.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "What is built")]
pub(crate) struct InputArgs {
    /// The build context: a directory, an archive, `-`, or the address of one elsewhere
    ///
    /// Elsewhere: a git repository, an archive on a web server, or one in an object store
    /// (`s3://BUCKET/KEY`, `gs://BUCKET/KEY`, `https://ACCOUNT.blob.core.windows.net/CONTAINER/KEY`),
    /// read as whoever this process is in that cloud.
    ///
    /// In a job of GitLab it may be left out: it is then what GitLab checked out.
    #[arg(value_name = "CONTEXT", value_hint = ValueHint::AnyPath)]
    pub(crate) context: Option<OsString>,
    /// The Dockerfile: a path, or `-` for standard input
    ///
    /// A path is tried as given, then in the context. The default is `Dockerfile`,
    /// `dockerfile` or `Containerfile` in the context. `NAME.dockerignore` beside it, if there is
    /// one, is used in place of the `.dockerignore` of the context.
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<OsString>,
    /// Set a variable that ARG declares; without a value, to that of the environment
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = key_value::optional)]
    pub(crate) build_arg: Vec<KeyValue>,
    /// Read build arguments from a file of KEY[=VALUE] lines
    ///
    /// Blank lines and lines that begin with `#` are left out. `--build-arg` takes precedence.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) build_arg_file: Vec<PathBuf>,
    /// Give a name to another context
    ///
    /// `COPY --from=NAME`, `FROM NAME` and `RUN --mount=from=NAME` then use it, also where NAME is
    /// an image or a stage of the Dockerfile. SRC is what CONTEXT may be, except `-`;
    /// `docker-image://REF` or `oci-layout://DIR[:TAG]`.
    #[arg(long, value_name = "NAME=SRC", value_parser = context::named)]
    pub(crate) build_context: Vec<NamedContext>,
    /// Build this stage, by name or number, and stop there
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// Build for this platform, as in `linux/arm64`; default is the host's
    ///
    /// Several of them, with commas between them, make an index of their images.
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub(crate) platform: Vec<String>,
    /// Resolve base images anew even if the local store has them
    #[arg(long)]
    pub(crate) pull: bool,
}

impl InputArgs {
    /// The context as it is written.
    pub(crate) fn operand(&self) -> &OsStr {
        self.context.as_deref().unwrap_or(OsStr::new("."))
    }
}

/// What becomes of the result.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "What becomes of it")]
pub(crate) struct ResultArgs {
    /// Name the result; may be given several times
    #[arg(short, long, value_name = "REF", value_parser = Reference::parse)]
    pub(crate) tag: Vec<Reference>,
    /// Push to every tag: `--output type=registry`
    #[arg(long)]
    pub(crate) push: bool,
    /// Write the result somewhere; may be given several times
    ///
    /// `type=registry`                 every tag, in its registry
    /// `type=oci,dest=DIR`             an OCI layout
    /// `type=oci,dest=FILE.tar`        an archive of one; `-` is standard output
    /// `type=docker,dest=FILE.tar`     an archive for `docker load`
    /// `type=local,dest=DIR`           the files of the image; `DIR` alone means this
    /// `type=tar,dest=FILE.tar`        an archive of them; `-` alone means standard output
    ///
    /// Images take `compression=gzip|zstd|none` and `compression-level=N`.
    #[arg(short, long, value_name = "TYPE[,KEY=VALUE…]", value_parser = output::parse, verbatim_doc_comment)]
    pub(crate) output: Vec<Output>,
    /// Set a label of the image
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = key_value::label)]
    pub(crate) label: Vec<(String, String)>,
    /// Set an annotation of the manifest
    #[arg(long, value_name = "KEY=VALUE", value_parser = annotation::parse)]
    pub(crate) annotation: Vec<(String, String)>,
    /// Use this time, in seconds since 1970, in config, history and new layers
    ///
    /// Two builds of the same inputs then give the same digest. `SOURCE_DATE_EPOCH` of the
    /// environment does the same.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) source_date_epoch: Option<i64>,
    /// Write what was built, as JSON, to a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) metadata_file: Option<PathBuf>,
    /// Write the digest of the image's config to a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) iidfile: Option<PathBuf>,
    /// Write the digest of the image's manifest to a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) digest_file: Option<PathBuf>,
}

/// What is reused.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cache")]
pub(crate) struct CacheArgs {
    /// Run every step, whatever the cache has
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Run every step of this stage, whatever the cache has
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub(crate) no_cache_filter: Vec<String>,
    /// Look for results of earlier builds there; may be given several times
    ///
    /// `REF`, `type=registry,ref=REF`  a cache in a registry, or an image with one inside; without a
    ///                                 tag, `latest` and then the tags of steps
    /// `type=local,src=DIR`            a cache in a directory
    ///
    /// They are looked into in the order in which they are given, after the local store. One that
    /// cannot be read is told, and the build goes on without it. Of a directory with several caches,
    /// `tag=TAG` or `digest=DIGEST` says which.
    #[arg(long, value_name = "SRC", value_parser = cache::parse_from, verbatim_doc_comment)]
    pub(crate) cache_from: Vec<CacheSource>,
    /// Put the results of this build there; may be given several times
    ///
    /// `type=registry,ref=REPO:TAG`    a manifest in a registry, beside what others put there
    /// `type=registry,ref=REPO`        a tag for each step, for jobs that write side by side; all
    ///                                 begin with `cache-`
    /// `type=local,dest=DIR`           a directory, such as one that a CI cache keeps; `tag=TAG` for
    ///                                 one of several
    /// `type=inline`                   the image itself: `--cache-from` then names the image
    ///
    /// `mode=max` puts the layers of all stages there, not only those of the result. What was not
    /// used for fourteen days, or for `unused=TIME` (as in `30d`), goes when a manifest is written;
    /// of tags the registry's own rules dispose, or `strata cache prune`.
    ///
    /// `mounts=true` also keeps what commands left in `RUN --mount=type=cache`, two gibibytes at most
    /// or `mounts-limit=SIZE`. A later build with that cache fetches it when a command has to run and
    /// this machine has nothing of the mount.
    #[arg(long, value_name = "DST", value_parser = cache::parse_to, verbatim_doc_comment)]
    pub(crate) cache_to: Vec<CacheTo>,
    /// Take no result of a step that ran longer ago, as in `14d` or `336h`
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) cache_ttl: Option<Duration>,
}

/// What RUN can see and do.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "RUN")]
pub(crate) struct RunArgs {
    /// Give `RUN --mount=type=secret` a secret
    ///
    /// From a file (`src`), from a variable of the environment (`env`), or with neither from the
    /// variable or else the file that has the name of the secret. It never gets into the image or
    /// the cache.
    #[arg(long, value_name = "id=ID[,src=FILE|,env=VAR]", value_parser = secret::parse)]
    pub(crate) secret: Vec<Secret>,
    /// Give `RUN --mount=type=ssh` an agent: its socket, that of `SSH_AUTH_SOCK`, or private keys
    ///
    /// Keys are Ed25519, ECDSA (P-256, P-384) or RSA without a passphrase, in a format of OpenSSH or in
    /// PKCS#8. They stay in the memory of the builder: commands may have things signed, no more. The
    /// agent `default` is also the one of git, for repositories over ssh; a context that is one
    /// comes with the agent of `SSH_AUTH_SOCK` where nothing is given.
    #[arg(long, value_name = "ID[=SOCKET|KEY[,KEY…]]", value_parser = ssh::parse)]
    pub(crate) ssh: Vec<Ssh>,
    /// Which network commands have, where RUN itself says nothing
    #[arg(long, value_name = "MODE", value_enum, default_value_t = NetworkMode::Default)]
    pub(crate) network: NetworkMode,
    /// Add a line to `/etc/hosts` of commands
    #[arg(long, value_name = "NAME:ADDRESS", value_parser = extra_host::parse)]
    pub(crate) add_host: Vec<(String, IpAddr)>,
    /// The size of `/dev/shm`, as in `64m`
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) shm_size: Option<u64>,
    /// Limit a resource of commands, as in `nofile=1024:4096`
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = ulimit::parse)]
    pub(crate) ulimit: Vec<Ulimit>,
    /// How commands are isolated: `auto`, or a name that `strata doctor` shows
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub(crate) isolation: String,
}

/// What is told in place of building.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "In place of building")]
pub(crate) struct CallArgs {
    /// Check the Dockerfile and stop: `--call check`
    #[arg(long, conflicts_with = "call")]
    pub(crate) check: bool,
    /// Tell something of the Dockerfile and stop
    ///
    /// `check`     what is wrong or doubtful, as `strata check` does
    /// `outline`   which arguments, secrets and agents the target takes
    /// `targets`   which stages there are to choose from
    ///
    /// `,format=json` makes it JSON. `build`, the default, builds.
    #[arg(long, value_name = "METHOD[,format=FORMAT]", value_parser = call::parse, verbatim_doc_comment)]
    pub(crate) call: Option<Call>,
}

impl CallArgs {
    /// What is asked for, if it is not a build.
    pub(crate) fn asked(&self) -> Option<Call> {
        if self.check {
            return Some(Call { method: Method::Check, form: Form::Text });
        }
        self.call.filter(|call| call.method != Method::Build)
    }
}

/// Which network commands have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkMode {
    /// The builder's own
    Default,
    /// None but loopback
    None,
    /// The builder's own, also where RUN asks for it by name
    Host,
}

/// Checks a Dockerfile without building it
///
/// Reports everything that is wrong and everything that is doubtful, with its line. Exits with 1
/// if there is an error, or a warning and the Dockerfile says `# check=error=true`.
///
/// Configs of base images are looked at, in the store or a registry, as some rules depend on them;
/// where one cannot be had, those rules hold back.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  strata check .
  strata check -f deploy/Dockerfile --format json .")]
pub(crate) struct CheckArgs {
    /// The build context: a directory, or `-` for a Dockerfile on standard input
    #[arg(value_name = "CONTEXT", value_hint = ValueHint::AnyPath, default_value = ".")]
    pub(crate) context: OsString,
    /// The Dockerfile: a path, or `-` for standard input
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<OsString>,
    /// How findings are printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = CheckFormat::Text)]
    pub(crate) format: CheckFormat,
    /// Set a variable that ARG declares; without a value, to that of the environment
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = key_value::optional)]
    pub(crate) build_arg: Vec<KeyValue>,
    /// Check this stage and those it needs, not all of them
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// Check for this platform; default is the host's
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// Look at no base image
    #[arg(long)]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// With the lines they are about, on standard error
    Text,
    /// An array of objects, on standard output
    Json,
    /// A report for GitLab Code Quality, on standard output
    Gitlab,
}
