//! RUN.

use strata_dockerfile::instruction::{self as syntax, Instruction, MountKey, Run, Script};
use strata_dockerfile::{Expander, Statement};

use super::stage::{Current, StepParts, shown};
use crate::error::PlanErrorKind;
use crate::op::{InlineFile, Mount, MountKind, Network, Op, RunOp};
use crate::plan::Need;
use crate::scope::Scope;
use crate::value::path;

impl Current<'_, '_> {
    pub(super) fn run(&mut self, statement: &Statement<Instruction>, run: &Run) {
        let (argv, files) = self.script(run);
        if argv.is_empty() {
            self.error(statement.span, PlanErrorKind::EmptyRun);
        }
        let row = format!("RUN {}{} # buildkit", self.scope.run_prefix(), argv.join(" "));
        let text = self.shown_run(statement, run);
        let mounts = self.mounts(run, &statement.comments);
        let globals = self.evaluation.globals;
        let request = self.evaluation.request;
        let op = RunOp {
            argv,
            files,
            env: self.environment(&mounts),
            arguments: self.scope.arguments().clone(),
            proxies: globals.proxies.clone(),
            user: self.config.config.user.clone(),
            directory: path::clean(self.directory()),
            mounts,
            network: match run.network {
                syntax::Network::Default => request.network,
                syntax::Network::None => Network::None,
                syntax::Network::Host => Network::Host,
            },
            hosts: request.hosts.clone(),
            ignored: request.ignored_paths.clone(),
            hostname: globals.hostname.clone(),
        };
        let parts = StepParts { text, op: Op::Run(Box::new(op)), need: Need::Root };
        self.step(statement.span, parts, Some(row));
    }

    fn script(&mut self, run: &Run) -> (Vec<String>, Vec<InlineFile>) {
        match run.script() {
            Script::Exec(argv) => (argv.to_vec(), Vec::new()),
            Script::Shell(line) => (self.with_shell(&line), Vec::new()),
            Script::File { name, content } => {
                let file = InlineFile::new(name, content.into_owned());
                if file.is_none() {
                    let span = run.heredocs[0].marker;
                    self.error(span, PlanErrorKind::InvalidFileName { name: name.to_owned() });
                }
                let path = format!("{}/{name}", RunOp::FILES_AT);
                (self.with_shell(&path), file.into_iter().collect())
            }
        }
    }

    /// Everything in scope, and where the agent of the first `--mount=type=ssh` is.
    fn environment(&self, mounts: &[Mount]) -> Vec<(String, String)> {
        const AGENT: &str = "SSH_AUTH_SOCK";
        let mut variables = self.scope.variables().to_vec();
        let socket = mounts.iter().find(|mount| matches!(mount.kind, MountKind::Ssh { .. }));
        if let Some(target) = socket.and_then(|mount| mount.target.clone())
            && self.scope.get(AGENT).is_none()
        {
            variables.push((AGENT.to_owned(), target));
        }
        variables
    }

    /// The line for progress. Variables that hold secrets are masked: their values are not even known here,
    /// but another variable of the same name might be.
    fn shown_run(&self, statement: &Statement<Instruction>, run: &Run) -> String {
        let mut scope: Scope = self.scope.clone();
        for variable in run.mounts.iter().filter_map(|mount| mount.value(MountKey::Env)) {
            scope.set(&variable.text, "****");
        }
        let mut code = statement.code.clone();
        if let Some(heredoc) = run.heredocs.first() {
            // A line that is nothing but a heredoc says little; the script's first line says more.
            let whole_line = match run.script() {
                Script::Exec(_) => false,
                Script::File { .. } => true,
                Script::Shell(script) => script == heredoc.content(),
            };
            if whole_line {
                code.push_str(&summary(&heredoc.raw));
            }
        }
        let expander = Expander::display(self.evaluation.request.dockerfile.escape);
        shown(&code, expander, &scope)
    }
}

/// The first line of a script, to tell it by.
fn summary(script: &str) -> String {
    let script = script.trim();
    match script.split_once('\n') {
        Some((first, _)) => format!(" ({}...)", first.trim_end_matches('\r')),
        None => format!(" ({script})"),
    }
}
