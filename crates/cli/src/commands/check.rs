//! `strata check`, and `strata build --call`: what a Dockerfile is, without building it.

mod offers;
mod report;
mod survey;

use strata_plan::{Plan, outline};

use crate::args::build::{BuildArgs, CheckArgs, CheckFormat};
use crate::diagnostic::{Failure, fold, text};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::settings::progress;
use crate::streams;
use crate::value::call::{Call, Form, Method};
use survey::{Subject, Survey};

/// Checks.
pub(crate) fn run(arguments: &CheckArgs, environment: &Environment) -> Result<(), Failure> {
    let subject = Subject::of_check(arguments);
    let survey = surveyed(&subject, environment)?;
    match arguments.format {
        CheckFormat::Text => talk(&survey, environment),
        CheckFormat::Json => streams::data(&report::json(&survey))?,
        CheckFormat::Gitlab => streams::data(&report::gitlab(&survey, None))?,
    }
    verdict(&survey)
}

/// What `--call` asks for.
pub(crate) fn call(
    call: Call,
    arguments: &BuildArgs,
    environment: &Environment,
) -> Result<(), Failure> {
    let subject = Subject::of_build(arguments);
    match call.method {
        Method::Build | Method::Check => {
            let survey = surveyed(&subject, environment)?;
            match call.form {
                Form::Text => talk(&survey, environment),
                Form::Json => streams::data(&report::of_buildkit(&survey))?,
            }
            verdict(&survey)
        }
        Method::Outline => {
            let text = subject.read(environment)?;
            let request = text.request().map_err(|errors| text.failure(&errors))?;
            let outline =
                outline::outline(&request).map_err(|errors| fold::plan_errors(&errors))?;
            streams::data(&offers::outline(&outline, &text.source, call.form))
        }
        Method::Targets => {
            let text = subject.read(environment)?;
            let request = text.request().map_err(|errors| text.failure(&errors))?;
            let targets = outline::targets(&request.dockerfile);
            streams::data(&offers::targets(&targets, &text.source, call.form))
        }
    }
}

/// A report for GitLab of a build's own findings; the Dockerfile is called `name` in the project.
pub(crate) fn code_quality(plan: &Plan, name: &str) -> String {
    report::gitlab(&survey::of_plan(plan), Some(name))
}

fn surveyed(subject: &Subject<'_>, environment: &Environment) -> Result<Survey, Failure> {
    let text = subject.read(environment)?;
    let survey = survey::survey(subject, &text, environment)?;
    for note in &survey.notes {
        streams::talk(&format!("note: {note}\n"));
    }
    Ok(survey)
}

fn talk(survey: &Survey, environment: &Environment) {
    let colour = progress::colour(environment, streams::talk_is_terminal());
    let mut texts: Vec<String> =
        survey.findings.iter().map(|one| text::render(&one.diagnostic, colour)).collect();
    texts.push(report::summary(survey));
    streams::talk(&texts.join("\n"));
}

fn verdict(survey: &Survey) -> Result<(), Failure> {
    if survey.failed {
        return Err(Failure::of(Exit::Failed, Vec::new()));
    }
    Ok(())
}
