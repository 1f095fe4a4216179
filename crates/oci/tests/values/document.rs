use proptest::prelude::*;
use strata_oci::{
    AnyManifest, ContainerConfig, Descriptor, DiffId, Digest, Document, Healthcheck, History,
    Image, ImageConfig, Index, LayerRef, Manifest, MediaType, MediaTypes, Platform,
};

const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn image() -> Image {
    let mut image = Image::empty(&Platform::new("linux", "amd64"));
    image.config.created = Some("2024-01-02T03:04:05.678Z".parse().unwrap());
    image.config.config = ContainerConfig {
        user: "1000".to_owned(),
        exposed_ports: ["80/tcp".to_owned()].into(),
        env: vec!["PATH=/bin".to_owned(), "B=<&>".to_owned()],
        cmd: vec!["sh".to_owned()],
        working_dir: "/".to_owned(),
        labels: [("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())].into(),
        healthcheck: Some(Healthcheck {
            test: vec!["CMD".to_owned(), "true".to_owned()],
            interval: 30_000_000_000,
            retries: 3,
            ..Healthcheck::default()
        }),
        on_build: vec!["RUN x".to_owned()],
        shell: vec!["/bin/sh".to_owned()],
        ..ContainerConfig::default()
    };
    image.config.history = vec![
        History {
            created: Some("2024-01-02T03:04:05Z".parse().unwrap()),
            created_by: "COPY a b # buildkit".to_owned(),
            comment: "buildkit.dockerfile.v0".to_owned(),
            ..History::default()
        },
        History { empty_layer: true, ..History::default() },
    ];
    let blob = Descriptor::of(MediaType::parse("application/vnd.oci.image.layer.v1.tar+gzip"), b"");
    image.layers = vec![LayerRef { blob, diff_id: DiffId(Digest::of(b"")) }];
    image
}

#[test]
fn a_config_is_written_as_buildkit_writes_it() {
    let (_, config) = image().write(MediaTypes::Oci);
    let expected = [
        r#"{"architecture":"amd64","config":{"User":"1000","ExposedPorts":{"80/tcp":{}},"#,
        r#""Env":["PATH=/bin","B=\u003c\u0026\u003e"],"Cmd":["sh"],"WorkingDir":"/","#,
        r#""Labels":{"a":"1","b":"2"},"Healthcheck":{"Test":["CMD","true"],"#,
        r#""Interval":30000000000,"Retries":3},"OnBuild":["RUN x"],"Shell":["/bin/sh"]},"#,
        r#""created":"2024-01-02T03:04:05.678Z","history":["#,
        r#"{"created":"2024-01-02T03:04:05Z","created_by":"COPY a b # buildkit","#,
        r#""comment":"buildkit.dockerfile.v0"},{"empty_layer":true}],"os":"linux","#,
        r#""rootfs":{"type":"layers","diff_ids":["#,
        &format!(r#""{EMPTY}"]}}}}"#),
    ]
    .concat();
    assert_eq!(String::from_utf8_lossy(config.bytes()), expected);
}

#[test]
fn a_manifest_is_written_as_buildkit_writes_it() {
    let (manifest, config) = image().write(MediaTypes::Oci);
    let expected = format!(
        r#"{{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "config": {{
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": "{}",
    "size": {}
  }},
  "layers": [
    {{
      "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
      "digest": "{EMPTY}",
      "size": 0
    }}
  ]
}}"#,
        config.digest(),
        config.size()
    );
    assert_eq!(String::from_utf8_lossy(manifest.bytes()), expected);
    let (docker, _) = image().write(MediaTypes::Docker);
    let types = [&docker.value().config, &docker.value().layers[0]].map(|d| d.media_type.as_str());
    assert_eq!(
        types,
        [
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.docker.image.rootfs.diff.tar.gzip"
        ]
    );
}

#[test]
fn an_image_written_reads_back_as_itself() {
    let mut expected = image();
    expected.config.rootfs.diff_ids = vec![DiffId(Digest::of(b""))];
    let (manifest, config) = expected.write(MediaTypes::Oci);
    let manifest = Document::<Manifest>::parse(manifest.shared_bytes()).unwrap();
    let config = Document::<ImageConfig>::parse(config.shared_bytes()).unwrap();
    assert_eq!(Image::read(manifest.value(), config.into_value()), Ok(expected));
}

#[test]
fn what_is_left_out_or_null_reads_as_empty() {
    let platform = Platform::new("linux", "amd64");
    for text in [
        r#"{"architecture":"amd64","os":"linux"}"#,
        r#"{"architecture":"amd64","os":"linux","config":null,"rootfs":null,"history":null,"created":null,"author":null,"variant":null,"os.features":null}"#,
        r#"{"architecture":"amd64","os":"linux","config":{"User":null,"ExposedPorts":null,"Env":null,"Cmd":null,"Entrypoint":null,"Volumes":null,"Labels":null,"OnBuild":null,"Healthcheck":null,"Shell":null,"WorkingDir":null},"rootfs":{"type":"layers","diff_ids":null}}"#,
    ] {
        let config = Document::<ImageConfig>::parse(text.as_bytes()).expect(text).into_value();
        assert_eq!(config, ImageConfig::empty(&platform), "{text}");
    }
}

