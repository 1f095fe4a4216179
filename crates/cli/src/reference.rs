//! Pages of documentation that are made of the program's own definitions. The tests hold them equal;
//! `STRATA_BLESS=1 cargo test -p strata-cli reference` writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory;

use crate::args::Cli;
use crate::environment::{CLOUD, variable};
use crate::exit::Exit;

fn hold(page: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    if std::env::var_os("STRATA_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("is in docs")).expect("docs can be made");
        std::fs::write(&path, text).expect("a page can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "docs/{page} is out of date: run `STRATA_BLESS=1 cargo test -p strata-cli reference`"
    );
}

fn page(title: &str, introduction: &str) -> String {
    format!(
        "<!-- Generated from the code: `STRATA_BLESS=1 cargo test -p strata-cli reference`. -->\n\n# {title}\n\n{introduction}\n"
    )
}

#[test]
fn command_line_page_is_current() {
    let mut text = page("The command line", "What `strata COMMAND --help` says, in one place.");
    let mut root = Cli::command().term_width(100);
    root.build();
    let names: Vec<String> =
        root.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    section(&mut text, "strata", &mut root.clone());
    for name in names.iter().filter(|name| *name != "help") {
        let command = root.find_subcommand_mut(name).expect("was just listed");
        section(&mut text, &format!("strata {name}"), command);
    }
    hold("cli-reference.md", &text);
}

fn section(text: &mut String, name: &str, command: &mut clap::Command) {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    write!(text, "\n## `{name}`\n\n```text\n{}\n```\n", lines.join("\n").trim_end())
        .expect("a string takes everything");
}

#[test]
fn environment_page_is_current() {
    let mut text = page(
        "Environment variables",
        "Every variable that strata reads. An option wins over a variable. A variable that is empty \
         counts as not set.\n\n| variable | meaning |\n|---|---|",
    );
    for variable in variable::ALL.iter().chain(CLOUD) {
        let meaning = variable.meaning.replace('|', "\\|");
        writeln!(text, "| `{}` | {meaning} |", variable.name).expect("a string takes everything");
    }
    text.push_str(
        "\n`--build-arg KEY`, `--secret id=ID` and `--secret id=ID,env=NAME` read the variables that \
         they name. `KANIKO_HOST_USER` and `KANIKO_HOST_PASSWORD`, with the name of a registry or of a \
         domain above it in capitals and `_` for `.`, `-` and `:`, are credentials for it.\n\n\
         `strata executor` reads the `KANIKO_…` variables that its help names beside their options, and \
         `GIT_PULL_METHOD=http` for a context of `git://`.\n",
    );
    hold("environment.md", &text);
}

#[test]
fn exit_code_page_is_current() {
    let mut text = page(
        "Exit codes",
        "What the number says with which `strata` ends.\n\n| code | meaning |\n|---|---|",
    );
    for exit in Exit::ALL {
        writeln!(text, "| {} | {} |", exit.code(), exit.meaning())
            .expect("a string takes everything");
    }
    writeln!(text, "| 1–255 | {} |", Exit::Command(1).meaning())
        .expect("a string takes everything");
    hold("exit-codes.md", &text);
}

/// The documented events are those of the recorded builds, so that each has an example that was
/// really written and is really read; the compiler sees that none is forgotten.
#[test]
fn event_page_is_current() {
    let mut text = page(
        "Events",
        &format!(
            "What `--progress json` writes on standard output: one object a line, schema {}. New fields \
             and events may be added; the schema's number grows when one changes its meaning or goes \
             away. Numbers of steps are those of `planned`; digests are `sha256:` and 64 digits; times \
             are milliseconds; sizes are bytes.\n\nThe last line of a build that failed is `failed`, with \
             the diagnostics that standard error has as text.",
            strata_build::event::SCHEMA
        ),
    );
    let recorded = concat!(
        include_str!("../../../testdata/events/two-stages.jsonl"),
        include_str!("../../../testdata/events/failing-run.jsonl")
    );
    for (name, meaning) in EVENTS {
        let example = recorded
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find(|value| value["event"] == *name);
        write!(text, "\n## `{name}`\n\n{meaning}\n").expect("a string takes everything");
        if let Some(example) = example {
            let event: strata_build::event::Event =
                serde_json::from_value(example).expect("is a recorded event");
            assert!(documented(&event));
            let json = serde_json::to_string(&event).expect("an event is always JSON");
            write!(text, "\n```json\n{json}\n```\n").expect("a string takes everything");
        } else {
            assert_eq!(*name, "failed", "`{name}` is in no recorded build");
            text.push_str(
                "\n```json\n{\"event\":\"failed\",\"exit\":1,\"diagnostics\":[{\"severity\":\"error\",\
                 \"message\":\"`bin/tool` is not in the build context\",\"file\":\"Dockerfile\",\
                 \"line\":7,\"column\":6,\"end_line\":7,\"end_column\":14}]}\n```\n",
            );
        }
    }
    hold("events.md", &text);
}

const EVENTS: &[(&str, &str)] = &[
    ("planned", "The plan is complete: these steps will be looked up or run."),
    ("resolved", "A base image is known by digest."),
    ("step_started", "A step begins to run."),
    ("step_cached", "A step's result was found; nothing ran."),
    (
        "step_missed",
        "A step's result was looked for and not found; `reason` says what differs from the closest entry, or is null.",
    ),
    ("step_finished", "A step ended well."),
    ("step_failed", "A step ended badly; `failed` says why."),
    (
        "output",
        "A command wrote something; not necessarily whole lines. `stream` is `stdout` or `stderr`.",
    ),
    (
        "blob",
        "Bytes of a blob moved. `transfer` is `download`, `unpack`, `index`, `upload`, `mount` or `already_there`; `total` may be null.",
    ),
    (
        "layer_uploading",
        "Bytes of a layer that is still being written went to a registry; `blob` goes on from there once the layer is sealed.",
    ),
    ("layer_sealed", "A layer is complete and stored."),
    ("warning", "Something that should be known and that stops nothing; `line` may be null."),
    (
        "exported",
        "The image was written somewhere other than a registry: `kind` is `oci`, `docker`, `local`, `tar` or `store`.",
    ),
    ("pushed", "A tag in a registry now names the image."),
    ("finished", "The build is done."),
    (
        "failed",
        "The command failed. `exit` is the exit code; each diagnostic has a severity and a message, and where they are known a place, causes, notes, the last lines of output and help.",
    ),
];

/// Whether an event has its row; a new kind does not compile until somebody looked here.
fn documented(event: &strata_build::event::Event) -> bool {
    use strata_build::event::Event;
    let name = match event {
        Event::Planned { .. } => "planned",
        Event::Resolved { .. } => "resolved",
        Event::StepStarted { .. } => "step_started",
        Event::StepCached { .. } => "step_cached",
        Event::StepMissed { .. } => "step_missed",
        Event::StepFinished { .. } => "step_finished",
        Event::StepFailed { .. } => "step_failed",
        Event::Output { .. } => "output",
        Event::Blob { .. } => "blob",
        Event::LayerUploading { .. } => "layer_uploading",
        Event::LayerSealed { .. } => "layer_sealed",
        Event::Warning { .. } => "warning",
        Event::Exported { .. } => "exported",
        Event::Pushed { .. } => "pushed",
        Event::Finished { .. } => "finished",
    };
    EVENTS.iter().any(|(known, _)| *known == name)
}
