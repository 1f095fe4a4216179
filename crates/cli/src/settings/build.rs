//! `strata build`: everything that is decided before anything is done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use strata_build::Secret;
use strata_context::Git;
use strata_layer::EncodeOptions;
use strata_oci::{Compression, Platform};
use strata_plan::Network;

use crate::args::build::{BuildArgs, NetworkMode};
use crate::diagnostic::{Diagnostic, Failure};
use crate::environment::{Environment, variable};
use crate::exit::Exit;
use crate::settings::gitlab::GitLab;
use crate::settings::ssh::GitAgent;
use crate::value::context::ContextSource;
use crate::value::key_value::{self, KeyValue};
use crate::value::output::{Output, OutputKind};
use crate::value::secret::SecretSource;

/// What `BuildKit` takes for a secret at most, and so what Dockerfiles can count on.
const LARGEST_SECRET: u64 = 500 << 10;

/// Says where the context is if nobody did: only GitLab has a place for it.
pub(crate) fn with_context(
    mut arguments: BuildArgs,
    environment: &Environment,
) -> Result<BuildArgs, Failure> {
    if arguments.input.context.is_none() {
        let context = GitLab::of(environment)?.context(environment).ok_or_else(|| {
            Failure::usage("the build context is missing").help("name it: `strata build .`")
        })?;
        arguments.input.context = Some(context.into());
    }
    Ok(arguments)
}

/// Refuses contexts that cannot be, before anything is read.
pub(crate) fn check_contexts(arguments: &BuildArgs) -> Result<(), Failure> {
    let context = crate::value::context::operand(arguments.input.operand());
    let named = arguments.input.build_context.iter().map(|one| &one.source);
    for source in named.chain([&context]) {
        if let ContextSource::Object(address) = source {
            super::clouds::check(address)?;
        }
    }
    if super::dockerfile::both_from_stdin(arguments.input.operand(), arguments.input.file.as_ref())
    {
        return Err(Failure::usage("the context and the Dockerfile cannot both be standard input"));
    }
    Ok(())
}

/// The platform of this machine.
pub(crate) fn host_platform() -> Platform {
    let architecture = std::env::consts::ARCH;
    let architecture = match (architecture, cfg!(target_endian = "little")) {
        ("powerpc64", true) => "ppc64le",
        ("powerpc64", false) => "ppc64",
        (other, _) => other,
    };
    Platform::new("linux", architecture).normalized()
}

/// The platform that is built for, if one was asked for.
pub(crate) fn platform(
    given: Option<&str>,
    environment: &Environment,
    host: &Platform,
) -> Result<Option<Platform>, Failure> {
    let (text, origin) = match (given, environment.text(variable::DOCKER_DEFAULT_PLATFORM)) {
        (Some(text), _) => (text, "`--platform`"),
        (None, Some(text)) => (text, "`DOCKER_DEFAULT_PLATFORM`"),
        (None, None) => return Ok(None),
    };
    let platform = Platform::parse(text, host)
        .map_err(|error| Failure::usage(format!("{origin}: {error}")))?;
    Ok(Some(platform.normalized()))
}

/// The platforms that are built for, each once, as far as any were asked for.
pub(crate) fn platforms(
    given: &[String],
    environment: &Environment,
    host: &Platform,
) -> Result<Vec<Platform>, Failure> {
    let asked: Vec<Option<&str>> = match given {
        [] => vec![None],
        given => given.iter().map(|text| Some(text.as_str())).collect(),
    };
    let mut found = Vec::new();
    for text in asked {
        if let Some(platform) = platform(text, environment, host)?
            && !found.contains(&platform)
        {
            found.push(platform);
        }
    }
    Ok(found)
}

/// The time in config, history and new layers, if one was asked for.
pub(crate) fn epoch(given: Option<i64>, environment: &Environment) -> Result<Option<i64>, Failure> {
    match (given, environment.text(variable::SOURCE_DATE_EPOCH)) {
        (Some(seconds), _) => Ok(Some(seconds)),
        (None, None) => Ok(None),
        (None, Some(text)) => text.parse().map(Some).map_err(|_| {
            Failure::usage(format!(
                "`SOURCE_DATE_EPOCH={text}` is not a number of seconds since 1970"
            ))
        }),
    }
}

/// The build arguments: those of files first, those of options over them. One without a value is
/// that of the environment, and left out where the environment has none.
pub(crate) fn build_args(
    files: &[Vec<KeyValue>],
    given: &[KeyValue],
    environment: &Environment,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for KeyValue { key, value } in files.iter().flatten().chain(given) {
        let value =
            value.clone().or_else(|| Some(environment.raw(key)?.to_string_lossy().into_owned()));
        match value {
            Some(value) => _ = found.insert(key.clone(), value),
            None => _ = found.remove(key),
        }
    }
    found
}

