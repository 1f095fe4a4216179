//! The options of kaniko's executor on their way to becoming those of `strata build`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use strata_oci::{Compression, Reference, Repository, Tag};

use super::context::{self, GitWishes};
use crate::args::build::{BuildArgs, ExitCodes, ResultFile, ResultFileKind};
use crate::args::{Cli, Command, ProgressMode};
use crate::diagnostic::Failure;
use crate::environment::{Environment, variable};
use crate::settings::gitlab::GitLab;
use crate::value::cache::{self, CacheError};
use crate::value::output::{Destination, Output, OutputKind};

/// Where kaniko looks for a context that is not named.
const CONTEXT: &str = "/workspace/";

/// The tag of a cache that was given a repository. In the repository of the image itself, as a registry may not let
/// anybody make another one below it.
const CACHE_TAG: &str = "strata-cache";

/// Whose certificates are not checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unchecked {
    pub(crate) push: bool,
    pub(crate) pull: bool,
}

/// What the options said so far.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "kaniko's switches, each on its own")]
pub(crate) struct Draft {
    /// What they set as they are; the rest follows from several of them.
    pub(crate) build: BuildArgs,
    pub(crate) context: Option<String>,
    pub(crate) bucket: Option<String>,
    pub(crate) git: GitWishes,
    pub(crate) destinations: Vec<Reference>,
    pub(crate) no_push: bool,
    pub(crate) tar_path: Option<PathBuf>,
    pub(crate) layout_path: Option<PathBuf>,
    pub(crate) docker_media_types: Option<bool>,
    pub(crate) compression: Option<Compression>,
    pub(crate) compression_level: Option<i32>,
    pub(crate) reproducible: bool,
    pub(crate) cache: bool,
    pub(crate) cache_repository: Option<String>,
    pub(crate) cache_run_layers: bool,
    pub(crate) no_push_cache: bool,
    cache_host: Option<String>,
    pub(crate) unchecked: Unchecked,
    pub(crate) colour: Option<bool>,
    pub(crate) json: bool,
    pub(crate) silent: bool,
    pub(crate) log: Option<&'static str>,
}

impl Draft {
    /// What kaniko does when nothing is said.
    pub(crate) fn new() -> Self {
        let words = ["strata", "build", "."];
        let build = match Cli::try_parse_from(words).map(|cli| cli.command) {
            Ok(Command::Build(build)) => *build,
            other => unreachable!("`strata build .` is a build: {other:?}"),
        };
        Self {
            build,
            context: None,
            bucket: None,
            git: GitWishes::default(),
            destinations: Vec::new(),
            no_push: false,
            tar_path: None,
            layout_path: None,
            docker_media_types: None,
            compression: None,
            compression_level: None,
            reproducible: false,
            cache: false,
            cache_repository: None,
            cache_run_layers: true,
            no_push_cache: false,
            cache_host: None,
            unchecked: Unchecked::default(),
            colour: None,
            json: false,
            silent: false,
            log: None,
        }
    }

    pub(crate) fn result_file(&mut self, kind: ResultFileKind, path: &str) {
        self.build.extra.result_files.push(ResultFile { kind, path: path.into() });
    }

    /// Puts the options together. Gives what is built, and the environment with what options say of it.
    pub(crate) fn finish(
        mut self,
        environment: &Environment,
    ) -> Result<(BuildArgs, Environment), Failure> {
        let environment = self.environment(environment);
        self.set_input(&environment)?;
        self.set_outputs()?;
        self.set_cache()?;
        self.set_registry();
        self.build.progress.progress = match (self.silent, self.json) {
            (_, true) => Some(ProgressMode::Json),
            (true, false) => Some(ProgressMode::Quiet),
            (false, false) => None,
        };
        if self.reproducible && environment.get(variable::SOURCE_DATE_EPOCH).is_none() {
            self.build.result.source_date_epoch = Some(0);
        }
        self.build.extra.exit_codes = ExitCodes::OfCommand;
        Ok((self.build, environment))
    }

    fn environment(&self, environment: &Environment) -> Environment {
        let mut environment = environment.clone();
        match self.colour {
            Some(true) => environment = environment.with(variable::CLICOLOR_FORCE, "1"),
            Some(false) => environment = environment.with(variable::NO_COLOR, "1"),
            None => {}
        }
        match self.log {
            Some(level) if environment.get(variable::STRATA_LOG).is_none() => {
                environment.with(variable::STRATA_LOG, &format!("strata={level}"))
            }
            Some(_) | None => environment,
        }
    }

    fn set_input(&mut self, environment: &Environment) -> Result<(), Failure> {
        let text = |name: &str| environment.raw(name)?.to_str().filter(|text| !text.is_empty());
        self.git.plain_http = text("GIT_PULL_METHOD") == Some("http");
        let default = || {
            let context = GitLab::of(environment)?.context(environment);
            Ok::<_, Failure>(context.map_or_else(|| CONTEXT.into(), OsString::from))
        };
        self.build.input.context = Some(match &self.context {
            Some(text) => context::operand(text, self.bucket.as_deref(), &self.git).into(),
            None => default()?,
        });
        Ok(())
    }

