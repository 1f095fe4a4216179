//! Resolving and reading.

use strata_oci::{AnyManifest, Digest};
use strata_registry::ErrorKind;
use strata_testkit::{Fault, TestImage, TestRegistry};

use super::*;

fn image() -> strata_testkit::BuiltImage {
    TestImage::new().layer(r#"/a 0644 0:0 file "a""#).build()
}

#[tokio::test]
async fn a_tag_resolves_with_one_head() {
    let registry = TestRegistry::start();
    let digest = registry.add_image("app", "1", &image());
    let resolved = client().resolve(&reference(&registry, "app:1")).await.unwrap();
    assert_eq!(resolved.descriptor.digest.to_string(), digest);
    assert_eq!(resolved.descriptor.media_type, MediaType::OciManifest);
    assert_eq!(resolved.descriptor.size, image().manifest.len() as u64);
    assert_eq!(resolved.reference.to_string(), registry.reference(&format!("app:1@{digest}")));
    assert_eq!(registry.take_log(), ["GET /v2/ 200", "HEAD /v2/app/manifests/1 200"]);
}

#[tokio::test]
async fn a_head_that_says_too_little_is_followed_by_a_get() {
    for fault in [
        Fault::omit_header("Docker-Content-Digest").on("HEAD", "/manifests/"),
        Fault::omit_header("Content-Type").on("HEAD", "/manifests/"),
        Fault::status(405).on("HEAD", "/manifests/"),
    ] {
        let registry = TestRegistry::start();
        let digest = registry.add_image("app", "1", &image());
        registry.add_fault(fault);
        let resolved = client().resolve(&reference(&registry, "app:1")).await.unwrap();
        assert_eq!(resolved.descriptor.digest.to_string(), digest);
        assert_eq!(registry.take_log().last().unwrap(), "GET /v2/app/manifests/1 200");
    }
}

#[tokio::test]
async fn a_manifest_and_config_keep_their_bytes() {
    let registry = TestRegistry::start();
    registry.add_image("a/b/c", "1", &image());
    let client = client();
    let fetched = client.manifest(&reference(&registry, "a/b/c:1")).await.unwrap();
    assert_eq!(fetched.document.bytes(), image().manifest);
    let AnyManifest::Manifest(manifest) = fetched.document else { panic!("not an index") };
    let config =
        client.config(&repository(&registry, "a/b/c"), &manifest.value().config).await.unwrap();
    assert_eq!(config.bytes(), image().config);
}

/// What a pull of `app:1` or of its pinned digest ends with when the registry is not to be believed.
#[tokio::test]
async fn manifests_that_are_not_right_are_refused() {
    let manifest = image().manifest;
    let digest = Digest::of(&manifest);
    let big = format!(r#"{{"schemaVersion":2,"x":"{}"}}"#, "y".repeat(4 << 20)).into_bytes();
    let both = br#"{"schemaVersion":2,"manifests":[],"layers":[],"config":{"mediaType":"a","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}}"#;
    let schema1 = br#"{"schemaVersion":1,"fsLayers":[]}"#;
    let index = "application/vnd.oci.image.index.v1+json";
    let table: &[(&str, &str, &[u8], Option<Fault>, &str)] = &[
        ("missing", "other:1", &manifest, None, "not found: MANIFEST_UNKNOWN: manifest_unknown"),
        ("corrupt", "app:1", &manifest, Some(Fault::corrupt_body()), "content has digest"),
        ("too large", "app:1", &big, None, "content has 4194305 bytes, not the expected 4194304"),
        ("two kinds", "app:1", both, None, "document cannot be used"),
        ("schema 1", "app:1", schema1, None, "document cannot be used"),
        (
            "misnamed",
            "app:1",
            &manifest,
            Some(Fault::answer(200, &[("Content-Type", index)], "{}")),
            "document cannot be used",
        ),
        (
            "page",
            "app:1",
            &manifest,
            Some(Fault::answer(200, &[], "<html>")),
            "document cannot be used",
        ),
    ];
    for (name, target, bytes, fault, expected) in table {
        let registry = TestRegistry::start();
        registry.add_manifest("app", "1", "application/json", bytes);
        if let Some(fault) = fault {
            registry.add_fault(fault.clone().on("GET", "/manifests/"));
        }
        let error = client().manifest(&reference(&registry, target)).await.unwrap_err();
        assert!(error.kind.to_string().starts_with(expected), "{name}: {error}");
    }
    let registry = TestRegistry::start();
    registry.add_manifest("app", "1", "application/json", &manifest);
    let pinned = repository(&registry, "app").pinned(Digest::of(b"other"));
    registry.add_fault(Fault::answer(200, &[], "{}").on("GET", "/manifests/"));
    let error = client().manifest(&pinned).await.unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::DigestMismatch { .. }), "{error}");
    let pinned = repository(&registry, "app").pinned(digest);
    registry.take_log();
    let error = client().manifest(&pinned).await.unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::DigestMismatch { .. }), "{error}");
}

