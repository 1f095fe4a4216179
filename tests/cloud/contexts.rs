//! Contexts in object stores.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strata_testkit::{Fault, Ran, TestCloud, TestEnvironment};

use super::discreet;
use super::sources::{AMAZON, GOOGLE, MICROSOFT, Source, environment};
use crate::person::STRATA;

const BLOB: &str = "https://account.blob.core.windows.net";

/// Names and values of variables.
type Pairs<'a> = &'a [(&'a str, &'a str)];

/// Variables by which a store on loopback is asked: by each dialect.
const STORES: Pairs<'_> = &[
    ("S3_ENDPOINT", "URL"),
    ("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE", "URL"),
    ("AZURE_STORAGE_SERVICE_ENDPOINT", "URL"),
];

fn archive() -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let noise: Vec<u8> = (0..200_000_u32)
        .flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_le_bytes())
        .collect();
    for (name, content) in
        [("Dockerfile", b"FROM scratch\nCOPY data /data\n".as_slice()), ("data", &noise)]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content)?;
    }
    Ok(builder.into_inner()?)
}

fn cloud() -> Result<TestCloud> {
    let cloud = TestCloud::start();
    for key in ["dir/a b.tar", "context.tar.gz"] {
        cloud.add_object("bucket", key, &archive()?);
    }
    Ok(cloud)
}

/// Builds without a cache, to where nobody looks.
fn build(environment: &TestEnvironment, cloud: &TestCloud, words: &[&str]) -> Result<Ran> {
    let stores = STORES.iter().map(|(name, value)| (*name, value.replace("URL", &cloud.url())));
    let output = environment
        .command()
        .envs(stores)
        // With all that developers see: no secret is among it either.
        .env("STRATA_LOG", "trace")
        .args(words)
        .output()?;
    let ran = Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    discreet(&ran)?;
    Ok(ran)
}

fn each(sources: &[Source], address: &str) -> Result<()> {
    for source in sources {
        let cloud = cloud()?;
        let Some(environment) = environment(source, &cloud)? else { continue };
        let ran = build(&environment, &cloud, &["build", "-q", address])?;
        ensure!(ran.code == Some(0), "{}: {ran:#?}\n{:#?}", source.name, cloud.take_log());
        let log = cloud.take_log();
        let got = log.last().context("something is asked")?;
        // Google's dots are encoded too.
        let got = got.replace("%2E", ".");
        ensure!(got == "GET /bucket/dir/a%20b.tar 200", "{}: {log:#?}", source.name);
    }
    Ok(())
}

#[test]
fn amazons_are_read_as_whoever_this_is() -> Result<()> {
    each(AMAZON, "s3://bucket/dir/a%20b.tar")
}

#[test]
fn googles_are_read_as_whoever_this_is() -> Result<()> {
    each(GOOGLE, "gs://bucket/dir/a%20b.tar")
}

#[test]
fn microsofts_are_read_as_whoever_this_is() -> Result<()> {
    let address = format!("{BLOB}/bucket/dir/a%20b.tar");
    each(MICROSOFT, &address)?;
    let keys = [
        Source {
            name: "the account's key",
            variables: &[("AZURE_STORAGE_ACCESS_KEY", TestCloud::ACCOUNT_KEY)],
            files: &[],
        },
        Source {
            name: "the account's key, as others call it",
            variables: &[("AZURE_STORAGE_KEY", TestCloud::ACCOUNT_KEY)],
            files: &[],
        },
    ];
    each(&keys, &address)
}

