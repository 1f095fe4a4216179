//! Credential helpers that are built in. The registries have the names by which they are recognised: the test's server
//! is the proxy on the way to them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use strata_testkit::{Access, Fault, Ran, TestCloud, TestEnvironment, TestImage, TestRegistry};

use super::discreet;
use super::sources::{AMAZON, GOOGLE, MICROSOFT, Source, environment};
use crate::person::STRATA;

const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const ECR_PUBLIC: &str = "public.ecr.aws";
const GAR: &str = "europe-docker.pkg.dev";
const GCR: &str = "gcr.io";
const ACR: &str = "team.azurecr.io";

fn basic(username: &str, password: &str) -> Access {
    Access::Basic { username: username.to_owned(), password: password.to_owned() }
}

/// A registry of the cloud's.
fn registry(host: &str) -> TestRegistry {
    let registry = TestRegistry::start_with(match host {
        ECR | ECR_PUBLIC => basic("AWS", TestCloud::ECR_PASSWORD),
        GAR | GCR => basic("oauth2accesstoken", TestCloud::GOOGLE_TOKEN),
        _ => Access::Bearer {
            username: "nobody".to_owned(),
            password: TestCloud::ACR_TOKEN.to_owned(),
            anonymous_pull: false,
            expires_in: Some(300),
        },
    });
    registry.add_image("app", "1", &TestImage::new().layer("/etc/ 0755 0:0").build());
    let exchanged = format!(r#"{{"refresh_token":"{}"}}"#, TestCloud::ACR_TOKEN);
    registry.add_fault(Fault::answer(200, &[], &exchanged).on("POST", "/oauth2/exchange"));
    registry
}

/// Lets `doctor` look at a registry by its name.
fn doctor(
    environment: &TestEnvironment,
    host: &str,
    registry: &TestRegistry,
    more: &[&str],
) -> Result<Ran> {
    let proxy = format!("http://{}", registry.host());
    let mut command = environment.command();
    // With all that developers see: no secret is among it either.
    command.env("http_proxy", &proxy).env("https_proxy", &proxy).env("STRATA_LOG", "trace");
    command.args(["doctor", "--registry", &format!("{host}/app:1"), "--insecure-registry", host]);
    let output = command.args(more).output()?;
    let ran = Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    discreet(&ran)?;
    Ok(ran)
}

/// Each source lets in, and the report says which it was.
fn each(sources: &[Source], hosts: &[&str], helper: &str, who: &str) -> Result<()> {
    for source in sources {
        let cloud = TestCloud::start();
        let Some(environment) = environment(source, &cloud)? else { continue };
        let environment = environment.with_variable("AWS_ENDPOINT_URL_ECR", &cloud.url());
        let environment = environment.with_variable("AWS_ENDPOINT_URL_ECR_PUBLIC", &cloud.url());
        for host in hosts {
            let registry = registry(host);
            let ran = doctor(&environment, host, &registry, &[])?;
            let found = format!("1        {who} from helper `{helper}` ({})", source.name);
            ensure!(
                ran.code == Some(0)
                    && ran.stdout.contains(&found)
                    && ran.stdout.contains("chosen   to pull: 1, to push: 1"),
                "{host} {}: {ran:#?}\n{:#?}\n{:#?}",
                source.name,
                cloud.take_log(),
                registry.take_log(),
            );
        }
    }
    Ok(())
}

#[test]
fn ecr_is_whoever_this_is_in_amazons_cloud() -> Result<()> {
    each(AMAZON, &[ECR, ECR_PUBLIC], "ecr", "credentials of `AWS`")
}

#[test]
fn google_is_whoever_this_is_in_googles_cloud() -> Result<()> {
    each(GOOGLE, &[GAR, GCR], "google", "credentials of `oauth2accesstoken`")
}

#[test]
fn acr_is_whoever_this_is_in_microsofts_cloud() -> Result<()> {
    each(MICROSOFT, &[ACR], "acr", "a token")
}

/// A build logs in, pulls and pushes; one password does for all of it.
#[test]
fn build_pushes_with_one_password() -> Result<()> {
    let cloud = TestCloud::start();
    let registry = registry(ECR);
    let Some(environment) = environment(&AMAZON[0], &cloud)? else { return Ok(()) };
    environment.write("Dockerfile", format!("FROM {ECR}/app:1\nCOPY Dockerfile /\n"))?;
    let proxy = format!("http://{}", registry.host());
    let output = environment
        .command()
        .envs([("http_proxy", &proxy), ("https_proxy", &proxy)])
        .env("AWS_ENDPOINT_URL_ECR", cloud.url())
        .args(["executor", "--insecure-registry", ECR, "-c", ".", "-d", &format!("{ECR}/made:1")])
        .output()?;
    ensure!(output.status.success(), "{output:#?}\n{:#?}", registry.take_log());
    ensure!(registry.manifest("made", "1").is_some(), "it is pushed");
    ensure!(cloud.take_log() == ["POST / 200"], "the password is asked for once");
    Ok(())
}

/// What is configured comes first, and nobody is asked while that is good.
#[test]
fn configured_credentials_are_preferred() -> Result<()> {
    let cloud = TestCloud::start();
    let registry = registry(ECR);
    let Some(environment) = environment(&AMAZON[0], &cloud)? else { return Ok(()) };
    let environment = environment.with_variable("AWS_ENDPOINT_URL_ECR", &cloud.url());
    let login = format!(
        r#"{{"auths":{{"{ECR}":{{"username":"AWS","password":"{}"}}}}}}"#,
        TestCloud::ECR_PASSWORD
    );
    let stale = format!(r#"{{"auths":{{"{ECR}":{{"username":"AWS","password":"stale"}}}}}}"#);
    for (config, asked) in [(&login, 0), (&stale, 1)] {
        std::fs::create_dir_all(environment.home().join(".docker"))?;
        std::fs::write(environment.home().join(".docker/config.json"), config)?;
        let proxy = format!("http://{}", registry.host());
        let mut command = environment.command();
        command.envs([("http_proxy", &proxy), ("https_proxy", &proxy)]);
        let image = format!("docker://{ECR}/app:1");
        command.args(["inspect", "--insecure-registry", ECR, &image]);
        let output = command.output()?;
        ensure!(output.status.success(), "{output:#?}");
        ensure!(cloud.take_log().len() == asked, "{config}");
    }
    Ok(())
}

/// `--credential-helpers` and `--authfile` say who is not asked.
#[test]
fn helpers_can_be_left_out() -> Result<()> {
    let cloud = TestCloud::start();
    let registry = registry(ECR);
    let Some(environment) = environment(&AMAZON[0], &cloud)? else { return Ok(()) };
    let environment = environment.with_variable("AWS_ENDPOINT_URL_ECR", &cloud.url());
    std::fs::write(environment.home().join("none.json"), "{}")?;
    let file = environment.home().join("none.json").display().to_string();
    for (more, asked) in [
        (&["--credential-helpers", "ecr"][..], 1),
        (&["--credential-helpers", "google,acr,env"], 0),
        (&["--credential-helpers", ""], 0),
        (&["--authfile", &file], 0),
    ] {
        let ran = doctor(&environment, ECR, &registry, more)?;
        ensure!(ran.code == Some(if asked == 1 { 0 } else { 3 }), "{more:?}: {ran:#?}");
        ensure!(cloud.take_log().len() == asked, "{more:?}");
    }
    Ok(())
}

/// A helper that fails is one line of the report, with the service's words.
#[test]
fn refusals_are_one_clear_line() -> Result<()> {
    let rows: &[(&str, Source, &str)] = &[
        (
            ECR,
            Source {
                name: "a wrong key",
                variables: &[
                    ("AWS_ACCESS_KEY_ID", TestCloud::KEY),
                    ("AWS_SECRET_ACCESS_KEY", "wrong"),
                ],
                files: &[],
            },
            "useless  credential helper `ecr` fails: the registry service of AWS gives nothing: refused with status 400: The request signature we calculated does not match",
        ),
        (
            ECR,
            Source {
                name: "a wrong web identity",
                variables: &[
                    ("AWS_WEB_IDENTITY_TOKEN_FILE", "~/token"),
                    ("AWS_ROLE_ARN", "arn:aws:iam::1:role/builder"),
                    ("AWS_ENDPOINT_URL_STS", "URL"),
                ],
                files: &[("token", "stale")],
            },
            "useless  credential helper `ecr` fails: the web identity of `AWS_ROLE_ARN` gives nothing: refused with status 400: InvalidIdentityToken: No such token",
        ),
        (
            ECR,
            Source {
                name: "a profile without keys",
                variables: &[("AWS_PROFILE", "none")],
                files: &[],
            },
            "useless  credential helper `ecr` fails: `AWS_PROFILE` names a profile that has no `aws_access_key_id`",
        ),
        (
            ECR,
            Source {
                name: "a container service elsewhere",
                variables: &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/a")],
                files: &[],
            },
            "useless  credential helper `ecr` fails: `AWS_CONTAINER_CREDENTIALS_FULL_URI` is neither `https` nor an address that containers are served from",
        ),
        (
            GAR,
            Source {
                name: "no such file",
                variables: &[("GOOGLE_APPLICATION_CREDENTIALS", "/none")],
                files: &[],
            },
            "useless  credential helper `google` fails: cannot read `/none`: No such file or directory",
        ),
        (
            GAR,
            Source {
                name: "another file",
                variables: &[("GOOGLE_APPLICATION_CREDENTIALS", "/etc/passwd")],
                files: &[],
            },
            "useless  credential helper `google` fails: `/etc/passwd` holds neither a service account, nor an authorized user, nor an external account",
        ),
        (
            GAR,
            Source {
                name: "a refresh token that was revoked",
                variables: &[("GOOGLE_APPLICATION_CREDENTIALS", "~/user.json")],
                files: &[(
                    "user.json",
                    r#"{"type":"authorized_user","client_id":"a","client_secret":"b","refresh_token":"c","token_uri":"URL/google/token"}"#,
                )],
            },
            "useless  credential helper `google` fails: the token service of Google gives nothing: refused with status 400: Bad Request",
        ),
        (
            ACR,
            Source {
                name: "a wrong secret",
                variables: &[
                    ("AZURE_TENANT_ID", "tenant"),
                    ("AZURE_CLIENT_ID", "client"),
                    ("AZURE_CLIENT_SECRET", "wrong"),
                    ("AZURE_AUTHORITY_HOST", "URL"),
                ],
                files: &[],
            },
            "useless  credential helper `acr` fails: the token service of Entra ID gives nothing: refused with status 400: AADSTS7000215: Invalid client secret provided.",
        ),
    ];
    for (host, source, expected) in rows {
        let cloud = TestCloud::start();
        let Some(environment) = environment(source, &cloud)? else { continue };
        let environment = environment.with_variable("AWS_ENDPOINT_URL_ECR", &cloud.url());
        let ran = doctor(&environment, host, &registry(host), &[])?;
        let found = ran.stdout.lines().any(|line| line.trim_start().starts_with(expected));
        ensure!(ran.code == Some(3) && found, "{}: {ran:#?}", source.name);
    }
    Ok(())
}

/// Where there is no cloud, nobody waits for one.
#[test]
fn registries_of_clouds_are_anonymous_without_a_cloud() -> Result<()> {
    for host in [ECR_PUBLIC, GCR, ACR] {
        // It wants a token, and gives one to everybody: whoever there might be is looked for first.
        let registry = TestRegistry::start_with(Access::Bearer {
            username: "nobody".to_owned(),
            password: "nothing".to_owned(),
            anonymous_pull: true,
            expires_in: None,
        });
        registry.add_image("app", "1", &TestImage::new().layer("/etc/ 0755 0:0").build());
        let environment =
            TestEnvironment::new(STRATA)?.with_variable("AWS_EC2_METADATA_DISABLED", "true");
        let begun = Instant::now();
        let proxy = format!("http://{}", registry.host());
        let mut command = environment.command();
        command.envs([("http_proxy", &proxy), ("https_proxy", &proxy)]);
        let image = format!("docker://{host}/app:1");
        let output = command.args(["inspect", "--insecure-registry", host, &image]).output()?;
        ensure!(output.status.success(), "{host}: {output:#?}");
        ensure!(begun.elapsed() < Duration::from_secs(5), "{host}: {:?}", begun.elapsed());
    }
    Ok(())
}
