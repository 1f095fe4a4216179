use std::os::unix::fs::PermissionsExt;

use strata_registry::Credentials;

use super::*;

/// `user:secret` in base64.
const PACKED: &str = "dXNlcjpzZWNyZXQ=";
/// An entry of a file.
const AUTH: &str = r#"{"auths":{"r.example":{"auth":"dXNlcjpzZWNyZXQ="}}}"#;

/// Names with values, or paths with texts.
type Pairs<'a> = &'a [(&'a str, &'a str)];
type Files = Vec<(&'static str, &'static str)>;

/// A home with files in it.
fn home(files: &[(&str, &str)]) -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    for (path, text) in files {
        let path = home.path().join(path);
        std::fs::create_dir_all(path.parent().expect("has one")).expect("can be made");
        std::fs::write(&path, text).expect("can be written");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, executable).expect("is ours");
    }
    home
}

/// The identities for `r.example/team/app`, in order, with the home's path as `~`.
async fn found(
    pairs: &[(&str, &str)],
    files: &[(&str, &str)],
    arguments: &RegistryArgs,
) -> Vec<String> {
    let home = home(files);
    let place = home.path().to_str().expect("is text");
    let expand = |text: &str| text.replace('~', place);
    let pairs: Vec<(&str, String)> =
        pairs.iter().map(|(name, value)| (*name, expand(value))).collect();
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let environment = Environment::from_pairs(&pairs);
    let clouds = Clouds::of(&environment, strata_registry::Settings::default());
    let sources = match sources(arguments, &environment, &clouds) {
        Ok(sources) => sources,
        Err(failure) => return vec![failure.diagnostics[0].message.replace(place, "~")],
    };
    match Credentials::new(sources).candidates("r.example", Some("team/app")).await {
        Ok(found) => found.iter().map(|one| one.describe().replace(place, "~")).collect(),
        Err(error) => vec![error.to_string()],
    }
}

