//! Tokens that end while a cache is read or written.

use anyhow::{Result, ensure};
use strata_testkit::{Access, Fault, TestEnvironment, TestRegistry};

use super::in_a_new_job;
use crate::person::STRATA;
use crate::registries::login;
use crate::requirement::NOTHING;

/// Where the token ends → the cache is written and read as if it had not.
#[test]
fn cache_outlives_its_tokens() -> Result<()> {
    for (method, part) in [
        ("GET", "/cache/manifests/"),
        ("GET", "/cache/blobs/"),
        // Several of these are sent at once.
        ("POST", "/cache/blobs/uploads/"),
        ("PUT", "/cache/manifests/"),
    ] {
        let registry = TestRegistry::start_with(Access::bearer());
        let environment = login(TestEnvironment::new(STRATA)?, &registry);
        environment.write("Dockerfile", "FROM scratch\nCOPY file /file\n")?;
        environment.write("file", "content")?;
        let cache = registry.reference("cache:1");
        let job = || {
            let from = format!("--cache-from={cache}");
            in_a_new_job(&environment, &[&from, "--cache-to", &cache, "--tag=app:1"])
        };
        if method == "GET" {
            job()?;
        }
        registry.add_fault(Fault::revoke_tokens().on(method, part).first(1));
        registry.take_log();
        let faulty = job()?;
        let log = registry.take_log();
        let refused = log.iter().filter(|line| {
            line.starts_with(method) && line.contains(part) && line.ends_with(" 401")
        });
        // Whoever had the same token is refused as well.
        let count = refused.count();
        ensure!(count == 1 || (count > 1 && method == "POST"), "{method} {part}: {log:#?}");
        if method == "GET" {
            assert_eq!((faulty.ran, faulty.cached.len()), (Vec::new(), 1), "{part}");
            assert_eq!(faulty.warnings, NOTHING, "{part}");
        }
        let next = job()?;
        assert_eq!(
            (next.ran, next.cached.len()),
            (Vec::new(), 1),
            "{:?}: {log:#?}",
            faulty.warnings
        );
        assert_eq!(next.warnings, NOTHING, "{method} {part}");
    }
    Ok(())
}
