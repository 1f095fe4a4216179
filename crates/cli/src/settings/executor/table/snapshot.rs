//! What kaniko needs as it builds in its own root, and options of its file system snapshots.

use super::{Effect, KanikoOption, Switch, Text, row};
use crate::settings::executor::option::truth;

const HEADING: &str = "File systems";

const SEPARATE: &str =
    "an image is built in a root of its own, and the container's own files are never touched";
const CHANGES: &str =
    "changes are found by what a program cannot forge, without reading every file";

pub(super) const OPTIONS: &[KanikoOption] = &[
    row(
        "ignore-path",
        Text("PATH"),
        HEADING,
        "Keep what RUN writes there out of the image; may be given several times",
        Effect::Sets(|draft, value| {
            draft.build.extra.ignored_paths.push(value.to_owned());
            Ok(())
        }),
    ),
    row(
        "single-snapshot",
        Switch,
        HEADING,
        "Make one layer of the whole build",
        Effect::Sets(|draft, value| {
            draft.build.extra.single_layer = truth(value)?;
            Ok(())
        }),
    ),
    KanikoOption {
        deprecated: &["snapshotMode"],
        ..row(
            "snapshot-mode",
            Text("full|redo|time"),
            HEADING,
            "Not needed",
            Effect::NotNeeded(CHANGES),
        )
    },
    row("use-new-run", Switch, HEADING, "Not needed", Effect::NotNeeded(CHANGES)),
    KanikoOption {
        deprecated: &["whitelist-var-run"],
        ..row(
            "ignore-var-run",
            Switch,
            HEADING,
            "Not needed",
            Effect::NotNeeded("nothing of the container is mounted in /var/run of the image"),
        )
    },
    KanikoOption {
        variable: Some("KANIKO_PRE_CLEANUP"),
        ..row("pre-cleanup", Switch, HEADING, "Not needed", Effect::NotNeeded(SEPARATE))
    },
    KanikoOption {
        variable: Some("KANIKO_CLEANUP"),
        ..row("cleanup", Switch, HEADING, "Not needed", Effect::NotNeeded(SEPARATE))
    },
    KanikoOption {
        variable: Some("KANIKO_PRESERVE_CONTEXT"),
        ..row("preserve-context", Switch, HEADING, "Not needed", Effect::NotNeeded(SEPARATE))
    },
    row(
        "materialize",
        Switch,
        HEADING,
        "Not needed",
        Effect::NotNeeded("the result is the same whether a base image is unpacked or not"),
    ),
    row(
        "image-fs-extract-retry",
        Text("N"),
        HEADING,
        "Not needed",
        Effect::NotNeeded("what fails is the transfer of a layer, and that is tried again"),
    ),
    KanikoOption {
        variable: Some("KANIKO_DIR"),
        ..row(
            "kaniko-dir",
            Text("DIR"),
            HEADING,
            "Where working data go",
            Effect::Sets(|draft, value| {
                draft.build.state.state_dir = Some(value.into());
                Ok(())
            }),
        )
    },
    KanikoOption {
        variable: Some("KANIKO_IGNORE_ASSERTIONS"),
        ..row("force", Switch, HEADING, "Not needed", Effect::NotNeeded(SEPARATE))
    },
    row(
        "force-build-metadata",
        Switch,
        HEADING,
        "Not needed",
        Effect::NotNeeded("metadata instructions are always in the image"),
    ),
    row(
        "skip-unused-stages",
        Switch,
        HEADING,
        "Not needed",
        Effect::NotNeeded("stages that nothing needs are never built"),
    ),
];
