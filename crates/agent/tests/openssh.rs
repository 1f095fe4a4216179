//! The programs of OpenSSH talk to an agent of ours: they list its keys, sign with them and verify.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use ring::signature;
use strata_agent::{Access, Agent, KeyError, PrivateKey, Server};
use tempfile::TempDir;

/// Key types and formats, as options of `ssh-keygen`.
const KEYS: &[&[&str]] = &[
    &["-t", "ed25519"],
    &["-t", "ecdsa", "-b", "256"],
    &["-t", "ecdsa", "-b", "384"],
    &["-t", "rsa", "-b", "2048"],
    &["-t", "rsa", "-b", "3072"],
    &["-t", "ecdsa", "-b", "256", "-m", "PKCS8"],
    &["-t", "ecdsa", "-b", "384", "-m", "PKCS8"],
    &["-t", "rsa", "-b", "2048", "-m", "PKCS8"],
    &["-t", "ecdsa", "-b", "256", "-m", "PEM"],
    &["-t", "ecdsa", "-b", "384", "-m", "PEM"],
    &["-t", "rsa", "-b", "2048", "-m", "PEM"],
];

fn has_openssh() -> bool {
    let found = Command::new("ssh-keygen").arg("-?").output().is_ok()
        && Command::new("ssh-add").arg("-?").output().is_ok();
    if !found {
        assert!(
            std::env::var_os("STRATA_TEST_NO_SKIP").is_none(),
            "ssh-keygen and ssh-add are needed and must not be skipped"
        );
        let message = "skipped: ssh-keygen and ssh-add are not installed";
        writeln!(std::io::stderr(), "{message}").expect("standard error can be written");
    }
    found
}

fn generate(directory: &Path, options: &[&str], passphrase: &str) -> PathBuf {
    let path = directory.join("key");
    for old in [path.clone(), directory.join("key.pub")] {
        if old.exists() {
            fs::remove_file(old).expect("was generated before");
        }
    }
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-C", "a comment", "-N", passphrase, "-f"]).arg(&path).args(options);
    let output = command.output().expect("ssh-keygen runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

fn own() -> Access {
    let metadata = fs::metadata("/proc/self").expect("there is a process");
    Access { uid: metadata.uid(), gid: metadata.gid(), mode: 0o600 }
}

fn start(directory: &Path, path: &Path) -> Server {
    let key = PrivateKey::parse(&fs::read(path).expect("key exists")).expect("key is read");
    Server::start(Agent::of_keys(vec![key]), directory, own()).expect("agent starts")
}

fn ssh_add(socket: &Path, options: &[&str]) -> (bool, String) {
    let mut command = Command::new("ssh-add");
    let output = command.args(options).env("SSH_AUTH_SOCK", socket).output().expect("ssh-add runs");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn keys_of_every_kind_are_listed_and_sign() {
    if !has_openssh() {
        return;
    }
    let directory = TempDir::new().expect("temporary directory");
    for options in KEYS {
        let path = generate(directory.path(), options, "");
        let server = start(directory.path(), &path);
        let public = fs::read_to_string(path.with_extension("pub")).expect("public key exists");
        let public: Vec<&str> = public.split_whitespace().take(2).collect();

        let (listed, text) = ssh_add(server.path(), &["-L"]);
        assert!(listed, "{options:?}");
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words[..2], public, "{options:?}");
        let has_comment = !options.contains(&"PKCS8") && !options.contains(&"PEM");
        assert_eq!(words.get(2..), Some(if has_comment { &["a", "comment"][..] } else { &[] }));

        let file = directory.path().join("message");
        fs::write(&file, "what is signed").expect("written");
        let only_public = directory.path().join("only.pub");
        fs::copy(path.with_extension("pub"), &only_public).expect("copied");
        // Without its private half, so that the agent is the only one who can sign.
        let signed = Command::new("ssh-keygen")
            .args(["-Y", "sign", "-n", "file", "-f"])
            .args([&only_public, &file])
            .env("SSH_AUTH_SOCK", server.path())
            .output()
            .expect("ssh-keygen runs");
        assert!(signed.status.success(), "{options:?} {}", String::from_utf8_lossy(&signed.stderr));
        let signature = directory.path().join("message.sig");
        let verified = Command::new("ssh-keygen")
            .args(["-Y", "check-novalidate", "-n", "file", "-s"])
            .arg(&signature)
            .stdin(fs::File::open(&file).expect("exists"))
            .stderr(Stdio::piped())
            .output()
            .expect("ssh-keygen runs");
        assert!(verified.status.success(), "{options:?}");
        fs::remove_file(signature).expect("was written");
    }
}

fn string(message: &mut Vec<u8>, bytes: &[u8]) {
    message.extend(u32::try_from(bytes.len()).expect("is short").to_be_bytes());
    message.extend(bytes);
}

fn next_string<'a>(message: &mut &'a [u8]) -> &'a [u8] {
    let (length, rest) = message.split_first_chunk().expect("has a length");
    let length = usize::try_from(u32::from_be_bytes(*length)).expect("fits");
    let (string, rest) = rest.split_at(length);
    *message = rest;
    string
}

