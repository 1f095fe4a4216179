//! kaniko's command line, put in the words of `strata build`: the same settings, and so the same build.
//!
//! ```text
//! words ─clap, from the table─► given values ─each row's effect─► Draft ─finish─► BuildArgs
//! ```

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::args::build::BuildArgs;
use crate::diagnostic::Failure;
use crate::environment::Environment;

mod context;
mod draft;
pub(crate) mod option;
pub(crate) mod table;

use draft::Draft;
use option::{Effect, KanikoOption, Takes};

/// What was given for each option of the table, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given(Vec<(usize, Vec<String>)>);

impl Given {
    /// Takes what was written on the command line.
    pub(crate) fn of_matches(matches: &ArgMatches) -> Self {
        let rows = table::OPTIONS.iter().enumerate();
        Self(
            rows.filter(|(_, row)| {
                matches.value_source(row.long) == Some(ValueSource::CommandLine)
            })
            .filter_map(|(at, row)| {
                let values = matches.get_many::<String>(row.long)?;
                Some((at, values.cloned().collect()))
            })
            .collect(),
        )
    }

    /// What an option comes to: what was written, or what its variable says.
    fn values(&self, at: usize, row: &KanikoOption, environment: &Environment) -> Vec<String> {
        if let Some((_, values)) = self.0.iter().find(|(number, _)| *number == at) {
            return values.clone();
        }
        let variable = row.variable.and_then(|name| environment.raw(name)?.to_str());
        variable.filter(|text| !text.is_empty()).map(str::to_owned).into_iter().collect()
    }
}

/// Says what is to be built; with the environment, as options say more of it.
pub(crate) fn build(
    given: &Given,
    environment: &Environment,
) -> Result<(BuildArgs, Environment), Failure> {
    let mut draft = Draft::new();
    for (at, row) in table::OPTIONS.iter().enumerate() {
        for value in given.values(at, row, environment) {
            apply(row, &value, &mut draft)?;
        }
    }
    draft.finish(environment)
}

fn apply(row: &KanikoOption, value: &str, draft: &mut Draft) -> Result<(), Failure> {
    let long = row.long;
    match row.effect {
        Effect::Sets(set) => set(draft, value).map_err(|problem| {
            let shown = if row.takes == Takes::Switch {
                format!("--{long}={value}")
            } else {
                format!("--{long} {value}")
            };
            Failure::usage(format!("`{shown}`: {problem}"))
        }),
        Effect::NotNeeded(reason) => {
            if row.takes == Takes::Switch {
                option::truth(value)
                    .map_err(|problem| Failure::usage(format!("`--{long}={value}`: {problem}")))?;
            }
            let note = format!("`--{long}` is not needed: {reason}");
            if !draft.build.extra.notes.contains(&note) {
                draft.build.extra.notes.push(note);
            }
            Ok(())
        }
    }
}
