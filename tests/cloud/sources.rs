//! The ways to be somebody in a cloud, by the variables and files that its own tools know.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use strata_testkit::{TestCloud, TestEnvironment};

use crate::person::STRATA;
use crate::requirement::{Need, require};

/// Is one source: variables, and files below the home. `URL` and `HOST` stand for the cloud's address, `~` for the
/// home, `PEM` for a private key.
pub(super) struct Source {
    /// What messages call it.
    pub(super) name: &'static str,
    pub(super) variables: &'static [(&'static str, &'static str)],
    pub(super) files: &'static [(&'static str, &'static str)],
}

pub(super) const AMAZON: &[Source] = &[
    Source {
        name: "`AWS_ACCESS_KEY_ID`",
        variables: &[
            ("AWS_ACCESS_KEY_ID", TestCloud::KEY),
            ("AWS_SECRET_ACCESS_KEY", TestCloud::SECRET),
        ],
        files: &[],
    },
    Source {
        name: "`AWS_ACCESS_KEY_ID`",
        variables: &[
            ("AWS_ACCESS_KEY_ID", "ASIASESSION"),
            ("AWS_SECRET_ACCESS_KEY", "session-secret"),
            ("AWS_SESSION_TOKEN", "session-token"),
            ("AWS_REGION", "eu-central-1"),
        ],
        files: &[],
    },
    Source {
        name: "the default profile of `~/.aws`",
        variables: &[],
        files: &[(
            ".aws/credentials",
            "[default]\naws_access_key_id = AKIATESTKEY\naws_secret_access_key = amazon-secret/+\n",
        )],
    },
    Source {
        name: "the profile of `AWS_PROFILE`",
        variables: &[("AWS_PROFILE", "ci"), ("AWS_SHARED_CREDENTIALS_FILE", "~/keys")],
        files: &[(
            "keys",
            "[ci]\naws_access_key_id=AKIATESTKEY\naws_secret_access_key=amazon-secret/+\n",
        )],
    },
    Source {
        name: "the web identity of `AWS_ROLE_ARN`",
        variables: &[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "~/token"),
            ("AWS_ROLE_ARN", "arn:aws:iam::1:role/builder"),
            ("AWS_ENDPOINT_URL_STS", "URL"),
        ],
        files: &[("token", "web-identity-token")],
    },
    Source {
        name: "the web identity of `AWS_ROLE_ARN`",
        variables: &[
            ("AWS_PROFILE", "region-alone"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "~/token"),
            ("AWS_ROLE_ARN", "arn:aws:iam::1:role/builder"),
            ("AWS_ENDPOINT_URL_STS", "URL"),
        ],
        files: &[
            ("token", "web-identity-token"),
            (".aws/config", "[profile region-alone]\nregion = eu-west-3\n"),
        ],
    },
    Source {
        name: "the container's role",
        variables: &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "URL/container"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "container-token"),
        ],
        files: &[],
    },
    Source {
        name: "the container's role",
        variables: &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "URL/container"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "~/token"),
        ],
        files: &[("token", "container-token\n")],
    },
    Source {
        name: "the machine's role",
        variables: &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "URL")],
        files: &[],
    },
];

pub(super) const GOOGLE: &[Source] = &[
    Source {
        name: "service account `robot@example.com`",
        variables: &[("GOOGLE_APPLICATION_CREDENTIALS", "~/key.json")],
        files: &[(
            "key.json",
            r#"{"type":"service_account","client_email":"robot@example.com","private_key_id":"1","private_key":"PEM","token_uri":"URL/google/token"}"#,
        )],
    },
    Source {
        name: "authorized user",
        variables: &[],
        files: &[(
            ".config/gcloud/application_default_credentials.json",
            r#"{"type":"authorized_user","client_id":"a","client_secret":"b","refresh_token":"google-refresh","token_uri":"URL/google/token"}"#,
        )],
    },
    Source {
        name: "external account",
        variables: &[("GOOGLE_APPLICATION_CREDENTIALS", "~/account.json")],
        files: &[
            (
                "account.json",
                r#"{"type":"external_account","audience":"//iam.googleapis.com/x","subject_token_type":"urn:ietf:params:oauth:token-type:jwt","token_url":"URL/google/token","service_account_impersonation_url":"URL/google/impersonate","credential_source":{"file":"~/subject","format":{"type":"json","subject_token_field_name":"value"}}}"#,
            ),
            ("subject", r#"{"value":"subject"}"#),
        ],
    },
    Source {
        name: "the machine's service account",
        variables: &[("GCE_METADATA_HOST", "HOST")],
        files: &[],
    },
];

pub(super) const MICROSOFT: &[Source] = &[
    Source {
        name: "the client of `AZURE_CLIENT_ID`",
        variables: &[
            ("AZURE_TENANT_ID", "tenant"),
            ("AZURE_CLIENT_ID", "client"),
            ("AZURE_CLIENT_SECRET", "client-secret"),
            ("AZURE_AUTHORITY_HOST", "URL/"),
        ],
        files: &[],
    },
    Source {
        name: "the workload identity of `AZURE_CLIENT_ID`",
        variables: &[
            ("AZURE_TENANT_ID", "tenant"),
            ("AZURE_CLIENT_ID", "client"),
            ("AZURE_FEDERATED_TOKEN_FILE", "~/token"),
            ("AZURE_AUTHORITY_HOST", "URL"),
        ],
        files: &[("token", "federated")],
    },
    Source {
        name: "the service's managed identity",
        variables: &[("IDENTITY_ENDPOINT", "URL/identity"), ("IDENTITY_HEADER", "service-secret")],
        files: &[],
    },
    Source {
        name: "the machine's managed identity",
        variables: &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "URL")],
        files: &[],
    },
];

/// The environment of a source. `None` if it needs a program that is not here.
pub(super) fn environment(source: &Source, cloud: &TestCloud) -> Result<Option<TestEnvironment>> {
    let mut environment = TestEnvironment::new(STRATA)?;
    let home = environment.home();
    let needs_key = source.files.iter().any(|(_, text)| text.contains("PEM"));
    if needs_key && !require(&[Need::Program("openssl")]) {
        return Ok(None);
    }
    let pem = if needs_key { json!(private_key()?).to_string() } else { String::new() };
    let expand = |text: &str| {
        text.replace("\"PEM\"", &pem)
            .replace("URL", &cloud.url())
            .replace("HOST", &cloud.host())
            .replace("~/", &format!("{}/", home.display()))
    };
    for (path, text) in source.files {
        let path = home.join(path);
        std::fs::create_dir_all(path.parent().context("a file has a directory")?)?;
        std::fs::write(path, expand(text))?;
    }
    for (name, value) in source.variables {
        environment = environment.with_variable(name, &expand(value));
    }
    Ok(Some(environment))
}

fn private_key() -> Result<String> {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(String::from_utf8(made.stdout)?)
}
