//! Where credentials come from, seen from outside: each source lets the program in, and none of it is ever shown.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use strata_testkit::{Access, TestEnvironment, TestImage, TestRegistry};

use crate::person::{STRATA, succeed};

/// `user:secret` in base64.
const PACKED: &str = "dXNlcjpzZWNyZXQ=";

fn protected(access: Access) -> TestRegistry {
    let registry = TestRegistry::start_with(access);
    registry.add_image("app", "1", &TestImage::new().layer("/etc/ 0755 0:0").build());
    registry
}

/// Puts the registry and the directories of an environment into a text: `HOST`, `HOST_NAME` as part of a variable's
/// name, `~`.
fn expand(text: &str, registry: &TestRegistry, environment: &TestEnvironment) -> String {
    let host = registry.host();
    let name = host.replace(['.', ':'], "_");
    let home = environment.home().display().to_string();
    text.replace("HOST_NAME", &name).replace("HOST", &host).replace('~', &home)
}

/// Is one source: variables and files below the home, with what [`expand`] knows.
struct Source {
    name: &'static str,
    variables: &'static [(&'static str, &'static str)],
    files: &'static [(&'static str, &'static str)],
}

const AUTH: &str = r#"{"auths":{"HOST":{"auth":"dXNlcjpzZWNyZXQ="}}}"#;
const HELPER: &str = "#!/bin/sh\nread host\n[ $host = HOST ] && echo '{\"Username\":\"user\",\"Secret\":\"secret\"}'\n";

