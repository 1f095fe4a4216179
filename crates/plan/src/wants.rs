//! What a build cannot do without, as far as the text alone tells: looked for before any image is.

use strata_dockerfile::instruction::{Instruction, Mount};
use strata_dockerfile::{Expander, Span, Word};

use crate::findings::Findings;
use crate::global::Globals;
use crate::head::{Heads, Target};
use crate::planner::{Answers, target};
use crate::reach::Reach;
use crate::request::{ContextId, Request};
use crate::value::{address, path};

/// Something that has to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// What.
    pub kind: WantKind,
    /// The word that asks for it.
    pub span: Span,
}

/// What has to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantKind {
    /// A path of a context, that is no pattern.
    File {
        /// Which context.
        context: ContextId,
        /// Clean, from its top.
        path: String,
        /// As the Dockerfile has it.
        written: String,
    },
    /// A secret that is required.
    Secret {
        /// Its id.
        id: String,
    },
}

/// Finds the wants of the stages that the target needs. Words with variables are left out: what they come to is
/// known later. Of a request that has errors nothing is wanted.
pub fn wants(request: &Request) -> Vec<Want> {
    let mut findings = Findings::default();
    let globals = Globals::of(request, &mut findings);
    let heads = Heads::of(request, &globals, &mut findings);
    let Some(target) = target(request, &mut findings) else { return Vec::new() };
    let answers = Answers::new();
    let reach = Reach::of(request, &heads, &answers, vec![target], &mut findings);
    let mut wants = Vec::new();
    for number in reach.stages.keys().filter(|number| !heads.heads[**number].replaced) {
        for statement in &request.dockerfile.stages[*number].instructions {
            match &statement.node {
                Instruction::Copy(copy) if !copy.parents => {
                    let context = match &copy.from {
                        None => Target::Context(ContextId::MAIN),
                        Some(from) => {
                            heads.copy_from(request, &from.text, *number, from.span, &mut findings)
                        }
                    };
                    if let Target::Context(context) = context {
                        wants.extend(
                            copy.sources.iter().filter_map(|word| file(request, word, context)),
                        );
                    }
                }
                Instruction::Add(add) => {
                    let sources = add.sources.iter();
                    wants.extend(sources.filter_map(|word| file(request, word, ContextId::MAIN)));
                }
                Instruction::Run(run) => {
                    for spec in &run.mounts {
                        let values = || spec.fields.iter().filter_map(|field| field.value.as_ref());
                        let is_fixed = values().all(|word| !word.text.contains('$'));
                        let expander = Expander::new(request.dockerfile.escape);
                        let mount = spec
                            .resolve(|word| Ok(expander.process_word(&word.text, &|_| None)?.text));
                        if let (true, Ok(Mount::Secret { id, required: true, .. })) =
                            (is_fixed, mount)
                        {
                            wants.push(Want { kind: WantKind::Secret { id }, span: spec.span });
                        }
                    }
                }
                _ => {}
            }
        }
    }
    if findings.errors.is_empty() { wants } else { Vec::new() }
}

fn file(request: &Request, word: &Word, context: ContextId) -> Option<Want> {
    if word.text.contains('$') {
        return None;
    }
    let expander = Expander::new(request.dockerfile.escape);
    let written = expander.process_word(&word.text, &|_| None).ok()?.text;
    if !matches!(address::parse(&written), Ok(address::Address::Local)) {
        return None;
    }
    if path::has_wildcard(&written) {
        return None;
    }
    let path = path::clean(&written);
    Some(Want { kind: WantKind::File { context, path, written }, span: word.span })
}
