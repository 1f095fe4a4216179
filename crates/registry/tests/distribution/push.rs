//! Finding, mounting, uploading.

use strata_oci::{Digest, Tag};
use strata_registry::{BlobPush, BlobSource, Pushed};
use strata_testkit::{Fault, TestRegistry};

use super::*;

fn digits(bytes: &[u8]) -> String {
    Digest::of(bytes).to_hex()[..8].to_owned()
}

/// Fault, whether the other repository has the blob → result and requests, for a push to `app` that may be mounted
/// from `base`.
#[tokio::test]
async fn blobs_take_the_cheapest_way_that_works() {
    let bytes = content(300_000);
    let table: Vec<(&str, Vec<Fault>, bool, Result<Pushed, &str>, Vec<&str>)> = vec![
        ("mount", vec![], true, Ok(Pushed::Mounted), vec!["HEAD B 404", "POST M 201"]),
        (
            "mount missed",
            vec![],
            false,
            Ok(Pushed::Uploaded),
            vec!["HEAD B 404", "POST M 202", "PUT U1 201"],
        ),
        (
            "mount refused",
            vec![Fault::status(403).on("POST", "mount=")],
            true,
            Ok(Pushed::Uploaded),
            vec!["HEAD B 404", "POST M 403", "POST U 202", "PUT U1 201"],
        ),
        (
            "put fails once",
            vec![Fault::status(502).on("PUT", "").first(1)],
            false,
            Ok(Pushed::Uploaded),
            vec![
                "HEAD B 404",
                "POST M 202",
                "PUT U1 502",
                "HEAD B 404",
                "POST U 202",
                "PUT U2 201",
            ],
        ),
        (
            "put hung up in the middle",
            vec![Fault::hang_up(1000).on("PUT", "").first(1)],
            false,
            Ok(Pushed::Uploaded),
            vec!["HEAD B 404", "POST M 202", "PUT U1 -", "HEAD B 404", "POST U 202", "PUT U2 201"],
        ),
        (
            "answer to put lost",
            vec![Fault::lose_answer().on("PUT", "").first(1)],
            false,
            Ok(Pushed::AlreadyThere),
            vec!["HEAD B 404", "POST M 202", "PUT U1 -", "HEAD B 200"],
        ),
        (
            "upload forgotten",
            vec![Fault::status(404).on("PUT", "").first(1)],
            false,
            Ok(Pushed::Uploaded),
            vec![
                "HEAD B 404",
                "POST M 202",
                "PUT U1 404",
                "HEAD B 404",
                "POST U 202",
                "PUT U2 201",
            ],
        ),
        (
            "no room",
            vec![Fault::status(413).on("PUT", "")],
            false,
            Err("refused with status 413: SCRIPTED: scripted"),
            vec!["HEAD B 404", "POST M 202", "PUT U1 413"],
        ),
        (
            "no place to upload to",
            vec![Fault::answer(202, &[], "").on("POST", "")],
            false,
            Err("registry answers against the protocol: it does not say where to upload to"),
            vec!["HEAD B 404", "POST M 202", "POST U 202"],
        ),
        (
            "goes down in the middle",
            vec![Fault::go_down(1000).on("PUT", "")],
            false,
            Err("cannot reach `HOST`"),
            vec!["HEAD B 404", "POST M 202", "PUT U1 -"],
        ),
    ];
    for (name, faults, base_has, expected, requests) in table {
        let registry = TestRegistry::start();
        if base_has {
            registry.add_blob("base", &bytes);
        }
        for fault in faults {
            registry.add_fault(fault);
        }
        let source = BlobSource::bytes(bytes.clone());
        let push = BlobPush {
            mount_from: vec![repository(&registry, "base")],
            ..BlobPush::new(layer(&bytes), source)
        };
        let result = client().push_blob(&repository(&registry, "app"), &push).await;
        match (&result, expected) {
            (Ok(pushed), Ok(expected)) => {
                assert_eq!(*pushed, expected, "{name}");
                let stored = registry.blob("app", &layer(&bytes).digest.to_string());
                assert!(stored.as_deref() == Some(&*bytes), "{name}: not stored");
            }
            (Err(error), Err(text)) => {
                let kind = short(&error.kind.to_string(), &registry);
                assert!(kind.starts_with(text), "{name}: {error}");
            }
            _ => panic!("{name}: {result:?}"),
        }
        let digest = format!("sha256:{}", digits(&bytes));
        let log: Vec<String> = registry
            .take_log()
            .iter()
            .skip(1)
            .map(|line| {
                line.replace(&format!("/v2/app/blobs/uploads/?mount={digest}&from=base"), "M")
                    .replace(&format!("?state=kept&digest={digest}"), "")
                    .replace("/v2/app/blobs/uploads/upload-", "U")
                    .replace("/v2/app/blobs/uploads/", "U")
                    .replace(&format!("/v2/app/blobs/{digest}"), "B")
            })
            .collect();
        assert_eq!(log, requests, "{name}");
    }
}

