//! What a Dockerfile offers to whoever builds it: the stages to choose from, the arguments, secrets and agents
//! that one of them takes. Told from the text alone; no base is looked at.

use std::collections::{BTreeMap, BTreeSet};

use strata_dockerfile::instruction::{Arg, ArgDeclaration, Instruction, Mount};
use strata_dockerfile::{Dockerfile, Expander, Span, Statement};

use crate::error::PlanErrors;
use crate::findings::Findings;
use crate::global::Globals;
use crate::head::{Heads, Target};
use crate::planner::{Answers, refuse, target};
use crate::reach::Reach;
use crate::request::Request;
use crate::scope::Scope;

/// A stage that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetOffer {
    /// Its name, in lower case.
    pub name: Option<String>,
    /// What the comment above it says.
    pub description: Option<String>,
    /// Its base, as written.
    pub base: String,
    /// Its platform, as written.
    pub platform: Option<String>,
    /// Whether it is built when none is asked for.
    pub is_default: bool,
    /// The FROM.
    pub span: Span,
}

/// The stages of a Dockerfile, in order.
pub fn targets(dockerfile: &Dockerfile) -> Vec<TargetOffer> {
    let last = dockerfile.stages.len().saturating_sub(1);
    let offers = dockerfile.stages.iter().enumerate().map(|(number, stage)| TargetOffer {
        name: stage.name().map(str::to_owned),
        description: stage.from.node.description.clone(),
        base: stage.from.node.image.text.clone(),
        platform: stage.from.node.platform.as_ref().map(|platform| platform.text.clone()),
        is_default: number == last,
        span: stage.from.span,
    });
    offers.collect()
}

/// What the stage that is asked for takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// The stage's name.
    pub name: Option<String>,
    /// What the comment above it says.
    pub description: Option<String>,
    /// Build arguments that it or a stage it needs uses, in source order.
    pub arguments: Vec<ArgumentOffer>,
    /// Secrets that its commands mount.
    pub secrets: Vec<MountOffer>,
    /// Agents that its commands mount.
    pub ssh: Vec<MountOffer>,
}

/// A build argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentOffer {
    /// Its name.
    pub name: String,
    /// What it is in this build.
    pub value: String,
    /// What the comment above it says.
    pub description: Option<String>,
    /// The ARG.
    pub span: Span,
}

/// A secret or an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountOffer {
    /// Its id.
    pub name: String,
    /// Whether the build fails without it.
    pub required: bool,
    /// The RUN.
    pub span: Span,
}

/// Tells what the request's target takes.
pub fn outline(request: &Request) -> Result<Outline, PlanErrors> {
    let mut findings = Findings::default();
    let globals = Globals::of(request, &mut findings);
    let heads = Heads::of(request, &globals, &mut findings);
    let sources = vec![request.source.clone()];
    let Some(target) = target(request, &mut findings) else {
        refuse(findings.take_errors(), sources)?;
        return Ok(Outline::default());
    };
    let answers = Answers::new();
    let reach = Reach::of(request, &heads, &answers, vec![target], &mut findings);
    refuse(findings.take_errors(), sources)?;

    let mut outliner = Outliner { request, globals: &globals, scopes: BTreeMap::new() };
    let mut outline = Outline {
        name: request.dockerfile.stages[target].name().map(str::to_owned),
        description: request.dockerfile.stages[target].from.node.description.clone(),
        ..Outline::default()
    };
    let global = declarations(&request.dockerfile.global_args);
    let mut used = BTreeSet::new();
    for (number, triggers) in &reach.stages {
        let base = match heads.heads[*number].target {
            Target::Stage(base) => Some(base),
            Target::Scratch | Target::Context(_) | Target::Image(_) => None,
        };
        if !heads.heads[*number].replaced {
            outliner.from(*number, &mut used);
            outliner.stage(*number, base, triggers, &mut used, &mut outline);
        }
    }
    outliner.global(&global, used, &mut outline);
    outline.arguments.sort_by_key(|argument| argument.span);
    let mut seen = BTreeSet::new();
    outline.arguments.retain(|argument| seen.insert(argument.name.clone()));
    once(&mut outline.secrets);
    once(&mut outline.ssh);
    Ok(outline)
}

/// Each name where it is first mounted; required if it is anywhere.
fn once(offers: &mut Vec<MountOffer>) {
    offers.sort_by_key(|offer| offer.span);
    let required: BTreeSet<String> =
        offers.iter().filter(|offer| offer.required).map(|offer| offer.name.clone()).collect();
    let mut seen = BTreeSet::new();
    offers.retain(|offer| seen.insert(offer.name.clone()));
    for offer in offers {
        offer.required = required.contains(&offer.name);
    }
}

