//! Credentials that are made on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use strata_registry::{CredentialError, CredentialProvider};
use strata_testkit::{Access, Fault, TestImage, TestRegistry};

use super::*;

/// Gives passwords from a list, then the last one for ever. An empty list is nobody, a password `fail` a failure.
#[derive(Debug)]
struct Provider {
    host: String,
    passwords: &'static [&'static str],
    asked: AtomicUsize,
}

impl Provider {
    fn new(registry: &TestRegistry, passwords: &'static [&'static str]) -> Arc<Self> {
        Arc::new(Self { host: registry.host(), passwords, asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl CredentialProvider for Provider {
    fn knows(&self, registry: &str) -> bool {
        registry == self.host
    }

    fn find<'a>(
        &'a self,
        _registry: &'a str,
    ) -> BoxFuture<'a, Result<Option<Candidate>, CredentialError>> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let password = self.passwords.get(number).or(self.passwords.last());
        let found = match password {
            None => Ok(None),
            Some(&"fail") => {
                Err(CredentialError::Provider { name: "test", source: "broken".into() })
            }
            Some(password) => Ok(Some(Candidate {
                credential: Credential::Basic {
                    username: "user".to_owned(),
                    password: Secret::new(*password),
                },
                source: "the provider".to_owned(),
            })),
        };
        async { found }.boxed()
    }
}

fn client_of(registry: &TestRegistry, configured: Option<&str>, of: &[Arc<Provider>]) -> Client {
    let credential = |password: &str| Credential::Basic {
        username: "user".to_owned(),
        password: Secret::new(password),
    };
    let configured = configured.map(|password| identity(registry, credential(password)));
    let mut sources: Vec<CredentialSource> = of
        .iter()
        .map(|provider| CredentialSource::Provider(Arc::<Provider>::clone(provider)))
        .collect();
    // Their place does not matter.
    sources.extend(configured);
    let sources = CredentialSources { sources, ..CredentialSources::default() };
    Client::new(&settings(), Credentials::new(sources)).unwrap()
}

/// Configured password, what two providers give → the result, and how often each was asked.
#[tokio::test]
async fn providers_are_asked_when_all_else_is_refused() {
    let table: &[(Option<&str>, [&'static [&'static str]; 2], Result<(), &str>, [usize; 2])] = &[
        (Some("secret"), [&["secret"], &["secret"]], Ok(()), [0, 0]),
        (Some("stale"), [&["secret"], &["secret"]], Ok(()), [1, 0]),
        (None, [&["secret"], &["secret"]], Ok(()), [1, 0]),
        (None, [&[], &["secret"]], Ok(()), [1, 1]),
        (None, [&["fail"], &["secret"]], Ok(()), [1, 1]),
        // What is refused may have expired.
        (None, [&["old", "secret"], &[]], Ok(()), [2, 0]),
        (None, [&["wrong"], &["secret"]], Ok(()), [2, 1]),
        (None, [&["fail"], &[]], Err("cannot use the configured credentials"), [1, 1]),
        (
            None,
            [&["wrong"], &[]],
            Err("not authorized with credentials of `user` from the provider"),
            [2, 1],
        ),
        (None, [&[], &[]], Err("not authorized with no credentials"), [1, 1]),
    ];
    for (configured, passwords, expected, asked) in table {
        for access in [Access::basic(), Access::bearer()] {
            let registry = TestRegistry::start_with(access.clone());
            registry.add_image("app", "1", &TestImage::new().layer("/a/ 0755 0:0").build());
            let providers = passwords.map(|passwords| Provider::new(&registry, passwords));
            let client = client_of(&registry, *configured, &providers);
            let result = client.resolve(&reference(&registry, "app:1")).await;
            let result = result.map(drop).map_err(|error| error.kind.to_string());
            let shown = format!("{configured:?} {passwords:?} {access:?}: {result:?}");
            match (&result, expected) {
                (Ok(()), Ok(())) => {}
                (Err(found), Err(expected)) => assert!(found.starts_with(expected), "{shown}"),
                _ => panic!("{shown}"),
            }
            assert_eq!(providers.map(|provider| provider.asked()), *asked, "{shown}");
        }
    }
}

/// Requests that were sent with the old password take the new one, and nobody takes that for refused.
#[tokio::test]
async fn many_requests_at_once_go_on_with_one_new_password() {
    let registry = TestRegistry::start_with(Access::basic());
    let provider = Provider::new(&registry, &["old", "secret"]);
    for tag in ["1", "2", "3"] {
        registry.add_image("app", tag, &TestImage::new().layer("/a/ 0755 0:0").build());
    }
    registry.add_fault(Fault::delay(Duration::from_millis(50)).on("HEAD", ""));
    let client = client_of(&registry, None, &[Arc::clone(&provider)]);
    let names = ["app:1", "app:2", "app:3"].map(|name| reference(&registry, name));
    let resolved = tokio::join!(
        client.resolve(&names[0]),
        client.resolve(&names[1]),
        client.resolve(&names[2])
    );
    assert!(resolved.0.is_ok() && resolved.1.is_ok() && resolved.2.is_ok(), "{resolved:?}");
    assert_eq!(provider.asked(), 2);
}

/// A provider that makes a new password each time, none of which is any good, is not asked for ever.
#[tokio::test]
async fn provider_is_not_asked_for_ever() {
    static NEVER: [&str; 64] = {
        let mut words = ["a"; 64];
        let mut at = 0;
        while at < 64 {
            words[at] = if at % 2 == 0 { "a" } else { "b" };
            at += 1;
        }
        words
    };
    let registry = TestRegistry::start_with(Access::bearer());
    let provider = Provider::new(&registry, &NEVER);
    let client = client_of(&registry, None, &[Arc::clone(&provider)]);
    assert!(client.resolve(&reference(&registry, "app:1")).await.is_err());
    assert!(provider.asked() < 64, "{}", provider.asked());
}

#[tokio::test]
async fn other_registries_are_none_of_a_providers_business() {
    let registry = TestRegistry::start_with(Access::basic());
    let provider = Arc::new(Provider {
        host: "other.example".to_owned(),
        passwords: &["secret"],
        asked: AtomicUsize::new(0),
    });
    let client = client_of(&registry, None, &[Arc::clone(&provider)]);
    assert!(client.resolve(&reference(&registry, "app:1")).await.is_err());
    assert_eq!(provider.asked(), 0);
}
