//! Checks of values in which nothing expands: they are wrong whatever a base says, and so can be told before
//! any base is looked for.

use strata_dockerfile::instruction::{Dockerfile, Instruction, Run};
use strata_dockerfile::{Expander, Word};

use crate::error::PlanErrorKind;
use crate::findings::Findings;
use crate::op::Chmod;
use crate::value::{port, signal};

/// Checks the instructions of one stage.
pub(crate) fn literals(dockerfile: &Dockerfile, stage: usize, findings: &mut Findings) {
    let expander = Expander::new(dockerfile.escape);
    for statement in &dockerfile.stages[stage].instructions {
        match &statement.node {
            Instruction::Copy(copy) => chmod(expander, copy.chmod.as_ref(), findings),
            Instruction::Add(add) => chmod(expander, add.chmod.as_ref(), findings),
            Instruction::Run(run) => mounts(expander, run, findings),
            Instruction::Expose(expose) => {
                for word in &expose.ports {
                    if let Some(text) = literal(expander, word)
                        && let Err(problem) = port::parse(&text)
                    {
                        let kind = PlanErrorKind::InvalidPort { port: text, problem };
                        findings.error(word.span, kind);
                    }
                }
            }
            Instruction::Stopsignal(stopsignal) => {
                let text = literal(expander, &stopsignal.signal);
                if let Some(signal) = text.filter(|text| !signal::is_signal(text)) {
                    findings.error(stopsignal.signal.span, PlanErrorKind::InvalidSignal { signal });
                }
            }
            _ => {}
        }
    }
}

/// A word's text if it is the same in every scope.
fn literal(expander: Expander, word: &Word) -> Option<String> {
    if word.text.contains('$') {
        return None;
    }
    Some(expander.process_word(&word.text, &|_| None).ok()?.text)
}

fn chmod(expander: Expander, word: Option<&Word>, findings: &mut Findings) {
    let Some((word, value)) = word.and_then(|word| Some((word, literal(expander, word)?))) else {
        return;
    };
    if !value.is_empty() && Chmod::parse(&value).is_none() {
        findings.error(word.span, PlanErrorKind::InvalidChmod { value });
    }
}

fn mounts(expander: Expander, run: &Run, findings: &mut Findings) {
    for spec in &run.mounts {
        let values = || spec.fields.iter().filter_map(|field| field.value.as_ref());
        if values().any(|word| word.text.contains('$')) {
            continue;
        }
        let resolved = spec.resolve(|word| Ok(expander.process_word(&word.text, &|_| None)?.text));
        if let Err((span, error)) = resolved {
            findings.error(span, error);
        }
    }
}
