//! What is built.

use super::{Effect, KanikoOption, Switch, Text, row};
use crate::settings::executor::option::truth;
use crate::value::{key_value, secret};

const HEADING: &str = "What is built";

pub(super) const OPTIONS: &[KanikoOption] = &[
    KanikoOption {
        short: Some('f'),
        ..row(
            "dockerfile",
            Text("PATH"),
            HEADING,
            "The Dockerfile: a path, as given or in the context, or a URL",
            Effect::Sets(|draft, value| {
                draft.build.input.file = Some(value.into());
                Ok(())
            }),
        )
    },
    KanikoOption {
        short: Some('c'),
        ..row(
            "context",
            Text("CONTEXT"),
            HEADING,
            "The build context: a directory or dir://, tar://, tar://stdin, git://, https://, s3://, gs://; default /workspace/",
            Effect::Sets(|draft, value| {
                draft.context = Some(value.to_owned());
                Ok(())
            }),
        )
    },
    row(
        "context-sub-path",
        Text("PATH"),
        HEADING,
        "Use this directory of the context",
        Effect::Sets(|draft, value| {
            draft.build.extra.context_directory = Some(value.into());
            Ok(())
        }),
    ),
    KanikoOption {
        short: Some('b'),
        ..row(
            "bucket",
            Text("NAME"),
            HEADING,
            "The bucket of a context without a scheme: --context gs://NAME/…",
            Effect::Sets(|draft, value| {
                draft.bucket = Some(value.to_owned());
                Ok(())
            }),
        )
    },
    row(
        "git",
        Text("KEY=VALUE"),
        HEADING,
        "How a repository is cloned: branch, single-branch, depth, recurse-submodules, insecure-skip-tls",
        Effect::Sets(|draft, text| {
            for pair in text.split(',').filter(|pair| !pair.is_empty()) {
                let (key, value) = pair.split_once('=').unwrap_or((pair, "true"));
                match key {
                    "branch" => draft.git.branch = Some(value.to_owned()),
                    "recurse-submodules" => draft.git.submodules = truth(value)?,
                    "insecure-skip-tls" => draft.build.extra.git_unchecked = truth(value)?,
                    // One commit of one branch is fetched in any case.
                    "single-branch" => _ = truth(value)?,
                    "depth" => {
                        let number = value.parse::<u32>();
                        number.map_err(|_| format!("`{value}` is not a number"))?;
                    }
                    other => return Err(format!("`{other}` is not known")),
                }
            }
            Ok(())
        }),
    ),
    row(
        "build-arg",
        Text("KEY[=VALUE]"),
        HEADING,
        "Set a variable that ARG declares; without a value, to that of the environment",
        Effect::Sets(|draft, value| {
            let pair = key_value::optional(value).map_err(|error| error.to_string())?;
            draft.build.input.build_arg.push(pair);
            Ok(())
        }),
    ),
    row(
        "target",
        Text("STAGE[,STAGE…]"),
        HEADING,
        "Build these stages; the first is the result",
        Effect::Sets(|draft, value| {
            for stage in value.split(',').filter(|stage| !stage.is_empty()) {
                match &draft.build.input.target {
                    None => draft.build.input.target = Some(stage.to_owned()),
                    Some(_) => draft.build.extra.more_targets.push(stage.to_owned()),
                }
            }
            Ok(())
        }),
    ),
    row(
        "secret",
        Text("id=ID[,src=FILE|,env=VAR]"),
        HEADING,
        "Give RUN --mount=type=secret a secret",
        Effect::Sets(|draft, value| {
            draft.build.run.secret.push(secret::parse(value).map_err(|error| error.to_string())?);
            Ok(())
        }),
    ),
    KanikoOption {
        deprecated: &["customPlatform"],
        ..row(
            "custom-platform",
            Text("PLATFORM"),
            HEADING,
            "Build for this platform, as in linux/arm64; default is the host's",
            Effect::Sets(|draft, value| {
                draft.build.input.platform = vec![value.to_owned()];
                Ok(())
            }),
        )
    },
    KanikoOption {
        variable: Some("KANIKO_PRINT_PLAN"),
        ..row(
            "dryrun",
            Switch,
            HEADING,
            "Print the plan and stop",
            Effect::Sets(|draft, value| {
                draft.build.dry_run = truth(value)?;
                Ok(())
            }),
        )
    },
];