/// One row for each thing that is not about who asks.
#[test]
fn contexts_of_object_stores() -> Result<()> {
    let account = format!("{BLOB}/bucket/context.tar.gz");
    let missing = format!("{BLOB}/bucket/none.tar");
    let rows: &[(&str, &[&str], Pairs<'_>, &str)] = &[
        ("a bucket alone", &["build", "-q", "s3://bucket"], &[], ""),
        ("kaniko's words", &["executor", "--no-push", "-c", "gs://bucket"], &[], ""),
        (
            "kaniko's bucket",
            &["executor", "--no-push", "-b", "bucket", "-c", "dir/a%20b.tar"],
            &[],
            "",
        ),
        (
            "a named context",
            &["build", "-q", "--build-context", "x=gs://bucket/context.tar.gz", "-f", "named", "."],
            &[],
            "",
        ),
        ("an emulator", &["build", "-q", "gs://bucket"], &[("STORAGE_EMULATOR_HOST", "HOST")], ""),
        (
            "a signature",
            &["build", "-q", &account],
            &[("AZURE_STORAGE_SAS_TOKEN", "?sv=1&sig=signed")],
            "",
        ),
        (
            "a key that is none",
            &["build", "-q", &account],
            &[("AZURE_STORAGE_ACCESS_KEY", "*")],
            "`AZURE_STORAGE_ACCESS_KEY` is not base64",
        ),
        (
            "half of a key",
            &["build", "-q", "s3://bucket"],
            &[("AWS_ACCESS_KEY_ID", "A")],
            "`AWS_SECRET_ACCESS_KEY` is not set, and its other half is",
        ),
        (
            "no such object",
            &["build", "-q", "s3://bucket/none.tar"],
            &[],
            "not found: NoSuchKey: The specified key does not exist.",
        ),
        ("no such object", &["build", "-q", "gs://bucket/none.tar"], &[], "not found: NoSuchKey"),
        ("no such blob", &["build", "-q", &missing], &[], "not found: NoSuchKey"),
        (
            "a directory",
            &["build", "-q", "s3://bucket/dir/"],
            &[],
            "names a directory: a context in an object store is an archive",
        ),
        ("no account", &["build", "-q", "az://bucket/a.tar"], &[], "does not say which account"),
    ];
    for (name, words, variables, expected) in rows {
        let cloud = cloud()?;
        cloud.open_bucket("bucket");
        let mut environment = TestEnvironment::new(STRATA)?;
        environment.write("named", "FROM scratch\nCOPY --from=x data /data\n")?;
        for (name, value) in *variables {
            environment = environment.with_variable(name, &value.replace("HOST", &cloud.host()));
        }
        let ran = build(&environment, &cloud, words)?;
        let code = if expected.is_empty() { ran.code == Some(0) } else { ran.code != Some(0) };
        ensure!(code && ran.stderr.contains(expected), "{name}: {ran:#?}\n{:#?}", cloud.take_log());
    }
    Ok(())
}

/// Who is refused is told as whom, with the store's words.
#[test]
fn refusals_name_who_was_refused() -> Result<()> {
    let blob = format!("{BLOB}/bucket/context.tar.gz");
    let rows: &[(&str, Pairs<'_>, &str)] = &[
        ("s3://bucket", &[], "denied with no credentials: AccessDenied: Access Denied"),
        (
            "s3://bucket",
            &[("AWS_ACCESS_KEY_ID", TestCloud::KEY), ("AWS_SECRET_ACCESS_KEY", "wrong")],
            "denied with `AWS_ACCESS_KEY_ID`: AccessDenied: The request signature we calculated does not match",
        ),
        ("gs://bucket", &[], "denied with no credentials: AccessDenied: Access Denied"),
        (&blob, &[], "denied with no credentials: AccessDenied: Access Denied"),
        (
            &blob,
            &[("AZURE_STORAGE_ACCESS_KEY", "d3Jvbmc=")],
            "denied with the account's key: AccessDenied: The MAC signature found",
        ),
        (
            "s3://bucket",
            &[
                ("AWS_WEB_IDENTITY_TOKEN_FILE", "/dev/null"),
                ("AWS_ROLE_ARN", "arn:aws:iam::1:role/builder"),
                ("AWS_ENDPOINT_URL_STS", "URL"),
            ],
            "the web identity of `AWS_ROLE_ARN` gives nothing",
        ),
    ];
    for (address, variables, expected) in rows {
        let cloud = cloud()?;
        let mut environment = TestEnvironment::new(STRATA)?;
        for (name, value) in *variables {
            environment = environment.with_variable(name, &value.replace("URL", &cloud.url()));
        }
        let ran = build(&environment, &cloud, &["build", "-q", address])?;
        ensure!(ran.code == Some(3) && ran.stderr.contains(expected), "{address}: {ran:#?}");
    }
    Ok(())
}

#[test]
fn faults_of_a_store_are_survived() -> Result<()> {
    let blob = format!("{BLOB}/bucket/context.tar.gz");
    let second = |status: &str| format!("GET /bucket/context.tar.gz {status}");
    let rows: &[(&str, Fault, String)] = &[
        ("s3://bucket", Fault::status(503).first(1), second("200")),
        // What is there is not sent again.
        ("s3://bucket", Fault::cut_body(100_000).first(1), second("206")),
        ("gs://bucket", Fault::status(429).first(1), second("200")),
        ("gs://bucket", Fault::cut_body(100_000).first(1), second("206")),
        (&blob, Fault::lose_answer().first(1), second("200")),
        (&blob, Fault::cut_body(100_000).first(1), second("206")),
        (&blob, Fault::delay(Duration::from_millis(300)), second("200")),
    ];
    for (address, fault, last) in rows {
        let cloud = cloud()?;
        cloud.open_bucket("bucket");
        cloud.add_fault(fault.clone().on("GET", "/bucket/"));
        let environment = TestEnvironment::new(STRATA)?;
        let ran = build(&environment, &cloud, &["build", "-q", address])?;
        let log = cloud.take_log();
        let got = log.last().map(|line| line.replace("%2E", "."));
        ensure!(ran.code == Some(0) && got.as_ref() == Some(last), "{fault:?}: {ran:#?}\n{log:#?}");
    }
    let cloud = cloud()?;
    cloud.open_bucket("bucket");
    cloud.add_fault(Fault::status(503).on("GET", "/bucket/"));
    let environment = TestEnvironment::new(STRATA)?;
    let words = ["build", "-q", "--registry-retries=1", "s3://bucket"];
    let ran = build(&environment, &cloud, &words)?;
    ensure!(ran.code == Some(3) && ran.stderr.contains("503"), "{ran:#?}");
    ensure!(cloud.take_log().len() == 2, "it is asked twice");
    Ok(())
}
