//! What is reused.

use std::time::Duration;

use super::{Effect, KanikoOption, Switch, Text, row};
use crate::settings::executor::option::{seconds, truth};

const HEADING: &str = "Cache";

pub(super) const OPTIONS: &[KanikoOption] = &[
    row(
        "cache",
        Switch,
        HEADING,
        "Take steps from the cache, and put them there",
        Effect::Sets(|draft, value| {
            draft.cache = truth(value)?;
            Ok(())
        }),
    ),
    row(
        "cache-repo",
        Text("REPO|oci:DIR"),
        HEADING,
        "Where the cache is, a tag for each step in a repository; default is the tag strata-cache of the first destination's",
        Effect::Sets(|draft, value| {
            draft.cache_repository = Some(value.to_owned());
            Ok(())
        }),
    ),
    row(
        "cache-dir",
        Text("DIR"),
        HEADING,
        "Take layers of base images from what the warmer put there",
        Effect::Sets(|draft, value| {
            draft.build.extra.layouts.push(value.into());
            Ok(())
        }),
    ),
    row(
        "cache-run-layers",
        Switch,
        HEADING,
        "Take RUN from the cache; default true",
        Effect::Sets(|draft, value| {
            draft.cache_run_layers = truth(value)?;
            Ok(())
        }),
    ),
    row(
        "no-push-cache",
        Switch,
        HEADING,
        "Take from the cache, and put nothing there",
        Effect::Sets(|draft, value| {
            draft.no_push_cache = truth(value)?;
            Ok(())
        }),
    ),
    row(
        "cache-ttl",
        Text("DURATION"),
        HEADING,
        "Pass over entries that are older",
        Effect::Sets(|draft, value| {
            draft.build.cache.cache_ttl = Some(Duration::from_secs(seconds(value)?));
            Ok(())
        }),
    ),
    row(
        "cache-copy-layers",
        Switch,
        HEADING,
        "Not needed",
        Effect::NotNeeded("a COPY is cheap, and is always looked up where there is a cache"),
    ),
    row(
        "compressed-caching",
        Switch,
        HEADING,
        "Not needed",
        Effect::NotNeeded("layers are streams, and take no more memory for being compressed"),
    ),
];
