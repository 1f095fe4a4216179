use proptest::prelude::*;
use strata_oci::{Digest, DigestError, Reference, Repository, Tag};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn references_are_completed_and_abbreviated_as_docker_does() {
    // (text, full, familiar)
    let table = [
        ("alpine", "docker.io/library/alpine", "alpine"),
        ("alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"),
        ("library/alpine", "docker.io/library/alpine", "alpine"),
        ("docker.io/alpine", "docker.io/library/alpine", "alpine"),
        ("docker.io/library/alpine", "docker.io/library/alpine", "alpine"),
        ("index.docker.io/library/alpine", "docker.io/library/alpine", "alpine"),
        ("team/app:1", "docker.io/team/app:1", "team/app:1"),
        ("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("localhost/app", "localhost/app", "localhost/app"),
        ("localhost:5000/app:1", "localhost:5000/app:1", "localhost:5000/app:1"),
        ("127.0.0.1:5000/app", "127.0.0.1:5000/app", "127.0.0.1:5000/app"),
        ("[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"),
        ("r.example/a/b/c:x", "r.example/a/b/c:x", "r.example/a/b/c:x"),
        ("Host/app", "Host/app", "Host/app"),
        ("a__b/c.d/e---f", "docker.io/a__b/c.d/e---f", "a__b/c.d/e---f"),
        ("host:5000", "docker.io/library/host:5000", "host:5000"),
    ];
    for (text, full, familiar) in table {
        let reference = Reference::parse(text).unwrap();
        assert_eq!(reference.to_string(), full, "{text}");
        assert_eq!(reference.familiar().to_string(), familiar, "{text}");
        let pinned = Reference::parse(&format!("{text}@{DIGEST}")).unwrap();
        assert_eq!(pinned.to_string(), format!("{full}@{DIGEST}"));
        assert_eq!(pinned.digest(), Some(Digest::of(b"")));
        assert_eq!(pinned.target(), DIGEST);
    }
}

#[test]
fn a_tag_is_added_only_where_nothing_is_said() {
    let table = [
        ("a", "docker.io/library/a:latest".to_owned()),
        ("a:1", "docker.io/library/a:1".to_owned()),
        (&format!("a@{DIGEST}"), format!("docker.io/library/a@{DIGEST}")),
    ];
    for (text, expected) in table {
        assert_eq!(Reference::parse(text).unwrap().or_latest().to_string(), expected);
    }
}

#[test]
fn errors_name_the_piece() {
    let long = "a".repeat(256);
    let id = "0".repeat(64);
    let tag = "t".repeat(129);
    let table = [
        ("", "image reference `` names no repository"),
        (":1", "image reference `:1` names no repository"),
        ("r.example/", "image reference `r.example/` names no repository"),
        (&id, "is an image id, not an image reference"),
        (
            "-r.example/a",
            "registry `-r.example` in image reference `-r.example/a` is not a host name with an optional port",
        ),
        ("r.example:x/a", "registry `r.example:x`"),
        ("r.example:99999/a", "registry `r.example:99999`"),
        ("[::zz]/a", "registry `[::zz]`"),
        ("App", "repository `library/App` in image reference `App` must be lower case"),
        ("team/App:1", "repository `team/App`"),
        ("a//b", "`` in image reference `a//b` is not a repository component"),
        ("a/_b", "`_b` in image reference"),
        ("a..b", "`a..b` in image reference"),
        ("a___b", "`a___b` in image reference"),
        ("../etc", "registry `..` in image reference"),
        ("a b", "`a b` in image reference"),
        ("a:", "tag `` in image reference"),
        ("a:-x", "tag `-x` in image reference"),
        ("a:b:c", "tag `b:c` in image reference"),
        (&format!("a:{tag}"), &format!("tag `{tag}`")),
        ("a@", "cannot read the digest in image reference `a@`"),
        ("a@sha256:12", "cannot read the digest in image reference `a@sha256:12`"),
        (
            &format!("r.example/{long}"),
            "repository of 256 characters in an image reference exceeds the limit of 255",
        ),
    ];
    for (text, expected) in table {
        let error = Reference::parse(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn digests_are_of_one_spelling() {
    assert_eq!(DIGEST.parse(), Ok(Digest::of(b"")));
    assert_eq!(Digest::of(b"").to_string(), DIGEST);
    let upper = DIGEST.to_uppercase().replace("SHA256", "sha256");
    let sha512 = format!("sha512:{}", "0".repeat(128));
    let other = DigestError::UnsupportedAlgorithm { algorithm: "sha512".to_owned() };
    assert_eq!(sha512.parse::<Digest>(), Err(other));
    for text in ["", "sha256", "sha256:", &upper, &DIGEST[..70], &format!("{DIGEST}0"), "é:0"] {
        let malformed = DigestError::Malformed { text: text.to_owned() };
        assert_eq!(text.parse::<Digest>(), Err(malformed), "{text}");
    }
}

#[test]
fn a_repository_of_parts_is_checked() {
    assert!(Repository::new("r.example", "a/b").is_ok());
    for (registry, path) in
        [("r.example/x", "a"), ("r.example", "/a"), ("r.example", "a?b"), ("", "a")]
    {
        assert!(Repository::new(registry, path).is_err(), "{registry} {path}");
    }
    assert!(Tag::parse("a/b").is_err());
}

proptest! {
    #[test]
    fn what_parses_displays_as_what_parses_to_itself(text in "[a-zA-Z0-9./:@_\\[\\]-]{0,40}") {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference.clone()));
            prop_assert_eq!(Reference::parse(&reference.familiar().to_string()), Ok(reference));
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in ".{0,80}") {
        let _any = (Reference::parse(&text), text.parse::<Digest>());
    }
}
