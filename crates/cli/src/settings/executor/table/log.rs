//! What is told.

use super::{Effect, KanikoOption, Switch, Text, row};
use crate::settings::executor::option::truth;

const HEADING: &str = "Progress";

pub(super) const OPTIONS: &[KanikoOption] = &[
    KanikoOption {
        short: Some('v'),
        ..row(
            "verbosity",
            Text("LEVEL"),
            HEADING,
            "Tell more or less: trace, debug, info, warn, error, fatal, panic",
            Effect::Sets(|draft, value| {
                (draft.log, draft.silent) = match value {
                    "trace" => (Some("trace"), false),
                    "debug" => (Some("debug"), false),
                    "info" => (None, false),
                    "warn" | "warning" | "error" | "fatal" | "panic" => (None, true),
                    _ => return Err("it is none of `trace`, `debug`, `info`, `warn`, `error`, `fatal` and `panic`".to_owned()),
                };
                Ok(())
            }),
        )
    },
    row(
        "log-format",
        Text("text|color|json"),
        HEADING,
        "How it is told; json goes to standard output",
        Effect::Sets(|draft, value| {
            (draft.json, draft.colour) = match value {
                "text" => (false, Some(false)),
                "color" => (false, Some(true)),
                "json" => (true, None),
                _ => return Err("it is none of `text`, `color` and `json`".to_owned()),
            };
            Ok(())
        }),
    ),
    row(
        "log-timestamp",
        Switch,
        HEADING,
        "Put the time before each line",
        Effect::Sets(|draft, value| {
            draft.build.progress.timestamps = truth(value)?;
            Ok(())
        }),
    ),
];
