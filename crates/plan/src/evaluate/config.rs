//! Instructions that change only the config, and WORKDIR.

use std::time::Duration;

use strata_dockerfile::instruction::{
    Arg, CommandLine, Healthcheck, Instruction, KeyValue, Workdir,
};
use strata_dockerfile::{Expander, Literal, Rule, Statement};
use strata_oci as oci;

use super::stage::{Current, StepParts, shown};
use super::warn;
use crate::error::PlanErrorKind;
use crate::op::{Chown, Op, WorkdirOp};
use crate::plan::Need;
use crate::value::{golang, path, port, signal};

type Written = Statement<Instruction>;

impl Current<'_, '_> {
    /// An instruction that makes no layer.
    pub(super) fn configure(&mut self, statement: &Written) {
        let expander = Expander::display(self.evaluation.request.dockerfile.escape);
        let text = shown(&statement.code, expander, &self.scope);
        let row = match &statement.node {
            Instruction::Arg(arg) => Some(self.arg(statement, arg)),
            Instruction::Env(env) => self.env(statement, &env.pairs),
            Instruction::Label(label) => self.label(statement, &label.pairs),
            Instruction::Cmd(cmd) => {
                warn::shell_of_nobody(self, statement, &cmd.command);
                let argv = self.command(&cmd.command);
                let row = format!("CMD {}", golang::quoted_list(&argv));
                self.cmd_set = true;
                self.config.config.args_escaped = true;
                self.config.config.cmd = argv;
                Some(row)
            }
            Instruction::Entrypoint(entrypoint) => {
                warn::shell_of_nobody(self, statement, &entrypoint.command);
                let argv = self.command(&entrypoint.command);
                let row = format!("ENTRYPOINT {}", golang::quoted_list(&argv));
                self.config.config.entrypoint = argv;
                // The base's CMD was meant for the base's ENTRYPOINT.
                if !self.cmd_set {
                    self.config.config.cmd = Vec::new();
                }
                Some(row)
            }
            Instruction::Expose(expose) => {
                let mut all = Vec::new();
                for word in &expose.ports {
                    all.extend(self.ports(word, &statement.comments));
                }
                self.config.config.exposed_ports.extend(all.iter().cloned());
                Some(format!("EXPOSE {}", golang::list(&all)))
            }
            Instruction::Healthcheck(healthcheck) => {
                let check = check(healthcheck);
                let row = healthcheck_row(&check);
                self.config.config.healthcheck = Some(check);
                Some(row)
            }
            Instruction::Maintainer(maintainer) => {
                self.config.author.clone_from(&maintainer.name.text);
                Some(format!("MAINTAINER {}", maintainer.name.text))
            }
            Instruction::Onbuild(onbuild) => {
                self.config.config.on_build.push(onbuild.text.clone());
                None
            }
            Instruction::Shell(shell) => {
                self.config.config.shell.clone_from(&shell.argv);
                Some(format!("SHELL {}", golang::list(&shell.argv)))
            }
            Instruction::Stopsignal(stopsignal) => {
                let Some(name) = self.expand(&stopsignal.signal, &statement.comments) else {
                    return;
                };
                if !signal::is_signal(&name) {
                    let kind = PlanErrorKind::InvalidSignal { signal: name.clone() };
                    self.error(stopsignal.signal.span, kind);
                }
                self.config.config.stop_signal.clone_from(&name);
                Some(format!("STOPSIGNAL {name}"))
            }
            Instruction::User(user) => {
                let Some(user) = self.expand(&user.user, &statement.comments) else {
                    return;
                };
                self.config.config.user.clone_from(&user);
                Some(format!("USER {user}"))
            }
            Instruction::Volume(volume) => {
                let mut all = Vec::new();
                for word in &volume.paths {
                    let Some(path) = self.expand(word, &statement.comments) else {
                        continue;
                    };
                    if path.is_empty() {
                        self.error(word.span, PlanErrorKind::EmptyVolume);
                    }
                    all.push(path);
                }
                self.config.config.volumes.extend(all.iter().cloned());
                Some(format!("VOLUME {}", golang::list(&all)))
            }
            Instruction::Add(_)
            | Instruction::Copy(_)
            | Instruction::Run(_)
            | Instruction::Workdir(_) => return,
        };
        self.step(statement.span, StepParts { text, op: Op::Config, need: Need::Config }, row);
    }

    fn arg(&mut self, statement: &Written, arg: &Arg) -> String {
        let mut row = vec!["ARG".to_owned()];
        for declaration in &arg.args {
            let name = declaration.name.text.as_str();
            let globals = self.evaluation.globals;
            let value = match (globals.arguments.get(name), &declaration.value) {
                (Some(given), _) => Some(given.clone()),
                // A later one of the same instruction sees the earlier ones, unlike with ENV.
                (None, Some(default)) => self.expand(default, &statement.comments),
                (None, None) => globals.scope.get(name).map(str::to_owned),
            };
            self.scope.declare(name, value.as_deref());
            row.push(match value {
                Some(value) => format!("{name}={value}"),
                None => name.to_owned(),
            });
        }
        row.join(" ")
    }

    /// All pairs expanded, before any of them counts.
    fn pairs(
        &mut self,
        pairs: &[KeyValue],
        keyword: &'static str,
        comments: &[Literal],
    ) -> Option<Vec<(String, String)>> {
        let mut expanded = Vec::new();
        for pair in pairs {
            let (key, value) =
                (self.expand(&pair.key, comments), self.expand(&pair.value, comments));
            if key.as_deref() == Some("") {
                self.error(pair.key.span, PlanErrorKind::EmptyName { keyword });
            }
            expanded.push(key.zip(value));
        }
        expanded.into_iter().collect()
    }

