//! What is reused.

use super::{Effect, KanikoOption, Switch, Text, row};
use crate::settings::executor::option::{seconds, truth};

const HEADING: &str = "Cache";

/// Entries that were not used for this time go, as in kaniko.
const KEPT: u64 = 14 * 24 * 3600;

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
        "Where the cache is; default is the tag strata-cache of the first destination's repository",
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
        "Pass over entries that are older; only the default, 336h, is built yet",
        Effect::Sets(|_, value| match seconds(value)? {
            KEPT => Ok(()),
            _ => Err("another age than `336h` is not built yet".to_owned()),
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
