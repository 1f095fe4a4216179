//! A real registry behind a certificate of the test's own authority.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;

use crate::distribution::{Listening, spawn_with};
use crate::requirement::output;

/// Is a running docker-registry that speaks TLS.
pub(crate) struct SecureRegistry {
    listening: Listening,
    directory: TempDir,
}

impl SecureRegistry {
    pub(crate) fn start() -> Result<Self> {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        certificates(directory.path());
        let tls = format!(
            "tls: {{certificate: {0}/server.pem, key: {0}/server.key}}",
            directory.path().display()
        );
        let listening = spawn_with(directory.path(), &tls)?;
        Ok(Self { listening, directory })
    }

    pub(crate) fn host(&self) -> String {
        self.listening.address.clone()
    }

    /// The certificate of who signed the registry's.
    pub(crate) fn authority(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }
}

/// An authority, and a certificate of it for loopback.
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
    let request =
        ["req", "-new", "-subj", "/CN=registry", "-keyout", "server.key", "-out", "server.csr"];
    openssl(&[&request[..], &key].concat());
    openssl(&[
        "x509",
        "-req",
        "-days",
        "2",
        "-in",
        "server.csr",
        "-CA",
        "authority.pem",
        "-CAkey",
        "authority.key",
        "-CAcreateserial",
        "-extfile",
        "extensions",
        "-out",
        "server.pem",
    ]);
}
