//! Images that exist, moved and looked at.

use strata_remote::Location;
use strata_testkit::TestRegistry;

use crate::{World, amd64, base, parse, registry_with_base};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_keeps_its_digest_all_around() {
    let (registry, reference) = registry_with_base();
    let other = TestRegistry::start();
    let world = World::new();
    let transport = world.transport();
    let selector = || Some("app:1".to_owned());
    let chain = [
        Location::Registry(parse(&reference)),
        Location::Registry(parse(&registry.reference("copy:1"))),
        Location::Layout { directory: world.path("layout"), selector: selector() },
        Location::Archive { file: world.path("oci.tar"), selector: selector() },
        Location::Store(parse("app:1")),
        Location::DockerArchive { file: world.path("docker.tar"), selector: selector() },
        Location::Registry(parse(&other.reference("app:1"))),
    ];
    for pair in chain.windows(2) {
        let copied = transport.copy(&pair[0], &pair[1], None).await.unwrap();
        let digest = copied.descriptor.digest.to_string();
        assert_eq!(digest, strata_testkit::sha256(&base().manifest), "{} to {}", pair[0], pair[1]);
    }
    let (_, bytes) = other.manifest("app", "1").unwrap();
    assert_eq!(bytes, base().manifest);
    let seen = transport.inspect(chain.last().unwrap(), &amd64()).await.unwrap();
    let made: Vec<_> = seen.layers.iter().map(|layer| layer.created_by.as_deref()).collect();
    assert_eq!(made, [Some("layer 0"), Some("layer 1")]);
    let copied =
        transport.push(&chain[4], &[parse(&other.reference("again"))], None).await.unwrap();
    assert!(other.manifest("again", "latest").is_some());
    assert_eq!(copied.descriptor.digest, seen.digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named() {
    let world = World::new();
    let table = [
        (Location::Store(parse("none:1")), "image `none:1` is not in the local store".to_owned()),
        (
            Location::Layout { directory: world.path("scratch"), selector: None },
            format!("cannot read `{}`", world.path("scratch/oci-layout").display()),
        ),
    ];
    for (location, expected) in table {
        let error = world.transport().inspect(&location, &amd64()).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
