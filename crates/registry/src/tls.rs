//! Whom to believe: certificate authorities, client certificates, and not checking at all.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::{ClientCertificate, HostSecurity, HostSettings, SettingsError, TrustedRoots};

/// Where distributions keep all authorities in one file, the commonest first.
const SYSTEM_FILES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Is whom to believe: authorities, and certificates that a file of the user holds.
#[derive(Debug, Clone)]
pub(crate) struct Roots {
    store: RootCertStore,
    /// See [`BelieveGiven`].
    given: Vec<CertificateDer<'static>>,
}

/// Collects the authorities that are believed everywhere.
pub(crate) fn load_roots(trusted: &TrustedRoots) -> Result<Roots, SettingsError> {
    let mut roots = Roots { store: RootCertStore::empty(), given: Vec::new() };
    for file in &trusted.files {
        roots.add_file(file)?;
    }
    for directory in &trusted.directories {
        roots.add_directory(directory)?;
    }
    if trusted.files.is_empty() && trusted.directories.is_empty() {
        // The first file that has any: they are the same authorities under several names.
        for file in SYSTEM_FILES.iter().map(Path::new) {
            if let Ok(pem) = std::fs::read(file)
                && add_pem(&mut roots.store, &pem) > 0
            {
                break;
            }
        }
    }
    if roots.store.is_empty() {
        roots.store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for file in &trusted.additional_files {
        roots.add_file(file)?;
    }
    for directory in &trusted.additional_directories {
        roots.add_directory(directory)?;
    }
    Ok(roots)
}

fn read(path: &Path) -> Result<Vec<u8>, SettingsError> {
    std::fs::read(path)
        .map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })
}

impl Roots {
    fn add_file(&mut self, path: &Path) -> Result<(), SettingsError> {
        let pem = read(path)?;
        if add_pem(&mut self.store, &pem) == 0 {
            return Err(SettingsError::NotPem { path: path.to_owned(), expected: "a certificate" });
        }
        self.given.extend(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
        Ok(())
    }

    /// Adds what is a certificate in each file; such directories also hold links, hashes and keys.
    fn add_directory(&mut self, path: &Path) -> Result<(), SettingsError> {
        let unreadable = |source| SettingsError::Unreadable { path: path.to_owned(), source };
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(unreadable(source)),
        };
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in entries {
            files.push(entry.map_err(unreadable)?.path());
        }
        files.sort();
        for pem in
            files.iter().filter(|file| file.is_file()).filter_map(|file| std::fs::read(file).ok())
        {
            if add_pem(&mut self.store, &pem) > 0 {
                self.given.extend(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
            }
        }
        Ok(())
    }
}

/// Adds what can be used and counts it: bundles hold expired oddities that need not stop anything.
fn add_pem(store: &mut RootCertStore, pem: &[u8]) -> usize {
    let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    store.add_parsable_certificates(certificates).0
}

/// Makes the TLS side of a client for hosts with these settings.
pub(crate) fn configure(roots: &Roots, host: &HostSettings) -> Result<ClientConfig, SettingsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|source| SettingsError::Tls { source })?;
    let builder = match host.security {
        HostSecurity::Verified => {
            let mut roots = roots.clone();
            for file in &host.certificate_authorities {
                roots.add_file(file)?;
            }
            let usual =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots.store), provider)
                    .build()
                    .map_err(|source| SettingsError::Roots { source })?;
            let verifier = BelieveGiven { usual, given: roots.given };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        HostSecurity::Unverified | HostSecurity::Insecure => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(BelieveAnything { provider })),
    };
    let mut config = match &host.client_certificate {
        None => builder.with_no_client_auth(),
        Some(ClientCertificate { certificate, key }) => {
            let pem = read(certificate)?;
            let chain: Vec<_> =
                CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
            if chain.is_empty() {
                let (path, expected) = (certificate.clone(), "a certificate");
                return Err(SettingsError::NotPem { path, expected });
            }
            let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| {
                SettingsError::NotPem { path: key.clone(), expected: "a private key" }
            })?;
            builder.with_client_auth_cert(chain, key).map_err(|source| {
                SettingsError::ClientCertificate { certificate: certificate.clone(), source }
            })?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Believes what authorities vouch for, and a certificate that is itself in a file of the user.
///
/// `openssl req -x509` marks what it makes as an authority, and the library refuses an authority as a server's
/// certificate; yet that is how people run private registries, and Docker accepts it. The very certificate being in
/// the file, only the name is left to check.
#[derive(Debug)]
struct BelieveGiven {
    usual: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for BelieveGiven {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.usual.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verdict {
            // Not other refusals: one that has expired, say, is refused all the same.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(_))))
                if self.given.iter().any(|given| given == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// Accepts every certificate, for hosts that are named insecure. Signatures are still checked, as the handshake
/// makes no sense without.
#[derive(Debug)]
struct BelieveAnything {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for BelieveAnything {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
