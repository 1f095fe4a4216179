//! Logging in.

use strata_oci::Tag;
use strata_registry::{BlobPush, BlobSource, Pushed};
use strata_testkit::{Access, Fault, TestImage, TestRegistry};

use super::*;

fn image() -> strata_testkit::BuiltImage {
    TestImage::new().layer(r#"/a 0644 0:0 file "a""#).build()
}

/// Access, login → result of resolving `app:1`, and the requests.
#[tokio::test]
async fn each_kind_of_registry_lets_the_right_user_in() {
    let pulling = Access::Bearer {
        username: "user".to_owned(),
        password: "secret".to_owned(),
        anonymous_pull: true,
        expires_in: None,
    };
    let token = "GET /token?service=testkit&scope=repository%3Aapp%3Apull";
    let user = Some(("user", "secret"));
    let other = Some(("other", "wrong"));
    let head = "HEAD /v2/app/manifests/1";
    let table: Vec<(Access, Option<(&str, &str)>, Result<(), &str>, Vec<String>)> = vec![
        (
            Access::basic(),
            user,
            Ok(()),
            vec!["GET /v2/ 401".into(), format!("{head} 401"), format!("{head} 200")],
        ),
        (
            Access::basic(),
            other,
            Err("not authorized with credentials of `other` from the test"),
            vec!["GET /v2/ 401".into(), format!("{head} 401"), format!("{head} 401")],
        ),
        (
            Access::basic(),
            None,
            Err("not authorized with no credentials"),
            vec!["GET /v2/ 401".into(), format!("{head} 401")],
        ),
        (
            Access::bearer(),
            user,
            Ok(()),
            vec![
                "GET /v2/ 401".into(),
                format!("{head} 401"),
                format!("{token}&account=user 200"),
                format!("{head} 200"),
            ],
        ),
        (
            pulling.clone(),
            None,
            Ok(()),
            vec![
                "GET /v2/ 401".into(),
                format!("{head} 401"),
                format!("{token} 200"),
                format!("{head} 200"),
            ],
        ),
        (
            pulling,
            other,
            Ok(()),
            vec![
                "GET /v2/ 401".into(),
                format!("{head} 401"),
                format!("{token}&account=other 401"),
                format!("{token} 200"),
                format!("{head} 200"),
            ],
        ),
        (
            Access::bearer(),
            other,
            Err(
                "not authorized with credentials of `other` from the test: UNAUTHORIZED: unauthorized",
            ),
            vec![
                "GET /v2/ 401".into(),
                format!("{head} 401"),
                format!("{token}&account=other 401"),
                format!("{token} 200"),
                format!("{head} 401"),
            ],
        ),
    ];
    for (access, login, expected, requests) in table {
        let name = format!("{access:?} {login:?}");
        let registry = TestRegistry::start_with(access);
        registry.add_image("app", "1", &image());
        let logins: Vec<_> =
            login.iter().map(|(user, secret)| (&registry, *user, *secret)).collect();
        let result = client_as(&logins).resolve(&reference(&registry, "app:1")).await;
        match (&result, expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(text)) => {
                assert!(error.kind.to_string().starts_with(text), "{name}: {error}");
                assert!(error.hint().is_some_and(|hint| hint.contains("strata login")), "{name}");
            }
            _ => panic!("{name}: {result:?}"),
        }
        let log: Vec<String> = registry
            .take_log()
            .iter()
            .map(|line| line.replace("/app:pull", "%3Aapp%3Apull"))
            .collect();
        assert_eq!(log, requests, "{name}");
    }
}

#[tokio::test]
async fn the_next_credential_is_tried_when_one_is_stale() {
    let registry = TestRegistry::start_with(Access::basic());
    registry.add_image("app", "1", &image());
    let client = client_as(&[(&registry, "user", "old"), (&registry, "user", "secret")]);
    client.resolve(&reference(&registry, "app:1")).await.unwrap();
    client.resolve(&reference(&registry, "app:1")).await.unwrap();
    let statuses: Vec<String> =
        registry.take_log().iter().map(|line| line[line.len() - 3..].to_owned()).collect();
    assert_eq!(statuses, ["401", "401", "401", "200", "200"], "the one that works is remembered");
}

