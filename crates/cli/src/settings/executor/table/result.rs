//! What becomes of the result.

use strata_oci::{Compression, Reference};

use super::{Effect, KanikoOption, Switch, Text, row};
use crate::args::build::ResultFileKind;
use crate::settings::executor::option::truth;
use crate::value::{annotation, key_value};

const HEADING: &str = "What becomes of it";

pub(super) const OPTIONS: &[KanikoOption] = &[
    KanikoOption {
        short: Some('d'),
        ..row(
            "destination",
            Text("REF"),
            HEADING,
            "Push the image there; may be given several times",
            Effect::Sets(|draft, value| {
                let reference = Reference::parse(value).map_err(|error| error.to_string())?;
                draft.destinations.push(reference);
                Ok(())
            }),
        )
    },
    KanikoOption {
        variable: Some("KANIKO_NO_PUSH"),
        ..row(
            "no-push",
            Switch,
            HEADING,
            "Push no image; the cache is pushed all the same",
            Effect::Sets(|draft, value| {
                draft.no_push = truth(value)?;
                Ok(())
            }),
        )
    },
    KanikoOption {
        deprecated: &["tarPath"],
        ..row(
            "tar-path",
            Text("FILE"),
            HEADING,
            "Write an archive for docker load",
            Effect::Sets(|draft, value| {
                draft.tar_path = Some(value.into());
                Ok(())
            }),
        )
    },
    row(
        "oci-layout-path",
        Text("DIR"),
        HEADING,
        "Write an OCI layout",
        Effect::Sets(|draft, value| {
            draft.layout_path = Some(value.into());
            Ok(())
        }),
    ),
    row(
        "image-format",
        Text("docker|oci"),
        HEADING,
        "Use these media types; default oci",
        Effect::Sets(|draft, value| {
            draft.docker_media_types = Some(match value {
                "docker" => true,
                "oci" => false,
                _ => return Err("it is neither `docker` nor `oci`".to_owned()),
            });
            Ok(())
        }),
    ),
    row(
        "compression",
        Text("gzip|zstd"),
        HEADING,
        "Compress new layers so",
        Effect::Sets(|draft, value| {
            draft.compression = Some(match value {
                "gzip" => Compression::Gzip,
                "zstd" => Compression::Zstd,
                _ => return Err("it is neither `gzip` nor `zstd`".to_owned()),
            });
            Ok(())
        }),
    ),
    row(
        "compression-level",
        Text("N"),
        HEADING,
        "Compress new layers as much; -1 is the default",
        Effect::Sets(|draft, value| {
            draft.compression_level = match value.parse::<i32>() {
                Ok(-1) => None,
                Ok(level @ 0..=22) => Some(level),
                Ok(_) | Err(_) => return Err("it is not a number from -1 to 22".to_owned()),
            };
            Ok(())
        }),
    ),
    row(
        "digest-file",
        Text("FILE"),
        HEADING,
        "Write the digest of the image to a file",
        Effect::Sets(|draft, value| {
            draft.build.result.digest_file = Some(value.into());
            Ok(())
        }),
    ),
    row(
        "image-name-with-digest-file",
        Text("FILE"),
        HEADING,
        "Write REPOSITORY@DIGEST of each destination to a file",
        Effect::Sets(|draft, value| {
            draft.result_file(ResultFileKind::NamesWithDigest, value);
            Ok(())
        }),
    ),
    row(
        "image-name-tag-with-digest-file",
        Text("FILE"),
        HEADING,
        "Write REPOSITORY:TAG@DIGEST of each destination to a file",
        Effect::Sets(|draft, value| {
            draft.result_file(ResultFileKind::TagsWithDigest, value);
            Ok(())
        }),
    ),
    row(
        "label",
        Text("KEY=VALUE"),
        HEADING,
        "Set a label of the image",
        Effect::Sets(|draft, value| {
            let label = key_value::label(value).map_err(|error| error.to_string())?;
            draft.build.result.label.push(label);
            Ok(())
        }),
    ),
    row(
        "annotation",
        Text("KEY=VALUE"),
        HEADING,
        "Set an annotation of the manifest",
        Effect::Sets(|draft, value| {
            let pair = annotation::parse(value).map_err(|error| error.to_string())?;
            draft.build.result.annotation.push(pair);
            Ok(())
        }),
    ),
    row(
        "reproducible",
        Switch,
        HEADING,
        "Put no time of the build into the image: SOURCE_DATE_EPOCH, or 0",
        Effect::Sets(|draft, value| {
            draft.reproducible = truth(value)?;
            Ok(())
        }),
    ),
];
