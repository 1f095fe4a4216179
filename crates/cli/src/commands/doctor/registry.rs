//! `strata doctor --registry`: who may do what at a registry, and why not.

use std::fmt::Write as _;

use serde_json::{Value, json};
use strata_oci::Reference;
use strata_registry::{Examination, RegistryError, Trial, Verdict, Wants};

use crate::args::DoctorArgs;
use crate::diagnostic::{Diagnostic, Failure};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::settings::registry::client;
use crate::streams;

/// Asks and tells.
pub(crate) async fn registry(
    reference: &Reference,
    arguments: &DoctorArgs,
    environment: &Environment,
) -> Result<(), Failure> {
    let client = client(&arguments.access, environment)?;
    let found = client.examine(reference).await;
    if arguments.json {
        let json = serde_json::to_string_pretty(&json(reference, &found))
            .expect("strings are always JSON");
        streams::data(&format!("{json}\n"))?;
    } else {
        streams::data(&text(reference, &found))?;
    }
    let may_pull =
        found.iter().flatten().any(|place| chosen(place, |one| Some(&one.pull)).is_some());
    if may_pull {
        return Ok(());
    }
    let message = format!("nobody who is configured here can pull `{reference}`");
    let hint = found.iter().filter_map(|place| place.as_ref().err()).find_map(RegistryError::hint);
    let login = || format!("log in with `strata login {}`", reference.repository().registry());
    Err(Failure::new(Exit::Registry, Diagnostic::error(message)).help(hint.unwrap_or_else(login)))
}

/// The first identity that is let in, by its number in the list.
fn chosen(place: &Examination, of: impl Fn(&Trial) -> Option<&Verdict>) -> Option<usize> {
    let allowed = |trial: &Trial| {
        of(trial).is_some_and(|verdict| match verdict {
            Verdict::Allowed | Verdict::NotFound => true,
            Verdict::Refused(_) => false,
        })
    };
    place.trials.iter().position(allowed).map(|at| at + 1)
}

fn text(reference: &Reference, found: &[Result<Examination, RegistryError>]) -> String {
    let mut out = format!("`{reference}`\n");
    for place in found {
        match place {
            Ok(place) => write_place(&mut out, place),
            Err(error) => writeln!(out, "\n`{}`\n  no: {}", error.registry, error.kind),
        }
        .expect("a string takes everything");
    }
    out
}

fn write_place(out: &mut String, place: &Examination) -> std::fmt::Result {
    writeln!(out, "\n`{}/{}`", place.registry, place.repository)?;
    writeln!(out, "  address  {}", place.address)?;
    match &place.wants {
        Wants::Nothing => writeln!(out, "  wants    nothing: everybody is let in")?,
        Wants::Password => writeln!(out, "  wants    a user and a password")?,
        Wants::Token { server, service } => {
            let service = service.as_ref().map(|service| format!(" for `{service}`"));
            writeln!(out, "  wants    a token of {server}{}", service.unwrap_or_default())?;
        }
    }
    for problem in &place.passed_over {
        writeln!(out, "  useless  {problem}")?;
    }
    for (number, trial) in (1..).zip(&place.trials) {
        writeln!(out, "  {number:<8} {}", trial.identity)?;
        writeln!(out, "             pull: {}", words(&trial.pull))?;
        if let Some(push) = &trial.push {
            writeln!(out, "             push: {}", words(push))?;
        }
    }
    let number = |chosen: Option<usize>| chosen.map_or("nobody".to_owned(), |one| one.to_string());
    write!(out, "  chosen   to pull: {}", number(chosen(place, |one| Some(&one.pull))))?;
    if place.trials.iter().any(|trial| trial.push.is_some()) {
        write!(out, ", to push: {}", number(chosen(place, |one| one.push.as_ref())))?;
    }
    writeln!(out)
}

fn words(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Allowed => "yes",
        Verdict::NotFound => "yes, but there is no such thing",
        Verdict::Refused(why) => why,
    }
}

fn json(reference: &Reference, found: &[Result<Examination, RegistryError>]) -> Value {
    let places = found.iter().map(|place| match place {
        Err(error) => json!({"registry": error.registry, "error": error.kind.to_string()}),
        Ok(place) => json!({
            "registry": place.registry,
            "repository": place.repository,
            "address": place.address,
            "wants": match &place.wants {
                Wants::Nothing => json!({"kind": "nothing"}),
                Wants::Password => json!({"kind": "password"}),
                Wants::Token { server, service } => {
                    json!({"kind": "token", "server": server, "service": service})
                }
            },
            "passed_over": place.passed_over,
            "identities": place.trials.iter().map(|trial| json!({
                "identity": trial.identity,
                "pull": words(&trial.pull),
                "push": trial.push.as_ref().map(words),
            })).collect::<Vec<_>>(),
            "chosen": {
                "pull": chosen(place, |one| Some(&one.pull)),
                "push": chosen(place, |one| one.push.as_ref()),
            },
        }),
    });
    json!({"reference": reference.to_string(), "places": places.collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn report_reads_well() {
        let refused = |why: &str| Verdict::Refused(why.to_owned());
        let place = Examination {
            registry: "r.example".into(),
            repository: "team/app".into(),
            address: "https://r.example/".into(),
            wants: Wants::Token {
                server: "https://auth.example/token".into(),
                service: Some("registry".into()),
            },
            trials: vec![
                Trial {
                    identity: "credentials of `old` from `config.json` (entry `r.example/team`)"
                        .into(),
                    pull: refused("not authorized (401)"),
                    push: Some(refused("not authorized (401)")),
                },
                Trial {
                    identity: "no credentials".into(),
                    pull: Verdict::Allowed,
                    push: Some(refused("denied (403): DENIED: read only")),
                },
            ],
            passed_over: vec!["credential helper `docker-credential-x` is not installed".into()],
        };
        let reference = Reference::parse("r.example/team/app:1").expect("is valid");
        assert_snapshot!(text(&reference, &[Ok(place)]), @"
        `r.example/team/app:1`

        `r.example/team/app`
          address  https://r.example/
          wants    a token of https://auth.example/token for `registry`
          useless  credential helper `docker-credential-x` is not installed
          1        credentials of `old` from `config.json` (entry `r.example/team`)
                     pull: not authorized (401)
                     push: not authorized (401)
          2        no credentials
                     pull: yes
                     push: denied (403): DENIED: read only
          chosen   to pull: 2, to push: nobody
        ");
    }
}
