//! Warnings that the text alone shows.

use strata_dockerfile::{LintSettings, Rule};

use crate::render::{parsed, source};

#[track_caller]
fn table(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        let source = source(text);
        let found: Vec<String> = parsed(text)
            .warnings
            .iter()
            .map(|warning| {
                let position = source.position(warning.span.start);
                format!("{position}: {}: {}", warning.rule.name(), warning.message)
            })
            .collect();
        assert_eq!(found, *expected, "{text:?}");
    }
}

#[test]
fn rules() {
    table(&[
        ("FROM a\nRUN a\nCMD [\"x\"]\n", &[]),
        ("FROM a\nRUN a \\\n# comment\n  b\n", &[]),
        ("from a as x\nrun y\n", &[]),
        (
            "From a as x\n",
            &[
                "1:1: ConsistentInstructionCasing: command `From` should match the case of the command majority (uppercase)",
            ],
        ),
        ("FROM a AS x\nFROM a AS y\n", &[]),
        ("FROM a AS scratchy\n", &[]),
        ("FROM a\nENV a=b\nLABEL c=d\n", &[]),
        ("FROM a\nCMD [\"a\"]\nENTRYPOINT [\"b\"]\nHEALTHCHECK NONE\n", &[]),
        ("FROM a\nEXPOSE 80/tcp 7-9/udp\n", &[]),
        ("FROM a\nARG PUBLIC_KEY TOKEN_VERSION KEYBOARD\n", &[]),
        ("FROM a\nRUN a \\\n\n  b\n", &["3:1: NoEmptyContinuation: empty continuation line"]),
        (
            "FROM a\nRUN x\nrun y\nEnv a=b\n",
            &[
                "3:1: ConsistentInstructionCasing: command `run` should match the case of the command majority (uppercase)",
                "4:1: ConsistentInstructionCasing: command `Env` should match the case of the command majority (uppercase)",
            ],
        ),
        (
            "from a\nrun x\nRUN y\n",
            &[
                "3:1: ConsistentInstructionCasing: command `RUN` should match the case of the command majority (lowercase)",
            ],
        ),
        ("FROM a AS Xy\n", &["1:11: StageNameCasing: stage name `Xy` should be lowercase"]),
        ("FROM a as x\n", &["1:8: FromAsCasing: the casing of `as` and `FROM` does not match"]),
        ("from a AS x\n", &["1:8: FromAsCasing: the casing of `AS` and `from` does not match"]),
        ("FROM a AS x\nFROM a AS x\n", &["2:11: DuplicateStageName: duplicate stage name `x`"]),
        (
            "FROM a AS scratch\n",
            &["1:11: ReservedStageName: `scratch` is reserved and should not name a stage"],
        ),
        (
            "FROM a\nMAINTAINER x\n",
            &["2:1: MaintainerDeprecated: `MAINTAINER` is deprecated in favour of a label"],
        ),
        (
            "FROM a\nENV a b\nLABEL c d\n",
            &[
                "2:5: LegacyKeyValueFormat: `ENV key=value` should be used instead of `ENV key value`",
                "3:7: LegacyKeyValueFormat: `LABEL key=value` should be used instead of `LABEL key value`",
            ],
        ),
        (
            "FROM a\nCMD [\"a\"]\nCMD [\"b\"]\nFROM a\nCMD [\"c\"]\n",
            &[
                "2:1: MultipleInstructionsDisallowed: multiple `CMD` instructions in the same stage: only the last one is used",
            ],
        ),
        (
            "FROM a\nEXPOSE 80/TCP 127.0.0.1:1:2 $X:3\n",
            &[
                "2:8: ExposeProtoCasing: the protocol of `80/TCP` should be lowercase",
                "2:15: ExposeInvalidFormat: `EXPOSE` takes no IP address and no host port: `127.0.0.1:1:2`",
            ],
        ),
        (
            "ARG GLOBAL_TOKEN\nFROM a\nARG API_TOKEN\nENV DB_PASSWORD=x TOKEN_FILE=/f MONKEY=1\n",
            &[
                "3:5: SecretsUsedInArgOrEnv: `ARG` should not hold a secret: `API_TOKEN` stays in the image",
                "4:5: SecretsUsedInArgOrEnv: `ENV` should not hold a secret: `DB_PASSWORD` stays in the image",
            ],
        ),
    ]);
}

#[test]
fn settings_choose_rules() {
    table(&[
        ("# check=skip=all\nFROM a as X\nMAINTAINER y\n", &[]),
        (
            "# check=skip=FromAsCasing, MaintainerDeprecated\nFROM a as X\nMAINTAINER y\n",
            &["2:11: StageNameCasing: stage name `X` should be lowercase"],
        ),
        (
            "FROM a\n# check=skip=MaintainerDeprecated\nMAINTAINER y\nMAINTAINER z\n",
            &["4:1: MaintainerDeprecated: `MAINTAINER` is deprecated in favour of a label"],
        ),
        (
            "# check=experimental=InvalidDefinitionDescription\n# wrong\nARG a\n# b right\nFROM x AS b\n",
            &[
                "2:3: InvalidDefinitionDescription: the comment above `ARG` should be of the form `# a <description>`",
            ],
        ),
    ]);
    let settings = parsed("# check=error=true;skip=JSONArgsRecommended\nFROM a").lint;
    assert!(settings.error);
    assert!(!settings.allows(Rule::JSONArgsRecommended));
    assert!(settings.allows(Rule::UndefinedVar));
    assert_eq!(LintSettings::parse("skip"), Err("skip".into()));
}

#[test]
fn there_are_22_rules() {
    assert_eq!(Rule::ALL.len(), 22);
}

#[test]
fn settings_given_stand_in_for_the_directive() {
    let text = "# check=skip=all\nFROM a as x\nMAINTAINER y\n";
    let given = LintSettings::parse("skip=MaintainerDeprecated;error=1").expect("is valid");
    let dockerfile = strata_dockerfile::parse_with_lint(&source(text), Some(given));
    let dockerfile = dockerfile.expect("is a Dockerfile");
    let rules: Vec<Rule> = dockerfile.warnings.iter().map(|warning| warning.rule).collect();
    assert_eq!((rules, dockerfile.lint.error), (vec![Rule::FromAsCasing], true));
}

#[test]
fn every_rule_has_an_advice_of_its_own() {
    let advice: std::collections::BTreeSet<&str> =
        Rule::ALL.iter().map(|rule| rule.advice()).collect();
    assert_eq!(advice.len(), Rule::ALL.len());
}
