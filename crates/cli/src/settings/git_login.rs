//! Who to be at the git server that a context comes from.

use std::collections::BTreeMap;

use strata_build::{Secret, authorization};

use crate::environment::{Environment, variable};

const HEADER: &str = "GIT_AUTH_HEADER";
const TOKEN: &str = "GIT_AUTH_TOKEN";

/// Adds the login of the environment to the secrets that contexts are fetched with, unless a secret is for every
/// server already.
///
/// Only contexts, which the user names, are fetched with it: a Dockerfile that says ADD could name any server.
pub(crate) fn for_contexts(
    mut secrets: BTreeMap<String, Secret>,
    environment: &Environment,
) -> BTreeMap<String, Secret> {
    if secrets.contains_key(HEADER) || secrets.contains_key(TOKEN) {
        return secrets;
    }
    let text = |variable| environment.text(variable);
    let username = text(variable::GIT_USERNAME);
    let password = text(variable::GIT_TOKEN).or_else(|| text(variable::GIT_PASSWORD));
    match (username, password) {
        (Some(username), Some(password)) => {
            let header = authorization::basic(username, password);
            secrets.insert(HEADER.to_owned(), Secret::new(header.into_bytes()));
        }
        (None, Some(token)) => _ = secrets.insert(TOKEN.to_owned(), Secret::new(token.as_bytes())),
        // A token in the place of a name is how some servers take it.
        (Some(token), None) => {
            let header = authorization::basic(token, "");
            secrets.insert(HEADER.to_owned(), Secret::new(header.into_bytes()));
        }
        (None, None) => {}
    }
    secrets
}

#[cfg(test)]
mod tests {
    use strata_context::Repository;

    use super::*;

    #[test]
    fn login_is_taken_from_the_environment() {
        let none: &[(&str, &str)] = &[];
        for (pairs, given, expected) in [
            (none, None, None),
            (&[("GIT_TOKEN", "t")], None, Some("basic eC1hY2Nlc3MtdG9rZW46dA==")),
            (&[("GIT_TOKEN", "t"), ("GIT_USERNAME", "u")], None, Some("basic dTp0")),
            (&[("GIT_USERNAME", "u"), ("GIT_PASSWORD", "t")], None, Some("basic dTp0")),
            (&[("GIT_USERNAME", "u")], None, Some("basic dTo=")),
            (&[("GIT_TOKEN", "t")], Some("own"), Some("own")),
        ] {
            let given = given.map(|value: &str| (HEADER.to_owned(), Secret::new(value.as_bytes())));
            let secrets = given.into_iter().collect();
            let secrets = for_contexts(secrets, &Environment::from_pairs(pairs));
            let repository = Repository {
                remote: "https://git.example/a.git".to_owned(),
                reference: None,
                checksum: None,
            };
            let header = authorization::git(&secrets, &repository);
            assert_eq!(header.as_deref(), expected, "{pairs:?}");
        }
    }
}