// OpenSSH's programs ask for SHA-512 alone, and servers for either.
#[test]
fn an_rsa_key_signs_with_the_hash_that_is_asked_for_and_never_with_sha1() {
    if !has_openssh() {
        return;
    }
    let directory = TempDir::new().expect("temporary directory");
    let path = generate(directory.path(), &["-t", "rsa", "-b", "2048"], "");
    let server = start(directory.path(), &path);
    let public = fs::read_to_string(path.with_extension("pub")).expect("public key exists");
    let public = public.split_whitespace().nth(1).expect("has a key");
    let public = base64::engine::general_purpose::STANDARD.decode(public).expect("is base64");
    let mut rest = &public[..];
    assert_eq!(next_string(&mut rest), b"ssh-rsa");
    let (e, n) = (next_string(&mut rest), &next_string(&mut rest)[1..]);
    for (flags, expected) in [
        (2, Some(("rsa-sha2-256", &signature::RSA_PKCS1_2048_8192_SHA256))),
        (4, Some(("rsa-sha2-512", &signature::RSA_PKCS1_2048_8192_SHA512))),
        (6, Some(("rsa-sha2-512", &signature::RSA_PKCS1_2048_8192_SHA512))),
        (0, None),
    ] {
        let mut request = vec![13];
        string(&mut request, &public);
        string(&mut request, b"what is signed");
        request.extend(u32::to_be_bytes(flags));
        let mut framed = Vec::new();
        string(&mut framed, &request);
        let mut stream = UnixStream::connect(server.path()).expect("agent listens");
        stream.write_all(&framed).expect("agent reads");
        stream.shutdown(Shutdown::Write).expect("half closed");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("agent answers");
        let answer = next_string(&mut &answer[..]);
        match expected {
            None => assert_eq!(answer, [5]),
            Some((name, algorithm)) => {
                let (kind, mut body) = answer.split_first().expect("has a type");
                assert_eq!(*kind, 14);
                let mut blob = next_string(&mut body);
                assert_eq!(next_string(&mut blob), name.as_bytes());
                signature::RsaPublicKeyComponents { n, e }
                    .verify(algorithm, b"what is signed", next_string(&mut blob))
                    .expect("signature is right");
            }
        }
    }
}

#[test]
fn keys_cannot_be_changed_even_in_an_agent_that_is_forwarded() {
    if !has_openssh() {
        return;
    }
    let directory = TempDir::new().expect("temporary directory");
    let path = generate(directory.path(), KEYS[0], "");
    let inner = start(directory.path(), &path);
    let outer = Server::start(Agent::at(inner.path().to_owned()), directory.path(), own());
    let outer = outer.expect("agent starts");
    let listed = ssh_add(outer.path(), &["-l"]);
    assert_eq!(listed, ssh_add(inner.path(), &["-l"]));
    assert!(listed.0);
    assert!(!ssh_add(outer.path(), &["-D"]).0);
    let key = path.to_str().expect("text");
    assert!(!ssh_add(outer.path(), &[key]).0);
    assert!(!ssh_add(outer.path(), &["-d", key]).0);
    assert_eq!(ssh_add(inner.path(), &["-l"]), listed);
    // Whoever is in front goes away first, or last.
    drop(inner);
    assert!(!ssh_add(outer.path(), &["-l"]).0);
}

