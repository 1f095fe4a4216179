//! What is found out about a registry and those who may use it.

use strata_registry::{Trial, Verdict, Wants};
use strata_testkit::{Access, Fault, TestImage, TestRegistry};

use super::*;

fn refused(why: &str) -> Verdict {
    Verdict::Refused(why.to_owned())
}

fn image() -> strata_testkit::BuiltImage {
    TestImage::new().layer(r#"/a 0644 0:0 file "a""#).build()
}

#[tokio::test]
async fn every_identity_is_tried_by_itself() {
    let registry = TestRegistry::start_with(Access::Bearer {
        username: "user".to_owned(),
        password: "secret".to_owned(),
        anonymous_pull: true,
        expires_in: Some(300),
    });
    registry.add_image("app", "1", &image());
    let client = client_as(&[(&registry, "old", "wrong"), (&registry, "user", "secret")]);
    let found = client.examine(&reference(&registry, "app:1")).await;
    let [Ok(found)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(found.address, format!("http://{}/", registry.host()));
    let server = format!("http://{}/token", registry.host());
    assert_eq!(found.wants, Wants::Token { server, service: Some("testkit".to_owned()) });
    let denied = || refused("not authorized (401): UNAUTHORIZED: unauthorized");
    let trial = |identity: &str, pull, push| Trial {
        identity: identity.to_owned(),
        pull,
        push: Some(push),
    };
    let expected = [
        trial("credentials of `old` from the test", denied(), denied()),
        trial("credentials of `user` from the test", Verdict::Allowed, Verdict::Allowed),
        trial("no credentials", Verdict::Allowed, denied()),
    ];
    assert_eq!(found.trials, expected);
    let left = registry.take_log().into_iter().filter(|line| line.starts_with("DELETE")).count();
    assert_eq!(left, 1, "the upload was cancelled");

    let found = client.examine(&reference(&registry, "app:2")).await;
    let [Ok(found)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(found.trials[1].pull, Verdict::NotFound);
    assert!(!format!("{found:?}").contains("secret"));
}

#[tokio::test]
async fn mirrors_are_looked_at_first_and_never_pushed_to() {
    let registry = TestRegistry::start();
    registry.add_image("app", "1", &image());
    registry.add_fault(Fault::status(405).on("POST", ""));
    let mirror = TestRegistry::start_with(Access::basic());
    for only in [false, true] {
        let client = mirrored(&registry, &mirror, "hub", only);
        let found = client.examine(&reference(&registry, "app:1")).await;
        let [Ok(first), Ok(second)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((first.repository.as_str(), &first.wants), ("hub/app", &Wants::Password));
        assert_eq!(first.trials[0].push, None);
        assert_eq!((second.repository.as_str(), &second.wants), ("app", &Wants::Nothing));
        let push = second.trials[0].push.clone();
        assert_eq!(push, Some(refused("refused with status 405: SCRIPTED: scripted")));
    }
}

#[tokio::test]
async fn a_registry_that_is_down_is_said_to_be() {
    let mut registry = TestRegistry::start();
    let reference = reference(&registry, "app:1");
    registry.stop();
    let found = client().examine(&reference).await;
    let [Err(error)] = found.as_slice() else { panic!("{found:?}") };
    assert!(error.to_string().starts_with("cannot log in to"), "{error}");
}
