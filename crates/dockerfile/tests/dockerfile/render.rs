//! Syntax as one line of text, so that a test case is one line too.

use strata_dockerfile::instruction::{
    Access, CommandLine, From, Healthcheck, KeyValue, MountSpec, Network, Security,
};
use strata_dockerfile::{
    Dockerfile, Heredoc, Instruction, Literal, ParseErrors, Source, Word, parse,
};

pub(crate) fn source(text: &str) -> Source {
    Source::new(0, "Dockerfile", text)
}

pub(crate) fn parsed(text: &str) -> Dockerfile {
    parse(&source(text)).unwrap_or_else(|errors| panic!("{text:?}: {errors}"))
}

/// The instructions of the last stage.
pub(crate) fn body(text: &str) -> Vec<String> {
    let dockerfile = parsed(text);
    let stage = dockerfile.stages.last().expect("there is a stage");
    stage.instructions.iter().map(|statement| instruction(&statement.node)).collect()
}

/// The only instruction after a FROM.
pub(crate) fn one(text: &str) -> String {
    let mut all = body(&format!("FROM scratch\n{text}"));
    assert_eq!(all.len(), 1, "{text:?}: {all:?}");
    all.remove(0)
}

/// `line:column: message (help)`, a line each.
pub(crate) fn errors(source: &Source, errors: &ParseErrors) -> Vec<String> {
    errors
        .iter()
        .map(|error| {
            let help = error.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
            format!("{}: {error}{help}", source.position(error.span.start))
        })
        .collect()
}

pub(crate) fn instruction(instruction: &Instruction) -> String {
    let keyword = instruction.keyword().name();
    let rest = match instruction {
        Instruction::Add(add) => {
            let mut parts = paths(&add.sources, &add.files, &add.destination);
            flag(&mut parts, "chown", add.chown.as_ref());
            flag(&mut parts, "chmod", add.chmod.as_ref());
            flag(&mut parts, "checksum", add.checksum.as_ref());
            parts.extend(add.link.then(|| "link".to_owned()));
            parts.extend(add.keep_git_dir.map(|on| format!("keep-git-dir={on}")));
            parts.extend(add.unpack.map(|on| format!("unpack={on}")));
            excludes(&mut parts, &add.excludes);
            parts.join(" ")
        }
        Instruction::Copy(copy) => {
            let mut parts = paths(&copy.sources, &copy.files, &copy.destination);
            parts.extend(copy.from.as_ref().map(|from| format!("from={}", from.text)));
            flag(&mut parts, "chown", copy.chown.as_ref());
            flag(&mut parts, "chmod", copy.chmod.as_ref());
            parts.extend(copy.link.then(|| "link".to_owned()));
            parts.extend(copy.parents.then(|| "parents".to_owned()));
            excludes(&mut parts, &copy.excludes);
            parts.join(" ")
        }
        Instruction::Arg(arg) => arg
            .args
            .iter()
            .map(|arg| match &arg.value {
                Some(value) => format!("[{}]=[{}]", arg.name.text, value.text),
                None => format!("[{}]", arg.name.text),
            })
            .collect::<Vec<_>>()
            .join(" "),
        Instruction::Cmd(cmd) => command(&cmd.command),
        Instruction::Entrypoint(entrypoint) => command(&entrypoint.command),
        Instruction::Env(env) => pairs(&env.pairs),
        Instruction::Label(label) => pairs(&label.pairs),
        Instruction::Expose(expose) => words(&expose.ports),
        Instruction::Volume(volume) => words(&volume.paths),
        Instruction::Healthcheck(Healthcheck::None) => "none".into(),
        Instruction::Healthcheck(Healthcheck::Check { command: line, options }) => {
            let mut parts = vec![command(line)];
            for (name, value) in [
                ("interval", options.interval),
                ("timeout", options.timeout),
                ("start-period", options.start_period),
                ("start-interval", options.start_interval),
            ] {
                parts.extend(value.map(|value| format!("{name}={value:?}")));
            }
            parts.extend((options.retries > 0).then(|| format!("retries={}", options.retries)));
            parts.join(" ")
        }
        Instruction::Maintainer(maintainer) => format!("[{}]", maintainer.name.text),
        Instruction::Onbuild(onbuild) => {
            format!("{:?} = {}", onbuild.text, self::instruction(&onbuild.trigger.node))
        }
        Instruction::Run(run) => {
            let mut parts = vec![command(&run.command)];
            parts.extend(run.heredocs.iter().map(heredoc));
            parts.extend(run.mounts.iter().map(mount));
            if run.network != Network::default() {
                parts.push(format!("network={:?}", run.network));
            }
            if run.security != Security::default() {
                parts.push(format!("security={:?}", run.security));
            }
            parts.extend(run.devices.iter().map(|device| {
                format!("device={}{}", device.name, if device.required { "!" } else { "" })
            }));
            parts.join(" ")
        }
        Instruction::Shell(shell) => format!("{:?}", shell.argv),
        Instruction::Stopsignal(stopsignal) => format!("[{}]", stopsignal.signal.text),
        Instruction::User(user) => format!("[{}]", user.user.text),
        Instruction::Workdir(workdir) => format!("[{}]", workdir.path.text),
    };
    format!("{keyword} {rest}")
}

pub(crate) fn from(from: &From) -> String {
    let mut parts = vec![format!("[{}]", from.image.text)];
    flag(&mut parts, "platform", from.platform.as_ref());
    parts.extend(from.name.as_ref().map(|name| format!("as {}", name.lower)));
    parts.join(" ")
}

fn command(command: &CommandLine) -> String {
    match command {
        CommandLine::Shell(line) => format!("sh {line:?}"),
        CommandLine::Exec(argv) => format!("exec {argv:?}"),
    }
}

fn words(words: &[Word]) -> String {
    words.iter().map(|word| format!("[{}]", word.text)).collect::<Vec<_>>().join(" ")
}

fn pairs(pairs: &[KeyValue]) -> String {
    pairs
        .iter()
        .map(|pair| {
            let equals = if pair.legacy { " " } else { "=" };
            format!("[{}]{equals}[{}]", pair.key.text, pair.value.text)
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn paths(sources: &[Word], files: &[Heredoc], destination: &Word) -> Vec<String> {
    let mut parts: Vec<String> =
        sources.iter().map(|source| format!("[{}]", source.text)).collect();
    parts.extend(files.iter().map(heredoc));
    parts.push(format!("-> [{}]", destination.text));
    parts
}

fn flag(parts: &mut Vec<String>, name: &str, value: Option<&Word>) {
    parts.extend(value.map(|value| format!("{name}=[{}]", value.text)));
}

fn excludes(parts: &mut Vec<String>, excludes: &[Literal]) {
    parts.extend(excludes.iter().map(|exclude| format!("exclude={}", exclude.text)));
}

pub(crate) fn heredoc(heredoc: &Heredoc) -> String {
    let kind = if heredoc.expand { "expands" } else { "verbatim" };
    format!("<<{} {kind} {:?}", heredoc.name, heredoc.content())
}

fn mount(spec: &MountSpec) -> String {
    let fields: Vec<String> = spec
        .fields
        .iter()
        .map(|field| match &field.value {
            Some(value) => format!("{}=[{}]", field.key.name(), value.text),
            None => field.key.name().to_owned(),
        })
        .collect();
    format!("mount({})", fields.join(","))
}

pub(crate) fn access(access: Access) -> &'static str {
    match access {
        Access::ReadOnly => "ro",
        Access::ReadWrite => "rw",
    }
}
