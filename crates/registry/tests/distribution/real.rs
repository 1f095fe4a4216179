//! The client against the registry that most people run.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use strata_oci::Tag;
use strata_registry::{
    BlobPush, BlobSource, ClientCertificate, ErrorKind, HostSecurity, Pushed, TrustedRoots,
};
use strata_testkit::{TestImage, TestRegistry};

use super::*;

struct Running {
    child: Child,
    address: String,
    _storage: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _already_gone = self.child.wait();
    }
}

fn installed() -> Option<PathBuf> {
    let directories = std::env::var_os("PATH")?;
    let mut programs = std::env::split_paths(&directories).map(|path| path.join("docker-registry"));
    programs.find(|program| program.is_file())
}

/// Says which test is skipped, and why.
fn skip(test: &str, feature: &str) {
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    {
        eprintln!("skipped: {test}: needs {feature}");
    }
}

/// Makes a certificate for the loopback address that nobody has signed but itself.
fn self_signed(directory: &Path) -> Option<(PathBuf, PathBuf)> {
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"])
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .stderr(Stdio::null())
        .status();
    made.is_ok_and(|status| status.success()).then_some((certificate, key))
}

fn start(program: &Path, tls: Option<&(PathBuf, PathBuf)>) -> Running {
    start_for(program, tls, None)
}

/// Starts a registry that lets in only who shows a certificate of the authority `clients`.
fn start_for(program: &Path, tls: Option<&(PathBuf, PathBuf)>, clients: Option<&Path>) -> Running {
    let storage = tempfile::tempdir().unwrap();
    let config = storage.path().join("config.yml");
    let tls = tls.map_or_else(String::new, |(certificate, key)| {
        let (certificate, key) = (certificate.display(), key.display());
        let clients = clients.map(|file| format!(", clientcas: [{}]", file.display()));
        let clients = clients.unwrap_or_default();
        format!(", tls: {{certificate: {certificate}, key: {key}{clients}}}")
    });
    let text = format!(
        "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp: {{addr: '127.0.0.1:0'{tls}}}\n",
        storage.path().join("data").display()
    );
    std::fs::write(&config, text).unwrap();
    let mut child = Command::new(program)
        .arg("serve")
        .arg(&config)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.by_ref().find_map(|line| {
        let rest = line.split("listening on ").nth(1)?.to_owned();
        Some(rest.split(['"', ' ', ',']).next()?.to_owned())
    });
    // Its log has to be read on, or it stops when the pipe is full.
    std::thread::spawn(move || lines.for_each(drop));
    Running { child, address: address.expect("it says where it listens"), _storage: storage }
}