#[tokio::test]
async fn a_mount_asks_for_both_repositories_and_one_token_serves_a_push() {
    let registry = TestRegistry::start_with(Access::bearer());
    registry.add_blob("base", b"x");
    let client = client_as(&[(&registry, "user", "secret")]);
    let app = repository(&registry, "app");
    let push = BlobPush {
        mount_from: vec![repository(&registry, "base")],
        ..BlobPush::new(layer(b"x"), BlobSource::bytes(&b"x"[..]))
    };
    assert_eq!(client.push_blob(&app, &push).await.unwrap(), Pushed::Mounted);
    let tagged = app.tagged(Tag::parse("1").unwrap());
    client.push_manifest(&tagged, &b"{}"[..], &MediaType::OciManifest).await.unwrap();
    let tokens: Vec<String> =
        registry.take_log().into_iter().filter(|line| line.contains("/token")).collect();
    let token = |scopes: &str| format!("GET /token?service=testkit{scopes}&account=user 200");
    let app = "&scope=repository%3Aapp%3Apull%2Cpush";
    assert_eq!(tokens, [token(app), token(&format!("{app}&scope=repository%3Abase%3Apull"))]);
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_of_a_push_is_renewed() {
    let bytes = content(300_000);
    let registry = TestRegistry::start_with(Access::bearer());
    registry.add_fault(Fault::revoke_tokens().on("PUT", "/blobs/uploads/").first(1));
    let client = client_as(&[(&registry, "user", "secret")]);
    let push = BlobPush::new(layer(&bytes), BlobSource::bytes(bytes.clone()));
    let app = repository(&registry, "app");
    assert_eq!(client.push_blob(&app, &push).await.unwrap(), Pushed::Uploaded);
    let puts: Vec<String> = registry
        .take_log()
        .iter()
        .filter(|line| line.starts_with("PUT") || line.contains("/token"))
        .map(|line| format!("{} {}", &line[..3], &line[line.len() - 3..]))
        .collect();
    assert_eq!(puts, ["GET 200", "PUT 401", "GET 200", "PUT 201"]);
    assert!(registry.blob("app", &layer(&bytes).digest.to_string()) == Some(bytes));
}

#[tokio::test]
async fn a_token_is_used_until_it_expires() {
    for (expires_in, tokens) in [(Some(300), 1), (None, 1), (Some(0), 3)] {
        let access = Access::Bearer {
            username: "user".to_owned(),
            password: "secret".to_owned(),
            anonymous_pull: true,
            expires_in,
        };
        let registry = TestRegistry::start_with(access);
        registry.add_image("app", "1", &image());
        let client = client();
        for _ in 0..3 {
            client.resolve(&reference(&registry, "app:1")).await.unwrap();
        }
        let fetched = registry.take_log().iter().filter(|line| line.contains("/token")).count();
        assert_eq!(fetched, tokens, "{expires_in:?}");
    }
}

#[tokio::test]
async fn many_requests_at_once_fetch_one_token() {
    let registry = TestRegistry::start_with(Access::bearer());
    registry.add_blob("app", b"x");
    let client = client_as(&[(&registry, "user", "secret")]);
    let app = repository(&registry, "app");
    let blob = layer(b"x");
    let reads = (0..8).map(|_| read(client.blob(&app, &blob)));
    for result in futures_util::future::join_all(reads).await {
        assert_eq!(result.unwrap(), b"x");
    }
    let fetched = registry.take_log().iter().filter(|line| line.contains("/token")).count();
    assert_eq!(fetched, 1);
}

#[tokio::test]
async fn an_identity_token_buys_access_by_a_form() {
    let registry = TestRegistry::start_with(Access::bearer());
    registry.add_image("app", "1", &image());
    let credential = Credential::Identity(Secret::new("secret"));
    let sources = CredentialSources {
        sources: vec![identity(&registry, credential)],
        ..CredentialSources::default()
    };
    let client = Client::new(&settings(), Credentials::new(sources)).unwrap();
    client.resolve(&reference(&registry, "app:1")).await.unwrap();
    assert!(registry.take_log().contains(&"POST /token 200".to_owned()));
}

#[tokio::test]
async fn a_login_is_checked_with_no_one_else_to_fall_back_on() {
    for access in [Access::basic(), Access::bearer()] {
        let registry = TestRegistry::start_with(access);
        for (password, good) in [("secret", true), ("wrong", false)] {
            let credential =
                Credential::Basic { username: "user".to_owned(), password: Secret::new(password) };
            let result = client().check_login(&registry.host(), credential).await;
            assert_eq!(result.is_ok(), good, "{result:?}");
        }
    }
}

#[tokio::test]
async fn the_login_stays_with_the_registry_on_a_redirect() {
    let registry = TestRegistry::start_with(Access::basic());
    // It would answer 200 to the right login: that it answers 401 shows that none came.
    let storage = TestRegistry::start_with(Access::basic());
    let digest = storage.add_blob("store", b"x");
    let target = format!("http://{}/v2/store/blobs/{digest}", storage.host());
    registry.add_fault(Fault::answer(307, &[("Location", &target)], "").on("GET", "/blobs/"));
    let client = client_as(&[(&registry, "user", "secret")]);
    let result = read(client.blob(&repository(&registry, "app"), &layer(b"x"))).await;
    assert!(result.unwrap_err().is_permission());
    assert!(storage.take_log().iter().all(|line| line.ends_with(" 401")));

    let open = TestRegistry::start();
    open.add_blob("store", b"x");
    let registry = TestRegistry::start_with(Access::basic());
    let target = format!("http://{}/v2/store/blobs/{digest}", open.host());
    registry.add_fault(Fault::answer(307, &[("Location", &target)], "").on("GET", "/blobs/"));
    let result = read(client.blob(&repository(&registry, "app"), &layer(b"x"))).await;
    assert_eq!(result.unwrap(), b"x");
}

#[tokio::test]
async fn a_token_server_in_the_clear_elsewhere_is_not_asked() {
    let registry = TestRegistry::start();
    let challenge = "Bearer realm=\"http://token.invalid/token\",service=\"x\"";
    registry.add_fault(Fault::answer(401, &[("WWW-Authenticate", challenge)], ""));
    let client = client_as(&[(&registry, "user", "secret")]);
    let error = client.resolve(&reference(&registry, "app:1")).await.unwrap_err();
    assert_eq!(
        error.kind.to_string(),
        "refusing to ask for a token over plain HTTP to `token.invalid`"
    );
}

#[test]
fn nothing_secret_is_printed() {
    let credential =
        Credential::Basic { username: "user".to_owned(), password: Secret::new("hunter2") };
    let candidate = Candidate { credential, source: "the test".to_owned() };
    let text = format!("{candidate:?} {}", candidate.describe());
    assert!(!text.contains("hunter2"), "{text}");
}