/// Fault → what reading a blob of 100 000 bytes gives, and the requests it takes.
#[tokio::test]
async fn blobs_are_whole_and_right_or_an_error() {
    let bytes = content(100_000);
    let get = |fault: Fault| fault.on("GET", "/blobs/");
    let blob = "GET /v2/app/blobs/sha256:DIGEST";
    let table: Vec<(&str, Vec<Fault>, Result<(), &str>, Vec<&str>)> = vec![
        ("good", vec![], Ok(()), vec!["200"]),
        ("cut once", vec![get(Fault::cut_body(40_000)).first(1)], Ok(()), vec!["200", "206"]),
        ("cut at once", vec![get(Fault::cut_body(0)).first(1)], Ok(()), vec!["200", "200"]),
        (
            "cut twice",
            vec![get(Fault::cut_body(30_000)).first(2)],
            Ok(()),
            vec!["200", "206", "206"],
        ),
        (
            "cut always",
            vec![get(Fault::cut_body(10))],
            Err("connection was cut after 30 of 100000 bytes"),
            vec!["200", "206", "206"],
        ),
        (
            "cut, no range",
            vec![get(Fault::cut_body(40_000)).first(1), get(Fault::ignore_range()).after(1)],
            Ok(()),
            vec!["200", "200"],
        ),
        ("hung up", vec![get(Fault::hang_up(0)).first(2)], Ok(()), vec!["-", "-", "200"]),
        ("corrupt", vec![get(Fault::corrupt_body())], Err("content has digest"), vec!["200"]),
        (
            "other size",
            vec![get(Fault::answer(200, &[], "short"))],
            Err("content has 5 bytes, not the expected 100000"),
            vec!["200"],
        ),
        (
            "no range header",
            vec![
                get(Fault::cut_body(10)).first(1),
                get(Fault::omit_header("Content-Range")).after(1),
            ],
            Err("registry answers against the protocol: it sends another range than was asked for"),
            vec!["200", "206"],
        ),
        (
            "redirect without target",
            vec![get(Fault::answer(307, &[], ""))],
            Err("registry answers against the protocol: a redirect does not say where to"),
            vec!["307"],
        ),
        (
            "redirect loop",
            vec![get(Fault::answer(307, &[("Location", "?again")], ""))],
            Err("registry answers against the protocol: it redirects more than 8 times"),
            vec!["307"; 8],
        ),
    ];
    for (name, faults, expected, statuses) in table {
        let registry = TestRegistry::start();
        registry.add_blob("app", &bytes);
        for fault in faults {
            registry.add_fault(fault);
        }
        let result = read(client().blob(&repository(&registry, "app"), &layer(&bytes))).await;
        match (&result, expected) {
            (Ok(read), Ok(())) => assert!(*read == bytes, "{name}: other bytes"),
            (Err(error), Err(text)) => {
                assert!(error.kind.to_string().starts_with(text), "{name}: {error}");
            }
            _ => panic!("{name}: {:?}", result.map(|bytes| bytes.len())),
        }
        let log: Vec<String> = registry.take_log().into_iter().skip(1).collect();
        let seen: Vec<&str> = log.iter().filter_map(|line| line.split(' ').next_back()).collect();
        assert_eq!(seen, statuses, "{name}");
        let path = blob.replace("DIGEST", &layer(&bytes).digest.to_hex()[..8]);
        assert!(log.iter().all(|line| line.starts_with(&path)), "{name}: {log:?}");
    }
}