    fn env(&mut self, statement: &Written, pairs: &[KeyValue]) -> Option<String> {
        let pairs = self.pairs(pairs, "ENV", &statement.comments)?;
        let mut row = vec!["ENV".to_owned()];
        for (name, value) in pairs {
            row.push(format!("{name}={value}"));
            self.scope.set(&name, &value);
            self.config.config.set_variable(&name, &value);
        }
        Some(row.join(" "))
    }

    fn label(&mut self, statement: &Written, pairs: &[KeyValue]) -> Option<String> {
        let pairs = self.pairs(pairs, "LABEL", &statement.comments)?;
        let mut row = vec!["LABEL".to_owned()];
        for (name, value) in pairs {
            row.push(format!("{name}={value}"));
            self.config.config.labels.insert(name, value);
        }
        Some(row.join(" "))
    }

    fn ports(&mut self, word: &strata_dockerfile::Word, comments: &[Literal]) -> Vec<String> {
        let lookup = |name: &str| self.scope.get(name).map(str::to_owned);
        let expansion = match self.expander().process_words(&word.text, &lookup) {
            Ok(expansion) => expansion,
            Err(error) => {
                self.error(word.span, error);
                return Vec::new();
            }
        };
        let mut ports = Vec::new();
        for text in expansion.words {
            match port::parse(&text) {
                Ok(exposed) => {
                    // The lint of the text sees these only where nothing expands.
                    if word.text.contains('$') {
                        self.port_warnings(&exposed, &text, word, comments);
                    }
                    ports.extend(exposed.ports);
                }
                Err(problem) => {
                    self.error(word.span, PlanErrorKind::InvalidPort { port: text, problem });
                }
            }
        }
        ports
    }

    fn port_warnings(
        &mut self,
        exposed: &port::Exposed,
        text: &str,
        word: &strata_dockerfile::Word,
        comments: &[Literal],
    ) {
        if exposed.odd_case {
            let message = format!("the protocol of `{text}` should be in lower case");
            self.warn(comments, Rule::ExposeProtoCasing, word.span, message);
        }
        if exposed.mapped {
            let message = format!("`EXPOSE` maps no addresses or host ports, found `{text}`");
            self.warn(comments, Rule::ExposeInvalidFormat, word.span, message);
        }
    }

    /// The arguments of a command, with the shell if it needs one.
    pub(super) fn command(&self, command: &CommandLine) -> Vec<String> {
        match command {
            CommandLine::Exec(argv) => argv.clone(),
            CommandLine::Shell(line) => self.with_shell(line),
        }
    }

    pub(super) fn with_shell(&self, line: &str) -> Vec<String> {
        let mut argv = self.config.config.shell.clone();
        if argv.is_empty() {
            argv = vec!["/bin/sh".to_owned(), "-c".to_owned()];
        }
        argv.push(line.to_owned());
        argv
    }

    pub(super) fn workdir(&mut self, statement: &Written, workdir: &Workdir) {
        let text = shown(&statement.code, self.expander(), &self.scope);
        let Some(written) = self.expand(&workdir.path, &statement.comments) else {
            return;
        };
        if !self.workdir_set && !written.starts_with('/') {
            let message = format!("the relative path `{written}` depends on what the base says");
            self.warn(&statement.comments, Rule::WorkdirRelativePath, workdir.path.span, message);
        }
        self.workdir_set = true;
        let directory = path::working_directory(&self.config.config.working_dir, &written);
        let row = format!("WORKDIR {directory}");
        self.config.config.working_dir.clone_from(&directory);
        if directory == "/" {
            let parts = StepParts { text, op: Op::Config, need: Need::Config };
            self.step(statement.span, parts, Some(row));
            return;
        }
        let owner = Chown::parse(&self.config.config.user);
        let need = match &owner {
            Some(owner) if owner.needs_lookup() => Need::Files,
            _ => Need::Index,
        };
        let op = Op::Workdir(WorkdirOp { path: path::clean(&directory), owner });
        self.step(statement.span, StepParts { text, op, need }, Some(row));
    }
}

fn check(healthcheck: &Healthcheck) -> oci::Healthcheck {
    let (command, options) = match healthcheck {
        Healthcheck::None => {
            return oci::Healthcheck { test: vec!["NONE".to_owned()], ..Default::default() };
        }
        Healthcheck::Check { command, options } => (command, options),
    };
    let mut test = Vec::new();
    match command {
        CommandLine::Shell(line) => test.extend(["CMD-SHELL".to_owned(), line.clone()]),
        CommandLine::Exec(argv) => {
            test.push("CMD".to_owned());
            test.extend(argv.iter().cloned());
        }
    }
    let nanoseconds = |duration: Option<Duration>| {
        let nanoseconds = duration.unwrap_or_default().as_nanos();
        i64::try_from(nanoseconds).unwrap_or(i64::MAX)
    };
    oci::Healthcheck {
        test,
        interval: nanoseconds(options.interval),
        timeout: nanoseconds(options.timeout),
        start_period: nanoseconds(options.start_period),
        start_interval: nanoseconds(options.start_interval),
        retries: i64::from(options.retries),
        ..Default::default()
    }
}

fn healthcheck_row(check: &oci::Healthcheck) -> String {
    format!(
        "HEALTHCHECK {{Test:{} Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
        golang::list(&check.test),
        golang::duration(check.interval),
        golang::duration(check.timeout),
        golang::duration(check.start_period),
        golang::duration(check.start_interval),
        check.retries,
    )
}