/// Faults → result and requests of a blob of 300,000 bytes, where a piece has 100,000.
#[tokio::test]
async fn what_one_request_does_not_carry_goes_in_pieces() {
    let bytes = content(300_000);
    let whole = ["HEAD B 404", "POST U 202"];
    let table: Vec<(&str, Vec<Fault>, Result<Pushed, &str>, Vec<&str>)> = vec![
        (
            "a front that limits requests",
            vec![Fault::limit_body(150_000).on("PUT", "")],
            Ok(Pushed::Uploaded),
            vec![
                "PUT U1 413",
                "HEAD B 404",
                "POST U 202",
                "PATCH U2 202",
                "PATCH U2 202",
                "PATCH U2 202",
                "PUT U2 201",
            ],
        ),
        (
            "a connection that drops at half a blob, and half a piece",
            vec![
                Fault::hang_up(150_000).on("PUT", "upload-1"),
                Fault::keep_and_hang_up(50_000).on("PATCH", "").after(1).first(1),
            ],
            Ok(Pushed::Uploaded),
            vec![
                "PUT U1 -",
                "HEAD B 404",
                "POST U 202",
                "PATCH U2 202",
                "PATCH U2 -",
                "GET U2 204",
                "PATCH U2 202",
                "PATCH U2 202",
                "PUT U2 201",
            ],
        ),
        (
            "an answer to a piece that is lost",
            vec![
                Fault::limit_body(150_000).on("PUT", ""),
                Fault::lose_answer().on("PATCH", "").after(1).first(1),
            ],
            Ok(Pushed::Uploaded),
            vec![
                "PUT U1 413",
                "HEAD B 404",
                "POST U 202",
                "PATCH U2 202",
                "PATCH U2 -",
                "GET U2 204",
                "PATCH U2 202",
                "PUT U2 201",
            ],
        ),
        (
            "an upload that is forgotten",
            vec![
                Fault::limit_body(150_000).on("PUT", ""),
                Fault::status(404).on("PATCH", "upload-2").after(1),
            ],
            Ok(Pushed::Uploaded),
            vec![
                "PUT U1 413",
                "HEAD B 404",
                "POST U 202",
                "PATCH U2 202",
                "PATCH U2 404",
                "HEAD B 404",
                "POST U 202",
                "PATCH U3 202",
                "PATCH U3 202",
                "PATCH U3 202",
                "PUT U3 201",
            ],
        ),
        (
            "pieces that are never taken",
            vec![Fault::limit_body(150_000).on("PUT", ""), Fault::status(503).on("PATCH", "")],
            Err("registry unavailable with status 503"),
            vec![
                "PUT U1 413",
                "HEAD B 404",
                "POST U 202",
                "PATCH U2 503",
                "GET U2 204",
                "PATCH U2 503",
                "GET U2 204",
                "PATCH U2 503",
            ],
        ),
    ];
    for (name, faults, expected, requests) in table {
        let registry = TestRegistry::start();
        for fault in faults {
            registry.add_fault(fault);
        }
        let settings = Settings { upload_piece: 100_000, ..settings() };
        let client = Client::new(&settings, Credentials::anonymous()).unwrap();
        let push = BlobPush::new(layer(&bytes), BlobSource::bytes(bytes.clone()));
        let result = client.push_blob(&repository(&registry, "app"), &push).await;
        let log: Vec<String> = registry
            .take_log()
            .iter()
            .skip(1)
            .map(|line| {
                let digest = format!("sha256:{}", digits(&bytes));
                line.replace(&format!("&digest={digest}"), "")
                    .replace("?state=kept", "")
                    .replace("/v2/app/blobs/uploads/upload-", "U")
                    .replace("/v2/app/blobs/uploads/", "U")
                    .replace(&format!("/v2/app/blobs/{digest}"), "B")
            })
            .collect();
        let begun: Vec<&str> = whole.iter().copied().chain(requests).collect();
        match (&result, expected) {
            (Ok(pushed), Ok(expected)) => {
                assert_eq!(*pushed, expected, "{name}");
                let stored = registry.blob("app", &layer(&bytes).digest.to_string());
                assert!(stored.as_deref() == Some(&*bytes), "{name}: not stored");
            }
            (Err(error), Err(text)) => {
                assert!(error.kind.to_string().starts_with(text), "{name}: {error}");
            }
            _ => panic!("{name}: {result:?} {log:?}"),
        }
        assert!(
            log.starts_with(&begun.iter().map(ToString::to_string).collect::<Vec<_>>()),
            "{name}: {log:#?}"
        );
    }
}