    fn set_outputs(&mut self) -> Result<(), Failure> {
        if self.destinations.is_empty() && !self.no_push {
            return Err(Failure::usage("there is no `--destination` to push to")
                .help("name one, or say `--no-push`"));
        }
        if self.destinations.is_empty() && self.tar_path.is_some() {
            return Err(Failure::usage("`--tar-path` needs a `--destination`").help(
                "the archive names the image by it; with `--no-push` nothing is pushed there",
            ));
        }
        let archive = self.tar_path.is_some() || self.docker_media_types == Some(true);
        if archive && self.compression == Some(Compression::Zstd) {
            return Err(Failure::usage(
                "`--compression zstd` has no place in an image in Docker's format",
            ));
        }
        let mut kinds = Vec::new();
        if let Some(path) = self.layout_path.take() {
            kinds.push(OutputKind::Oci { destination: Destination::Directory(path) });
        }
        if let Some(path) = self.tar_path.take() {
            kinds.push(OutputKind::Docker { destination: Destination::Archive(path) });
        }
        if !self.no_push {
            kinds.push(OutputKind::Registry);
        }
        self.build.result.output = kinds
            .into_iter()
            .map(|kind| Output {
                kind,
                compression: self.compression,
                compression_level: self.compression_level,
                docker_media_types: self.docker_media_types.unwrap_or(false),
            })
            .collect();
        self.build.result.tag = self.destinations.clone();
        Ok(())
    }

    /// Without `--cache` kaniko runs every step, whatever was built before.
    fn set_cache(&mut self) -> Result<(), Failure> {
        self.build.cache.no_cache = !self.cache || !self.cache_run_layers;
        if !self.cache {
            return Ok(());
        }
        let Some(place) = self.cache_place()? else { return Ok(()) };
        let (from, to) = match &place {
            CachePlace::Registry(reference) => {
                let text = format!("type=registry,ref={reference}");
                (text.clone(), format!("{text},mode=max"))
            }
            // A tag for each step.
            CachePlace::Repository(repository) => {
                let text = format!("type=registry,ref={repository}");
                (text.clone(), format!("{text},mode=max"))
            }
            CachePlace::Directory(directory) => {
                let of = |key: &str| format!("type=local,\"{key}={directory}\",tag={CACHE_TAG}");
                (of("src"), format!("{},mode=max", of("dest")))
            }
        };
        let wrong = |error: CacheError| Failure::usage(format!("`--cache-repo`: {error}"));
        self.build.cache.cache_from.push(cache::parse_from(&from).map_err(wrong)?);
        if !self.no_push_cache {
            self.build.cache.cache_to.push(cache::parse_to(&to).map_err(wrong)?);
        }
        self.cache_host = match &place {
            CachePlace::Registry(reference) => Some(reference.registry().to_owned()),
            CachePlace::Repository(repository) => Some(repository.registry().to_owned()),
            CachePlace::Directory(_) => None,
        };
        Ok(())
    }

    /// Where the cache is; the local store alone where there is neither a repository nor a destination.
    fn cache_place(&self) -> Result<Option<CachePlace>, Failure> {
        let tagged = |repository: &Repository| {
            CachePlace::Registry(repository.tagged(Tag::parse(CACHE_TAG).expect("is a tag")))
        };
        let Some(text) = self.cache_repository.as_deref() else {
            return Ok(self.destinations.first().map(|name| tagged(name.repository())));
        };
        if let Some(directory) = text.strip_prefix("oci:") {
            return Ok(Some(CachePlace::Directory(directory.to_owned())));
        }
        let reference = Reference::parse(text)
            .map_err(|error| Failure::usage(format!("`--cache-repo {text}`: {error}")))?;
        Ok(Some(match reference.tag() {
            Some(_) => CachePlace::Registry(reference),
            None => CachePlace::Repository(reference.repository().clone()),
        }))
    }

    fn set_registry(&mut self) {
        if self.unchecked.push {
            let destinations = self.destinations.iter().map(|name| name.registry().to_owned());
            let hosts: Vec<String> = destinations.chain(self.cache_host.clone()).collect();
            self.build.registry.insecure_registry.extend(hosts);
        }
        if self.unchecked.pull {
            // What is pushed goes to whom it is meant for, all the same.
            let destinations = self.destinations.iter().map(|name| name.registry().to_owned());
            self.build.registry.unchecked_except = Some(destinations.collect());
        }
    }
}

/// Where a cache is.
enum CachePlace {
    Registry(Reference),
    Repository(Repository),
    Directory(String),
}