#[test]
fn encrypted_and_unsupported_keys_are_told_apart() {
    if !has_openssh() {
        return;
    }
    let directory = TempDir::new().expect("temporary directory");
    let read = |options: &[&str], passphrase: &str| {
        let path = generate(directory.path(), options, passphrase);
        PrivateKey::parse(&fs::read(path).expect("key exists")).map(drop)
    };
    for options in [
        &["-t", "ed25519"][..],
        &["-t", "rsa", "-b", "2048", "-m", "PEM"],
        &["-t", "rsa", "-b", "2048", "-m", "PKCS8"],
    ] {
        assert_eq!(read(options, "a passphrase"), Err(KeyError::Encrypted), "{options:?}");
    }
    let unsupported = |algorithm: &str| Err(KeyError::Unsupported { algorithm: algorithm.into() });
    assert_eq!(read(&["-t", "ecdsa", "-b", "521"], ""), unsupported("ecdsa-sha2-nistp521"));
    assert_eq!(
        read(&["-t", "ecdsa", "-b", "521", "-m", "PEM"], ""),
        unsupported("an elliptic curve other than P-256 and P-384")
    );
    assert_eq!(
        read(&["-t", "ecdsa", "-b", "521", "-m", "PKCS8"], ""),
        unsupported("PKCS#8 that is no Ed25519, P-256, P-384 or RSA key")
    );
    let weak = read(&["-t", "rsa", "-b", "1024"], "");
    assert!(matches!(weak, Err(KeyError::Rejected { algorithm: "RSA", .. })), "{weak:?}");
}

#[test]
fn a_key_that_is_cut_off_or_changed_is_an_error() {
    if !has_openssh() {
        return;
    }
    let directory = TempDir::new().expect("temporary directory");
    let path = generate(directory.path(), KEYS[1], "");
    let text = fs::read_to_string(path).expect("key exists");
    assert!(PrivateKey::parse(text.as_bytes()).is_ok());
    let lines: Vec<&str> = text.lines().collect();
    for left_out in 0..lines.len() {
        let mut fewer = lines.clone();
        fewer.remove(left_out);
        assert!(PrivateKey::parse(fewer.join("\n").as_bytes()).is_err(), "line {left_out}");
    }
    assert_eq!(PrivateKey::parse(b"ssh-ed25519 AAAA me").map(drop), Err(KeyError::NotAKey));
}

#[test]
fn the_socket_has_its_mode_and_a_long_path_and_goes_away() {
    let directory = TempDir::new().expect("temporary directory");
    let deep = directory.path().join("d".repeat(200));
    fs::create_dir(&deep).expect("made");
    let access = Access { mode: 0o642, ..own() };
    let server = Server::start(Agent::of_keys(Vec::new()), &deep, access).expect("agent starts");
    let metadata = fs::metadata(server.path()).expect("socket exists");
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o642);
    let of_others = fs::metadata(server.path().parent().expect("has a directory")).expect("exists");
    assert_eq!(of_others.permissions().mode() & 0o7777, 0o700);
    drop(server);
    assert_eq!(fs::read_dir(&deep).expect("exists").count(), 0);
}

#[test]
fn a_client_that_says_nothing_does_not_hold_up_the_end() {
    let directory = TempDir::new().expect("temporary directory");
    let server = Server::start(Agent::of_keys(Vec::new()), directory.path(), own());
    let server = server.expect("agent starts");
    let mut silent = UnixStream::connect(server.path()).expect("agent listens");
    drop(server);
    // The agent may have seen it, or not.
    match silent.read(&mut [0]) {
        Ok(read) => assert_eq!(read, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}