#[tokio::test]
async fn a_blob_that_is_there_is_not_sent() {
    let registry = TestRegistry::start();
    registry.add_blob("app", b"x");
    let push = BlobPush::new(layer(b"x"), BlobSource::file("/nowhere/at/all"));
    let pushed = client().push_blob(&repository(&registry, "app"), &push).await.unwrap();
    assert_eq!(pushed, Pushed::AlreadyThere);
}

#[tokio::test]
async fn sources_are_read_from_files_and_readers_and_counted() {
    let bytes = content(1_000_000);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("blob");
    std::fs::write(&path, &bytes).unwrap();
    let reading = bytes.clone();
    let sources = [
        BlobSource::file(&path),
        BlobSource::bytes(bytes.clone()),
        BlobSource::reader(move || Ok(Box::new(std::io::Cursor::new(reading.clone())))),
    ];
    for source in sources {
        let registry = TestRegistry::start();
        let count = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let counting = std::sync::Arc::clone(&count);
        let push = BlobPush {
            sent: Some(std::sync::Arc::new(move |sent| {
                counting.fetch_add(sent, std::sync::atomic::Ordering::SeqCst);
            })),
            ..BlobPush::new(layer(&bytes), source)
        };
        let pushed = client().push_blob(&repository(&registry, "app"), &push).await.unwrap();
        assert_eq!(pushed, Pushed::Uploaded);
        assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), bytes.len() as u64);
        assert!(registry.blob("app", &layer(&bytes).digest.to_string()) == Some(bytes.clone()));
    }
}

#[tokio::test]
async fn sources_that_are_not_what_they_should_be_are_errors() {
    let bytes = content(400_000);
    let short = bytes[..399_999].to_vec();
    let long = [&bytes[..], b"x"].concat();
    let table = [
        ("missing", BlobSource::file("/nowhere/at/all"), "cannot read `/nowhere/at/all`"),
        ("short", BlobSource::bytes(short), "cannot read content in memory"),
        ("long", BlobSource::bytes(long), "cannot read content in memory"),
        (
            "other bytes",
            BlobSource::bytes(content(400_004)[4..].to_vec()),
            "refused with status 400: DIGEST_INVALID: digest_invalid",
        ),
    ];
    for (name, source, expected) in table {
        let registry = TestRegistry::start();
        let push = BlobPush::new(layer(&bytes), source);
        let error = client().push_blob(&repository(&registry, "app"), &push).await.unwrap_err();
        assert_eq!(error.kind.to_string(), expected, "{name}");
        assert_eq!(registry.blob("app", &layer(&bytes).digest.to_string()), None, "{name}");
    }
}