#[tokio::test]
async fn an_empty_blob_is_read() {
    let registry = TestRegistry::start();
    registry.add_blob("app", b"");
    let bytes = read(client().blob(&repository(&registry, "app"), &layer(b""))).await.unwrap();
    assert_eq!(bytes, b"");
}

#[tokio::test]
async fn mirrors_come_first_and_the_registry_after_them() {
    let bytes = content(1000);
    let image = image();
    // (what the mirror has, whether it alone is asked) → who answers
    let table = [
        ("has it", true, false, Ok("mirror")),
        ("lacks it", false, false, Ok("registry")),
        ("lacks it, alone", false, true, Err("not found")),
    ];
    for (name, has, only, expected) in table {
        let (registry, mirror) = (TestRegistry::start(), TestRegistry::start());
        registry.add_image("app", "1", &image);
        registry.add_blob("app", &bytes);
        if has {
            mirror.add_image("proxy/hub/app", "1", &image);
            mirror.add_blob("proxy/hub/app", &bytes);
        }
        let client = mirrored(&registry, &mirror, "proxy/hub", only);
        let resolved = client.resolve(&reference(&registry, "app:1")).await;
        let blob = read(client.blob(&repository(&registry, "app"), &layer(&bytes))).await;
        match expected {
            Ok(answering) => {
                assert_eq!(resolved.unwrap().reference.registry(), registry.host(), "{name}");
                assert!(blob.unwrap() == bytes, "{name}");
                assert_eq!(registry.take_log().is_empty(), answering == "mirror", "{name}");
            }
            Err(text) => {
                assert!(resolved.unwrap_err().kind.to_string().starts_with(text), "{name}");
                let error = blob.unwrap_err();
                assert!(error.kind.to_string().starts_with(text), "{name}");
                assert_eq!(error.registry, mirror.host(), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_mirror_that_breaks_in_the_middle_is_continued_at_the_registry() {
    let bytes = content(50_000);
    let (registry, mirror) = (TestRegistry::start(), TestRegistry::start());
    registry.add_blob("app", &bytes);
    mirror.add_blob("app", &bytes);
    mirror.add_fault(Fault::cut_body(20_000).on("GET", "/blobs/").first(1));
    mirror.add_fault(Fault::status(404).on("GET", "/blobs/").after(1));
    let client = mirrored(&registry, &mirror, "", false);
    let read = read(client.blob(&repository(&registry, "app"), &layer(&bytes))).await.unwrap();
    assert!(read == bytes);
    assert!(registry.take_log()[1].ends_with(" 206"));
}

/// Builds run all of this on several threads.
#[test]
fn futures_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let registry = TestRegistry::start();
    let (client, app) = (client(), repository(&registry, "app"));
    let reference = reference(&registry, "app:1");
    let blob = layer(b"x");
    let mut reader = client.blob(&app, &blob);
    let push =
        strata_registry::BlobPush::new(blob.clone(), strata_registry::BlobSource::bytes("x"));
    is_send(&client.resolve(&reference));
    is_send(&client.manifest(&reference));
    is_send(&client.config(&app, &blob));
    is_send(&client.push_manifest(&reference, "{}", &MediaType::OciManifest));
    is_send(&client.push_blob(&app, &push));
    is_send(&client.copy_blob(&app, &app, &blob));
    is_send(&client.check_push(&app));
    is_send(&client.has_blob(&app, &blob));
    is_send(&client.ping("host"));
    is_send(&reader.chunk());
}
