//! Where the result goes, in the words of the crate that writes it.

use strata_oci::MediaTypes;
use strata_remote::{Destination as RemoteDestination, Output as RemoteOutput};

use crate::args::build::ResultArgs;
use crate::diagnostic::Failure;
use crate::settings::progress::Progress;
use crate::streams;
use crate::value::output::{Destination, Output, OutputKind};

/// All outputs: those that were asked for, or the local store.
pub(super) fn all(arguments: &ResultArgs) -> Vec<(RemoteOutput, MediaTypes)> {
    let media_types = |docker| if docker { MediaTypes::Docker } else { MediaTypes::Oci };
    let mut outputs: Vec<(RemoteOutput, MediaTypes)> = arguments
        .output
        .iter()
        .map(|output| (remote(&output.kind), media_types(output.docker_media_types)))
        .collect();
    if arguments.push && !outputs.iter().any(|(output, _)| *output == RemoteOutput::Registry) {
        outputs.push((RemoteOutput::Registry, MediaTypes::Oci));
    }
    if outputs.is_empty() {
        outputs.push((RemoteOutput::Store, MediaTypes::Oci));
    }
    outputs
}

fn remote(kind: &OutputKind) -> RemoteOutput {
    match kind {
        OutputKind::Registry => RemoteOutput::Registry,
        OutputKind::Local { directory } => RemoteOutput::RootDirectory(directory.clone()),
        OutputKind::Oci { destination: Destination::Directory(directory) } => {
            RemoteOutput::OciLayout(directory.clone())
        }
        OutputKind::Oci { destination } => RemoteOutput::OciArchive(file(destination)),
        OutputKind::Docker { destination } => RemoteOutput::DockerArchive(file(destination)),
        OutputKind::Tar { destination } => RemoteOutput::RootArchive(file(destination)),
    }
}

fn file(destination: &Destination) -> RemoteDestination {
    match destination {
        Destination::Stdout => RemoteDestination::Stdout,
        Destination::Archive(path) | Destination::Directory(path) => {
            RemoteDestination::File(path.clone())
        }
    }
}

/// Refuses an archive on standard output where something else goes there, or a person looks at it.
pub(super) fn check_stdout(outputs: &[Output], progress: Progress) -> Result<(), Failure> {
    let count = outputs
        .iter()
        .filter(|output| match &output.kind {
            OutputKind::Oci { destination }
            | OutputKind::Docker { destination }
            | OutputKind::Tar { destination } => *destination == Destination::Stdout,
            OutputKind::Registry | OutputKind::Local { .. } => false,
        })
        .count();
    let message = match (count, progress) {
        (0, _) => return Ok(()),
        (1, Progress::Tty | Progress::Plain(_)) if !streams::data_is_terminal() => return Ok(()),
        (1, Progress::Tty | Progress::Plain(_)) => {
            "standard output is a terminal: redirect it to a file"
        }
        (1, Progress::Json) => "`dest=-` and `--progress json` both want standard output",
        (1, Progress::Quiet) => "`dest=-` and `--quiet` both want standard output",
        _ => "only one output can be standard output",
    };
    Err(Failure::usage(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::progress::Lines;
    use crate::value::output;

    fn parsed(texts: &[&str]) -> Vec<Output> {
        texts.iter().map(|text| output::parse(text).expect("is an output")).collect()
    }

    #[test]
    fn outputs_are_what_was_asked_for_or_the_store() {
        let file = |path: &str| RemoteDestination::File(path.into());
        let cases: [(&[&str], bool, Vec<RemoteOutput>); 5] = [
            (&[], false, vec![RemoteOutput::Store]),
            (&[], true, vec![RemoteOutput::Registry]),
            (&["type=registry"], true, vec![RemoteOutput::Registry]),
            (
                &["type=oci,dest=a", "type=oci,dest=b.tar"],
                false,
                vec![RemoteOutput::OciLayout("a".into()), RemoteOutput::OciArchive(file("b.tar"))],
            ),
            (
                &["c", "-", "type=docker,dest=d"],
                false,
                vec![
                    RemoteOutput::RootDirectory("c".into()),
                    RemoteOutput::RootArchive(RemoteDestination::Stdout),
                    RemoteOutput::DockerArchive(file("d")),
                ],
            ),
        ];
        for (texts, push, expected) in cases {
            let arguments = ResultArgs {
                output: parsed(texts),
                push,
                tag: Vec::new(),
                label: Vec::new(),
                annotation: Vec::new(),
                source_date_epoch: None,
                metadata_file: None,
                iidfile: None,
                digest_file: None,
            };
            let expected: Vec<_> =
                expected.into_iter().map(|output| (output, MediaTypes::Oci)).collect();
            assert_eq!(all(&arguments), expected, "{texts:?}");
        }
    }

    #[test]
    fn standard_output_is_for_one_thing() {
        for (texts, progress, expected) in [
            (&["type=oci,dest=a"][..], Progress::Json, true),
            (&["-"][..], Progress::Json, false),
            (&["-"][..], Progress::Quiet, false),
            (&["-", "type=oci,dest=-"][..], Progress::Plain(Lines::Bare), false),
        ] {
            assert_eq!(check_stdout(&parsed(texts), progress).is_ok(), expected, "{texts:?}");
        }
    }
}
