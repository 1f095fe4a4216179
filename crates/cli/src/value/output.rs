//! `--output TYPE[,k=v…]`: where the result goes and in which form.

use std::path::PathBuf;

use strata_dockerfile::suggest;
use strata_oci::Compression;

use super::fields::{self, Field, FieldsError, list};

/// One place where the result goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) kind: OutputKind,
    /// How the new layers are compressed, where this output says so.
    pub(crate) compression: Option<Compression>,
    pub(crate) compression_level: Option<i32>,
    /// Whether the image has Docker's media types in place of OCI's.
    pub(crate) docker_media_types: bool,
}

/// The kinds of outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OutputKind {
    /// Every tag, in its registry.
    Registry,
    /// An OCI layout: a directory, or an archive of one.
    Oci { destination: Destination },
    /// An archive for `docker load`.
    Docker { destination: Destination },
    /// The root file system as a directory.
    Local { directory: PathBuf },
    /// The root file system as an archive.
    Tar { destination: Destination },
}

/// A file or directory to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Standard output.
    Stdout,
    Archive(PathBuf),
    Directory(PathBuf),
}

/// What is wrong with an output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OutputError {
    #[error(transparent)]
    Fields(#[from] FieldsError),
    #[error("unknown output type `{name}`: {advice}")]
    Type { name: String, advice: String },
    #[error("`type={kind}` needs `dest=…`")]
    NoDestination { kind: &'static str },
    #[error("`type={kind}` takes no `{key}`")]
    NotOfType { kind: &'static str, key: String },
    #[error("`compression={value}` is none of `gzip`, `zstd` and `none`")]
    Compression { value: String },
    #[error("`compression-level={value}` is not a number from {from} to {to}")]
    Level { value: String, from: i32, to: i32 },
    #[error("`compression=zstd` needs `oci-mediatypes=true`: Docker's have no zstd")]
    DockerZstd,
    #[error("`dest=-` writes to standard output, where a directory cannot go")]
    DirectoryToStdout,
}

const TYPES: [&str; 5] = ["registry", "oci", "docker", "local", "tar"];
const KEYS: [&str; 6] =
    ["type", "dest", "tar", "compression", "compression-level", "oci-mediatypes"];

/// Reads an output. `DIR` alone is `type=local,dest=DIR`, and `-` is `type=tar,dest=-`.
pub(crate) fn parse(text: &str) -> Result<Output, OutputError> {
    if text == "-" {
        return Ok(plain(OutputKind::Tar { destination: Destination::Stdout }));
    }
    let fields = fields::split(text)?;
    if let [Field { key: _, value: None }] = fields.as_slice()
        && !TYPES.contains(&text)
    {
        return Ok(plain(OutputKind::Local { directory: text.into() }));
    }
    let mut kind = None;
    let mut destination = None;
    let mut archive = None;
    let mut compression = None;
    let mut level = None;
    let mut oci = None;
    for (position, field) in fields.iter().enumerate() {
        match field.key.as_str() {
            "type" => kind = Some(type_name(field.required()?)?),
            // `--output registry` and `--output oci,dest=x`: the type by its name alone.
            word if position == 0 && field.value.is_none() => kind = Some(type_name(word)?),
            "dest" => destination = Some(field.required()?),
            "tar" => archive = Some(field.truth()?),
            "compression" => compression = Some(compression_name(field.required()?)?),
            "compression-level" => level = Some(field.required()?),
            "oci-mediatypes" => oci = Some(field.truth()?),
            _ => return Err(field.unknown(&KEYS).into()),
        }
    }
    let kind = kind.ok_or(OutputError::Type { name: String::new(), advice: known() })?;
    let level = level.map(|value| level_number(value, compression)).transpose()?;
    let refuse = |key: &str, given: bool| {
        if given { Err(OutputError::NotOfType { kind, key: key.to_owned() }) } else { Ok(()) }
    };
    let needed = destination.ok_or(OutputError::NoDestination { kind });
    refuse("tar", archive.is_some() && kind != "oci")?;
    let kind = match kind {
        "registry" => {
            refuse("dest", destination.is_some())?;
            OutputKind::Registry
        }
        "oci" => OutputKind::Oci { destination: layout(needed?, archive)? },
        "docker" => OutputKind::Docker { destination: file(needed?) },
        "local" | "tar" => {
            refuse("compression", compression.is_some())?;
            refuse("compression-level", level.is_some())?;
            refuse("oci-mediatypes", oci.is_some())?;
            match (kind, needed?) {
                ("local", "-") => return Err(OutputError::DirectoryToStdout),
                ("local", directory) => OutputKind::Local { directory: directory.into() },
                (_, destination) => OutputKind::Tar { destination: file(destination) },
            }
        }
        _ => unreachable!("type_name gives only known types"),
    };
    let docker_media_types = oci == Some(false);
    if docker_media_types && compression == Some(Compression::Zstd) {
        return Err(OutputError::DockerZstd);
    }
    Ok(Output { kind, compression, compression_level: level, docker_media_types })
}

fn plain(kind: OutputKind) -> Output {
    Output { kind, compression: None, compression_level: None, docker_media_types: false }
}

fn known() -> String {
    format!("known are {}", list(&TYPES))
}

fn type_name(name: &str) -> Result<&'static str, OutputError> {
    if let Some(found) = TYPES.into_iter().find(|known| *known == name) {
        return Ok(found);
    }
    let advice = match (name, suggest(name, TYPES)) {
        ("image", _) => {
            "`type=registry` pushes, and with no output the image goes into the local store".into()
        }
        (_, Some(meant)) => format!("did you mean `{meant}`?"),
        (_, None) => known(),
    };
    Err(OutputError::Type { name: name.to_owned(), advice })
}

fn compression_name(name: &str) -> Result<Compression, OutputError> {
    match name {
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        "none" | "uncompressed" => Ok(Compression::None),
        other => Err(OutputError::Compression { value: other.to_owned() }),
    }
}

fn level_number(text: &str, compression: Option<Compression>) -> Result<i32, OutputError> {
    let (from, to) = match compression {
        Some(Compression::Zstd) => (1, 22),
        Some(Compression::None) => (0, 0),
        Some(Compression::Gzip) | None => (0, 9),
    };
    match text.parse() {
        Ok(level) if (from..=to).contains(&level) => Ok(level),
        _ => Err(OutputError::Level { value: text.to_owned(), from, to }),
    }
}

fn file(text: &str) -> Destination {
    if text == "-" { Destination::Stdout } else { Destination::Archive(text.into()) }
}

/// A layout is an archive if it is said so, or if its name ends like one.
fn layout(text: &str, archive: Option<bool>) -> Result<Destination, OutputError> {
    match (text, archive.unwrap_or_else(|| text == "-" || text.strip_suffix(".tar").is_some())) {
        ("-", false) => Err(OutputError::DirectoryToStdout),
        (_, true) => Ok(file(text)),
        (_, false) => Ok(Destination::Directory(text.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_read() {
        let oci = |destination| Ok(plain(OutputKind::Oci { destination }));
        let archive = |path: &str| Destination::Archive(path.into());
        let cases = [
            ("type=registry", Ok(plain(OutputKind::Registry))),
            ("registry", Ok(plain(OutputKind::Registry))),
            ("type=oci,dest=out", oci(Destination::Directory("out".into()))),
            ("type=oci,dest=out.tar", oci(archive("out.tar"))),
            ("oci,dest=out.tar", oci(archive("out.tar"))),
            ("type=oci,dest=out.tar,tar=false", oci(Destination::Directory("out.tar".into()))),
            ("type=oci,dest=x,tar", oci(archive("x"))),
            ("type=oci,dest=-", oci(Destination::Stdout)),
            (
                "type=docker,dest=i.tar",
                Ok(plain(OutputKind::Docker { destination: archive("i.tar") })),
            ),
            ("type=local,dest=root", Ok(plain(OutputKind::Local { directory: "root".into() }))),
            ("root", Ok(plain(OutputKind::Local { directory: "root".into() }))),
            ("-", Ok(plain(OutputKind::Tar { destination: Destination::Stdout }))),
            (
                "type=oci,dest=a,compression=zstd,compression-level=19",
                Ok(Output {
                    kind: OutputKind::Oci { destination: Destination::Directory("a".into()) },
                    compression: Some(Compression::Zstd),
                    compression_level: Some(19),
                    docker_media_types: false,
                }),
            ),
            (
                "type=registry,oci-mediatypes=false",
                Ok(Output { docker_media_types: true, ..plain(OutputKind::Registry) }),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn mistake_is_named() {
        for (text, expected) in [
            ("type=oic,dest=x", "unknown output type `oic`: did you mean `oci`?"),
            ("type=oci,dst=x", "unknown key `dst`: did you mean `dest`?"),
            ("type=oci", "`type=oci` needs `dest=…`"),
            (
                "type=local,dest=-",
                "`dest=-` writes to standard output, where a directory cannot go",
            ),
            ("type=registry,dest=x", "`type=registry` takes no `dest`"),
            ("type=local,dest=x,compression=zstd", "`type=local` takes no `compression`"),
            ("type=tar,dest=x,tar=true", "`type=tar` takes no `tar`"),
            (
                "type=oci,dest=x,compression=lz4",
                "`compression=lz4` is none of `gzip`, `zstd` and `none`",
            ),
            (
                "type=oci,dest=x,compression-level=19",
                "`compression-level=19` is not a number from 0 to 9",
            ),
            (
                "type=image",
                "unknown output type `image`: `type=registry` pushes, and with no output the image goes into the local store",
            ),
        ] {
            assert_eq!(parse(text).expect_err(text).to_string(), expected, "{text}");
        }
    }
}
