//! What a Dockerfile may say and this program does not do. Each row refuses one thing where it is written, so
//! that nothing is accepted and ignored; building the thing means taking its row away.

use strata_dockerfile::instruction::{Instruction, Run, Security};
use strata_dockerfile::{Source, Span, Statement};
use strata_oci::Platform;

use crate::error::PlanErrorKind;
use crate::findings::Findings;

struct Refusal {
    what: &'static str,
    reason: &'static str,
    /// The text to point at inside the instruction.
    at: &'static str,
    applies: fn(&Run) -> bool,
}

const RUN: &[Refusal] = &[
    Refusal {
        what: "`RUN --security=insecure`",
        reason: "no step of an unprivileged build gets more rights than the build has",
        at: "--security",
        applies: |run| run.security == Security::Insecure,
    },
    Refusal {
        what: "`RUN --device`",
        reason: "devices of the host cannot be handed to steps of an unprivileged build",
        at: "--device",
        applies: |run| !run.devices.is_empty(),
    },
];

/// Refuses what an instruction asks for and nothing here does.
pub(crate) fn check(statement: &Statement<Instruction>, source: &Source, findings: &mut Findings) {
    let Instruction::Run(run) = &statement.node else {
        return;
    };
    for refusal in RUN.iter().filter(|refusal| (refusal.applies)(run)) {
        let kind = PlanErrorKind::Unsupported { what: refusal.what, reason: refusal.reason };
        findings.error(flag_span(statement, source, refusal.at), kind);
    }
}

/// Refuses platforms whose file systems are not built here.
pub(crate) fn check_platform(platform: &Platform, span: Span, findings: &mut Findings) {
    if platform.os == "windows" {
        let kind = PlanErrorKind::Unsupported {
            what: "a `windows` platform",
            reason: "layers of Windows are not made of files with modes and owners",
        };
        findings.error(span, kind);
    }
}

/// The flag, up to the next white space; the whole instruction if it is not found as text.
fn flag_span(statement: &Statement<Instruction>, source: &Source, flag: &str) -> Span {
    let text = source.slice(statement.span);
    let Some(at) = text.find(flag) else {
        return statement.span;
    };
    let length = text[at..].find(char::is_whitespace).unwrap_or(text.len() - at);
    let offset = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
    let start = statement.span.start.saturating_add(offset(at));
    Span { start, end: start.saturating_add(offset(length)), ..statement.span }
}