/// Reads the files of `--build-arg-file`.
pub(crate) fn build_arg_files(paths: &[PathBuf]) -> Result<Vec<Vec<KeyValue>>, Failure> {
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::file("read", path, &error))?;
            key_value::lines(&text).map_err(|(line, error)| {
                Failure::usage(format!("`{}` line {line}: {error}", path.display()))
            })
        })
        .collect()
}

/// The bytes of secrets, by their ids.
pub(crate) fn secrets(
    arguments: &BuildArgs,
    environment: &Environment,
) -> Result<BTreeMap<String, Secret>, Failure> {
    let mut found = BTreeMap::new();
    for secret in &arguments.run.secret {
        let bytes = match &secret.source {
            SecretSource::File(path) => read_secret(path)?,
            SecretSource::Variable(name) => {
                variable_secret(name, environment).ok_or_else(|| {
                    Failure::usage(format!("secret `{}`: variable `{name}` is not set", secret.id))
                })?
            }
            SecretSource::SameName => match variable_secret(&secret.id, environment) {
                Some(bytes) => bytes,
                None => read_secret(Path::new(&secret.id))?,
            },
        };
        found.insert(secret.id.clone(), Secret::new(bytes));
    }
    Ok(found)
}

fn variable_secret(name: &str, environment: &Environment) -> Option<Vec<u8>> {
    environment.raw(name).map(|value| value.as_encoded_bytes().to_vec())
}

fn read_secret(path: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read;

    let failure = |error: std::io::Error| {
        let message = format!("cannot read the secret `{}`", path.display());
        Failure::new(Exit::Usage, Diagnostic::error(message).caused_by(Some(&error)))
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failure)?;
    file.take(LARGEST_SECRET + 1).read_to_end(&mut bytes).map_err(failure)?;
    if bytes.len() as u64 > LARGEST_SECRET {
        return Err(Failure::usage(format!("secret `{}` is larger than 500 KiB", path.display())));
    }
    Ok(bytes)
}

/// The git program with no more of the environment than it needs. Its prompts, its configuration and the
/// user's home are none of a build's business.
pub(crate) fn git(
    arguments: &BuildArgs,
    environment: &Environment,
    agent: Option<&GitAgent>,
) -> Git {
    let proxies = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];
    let upper = proxies.map(str::to_uppercase);
    let trust = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
    let names = ["PATH"].into_iter().chain(proxies).chain(trust);
    let names = names.chain(upper.iter().map(String::as_str));
    let given = names.filter_map(|name| Some((name.to_owned(), environment.raw(name)?.to_owned())));
    // OpenSSL and git have names of their own for the same thing.
    let authorities = environment.get(variable::SSL_CERT_FILE);
    let authorities = authorities.map(|file| ("GIT_SSL_CAINFO".to_owned(), file.to_owned()));
    // Said for this build, so it holds for each of its servers.
    let unchecked = arguments.extra.git_unchecked;
    let unchecked = unchecked.then(|| ("GIT_SSL_NO_VERIFY".to_owned(), "1".into()));
    let git = Git::new(given.chain(authorities).chain(unchecked));
    match agent {
        Some(agent) => git.with_variable("SSH_AUTH_SOCK", agent.socket()),
        None => git,
    }
}

/// How new layers are written: the same for every output, as every layer is written once.
pub(crate) fn encoding(outputs: &[Output]) -> Result<EncodeOptions, Failure> {
    let mut chosen: Option<(Compression, Option<i32>)> = None;
    for output in outputs {
        let wish = match (output.compression, output.compression_level) {
            (None, None) => continue,
            (compression, level) => (compression.unwrap_or(Compression::Gzip), level),
        };
        if chosen.is_some_and(|chosen| chosen != wish) {
            return Err(Failure::usage("outputs of one build cannot have different compressions")
                .help("build twice: the second build takes its steps from the cache"));
        }
        chosen = Some(wish);
    }
    let (compression, level) = chosen.unwrap_or((Compression::Gzip, None));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(EncodeOptions { compression, level, threads, clamp: None, docker_media_types: false })
}

/// Checks what outputs and names need of each other.
pub(crate) fn check_outputs(arguments: &BuildArgs) -> Result<(), Failure> {
    let result = &arguments.result;
    let pushes =
        result.push || result.output.iter().any(|output| output.kind == OutputKind::Registry);
    if pushes && result.tag.is_empty() {
        return Err(
            Failure::usage("there is no name to push to").help("name the image with `--tag`")
        );
    }
    if let Some(pinned) = result.tag.iter().find(|tag| tag.digest().is_some()) {
        return Err(Failure::usage(format!(
            "`--tag {pinned}` has a digest, which only the build can know"
        )));
    }
    Ok(())
}