#[test]
fn unknown_fields_are_kept() {
    let text = r#"{"architecture":"amd64","config":{"Hostname":"h","Memory":0},"history":[{"by":"x"}],"moby.buildkit.cache.v0":"eA==","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let config = Document::<ImageConfig>::parse(text.as_bytes()).unwrap();
    assert_eq!(String::from_utf8_lossy(config.bytes()), text);
    let rewritten = Document::write(config.value().clone());
    assert_eq!(String::from_utf8_lossy(rewritten.bytes()), text);
}

#[test]
fn ambiguous_and_foreign_manifests_are_refused() {
    let row = format!(
        r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{EMPTY}","size":0}}"#
    );
    let index = "application/vnd.oci.image.index.v1+json";
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let table = [
        ("[]", None, "cannot parse image manifest"),
        ("{", None, "cannot parse manifest"),
        (
            r#"{"schemaVersion":1}"#,
            None,
            "manifest of schema version 1 is not supported: only 2 is",
        ),
        (
            r#"{"schemaVersion":3,"manifests":[]}"#,
            None,
            "manifest of schema version 3 is not supported: only 2 is",
        ),
        (
            &format!(r#"{{"schemaVersion":2,"manifests":[],"layers":[{row}]}}"#),
            None,
            "image index is ambiguous: it has `layers`",
        ),
        (
            &format!(r#"{{"schemaVersion":2,"config":{row},"layers":[],"fsLayers":[]}}"#),
            None,
            "image manifest is ambiguous: it has `fsLayers`",
        ),
        (
            &format!(r#"{{"schemaVersion":2,"config":{row},"manifests":[]}}"#),
            Some(manifest),
            "image manifest is ambiguous: it has `manifests`",
        ),
        (
            &format!(r#"{{"schemaVersion":2,"mediaType":"{index}","manifests":[]}}"#),
            Some(manifest),
            &format!("manifest calls itself `{index}` but was served as `{manifest}`"),
        ),
        (
            r#"{"schemaVersion":2,"mediaType":"text/x"}"#,
            None,
            "manifest of media type `text/x` is not supported",
        ),
        (
            r#"{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"md5:1","size":1}]}"#,
            None,
            "cannot parse image index",
        ),
        (
            r#"{"schemaVersion":2,"manifests":[{"mediaType":"x","size":1}]}"#,
            None,
            "cannot parse image index",
        ),
        (
            &format!(
                r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"x","digest":"{EMPTY}","size":-1}}]}}"#
            ),
            None,
            "cannot parse image index",
        ),
    ];
    for (text, told, expected) in table {
        let told = told.map(MediaType::parse);
        let error = AnyManifest::parse(text.as_bytes(), told.as_ref()).expect_err(text);
        assert_eq!(error.to_string(), expected, "{text}");
    }
    let large = format!(r#"{{"schemaVersion":2,"manifests":[],"x":"{}"}}"#, "y".repeat(4 << 20));
    assert_eq!(
        Document::<Index>::parse(large.as_bytes()).unwrap_err().to_string(),
        format!("image index of {} bytes exceeds the limit of 4194304", large.len())
    );
    let other = Document::<Index>::parse_verified(&b"{}"[..], Digest::of(b"")).unwrap_err();
    assert!(other.to_string().starts_with("image index has digest `sha256:44136fa3"), "{other}");
}

#[test]
fn layers_and_diff_ids_must_agree() {
    let (manifest, _) = image().write(MediaTypes::Oci);
    let config = ImageConfig::empty(&Platform::new("linux", "amd64"));
    let error = Image::read(manifest.value(), config.clone()).unwrap_err();
    assert_eq!(error.to_string(), "manifest lists 1 layers but the config lists 0 diff ids");
    let mut artifact = manifest.into_value();
    artifact.config.media_type = MediaType::OciEmpty;
    let error = Image::read(&artifact, config).unwrap_err();
    assert_eq!(
        error.to_string(),
        "manifest is not of an image: its config has media type `application/vnd.oci.empty.v1+json`"
    );
}

proptest! {
    #[test]
    fn documents_keep_their_bytes(spaces in " {0,4}", size in any::<u64>(), note in "[^\"\\\\\\x00-\\x1f]{0,20}") {
        let text = format!(
            r#"{spaces}{{"schemaVersion":2,{spaces}"manifests":[{{"size":{size},"digest":"{EMPTY}","mediaType":"x","note":"{note}"}}]}}{spaces}"#
        );
        let document = Document::<Index>::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(document.bytes(), text.as_bytes());
        prop_assert_eq!(document.digest(), Digest::of(text.as_bytes()));
        let rewritten = Document::write(document.value().clone());
        let reread = Document::<Index>::parse(rewritten.shared_bytes()).unwrap();
        prop_assert_eq!(reread, rewritten);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _any = (AnyManifest::parse(&*bytes, None), Document::<ImageConfig>::parse(&*bytes));
    }
}
