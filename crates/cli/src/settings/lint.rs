//! What the lint is asked for besides the Dockerfile itself.

use std::collections::BTreeMap;

use strata_dockerfile::LintSettings;

use crate::diagnostic::Failure;

const ARGUMENT: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// The settings of the build argument that stands in for the `check` directive, if it is given.
pub(crate) fn settings(
    arguments: &BTreeMap<String, String>,
) -> Result<Option<LintSettings>, Failure> {
    let Some(text) = arguments.get(ARGUMENT) else { return Ok(None) };
    LintSettings::parse(text).map(Some).map_err(|option| {
        Failure::usage(format!("`{option}` is not an option of a check, in `{ARGUMENT}={text}`"))
    })
}

#[cfg(test)]
mod tests {
    use strata_dockerfile::Rule;

    use super::*;

    #[test]
    fn build_argument_is_read() {
        let given = |text: &str| BTreeMap::from([(ARGUMENT.to_owned(), text.to_owned())]);
        assert_eq!(settings(&BTreeMap::new()), Ok(None));
        let found = settings(&given("skip=UndefinedVar;error=true")).expect("is valid");
        let found = found.expect("is given");
        assert!(
            found.error && !found.allows(Rule::UndefinedVar) && found.allows(Rule::FromAsCasing)
        );
        let failure = settings(&given("skp=all")).expect_err("is not valid");
        assert_eq!(
            failure.diagnostics[0].message,
            "`skp=all` is not an option of a check, in `BUILDKIT_DOCKERFILE_CHECK=skp=all`"
        );
    }
}