/// The network of a RUN that says nothing.
pub(crate) fn network(mode: NetworkMode) -> Network {
    match mode {
        NetworkMode::Default => Network::Default,
        NetworkMode::None => Network::None,
        NetworkMode::Host => Network::Host,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn arguments(words: &[&str]) -> BuildArgs {
        let words = ["strata", "build"].iter().chain(words).copied();
        match Cli::try_parse_from(words).expect("is a command line").command {
            Command::Build(arguments) => *arguments,
            other => panic!("is another command: {other:?}"),
        }
    }

    #[test]
    fn contexts_that_cannot_be_are_refused() {
        for (words, expected) in [
            (&["."][..], None),
            (&["--build-context", "a=gs://b/c", "s3://bucket/a.tar"], None),
            (&["--build-context", "a=gs:///c", "."], Some("`gs:///c` names no bucket")),
            (
                &["s3://bucket/dir/"],
                Some(
                    "`s3://bucket/dir/` names a directory: a context in an object store is an archive",
                ),
            ),
            (
                &["-f", "-", "-"],
                Some("the context and the Dockerfile cannot both be standard input"),
            ),
        ] {
            let failure = check_contexts(&arguments(words)).err();
            let message = failure.as_ref().map(|failure| failure.diagnostics[0].message.as_str());
            assert_eq!(message, expected, "{words:?}");
            assert!(failure.is_none_or(|failure| failure.exit == Exit::Usage));
        }
    }

    #[test]
    fn build_arguments_come_from_files_options_and_environment() {
        let pair = |key: &str, value: Option<&str>| KeyValue {
            key: key.into(),
            value: value.map(str::to_owned),
        };
        let environment = Environment::from_pairs(&[("C", "env"), ("E", "")]);
        let files = [vec![pair("A", Some("file")), pair("B", Some("file"))]];
        let given = [pair("B", Some("option")), pair("C", None), pair("D", None), pair("E", None)];
        let found = build_args(&files, &given, &environment);
        let expected = [("A", "file"), ("B", "option"), ("C", "env"), ("E", "")];
        assert_eq!(found, expected.map(|(key, value)| (key.into(), value.into())).into());
    }

    #[test]
    fn option_wins_over_the_environment() {
        let host = Platform::new("linux", "amd64");
        let environment = Environment::from_pairs(&[
            ("DOCKER_DEFAULT_PLATFORM", "linux/arm64"),
            ("SOURCE_DATE_EPOCH", "7"),
        ]);
        let bad = Environment::from_pairs(&[("SOURCE_DATE_EPOCH", "now")]);
        let text = |given, environment| {
            platform(given, environment, &host).map(|found| found.map(|found| found.to_string()))
        };
        assert_eq!(text(Some("linux/s390x"), &environment), Ok(Some("linux/s390x".into())));
        assert_eq!(text(None, &environment), Ok(Some("linux/arm64".into())));
        assert_eq!(text(None, &bad), Ok(None));
        let several = |given: &[&str], environment| {
            let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
            let found = platforms(&given, environment, &host).expect("are platforms");
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            several(&["linux/s390x", "arm64", "s390x"], &environment),
            ["linux/s390x", "linux/arm64"]
        );
        assert_eq!(several(&[], &environment), ["linux/arm64"]);
        assert_eq!(several(&[], &bad), [] as [&str; 0]);
        assert_eq!(epoch(Some(1), &environment), Ok(Some(1)));
        assert_eq!(epoch(None, &environment), Ok(Some(7)));
        assert!(epoch(None, &bad).is_err());
    }

    #[test]
    fn layers_have_one_compression() {
        let of = |texts: &[&str]| {
            let outputs: Vec<Output> = texts
                .iter()
                .map(|text| crate::value::output::parse(text).expect("is an output"))
                .collect();
            encoding(&outputs).map(|options| (options.compression, options.level))
        };
        assert_eq!(of(&[]), Ok((Compression::Gzip, None)));
        assert_eq!(
            of(&["type=local,dest=a", "type=oci,dest=b,compression=zstd"]),
            Ok((Compression::Zstd, None))
        );
        assert!(
            of(&["type=oci,dest=b,compression=zstd", "type=oci,dest=c,compression=gzip"]).is_err()
        );
    }

    #[test]
    fn push_needs_a_name() {
        for (words, expected) in [
            (&["."][..], true),
            (&["--push", "."], false),
            (&["-o", "type=registry", "."], false),
            (&["--push", "-t", "a/b", "."], true),
        ] {
            assert_eq!(check_outputs(&arguments(words)).is_ok(), expected, "{words:?}");
        }
    }
}
