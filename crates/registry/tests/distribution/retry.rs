//! When requests are repeated.

use strata_testkit::{Fault, TestImage, TestRegistry};

use super::*;

/// Faults → result of resolving a tag, and how often it was asked.
#[tokio::test]
async fn what_may_pass_is_tried_again_and_nothing_else() {
    let head = |fault: Fault| fault.on("HEAD", "/manifests/");
    let table: Vec<(&str, Fault, Result<(), &str>, usize)> = vec![
        ("500 once", head(Fault::status(500)).first(1), Ok(()), 2),
        ("503 twice", head(Fault::status(503)).first(2), Ok(()), 3),
        ("504 always", head(Fault::status(504)), Err("registry unavailable with status 504"), 3),
        ("429 once", head(Fault::answer(429, &[("Retry-After", "0")], "")).first(1), Ok(()), 2),
        ("429 always", head(Fault::status(429)), Err("too many requests"), 3),
        (
            "429 for too long",
            head(Fault::answer(429, &[("Retry-After", "3600")], "")),
            Err("too many requests"),
            1,
        ),
        (
            "503 for too long",
            head(Fault::answer(503, &[("Retry-After", "3600")], "")),
            Err("registry unavailable with status 503"),
            1,
        ),
        (
            "429 until a date",
            head(Fault::answer(429, &[("Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT")], ""))
                .first(1),
            Ok(()),
            2,
        ),
        ("hung up once", head(Fault::hang_up(0)).first(1), Ok(()), 2),
        ("404", head(Fault::status(404)), Err("not found"), 1),
        ("403", head(Fault::status(403)), Err("denied with no credentials"), 1),
        (
            "401 without challenge",
            head(Fault::status(401)),
            Err("not authorized with no credentials"),
            1,
        ),
    ];
    for (name, fault, expected, asked) in table {
        let registry = TestRegistry::start();
        registry.add_image("app", "1", &TestImage::new().build());
        registry.add_fault(fault);
        let result = client().resolve(&reference(&registry, "app:1")).await;
        match (&result, expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(text)) => {
                assert!(error.kind.to_string().starts_with(text), "{name}: {error}");
            }
            _ => panic!("{name}: {result:?}"),
        }
        let heads = registry.take_log().iter().filter(|line| line.starts_with("HEAD")).count();
        assert_eq!(heads, asked, "{name}");
    }
}

#[tokio::test]
async fn a_registry_that_is_down_is_named() {
    let mut registry = TestRegistry::start();
    registry.stop();
    let error = client().resolve(&reference(&registry, "app:1")).await.unwrap_err();
    assert_eq!(
        short(&error.to_string(), &registry),
        "cannot resolve `1` in `HOST/app`: cannot reach `HOST`: Connection refused (os error 111)"
    );
}

#[tokio::test]
async fn silence_is_not_waited_out_for_ever() {
    let registry = TestRegistry::start();
    registry.add_fault(Fault::delay(Duration::from_millis(300)).on("HEAD", ""));
    let mut settings = settings();
    settings.timeouts.idle = Duration::from_millis(100);
    settings.retry = RetryPolicy::never();
    let client = Client::new(&settings, Credentials::anonymous()).unwrap();
    let error = client.resolve(&reference(&registry, "app:1")).await.unwrap_err();
    assert_eq!(short(&error.kind.to_string(), &registry), "no answer from `HOST` for 0 s");
}

/// A server that speaks TLS answers plain HTTP with 400 (Go, nginx); the client then speaks TLS, which this one
/// does not.
#[tokio::test]
async fn a_loopback_server_that_wants_tls_gets_tls() {
    let registry = TestRegistry::start();
    registry.add_fault(Fault::status(400).on("GET", "/v2/"));
    let error = client().resolve(&reference(&registry, "app:1")).await.unwrap_err();
    assert!(error.kind.to_string().starts_with("TLS with `"), "{error}");
}
