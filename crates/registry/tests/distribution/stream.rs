//! Blobs that are sent while they are made.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, mpsc};

use strata_oci::Digest;
use strata_registry::{BlobSource, ErrorKind, Timeouts};
use strata_testkit::{Access, Fault};

use super::*;

/// A source that gives what a channel gives and ends when it is closed; a nothing is a failure.
fn from_channel(pieces: mpsc::Receiver<Option<Vec<u8>>>) -> BlobSource {
    struct Pieces(Arc<Mutex<mpsc::Receiver<Option<Vec<u8>>>>>);
    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.lock().unwrap().recv() {
                Ok(Some(piece)) => {
                    buffer[..piece.len()].copy_from_slice(&piece);
                    Ok(piece.len())
                }
                Ok(None) => Err(io::Error::other("the encoder failed")),
                Err(mpsc::RecvError) => Ok(0),
            }
        }
    }
    let pieces = Arc::new(Mutex::new(pieces));
    BlobSource::reader(move || Ok(Box::new(Pieces(Arc::clone(&pieces)))))
}

/// The requests, with short names for addresses.
fn requests(registry: &TestRegistry) -> Vec<String> {
    let log = registry.take_log();
    let requests = log.iter().filter(|line| !line.contains("/v2/ ") && !line.contains("/token"));
    requests
        .map(|line| {
            let line = line.replace("?state=kept", "");
            let line = line.replace("/v2/app/blobs/uploads/upload-", "U");
            let line = line.replace("/v2/app/blobs/uploads/", "U");
            match line.split_once("&digest=") {
                Some((front, back)) => {
                    format!("{front} {}", back.split(' ').next_back().unwrap_or_default())
                }
                None => line,
            }
        })
        .collect()
}

/// Faults, whether the digest is the right one → what it comes to, and the requests.
#[tokio::test]
async fn what_is_refused_is_forgotten_and_left_to_the_ordinary_push() {
    let bytes = content(300_000);
    let table: Vec<(&str, Vec<Fault>, bool, Result<(), &str>, Vec<&str>)> = vec![
        ("taken", vec![], true, Ok(()), vec!["POST U 202", "PATCH U1 202", "PUT U1 201"]),
        (
            "not begun",
            vec![Fault::status(403).on("POST", "")],
            true,
            Err("cannot send a blob to `R/app`: denied"),
            vec!["POST U 403"],
        ),
        (
            "no streams here",
            vec![Fault::status(405).on("PATCH", "")],
            true,
            Err("cannot send a blob to `R/app`: refused with status 405"),
            vec!["POST U 202", "PATCH U1 405", "DELETE U1 204"],
        ),
        (
            "unavailable",
            vec![Fault::status(500).on("PATCH", "")],
            true,
            Err("cannot send a blob to `R/app`: registry unavailable with status 500"),
            vec!["POST U 202", "PATCH U1 500", "DELETE U1 204"],
        ),
        (
            "an answer of another kind",
            vec![Fault::status(200).on("PATCH", "")],
            true,
            Err("cannot send a blob to `R/app`: registry answers against the protocol"),
            vec!["POST U 202", "PATCH U1 200", "DELETE U1 204"],
        ),
        (
            "cut in the middle",
            vec![Fault::hang_up(1000).on("PATCH", "")],
            true,
            Err("cannot send a blob to `R/app`: cannot reach"),
            vec!["POST U 202", "PATCH U1 -", "DELETE U1 204"],
        ),
        (
            "no new address",
            vec![Fault::omit_header("Location").on("PATCH", "")],
            true,
            Ok(()),
            vec!["POST U 202", "PATCH U1 202", "PUT U1 201"],
        ),
        (
            "another digest",
            vec![],
            false,
            Err("cannot push blob `D` to `R/app`: refused with status 400"),
            // The registry forgot it when it refused it.
            vec!["POST U 202", "PATCH U1 202", "PUT U1 400", "DELETE U1 404"],
        ),
        (
            "no name taken",
            vec![Fault::status(502).on("PUT", "")],
            true,
            Err("cannot push blob `D` to `R/app`: registry unavailable with status 502"),
            vec!["POST U 202", "PATCH U1 202", "PUT U1 502", "DELETE U1 204"],
        ),
    ];
    for (name, faults, right, expected, log) in table {
        let registry = TestRegistry::start();
        for fault in faults {
            registry.add_fault(fault);
        }
        let digest = if right { Digest::of(&bytes) } else { Digest::of(b"others") };
        let source = BlobSource::bytes(bytes.clone());
        let to = repository(&registry, "app");
        let result = match client().stream_blob(&to, source, None).await {
            Ok(blob) => blob.finish(digest).await,
            Err(error) => Err(error),
        };
        match (&result, expected) {
            (Ok(()), Ok(())) => {
                let stored = registry.blob("app", &digest.to_string());
                assert!(stored.as_deref() == Some(&*bytes), "{name}: not stored");
            }
            (Err(error), Err(text)) => {
                let error = error.to_string().replace(&registry.host(), "R");
                let error = error.replace(&digest.to_string(), "D");
                assert!(error.starts_with(text), "{name}: {error}");
                assert!(registry.blob("app", &digest.to_string()).is_none(), "{name}");
            }
            _ => panic!("{name}: {result:?}"),
        }
        assert_eq!(requests(&registry), log, "{name}");
    }
}