#[tokio::test]
async fn push_mount_and_pull_work_with_docker_registry() {
    let Some(program) = installed() else {
        return skip("push_mount_and_pull_work_with_docker_registry", "docker-registry");
    };
    let running = start(&program, None);
    let client = client();
    let app = Repository::new(&running.address, "team/app").unwrap();
    let other = Repository::new(&running.address, "team/other").unwrap();
    let image = TestImage::new().layer(r#"/a 0644 0:0 file "a""#).build();

    client.check_push(&app).await.unwrap();
    let big = content(3_000_000);
    for bytes in [&big, &image.layers[0].blob, &image.config] {
        let push = BlobPush::new(layer(bytes), BlobSource::bytes(bytes.clone()));
        assert_eq!(client.push_blob(&app, &push).await.unwrap(), Pushed::Uploaded);
        assert_eq!(client.push_blob(&app, &push).await.unwrap(), Pushed::AlreadyThere);
    }
    assert_eq!(client.copy_blob(&app, &other, &layer(&big)).await.unwrap(), Pushed::Mounted);
    assert!(read(client.blob(&other, &layer(&big))).await.unwrap() == big);

    let tagged = app.tagged(Tag::parse("1").unwrap());
    let media_type = MediaType::OciManifest;
    client.push_manifest(&tagged, image.manifest.clone(), &media_type).await.unwrap();
    let resolved = client.resolve(&tagged).await.unwrap();
    let fetched = client.manifest(&resolved.reference).await.unwrap();
    assert_eq!(fetched.document.bytes(), image.manifest);
    assert_eq!(fetched.descriptor, resolved.descriptor);

    let missing = client.resolve(&app.tagged(Tag::parse("2").unwrap())).await.unwrap_err();
    assert!(missing.is_not_found(), "{missing}");
}

/// Settings for the host → what asking it over TLS gives.
#[tokio::test]
async fn certificates_are_believed_as_the_settings_say() {
    const TEST: &str = "certificates_are_believed_as_the_settings_say";
    let Some(program) = installed() else {
        return skip(TEST, "docker-registry");
    };
    let directory = tempfile::tempdir().unwrap();
    let Some(pair) = self_signed(directory.path()) else {
        return skip(TEST, "openssl");
    };
    let running = start(&program, Some(&pair));
    let ours =
        HostSettings { certificate_authorities: vec![pair.0.clone()], ..HostSettings::default() };
    let insecure = HostSettings { security: HostSecurity::Insecure, ..HostSettings::default() };
    let shown = ClientCertificate { certificate: pair.0.clone(), key: pair.1.clone() };
    let both = HostSettings { client_certificate: Some(shown), ..ours.clone() };
    let unverified = HostSettings { security: HostSecurity::Unverified, ..HostSettings::default() };
    let table = [
        ("nothing said", HostSettings::default(), false),
        ("not to be verified", unverified, true),
        ("its authority", ours, true),
        ("insecure", insecure, true),
        ("with a client certificate", both, true),
    ];
    for (name, host, believed) in table {
        let hosts = BTreeMap::from([(running.address.clone(), host)]);
        let settings = Settings { hosts, ..settings() };
        let client = Client::new(&settings, Credentials::anonymous()).unwrap();
        match client.ping(&running.address).await {
            Ok(()) => assert!(believed, "{name}"),
            Err(error) => {
                assert!(!believed, "{name}: {error}");
                assert!(matches!(*error.kind, ErrorKind::Tls { .. }), "{name}: {error}");
                let hint = error.hint().unwrap();
                assert!(
                    hint.contains(&format!("--registry-ca {}=FILE", running.address)),
                    "{hint}"
                );
            }
        }
    }
    let everywhere =
        TrustedRoots { additional_files: vec![pair.0.clone()], ..TrustedRoots::default() };
    let settings = Settings { roots: everywhere, ..settings() };
    let client = Client::new(&settings, Credentials::anonymous()).unwrap();
    client.ping(&running.address).await.unwrap();

    let certificates = directory.path().join("certs");
    std::fs::create_dir(&certificates).unwrap();
    std::fs::copy(&pair.0, certificates.join("additional-ca-cert-bundle.crt")).unwrap();
    std::fs::write(certificates.join("README"), "not a certificate").unwrap();
    let additional_directories = vec![certificates, directory.path().join("none")];
    let in_directory = TrustedRoots { additional_directories, ..TrustedRoots::default() };
    let settings = Settings { roots: in_directory, ..settings };
    let client = Client::new(&settings, Credentials::anonymous()).unwrap();
    client.ping(&running.address).await.unwrap();

    let missing =
        TrustedRoots { files: vec![directory.path().join("none")], ..TrustedRoots::default() };
    let settings = Settings { roots: missing, ..Settings::default() };
    let error = Client::new(&settings, Credentials::anonymous()).unwrap_err();
    assert!(error.to_string().starts_with("cannot read `"), "{error}");
    let key_only = TrustedRoots { files: vec![pair.1], ..TrustedRoots::default() };
    let settings = Settings { roots: key_only, ..Settings::default() };
    let error = Client::new(&settings, Credentials::anonymous()).unwrap_err();
    assert!(error.to_string().ends_with("does not hold a certificate in PEM"), "{error}");
}

#[tokio::test]
async fn a_registry_that_wants_a_certificate_gets_it() {
    const TEST: &str = "a_registry_that_wants_a_certificate_gets_it";
    let Some(program) = installed() else {
        return skip(TEST, "docker-registry");
    };
    let directory = tempfile::tempdir().unwrap();
    let Some(pair) = self_signed(directory.path()) else {
        return skip(TEST, "openssl");
    };
    let running = start_for(&program, Some(&pair), Some(&pair.0));
    let without =
        HostSettings { certificate_authorities: vec![pair.0.clone()], ..HostSettings::default() };
    let shown = ClientCertificate { certificate: pair.0.clone(), key: pair.1.clone() };
    let with = HostSettings { client_certificate: Some(shown), ..without.clone() };
    for (host, let_in) in [(without, false), (with, true)] {
        let hosts = BTreeMap::from([(running.address.clone(), host)]);
        let settings = Settings { hosts, ..settings() };
        let client = Client::new(&settings, Credentials::anonymous()).unwrap();
        let result = client.ping(&running.address).await;
        assert_eq!(result.is_ok(), let_in, "{result:?}");
    }
}

#[tokio::test]
async fn a_host_that_is_not_to_be_verified_is_never_asked_in_the_clear() {
    let registry = TestRegistry::start();
    let unverified = HostSettings { security: HostSecurity::Unverified, ..HostSettings::default() };
    let hosts = BTreeMap::from([(registry.host(), unverified)]);
    let client = Client::new(&Settings { hosts, ..settings() }, Credentials::anonymous()).unwrap();
    client.ping(&registry.host()).await.unwrap_err();
    assert!(registry.take_log().is_empty());
}