/// Variables and files → the one identity.
#[tokio::test]
async fn each_source_gives_its_identity() {
    const KANIKO: (&str, &str) = ("KANIKO_DIR", "~/kaniko");
    const JOB: (&str, &str) = ("GITLAB_CI", "true");
    let in_auths = |entry: &str| format!(r#"{{"auths":{{"r.example":{entry}}}}}"#);
    let keyed = |key: &str| format!(r#"{{"auths":{{"{key}":{{"auth":"{PACKED}"}}}}}}"#);
    let login = in_auths(r#"{"username":"user","password":"secret"}"#);
    let identity = in_auths(r#"{"identitytoken":"secret"}"#);
    let registry = in_auths(r#"{"registrytoken":"secret"}"#);
    let (scheme, port, namespace) =
        (keyed("https://r.example/v1/"), keyed("r.example:443"), keyed("r.example/team"));
    let helper = "#!/bin/sh\necho '{\"Username\":\"user\",\"Secret\":\"secret\"}'\n";
    let config = |text| [("config.json", text)];
    let table: &[(Pairs<'_>, Pairs<'_>, &str)] = &[
        (
            &[("DOCKER_AUTH_CONFIG", AUTH)],
            &[],
            "credentials of `user` from `DOCKER_AUTH_CONFIG` (entry `r.example`)",
        ),
        (
            &[("DOCKER_AUTH_CONFIG", "~/file")],
            &[("file", AUTH)],
            "credentials of `user` from `~/file` (`DOCKER_AUTH_CONFIG`) (entry `r.example`)",
        ),
        (
            &[("DOCKER_AUTH_CONFIG", "~/absent")],
            &[],
            "cannot read the file that `DOCKER_AUTH_CONFIG` names, `~/absent`",
        ),
        (
            &[("DOCKER_AUTH_CONFIG", "hunter2")],
            &[],
            "`DOCKER_AUTH_CONFIG` is not a registry configuration",
        ),
        (
            &[("DOCKER_CONFIG", "~")],
            &config(AUTH),
            "credentials of `user` from `~/config.json` (entry `r.example`)",
        ),
        (
            &[("HOME", "~")],
            &[(".docker/config.json", AUTH)],
            "credentials of `user` from `~/.docker/config.json` (entry `r.example`)",
        ),
        (
            &[("HOME", "~")],
            &[(".config/containers/auth.json", AUTH)],
            "credentials of `user` from `~/.config/containers/auth.json` (entry `r.example`)",
        ),
        (
            &[KANIKO],
            &[("kaniko/.docker/config.json", AUTH)],
            "credentials of `user` from `~/kaniko/.docker/config.json` (entry `r.example`)",
        ),
        (
            &[("REGISTRY_AUTH_FILE", "~/auth.json")],
            &[("auth.json", AUTH)],
            "credentials of `user` from `~/auth.json` (entry `r.example`)",
        ),
        (
            &[("XDG_RUNTIME_DIR", "~")],
            &[("containers/auth.json", AUTH)],
            "credentials of `user` from `~/containers/auth.json` (entry `r.example`)",
        ),
        (
            &[("DOCKER_CONFIG", "~")],
            &config(&login),
            "credentials of `user` from `~/config.json` (entry `r.example`)",
        ),
        (
            &[("DOCKER_CONFIG", "~")],
            &config(&identity),
            "a token from `~/config.json` (entry `r.example`)",
        ),
        (
            &[("DOCKER_CONFIG", "~")],
            &config(&registry),
            "a token from `~/config.json` (entry `r.example`)",
        ),
        (
            &[("DOCKER_CONFIG", "~")],
            &config(&scheme),
            "credentials of `user` from `~/config.json` (entry `https://r.example/v1/`)",
        ),
        (
            &[("DOCKER_CONFIG", "~")],
            &config(&port),
            "credentials of `user` from `~/config.json` (entry `r.example:443`)",
        ),
        (
            &[("DOCKER_CONFIG", "~")],
            &config(&namespace),
            "credentials of `user` from `~/config.json` (entry `r.example/team`)",
        ),
        (
            &[("DOCKER_CONFIG", "~"), ("PATH", "~/bin:/bin")],
            &[("config.json", r#"{"credsStore":"own"}"#), ("bin/docker-credential-own", helper)],
            "credentials of `user` from credential store `own` of `~/config.json`",
        ),
        (
            &[("DOCKER_CONFIG", "~"), ("PATH", "~/bin:/bin")],
            &[
                ("config.json", r#"{"credHelpers":{"r.example":"own"}}"#),
                ("bin/docker-credential-own", helper),
            ],
            "credentials of `user` from credential helper `own` of `~/config.json`",
        ),
        (
            &[("KANIKO_R_EXAMPLE_USER", "user"), ("KANIKO_R_EXAMPLE_PASSWORD", "secret")],
            &[],
            "credentials of `user` from `KANIKO_R_EXAMPLE_USER`",
        ),
        (
            &[("KANIKO_EXAMPLE_USER", "user"), ("KANIKO_EXAMPLE_PASSWORD", "secret")],
            &[],
            "credentials of `user` from `KANIKO_EXAMPLE_USER`",
        ),
        (
            &[
                JOB,
                ("CI_REGISTRY", "r.example"),
                ("CI_REGISTRY_USER", "user"),
                ("CI_REGISTRY_PASSWORD", "secret"),
            ],
            &[],
            "credentials of `user` from `CI_REGISTRY_USER`",
        ),
        (
            &[
                JOB,
                ("CI_REGISTRY", "r.example"),
                ("CI_DEPLOY_USER", "user"),
                ("CI_DEPLOY_PASSWORD", "secret"),
            ],
            &[],
            "credentials of `user` from `CI_DEPLOY_USER`",
        ),
        (
            &[
                JOB,
                ("CI_DEPENDENCY_PROXY_SERVER", "r.example:443"),
                ("CI_DEPENDENCY_PROXY_USER", "user"),
                ("CI_DEPENDENCY_PROXY_PASSWORD", "secret"),
            ],
            &[],
            "credentials of `user` from `CI_DEPENDENCY_PROXY_USER`",
        ),
    ];
    for (pairs, files, expected) in table {
        let found = found(pairs, files, &RegistryArgs::default()).await;
        assert_eq!(found, [*expected], "{pairs:?}");
    }
}

fn all_at_once() -> (Vec<(&'static str, &'static str)>, Files) {
    let variables = vec![
        ("HOME", "~/home"),
        ("DOCKER_AUTH_CONFIG", r#"{"auths":{"r.example":{"username":"variable","password":"1"}}}"#),
        ("DOCKER_CONFIG", "~/docker"),
        ("REGISTRY_AUTH_FILE", "~/auth.json"),
        ("KANIKO_DIR", "~/kaniko"),
        ("KANIKO_EXAMPLE_USER", "domain"),
        ("KANIKO_EXAMPLE_PASSWORD", "2"),
        ("KANIKO_R_EXAMPLE_USER", "host"),
        ("KANIKO_R_EXAMPLE_PASSWORD", "3"),
        ("GITLAB_CI", "true"),
        ("CI_REGISTRY", "r.example"),
        ("CI_REGISTRY_USER", "job"),
        ("CI_REGISTRY_PASSWORD", "4"),
        ("CI_DEPLOY_USER", "deploy"),
        ("CI_DEPLOY_PASSWORD", "5"),
    ];
    let files = vec![
        (
            "home/.docker/config.json",
            r#"{"auths":{"r.example":{"username":"home","password":"6"}}}"#,
        ),
        ("docker/config.json", r#"{"auths":{"r.example":{"username":"docker","password":"7"}}}"#),
        ("auth.json", r#"{"auths":{"r.example/team":{"username":"file","password":"8"}}}"#),
        (
            "kaniko/.docker/config.json",
            r#"{"auths":{"r.example":{"username":"kaniko","password":"9"}}}"#,
        ),
    ];
    (variables, files)
}

fn users(found: &[String]) -> Vec<&str> {
    found.iter().filter_map(|text| text.split('`').nth(1)).collect()
}

#[tokio::test]
async fn sources_are_merged_and_the_most_specific_comes_first() {
    let (variables, files) = all_at_once();
    let merged = found(&variables, &files, &RegistryArgs::default()).await;
    let expected =
        ["file", "variable", "docker", "home", "kaniko", "host", "job", "deploy", "domain"];
    assert_eq!(users(&merged), expected);
}

#[tokio::test]
async fn built_in_sources_can_be_chosen_and_a_named_file_is_the_only_one() {
    let (variables, files) = all_at_once();
    for (helpers, expected) in [
        (vec![CredentialHelper::Nothing], vec![]),
        (vec![CredentialHelper::Env], vec!["host", "domain"]),
        (vec![CredentialHelper::Gitlab], vec!["job", "deploy"]),
    ] {
        let arguments =
            RegistryArgs { credential_helpers: Some(helpers), ..RegistryArgs::default() };
        let found = found(&variables, &files, &arguments).await;
        assert_eq!(users(&found)[5..], expected);
    }
    let named = home(&[("named", AUTH)]);
    let path = named.path().join("named");
    let arguments = RegistryArgs { authfile: Some(path), ..RegistryArgs::default() };
    assert_eq!(users(&found(&variables, &files, &arguments).await), ["user"]);
}

#[tokio::test]
async fn variables_of_a_job_mean_nothing_elsewhere() {
    let (variables, files) = all_at_once();
    let elsewhere: Vec<_> = variables.into_iter().filter(|pair| pair.0 != "GITLAB_CI").collect();
    let found = found(&elsewhere, &files, &RegistryArgs::default()).await;
    assert!(!users(&found).iter().any(|user| ["job", "deploy"].contains(user)), "{found:?}");
}