fn declarations(args: &[Statement<Arg>]) -> Vec<(&ArgDeclaration, Span)> {
    let each = |statement: &'_ Statement<Arg>| statement.span;
    args.iter()
        .flat_map(|statement| {
            let span = each(statement);
            statement.node.args.iter().map(move |declaration| (declaration, span))
        })
        .collect()
}

struct Outliner<'a> {
    request: &'a Request,
    globals: &'a Globals,
    /// What stages end with, for those based on them.
    scopes: BTreeMap<usize, Scope>,
}

impl Outliner<'_> {
    fn expander(&self) -> Expander {
        Expander::new(self.request.dockerfile.escape)
    }

    /// The arguments that a FROM uses.
    fn from(&self, number: usize, used: &mut BTreeSet<String>) {
        let from = &self.request.dockerfile.stages[number].from.node;
        let lookup = |name: &str| self.globals.scope.get(name).map(str::to_owned);
        for word in std::iter::once(&from.image).chain(&from.platform) {
            if let Ok(expansion) = self.expander().process_word(&word.text, &lookup) {
                used.extend(expansion.matched);
                used.extend(expansion.unmatched);
            }
        }
    }

    fn stage(
        &mut self,
        number: usize,
        base: Option<usize>,
        triggers: &[Statement<Instruction>],
        used: &mut BTreeSet<String>,
        outline: &mut Outline,
    ) {
        let mut scope = base.and_then(|base| self.scopes.get(&base)).cloned().unwrap_or_default();
        let own = &self.request.dockerfile.stages[number].instructions;
        for statement in triggers.iter().chain(own) {
            match &statement.node {
                Instruction::Arg(arg) => {
                    for declaration in &arg.args {
                        self.argument(declaration, statement.span, &mut scope, used, outline);
                    }
                }
                Instruction::Env(env) => {
                    let old = scope.clone();
                    for pair in &env.pairs {
                        scope.set(
                            &self.text(&old, &pair.key.text),
                            &self.text(&old, &pair.value.text),
                        );
                    }
                }
                Instruction::Run(run) => {
                    for spec in &run.mounts {
                        let mount = spec.resolve(|word| Ok(self.text(&scope, &word.text)));
                        let span = statement.span;
                        match mount {
                            Ok(Mount::Secret { id, required, .. }) => {
                                outline.secrets.push(MountOffer { name: id, required, span });
                            }
                            Ok(Mount::Ssh { id, required, .. }) => {
                                let name = id.unwrap_or_else(|| "default".to_owned());
                                outline.ssh.push(MountOffer { name, required, span });
                            }
                            Ok(Mount::Bind { .. } | Mount::Cache { .. } | Mount::Tmpfs { .. })
                            | Err(_) => {}
                        }
                    }
                }
                _ => {}
            }
        }
        self.scopes.insert(number, scope);
    }

    /// An ARG of a stage: its own, or one that stands for a global one.
    fn argument(
        &self,
        declaration: &ArgDeclaration,
        span: Span,
        scope: &mut Scope,
        used: &mut BTreeSet<String>,
        outline: &mut Outline,
    ) {
        let name = declaration.name.text.clone();
        let given = self.globals.arguments.get(&name);
        let own = given
            .cloned()
            .or_else(|| declaration.value.as_ref().map(|default| self.text(scope, &default.text)));
        let global = self.globals.scope.get(&name).map(str::to_owned);
        let is_inherited = own.is_none() && global.is_some();
        let value = own.or(global);
        scope.declare(&name, value.as_deref());
        used.insert(name.clone());
        if !is_inherited {
            outline.arguments.push(ArgumentOffer {
                name,
                value: value.unwrap_or_default(),
                description: declaration.description.clone(),
                span,
            });
        }
    }

    /// The global ARGs that are used, or that those use.
    fn global(
        &self,
        declared: &[(&ArgDeclaration, Span)],
        mut used: BTreeSet<String>,
        outline: &mut Outline,
    ) {
        // From the last one up: a default can only use what is above it.
        for (declaration, span) in declared.iter().rev() {
            let name = declaration.name.text.as_str();
            if !used.contains(name) {
                continue;
            }
            if let Some(default) = &declaration.value
                && let Ok(expansion) = self.expander().process_word(&default.text, &|_| None)
            {
                used.extend(expansion.unmatched);
            }
            outline.arguments.push(ArgumentOffer {
                name: name.to_owned(),
                value: self.globals.scope.get(name).unwrap_or_default().to_owned(),
                description: declaration.description.clone(),
                span: *span,
            });
        }
    }

    /// A word expanded; as written where that is an error, which a build would tell.
    fn text(&self, scope: &Scope, text: &str) -> String {
        let lookup = |name: &str| scope.get(name).map(str::to_owned);
        let expanded = self.expander().process_word(text, &lookup);
        expanded.map_or_else(|_| text.to_owned(), |expansion| expansion.text)
    }
}
