use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

fn files(texts: &[&str]) -> CredentialSources {
    let parse = |(at, text): (usize, &&str)| ConfigFile::parse(&format!("file {at}"), text);
    let files = texts.iter().enumerate().map(parse);
    let sources = files.map(|file| CredentialSource::File(file.expect("a good file")));
    CredentialSources { sources: sources.collect(), ..CredentialSources::default() }
}

/// Spells candidates as `user:password`, `identity TOKEN`, `registry TOKEN`.
async fn found(sources: CredentialSources, registry: &str, repository: &str) -> Vec<String> {
    let candidates = Credentials::new(sources).candidates(registry, Some(repository)).await;
    let spell = |candidate: Candidate| match candidate.credential {
        Credential::Basic { username, password } => format!("{username}:{}", password.expose()),
        Credential::Identity(token) => format!("identity {}", token.expose()),
        Credential::Registry(token) => format!("registry {}", token.expose()),
    };
    match candidates {
        Ok(candidates) => candidates.into_iter().map(spell).collect(),
        Err(error) => vec![error.to_string()],
    }
}

/// `u:p` in base64.
const PACKED: &str = "dTpw";

#[tokio::test]
async fn entries_are_found_under_every_spelling() {
    // (key in the file, registry, repository, fits)
    let table = [
        ("r.example", "r.example", "a/b", true),
        ("https://r.example", "r.example", "a", true),
        ("https://r.example/", "r.example", "a", true),
        ("https://r.example/v2/", "r.example", "a", true),
        ("r.example:443", "r.example", "a", true),
        ("r.example", "r.example:443", "a", true),
        ("http://r.example:80", "r.example", "a", true),
        ("R.Example", "r.example", "a", true),
        ("r.example:5000", "r.example:5000", "a", true),
        ("r.example", "r.example:5000", "a", false),
        ("r.example:5000", "r.example", "a", false),
        ("example", "r.example", "a", false),
        ("https://index.docker.io/v1/", "docker.io", "library/a", true),
        ("index.docker.io", "docker.io", "library/a", true),
        ("docker.io", "docker.io", "library/a", true),
        ("registry-1.docker.io", "docker.io", "library/a", true),
        ("docker.io/team", "docker.io", "team/a", true),
        ("docker.io/team", "docker.io", "library/a", false),
        ("r.example/team", "r.example", "team/a", true),
        ("r.example/team", "r.example", "team", true),
        ("r.example/team", "r.example", "teammate/a", false),
        ("r.example/team/a", "r.example", "team/b", false),
    ];
    for (key, registry, repository, fits) in table {
        let sources = files(&[&format!(r#"{{"auths":{{"{key}":{{"auth":"{PACKED}"}}}}}}"#)]);
        let expected: &[&str] = if fits { &["u:p"] } else { &[] };
        assert_eq!(
            found(sources, registry, repository).await,
            expected,
            "{key} for {registry}/{repository}"
        );
    }
}

#[tokio::test]
async fn entries_of_each_form_are_read() {
    let table = [
        (r#"{"auth":"dTpw"}"#, vec!["u:p"]),
        (r#"{"auth":"dTpwOnE="}"#, vec!["u:p:q"]),
        (r#"{"auth":"dTpwOnE"}"#, vec!["u:p:q"]),
        (r#"{"auth":"dTpw\n"}"#, vec!["u:p"]),
        (r#"{"username":"u","password":"p"}"#, vec!["u:p"]),
        (r#"{"username":"u","password":"p","auth":""}"#, vec!["u:p"]),
        (r#"{"auth":"dTpw","identitytoken":"t"}"#, vec!["identity t"]),
        (r#"{"registrytoken":"t","identitytoken":"i"}"#, vec!["registry t"]),
        (r#"{"auth":"PHRva2VuPjp0"}"#, vec!["identity t"]),
        ("{}", vec![]),
        ("null", vec![]),
        (r#"{"email":"x@example"}"#, vec![]),
        (
            r#"{"auth":"dQ=="}"#,
            vec!["entry `r.example` of file 0 has an `auth` that is not base64 of `user:password`"],
        ),
    ];
    for (entry, expected) in table {
        let sources = files(&[&format!(r#"{{"auths":{{"r.example":{entry}}}}}"#)]);
        assert_eq!(found(sources, "r.example", "a").await, expected, "{entry}");
    }
}

#[tokio::test]
async fn the_most_specific_entry_wins_then_the_order_of_files() {
    let entry =
        |key: &str, user: &str| format!(r#""{key}":{{"username":"{user}","password":"p"}}"#);
    let file = |entries: &[String]| format!(r#"{{"auths":{{{}}}}}"#, entries.join(","));
    let first = file(&[entry("r.example", "first"), entry("r.example/a", "first-a")]);
    let second = file(&[entry("r.example/a/b", "second-ab"), entry("https://r.example", "second")]);
    let mut sources = files(&[&first, &second]);
    let order = found(sources.clone(), "r.example", "a/b/c").await;
    assert_eq!(order, ["second-ab:p", "first-a:p", "first:p", "second:p"]);
    let given = |username: &str| Candidate {
        credential: Credential::Basic { username: username.to_owned(), password: Secret::new("p") },
        source: "a variable".to_owned(),
    };
    sources.sources.extend([
        CredentialSource::Domain { name: "EXAMPLE".to_owned(), candidate: given("domain") },
        CredentialSource::Entry { key: "r.example:443".to_owned(), candidate: given("entry") },
        CredentialSource::Domain { name: "R_EXAMPLE".to_owned(), candidate: given("host") },
    ]);
    let order = found(sources, "r.example", "a/b/c").await;
    let expected = ["second-ab", "first-a", "first", "second", "entry", "host", "domain"];
    assert_eq!(order, expected.map(|user| format!("{user}:p")));
}

#[test]
fn names_of_variables_fit_hosts_and_domains() {
    let table = [
        ("R_EXAMPLE", "r.example", Some(Fit::Components(1))),
        ("R_EXAMPLE", "r.example:443", Some(Fit::Components(1))),
        ("R_EXAMPLE", "r.example:5000", Some(Fit::Components(1))),
        ("R_EXAMPLE_5000", "r.example:5000", Some(Fit::Components(1))),
        ("R_EXAMPLE_5000", "r.example", None),
        ("MY_R_EXAMPLE", "my-r.example", Some(Fit::Components(1))),
        ("EXAMPLE", "r.example", Some(Fit::Domain(1))),
        ("EXAMPLE_5000", "r.example:5000", Some(Fit::Domain(1))),
        ("B_EXAMPLE", "a.b.example", Some(Fit::Domain(2))),
        ("A_B", "a.b.example", None),
        ("XAMPLE", "r.example", None),
        ("", "r.example", None),
        ("DOCKER_IO", "docker.io", Some(Fit::Components(1))),
        ("INDEX_DOCKER_IO", "docker.io", Some(Fit::Components(1))),
        ("LOCALHOST_5000", "localhost:5000", Some(Fit::Components(1))),
    ];
    for (name, registry, expected) in table {
        assert_eq!(key::fit_of_domain(name, registry), expected, "{name} for {registry}");
    }
}

#[test]
fn files_that_are_none_are_errors_without_their_content() {
    for text in [r#"{"auths":"hunter2"}"#, r#"{"auths":{"x":"hunter2"}}"#, "hunter2", "{"] {
        let error = ConfigFile::parse("config.json", text).expect_err(text);
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let said = format!("{error} {source:?} {error:?}");
        assert!(said.contains("config.json is not a registry configuration"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    for text in ["", "  \n", "{}", r#"{"auths":null,"credHelpers":null}"#] {
        ConfigFile::parse("config.json", text).expect(text);
    }
}

/// Writes a helper that keeps what it is told in a file beside it.
fn helper(directory: &Path, name: &str, script: &str) {
    let path = directory.join(format!("docker-credential-{name}"));
    std::fs::write(&path, format!("#!/bin/sh\ndir='{}'\n{script}\n", directory.display()))
        .expect("a writable directory");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&path, executable).expect("a file of ours");
}

#[tokio::test]
async fn helpers_are_asked_and_their_failures_hide_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path();
    helper(
        path,
        "good",
        r#"read url; echo "{\"ServerURL\":\"$url\",\"Username\":\"$url\",\"Secret\":\"s\"}""#,
    );
    helper(path, "token", r#"echo '{"Username":"<token>","Secret":"t"}'"#);
    helper(path, "empty", "echo 'credentials not found in native keychain'; exit 1");
    helper(path, "broken", "echo 'no dbus'; exit 1");
    helper(path, "noise", "echo hello");
    let auth = r#""auths":{"r.example":{"auth":"dTpw"}}"#;
    let table: &[(&str, &str, &[&str])] = &[
        (r#"{"credsStore":"good"}"#, "r.example", &["r.example:s"]),
        (r#"{"credsStore":"good"}"#, "docker.io", &["https://index.docker.io/v1/:s"]),
        (
            r#"{"credHelpers":{"r.example":"token"},"credsStore":"good"}"#,
            "r.example",
            &["identity t"],
        ),
        (
            r#"{"credHelpers":{"r.example":"token"},"credsStore":"good"}"#,
            "q.example",
            &["q.example:s"],
        ),
        (r#"{"credsStore":"empty"}"#, "r.example", &[]),
        (
            r#"{"credsStore":"broken"}"#,
            "r.example",
            &["credential helper `docker-credential-broken` fails: no dbus"],
        ),
        (
            r#"{"credsStore":"noise"}"#,
            "r.example",
            &[
                "credential helper `docker-credential-noise` answers with something that is no credential",
            ],
        ),
        (
            r#"{"credsStore":"absent"}"#,
            "r.example",
            &["credential helper `docker-credential-absent` is not installed"],
        ),
        (
            r#"{"credsStore":"../x"}"#,
            "r.example",
            &["`../x` is not the name of a credential helper"],
        ),
        (&format!(r#"{{"credsStore":"absent",{auth}}}"#), "r.example", &["u:p"]),
        (&format!(r#"{{"credsStore":"good",{auth}}}"#), "r.example", &["u:p", "r.example:s"]),
    ];
    for (text, registry, expected) in table {
        let sources =
            CredentialSources { helper_directories: vec![path.to_owned()], ..files(&[text]) };
        assert_eq!(found(sources, registry, "a").await, *expected, "{text} for {registry}");
    }
}

#[tokio::test]
async fn login_and_logout_keep_what_they_do_not_know() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("new/config.json");
    let credential = Credential::Basic { username: "u".to_owned(), password: Secret::new("p") };
    let read = || -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON")
    };
    login(&path, "docker.io", &credential, &[]).await.expect("a new file");
    let expected = serde_json::json!({"auths": {"https://index.docker.io/v1/": {"auth": "dTpw"}}});
    assert_eq!(read(), expected);
    let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let old = r#"{"HttpHeaders":{"A":"b"},"auths":{"https://r.example/v1/":{"auth":"x"},"q.example":{"auth":"y"}}}"#;
    std::fs::write(&path, old).expect("a writable file");
    login(&path, "r.example:443", &credential, &[]).await.expect("a login");
    let expected = serde_json::json!({
        "HttpHeaders": {"A": "b"},
        "auths": {"r.example": {"auth": "dTpw"}, "q.example": {"auth": "y"}},
    });
    assert_eq!(read(), expected);
    assert!(logout(&path, "https://r.example", &[]).await.expect("a logout"));
    assert!(!logout(&path, "r.example", &[]).await.expect("a second logout"));
    let expected =
        serde_json::json!({"HttpHeaders": {"A": "b"}, "auths": {"q.example": {"auth": "y"}}});
    assert_eq!(read(), expected);

    std::fs::write(&path, "[1]").expect("a writable file");
    let error = login(&path, "r.example", &credential, &[]).await.expect_err("no object");
    assert!(matches!(error, LoginError::NotConfiguration { .. }));
    assert_eq!(std::fs::read_to_string(&path).expect("a file"), "[1]");
    assert_eq!(
        std::fs::read_dir(path.parent().expect("a parent")).expect("a directory").count(),
        1
    );
}

#[tokio::test]
async fn login_goes_to_the_helper_that_the_file_names() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    helper(directory.path(), "keep", r#"cat > "$dir/$1""#);
    let path = directory.path().join("config.json");
    std::fs::write(&path, r#"{"credsStore":"keep"}"#).expect("a writable file");
    let credential = Credential::Basic { username: "u".to_owned(), password: Secret::new("p") };
    let helpers = [directory.path().to_owned()];
    login(&path, "r.example", &credential, &helpers).await.expect("a login");
    let stored = std::fs::read_to_string(directory.path().join("store")).expect("what it was told");
    assert_eq!(stored, r#"{"ServerURL":"r.example","Username":"u","Secret":"p"}"#);
    let config = std::fs::read_to_string(&path).expect("a file");
    assert!(!config.contains("\"p\"") && config.contains("r.example"), "{config}");
    assert!(logout(&path, "r.example", &helpers).await.expect("a logout"));
    let erased = std::fs::read_to_string(directory.path().join("erase")).expect("what it was told");
    assert_eq!(erased, "r.example");
}