#[tokio::test]
async fn blobs_are_copied_between_registries_and_mounted_within_one() {
    let bytes = content(500_000);
    let (here, there) = (TestRegistry::start(), TestRegistry::start());
    here.add_blob("app", &bytes);
    here.add_fault(Fault::cut_body(200_000).on("GET", "/blobs/").first(1));
    let (client, blob) = (client(), layer(&bytes));
    let from = repository(&here, "app");
    let copied = client.copy_blob(&from, &repository(&there, "b"), &blob).await.unwrap();
    assert_eq!(copied, Pushed::Uploaded);
    assert!(there.blob("b", &blob.digest.to_string()) == Some(bytes));
    let mounted = client.copy_blob(&from, &repository(&here, "b"), &blob).await.unwrap();
    assert_eq!(mounted, Pushed::Mounted);
}

#[tokio::test]
async fn a_copy_of_a_corrupt_blob_tells_which_end_is_wrong() {
    let bytes = content(500_000);
    let (here, there) = (TestRegistry::start(), TestRegistry::start());
    here.add_blob("app", &bytes);
    here.add_fault(Fault::corrupt_body().on("GET", "/blobs/"));
    let (from, to) = (repository(&here, "app"), repository(&there, "b"));
    let error = client().copy_blob(&from, &to, &layer(&bytes)).await.unwrap_err();
    assert!(error.kind.to_string().starts_with("content has digest"), "{error}");
    assert_eq!(there.blob("b", &layer(&bytes).digest.to_string()), None);
}

#[tokio::test]
async fn manifests_are_put_under_tag_or_digest() {
    let registry = TestRegistry::start();
    let (client, bytes) = (client(), b"{}".to_vec());
    let media_type = MediaType::OciManifest;
    let app = repository(&registry, "app");
    let tagged = app.tagged(Tag::parse("1").unwrap());
    for target in [tagged.clone(), app.pinned(Digest::of(&bytes))] {
        let pushed = client.push_manifest(&target, bytes.clone(), &media_type).await.unwrap();
        assert_eq!(pushed, Pushed::Uploaded);
    }
    let stored = registry.manifest("app", "1").unwrap();
    assert_eq!(stored, (media_type.to_string(), bytes.clone()));
    let digest = format!("sha256:{}", digits(&bytes));
    assert_eq!(
        registry.take_log(),
        [
            "GET /v2/ 200".to_owned(),
            "PUT /v2/app/manifests/1 201".to_owned(),
            format!("PUT /v2/app/manifests/{digest} 201"),
        ]
    );
}

#[tokio::test]
async fn an_immutable_tag_may_be_written_again_with_the_same_bytes_only() {
    let registry = TestRegistry::start();
    registry.add_manifest("app", "1", MediaType::OciManifest.as_str(), b"{}");
    registry.add_fault(Fault::status(400).on("PUT", "/manifests/1"));
    let (client, target) = (client(), reference(&registry, "app:1"));
    let same = client.push_manifest(&target, &b"{}"[..], &MediaType::OciManifest).await.unwrap();
    assert_eq!(same, Pushed::AlreadyThere);
    let error =
        client.push_manifest(&target, &b"{ }"[..], &MediaType::OciManifest).await.unwrap_err();
    assert_eq!(
        short(&error.to_string(), &registry),
        "cannot push manifest `1` to `HOST/app`: refused with status 400: SCRIPTED: scripted"
    );
}

#[tokio::test]
async fn the_permission_to_push_is_asked_for_by_an_upload_that_is_cancelled() {
    let registry = TestRegistry::start();
    let app = repository(&registry, "app");
    client().check_push(&app).await.unwrap();
    assert_eq!(
        registry.take_log(),
        [
            "GET /v2/ 200",
            "POST /v2/app/blobs/uploads/ 202",
            "DELETE /v2/app/blobs/uploads/upload-1?state=kept 204",
        ]
    );
    registry.add_fault(Fault::status(403).on("POST", ""));
    let error = client().check_push(&app).await.unwrap_err();
    assert!(error.is_permission());
    assert_eq!(
        short(&error.to_string(), &registry),
        "cannot push to `HOST/app`: denied with no credentials: SCRIPTED: scripted"
    );
}
