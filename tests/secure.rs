//! A real registry behind a certificate of the test's own authority.

pub(crate) mod tokens;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;

use crate::distribution::{Listening, spawn_with};
use crate::requirement::output;
use tokens::Tokens;

/// Is a running docker-registry that speaks TLS.
pub(crate) struct SecureRegistry {
    listening: Listening,
    tokens: Option<Tokens>,
    directory: TempDir,
}

impl SecureRegistry {
    /// Starts one that lets everybody in.
    pub(crate) fn start() -> Result<Self> {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        certificates(directory.path());
        Self::spawn(directory, None)
    }

    /// Starts one that lets nobody in without a token.
    pub(crate) fn start_with_tokens() -> Result<Self> {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        certificates(directory.path());
        let tokens = Tokens::start(directory.path())?;
        Self::spawn(directory, Some(tokens))
    }

    fn spawn(directory: TempDir, tokens: Option<Tokens>) -> Result<Self> {
        let tls = format!(
            "tls: {{certificate: {0}/server.pem, key: {0}/server.key}}",
            directory.path().display()
        );
        let authority = directory.path().join("authority.pem");
        let access = tokens.as_ref().map(|tokens| tokens.setting(&authority)).unwrap_or_default();
        let listening = spawn_with(directory.path(), &tls, &access)?;
        Ok(Self { listening, tokens, directory })
    }

    pub(crate) fn host(&self) -> String {
        self.listening.address.clone()
    }

    /// The tokens that it sent its clients for.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.tokens.as_ref().map(Tokens::asked).unwrap_or_default()
    }

    /// The certificate of who signed the registry's.
    pub(crate) fn authority(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }
}

/// An authority, and certificates of it: one for loopback, one for tokens.
fn certificates(directory: &Path) {
    let extensions = directory.join("extensions");
    std::fs::write(&extensions, "subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        .expect("a temporary directory can be written");
    let openssl = |arguments: &[&str]| {
        output(Command::new("openssl").args(arguments).current_dir(directory));
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let authority = [
        "req",
        "-x509",
        "-days",
        "2",
        "-subj",
        "/CN=authority",
        "-keyout",
        "authority.key",
        "-out",
        "authority.pem",
    ];
    openssl(&[&authority[..], &key].concat());
    let elliptic = &key[..];
    // What signs tokens is of a kind whose signatures need no other spelling.
    let rsa = &["-newkey", "rsa:2048", "-nodes"][..];
    for (name, key) in [("server", elliptic), ("tokens", rsa)] {
        let (secret, request) = (format!("{name}.key"), format!("{name}.csr"));
        let certificate = format!("{name}.pem");
        let ask = ["req", "-new", "-subj", "/CN=registry", "-keyout", &secret, "-out", &request];
        openssl(&[&ask[..], key].concat());
        let sign = ["x509", "-req", "-days", "2", "-in", &request, "-extfile", "extensions"];
        let by = ["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial"];
        openssl(&[&sign[..], &by, &["-out", &certificate]].concat());
    }
}