#[tokio::test]
async fn bytes_are_sent_before_there_are_all_of_them() {
    let registry = TestRegistry::start();
    let (pieces, source) = mpsc::channel();
    let (told, mut sent) = tokio::sync::mpsc::unbounded_channel();
    let told = Arc::new(move |count| told.send(count).unwrap());
    let to = repository(&registry, "app");
    let client = client();
    let streaming =
        tokio::spawn(
            async move { client.stream_blob(&to, from_channel(source), Some(told)).await },
        );
    for piece in [&b"first "[..], b"then"] {
        pieces.send(Some(piece.to_vec())).unwrap();
        // Nobody has closed the channel: what is told here went out before the end was known.
        let count = tokio::time::timeout(Duration::from_secs(20), sent.recv()).await.unwrap();
        assert_eq!(count, Some(piece.len() as u64));
    }
    drop(pieces);
    let blob = streaming.await.unwrap().unwrap();
    let digest = Digest::of(b"first then");
    assert!(registry.blob("app", &digest.to_string()).is_none(), "it has no name yet");
    blob.finish(digest).await.unwrap();
    assert_eq!(registry.blob("app", &digest.to_string()).unwrap(), b"first then");
}

#[tokio::test]
async fn a_source_that_fails_or_an_end_that_is_not_wanted_leaves_no_upload() {
    let registry = TestRegistry::start();
    let to = repository(&registry, "app");
    let (pieces, source) = mpsc::channel();
    pieces.send(Some(b"half".to_vec())).unwrap();
    pieces.send(None).unwrap();
    let error = client().stream_blob(&to, from_channel(source), None).await.unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::Source { .. }), "{error}");
    let log = requests(&registry);
    assert_eq!(log, ["POST U 202", "DELETE U1 204"], "the request that broke off is not answered");

    let whole = BlobSource::bytes(b"whole".to_vec());
    client().stream_blob(&to, whole, None).await.unwrap().abandon().await;
    assert_eq!(requests(&registry), ["POST U 202", "PATCH U2 202", "DELETE U2 204"]);
}

#[tokio::test]
async fn a_token_that_is_refused_in_the_middle_is_renewed_and_the_bytes_are_sent_again() {
    let registry = TestRegistry::start_with(Access::bearer());
    registry.add_fault(Fault::revoke_tokens().on("PATCH", "").first(1));
    let client = client_as(&[(&registry, "user", "secret")]);
    let source = BlobSource::bytes(content(100_000));
    let blob = client.stream_blob(&repository(&registry, "app"), source, None).await.unwrap();
    blob.finish(Digest::of(&content(100_000))).await.unwrap();
    let log = requests(&registry);
    let patches: Vec<_> = log.iter().filter(|line| line.starts_with("PATCH")).collect();
    assert_eq!(patches, ["PATCH U1 401", "PATCH U1 202"], "{log:?}");
}

/// It is the registry that is given up, and only if it is the one that is silent.
#[tokio::test]
async fn a_slow_source_is_waited_for_and_a_silent_registry_is_not() {
    let registry = TestRegistry::start();
    let timeouts = Timeouts {
        idle: Duration::from_millis(100),
        commit: Duration::from_millis(400),
        ..Timeouts::default()
    };
    let settings = Settings { timeouts, ..settings() };
    let client = Client::new(&settings, Credentials::anonymous()).unwrap();
    let to = repository(&registry, "app");
    let (pieces, source) = mpsc::channel();
    let slow = std::thread::spawn(move || {
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(250));
            pieces.send(Some(b"x".to_vec())).unwrap();
        }
    });
    let blob = client.stream_blob(&to, from_channel(source), None).await.unwrap();
    blob.finish(Digest::of(b"xxx")).await.unwrap();
    slow.join().unwrap();

    registry.add_fault(Fault::delay(Duration::from_secs(2)).on("PATCH", ""));
    let source = BlobSource::bytes(b"whole".to_vec());
    let error = client.stream_blob(&to, source, None).await.unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::TimedOut { .. }), "{error}");
}