const SOURCES: &[Source] = &[
    Source { name: "DOCKER_AUTH_CONFIG", variables: &[("DOCKER_AUTH_CONFIG", AUTH)], files: &[] },
    Source {
        name: "DOCKER_AUTH_CONFIG as a path",
        variables: &[("DOCKER_AUTH_CONFIG", "~/variable")],
        files: &[("variable", AUTH)],
    },
    Source {
        name: "DOCKER_CONFIG",
        variables: &[("DOCKER_CONFIG", "~/docker")],
        files: &[("docker/config.json", AUTH)],
    },
    Source { name: "~/.docker", variables: &[], files: &[(".docker/config.json", AUTH)] },
    Source {
        name: "/kaniko/.docker",
        variables: &[("KANIKO_DIR", "~/kaniko")],
        files: &[("kaniko/.docker/config.json", AUTH)],
    },
    Source {
        name: "REGISTRY_AUTH_FILE",
        variables: &[("REGISTRY_AUTH_FILE", "~/auth.json")],
        files: &[("auth.json", AUTH)],
    },
    Source {
        name: "XDG_RUNTIME_DIR",
        variables: &[("XDG_RUNTIME_DIR", "~/run")],
        files: &[("run/containers/auth.json", AUTH)],
    },
    Source {
        name: "user and password",
        variables: &[],
        files: &[(
            ".docker/config.json",
            r#"{"auths":{"HOST":{"username":"user","password":"secret"}}}"#,
        )],
    },
    Source {
        name: "identitytoken",
        variables: &[],
        files: &[(".docker/config.json", r#"{"auths":{"HOST":{"identitytoken":"secret"}}}"#)],
    },
    Source {
        name: "a namespace",
        variables: &[],
        files: &[(
            ".docker/config.json",
            r#"{"auths":{"http://HOST/app":{"auth":"dXNlcjpzZWNyZXQ="}}}"#,
        )],
    },
    Source {
        name: "credsStore",
        variables: &[("PATH", "~/bin:/usr/bin:/bin")],
        files: &[
            (".docker/config.json", r#"{"credsStore":"own"}"#),
            ("bin/docker-credential-own", HELPER),
        ],
    },
    Source {
        name: "credHelpers",
        variables: &[("PATH", "~/bin:/usr/bin:/bin")],
        files: &[
            (".docker/config.json", r#"{"credHelpers":{"HOST":"own"}}"#),
            ("bin/docker-credential-own", HELPER),
        ],
    },
    Source {
        name: "KANIKO_HOST_USER",
        variables: &[("KANIKO_HOST_NAME_USER", "user"), ("KANIKO_HOST_NAME_PASSWORD", "secret")],
        files: &[],
    },
    Source {
        name: "CI_REGISTRY",
        variables: &[
            ("GITLAB_CI", "true"),
            ("CI_REGISTRY", "HOST"),
            ("CI_REGISTRY_USER", "user"),
            ("CI_REGISTRY_PASSWORD", "secret"),
        ],
        files: &[],
    },
    Source {
        name: "CI_DEPLOY_USER after a refusal",
        variables: &[
            ("GITLAB_CI", "true"),
            ("CI_REGISTRY", "HOST"),
            ("CI_REGISTRY_USER", "job"),
            ("CI_REGISTRY_PASSWORD", "stale"),
            ("CI_DEPLOY_USER", "user"),
            ("CI_DEPLOY_PASSWORD", "secret"),
        ],
        files: &[],
    },
    Source {
        name: "CI_DEPENDENCY_PROXY_SERVER",
        variables: &[
            ("GITLAB_CI", "true"),
            ("CI_DEPENDENCY_PROXY_SERVER", "HOST"),
            ("CI_DEPENDENCY_PROXY_USER", "user"),
            ("CI_DEPENDENCY_PROXY_PASSWORD", "secret"),
        ],
        files: &[],
    },
];

fn environment(source: &Source, registry: &TestRegistry) -> Result<TestEnvironment> {
    let mut environment = TestEnvironment::new(STRATA)?;
    for (name, value) in source.variables {
        let (name, value) =
            (expand(name, registry, &environment), expand(value, registry, &environment));
        environment = environment.with_variable(&name, &value);
    }
    for (path, text) in source.files {
        let path = environment.home().join(path);
        std::fs::create_dir_all(path.parent().context("it has a parent")?)?;
        std::fs::write(&path, expand(text, registry, &environment))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(environment)
}

#[test]
fn each_source_lets_the_program_in() -> Result<()> {
    let registry = protected(Access::bearer());
    let reference = registry.reference("app:1");
    let nobody = TestEnvironment::new(STRATA)?.run(["inspect", &reference])?;
    assert_eq!(nobody.code, Some(3), "{}", nobody.stderr);
    for source in SOURCES {
        let environment = environment(source, &registry)?;
        let ran = environment.run(["inspect", &reference])?;
        ensure!(ran.code == Some(0), "{}: {}", source.name, ran.stderr);
        let told = succeed(&environment, ["doctor", "--registry", &reference])?.stdout;
        ensure!(told.contains("to push: "), "{}: {told}", source.name);
        ensure!(!told.contains("to push: nobody"), "{}: {told}", source.name);
        ensure!(!told.contains("secret"), "{}: {told}", source.name);
    }
    Ok(())
}

/// A build that succeeds, one that is refused, and the doctor, with everything set at once and everything logged.
#[test]
fn no_secret_is_ever_printed() -> Result<()> {
    let everything = Source {
        name: "everything",
        variables: &[
            ("STRATA_LOG", "trace"),
            (
                "DOCKER_AUTH_CONFIG",
                r#"{"auths":{"HOST":{"username":"a","password":"hunter-variable"}}}"#,
            ),
            ("REGISTRY_AUTH_FILE", "~/auth.json"),
            ("PATH", "~/bin:/usr/bin:/bin"),
            ("KANIKO_HOST_NAME_USER", "b"),
            ("KANIKO_HOST_NAME_PASSWORD", "hunter-kaniko"),
            ("GITLAB_CI", "true"),
            ("CI_REGISTRY", "HOST"),
            ("CI_REGISTRY_USER", "c"),
            ("CI_REGISTRY_PASSWORD", "hunter-registry"),
            ("CI_DEPLOY_USER", "user"),
            ("CI_DEPLOY_PASSWORD", "secret"),
            ("CI_DEPENDENCY_PROXY_SERVER", "HOST"),
            ("CI_DEPENDENCY_PROXY_USER", "d"),
            ("CI_DEPENDENCY_PROXY_PASSWORD", "hunter-proxy"),
            ("HTTP_PROXY", "http://me:hunter-http@localhost:1"),
            ("HTTPS_PROXY", "http://me:hunter-https@localhost:1"),
            ("BUILD_SECRET", "hunter-build"),
        ],
        files: &[
            (
                "auth.json",
                r#"{"auths":{"HOST/app":{"auth":"ZTpodW50ZXItYXV0aA=="},"HOST":{"identitytoken":"hunter-identity"}}}"#,
            ),
            (
                ".docker/config.json",
                r#"{"auths":{"HOST":{"registrytoken":"hunter-token"}},"credsStore":"own"}"#,
            ),
            (
                "bin/docker-credential-own",
                "#!/bin/sh\necho '{\"Username\":\"f\",\"Secret\":\"hunter-helper\"}'\n",
            ),
        ],
    };
    // The second password is nobody's, so that every source is refused.
    for password in ["secret", "another"] {
        let registry = protected(Access::Bearer {
            username: "user".to_owned(),
            password: password.to_owned(),
            anonymous_pull: false,
            expires_in: Some(300),
        });
        let environment = environment(&everything, &registry)?;
        environment.write(
            "Dockerfile",
            expand("FROM HOST/app:1\nCOPY Dockerfile /\n", &registry, &environment),
        )?;
        let (base, tag) = (registry.reference("app:1"), registry.reference("out:1"));
        let build =
            ["build", "--progress=json", "--secret=id=BUILD_SECRET", "--push", "--tag", &tag, "."];
        let mut said = String::new();
        let mut codes = Vec::new();
        for arguments in [
            &build[..],
            &["doctor", "--registry", &base],
            &["doctor", "--json", "--registry", &base],
        ] {
            let ran = environment.run(arguments)?;
            said.push_str(&ran.stdout);
            said.push_str(&ran.stderr);
            codes.push(ran.code);
        }
        let expected = if password == "secret" { Some(0) } else { Some(3) };
        ensure!(codes.iter().all(|code| *code == expected), "{codes:?}: {said}");
        ensure!(said.contains("strata_registry"), "nothing was logged: {said}");
        // What comes of the secrets is one too: tokens, and the base64 of what precedes each by a user's name.
        let derived =
            ["Bearer ", "Basic ", "hunter", "aHVudGVy", "h1bnRlc", "odW50ZX", PACKED, "token-"];
        for secret in derived {
            ensure!(!said.contains(secret), "`{secret}` was printed: {said}");
        }
        let quoted =
            said.lines().find(|line| line.contains("\"secret\"") || line.contains(":secret"));
        ensure!(quoted.is_none(), "{quoted:?}");
    }
    Ok(())
}
